//! What a button of the account page does after the login it had to wait for, what the page says of each way to sign in,
//! and what a provider's failure leads to (rules 5, 15, 19).

use std::time::Duration;

use serde_json::json;

use super::provider_with_ann;
use crate::harness::app::PASSWORD;
use crate::harness::upstream::{Algorithm, BadAnswer, Endpoint, Fault, Upstream};
use crate::harness::{Browser, Env, Page, TestApp, invariants};
use crate::on_both;

const ANN: &str = "ann@shop.example";

/// Two providers that both vouch for Ann's address.
async fn two_vouchers(env: &Env) -> (Upstream, Upstream, TestApp) {
    let google = provider_with_ann(env).await;
    let github = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    github.add_person("hub-1", json!({"email": ANN, "email_verified": true, "name": "Ann"}));
    let builder = TestApp::builder(env).web_client("shop").connector(google.config("google"));
    let app = builder.connector(github.config("github")).start().await;
    (google, github, app)
}

async fn account_through(app: &TestApp, browser: &Browser, connector: &str) -> Page {
    let page = browser.get(app.url("/account")).await;
    let page = browser.submit(&page, "/login/social", &[("connector", connector)]).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
    page
}

async fn link_id(env: &Env, namespace: &str, external_id: &str) -> String {
    let graph = invariants::check(env).await;
    uuid::Uuid::parse_str(&graph.live(namespace, external_id)[0].id).unwrap().to_string()
}

on_both! {
    async fn a_button_goes_on_after_the_login_it_waited_for(env: &Env) {
        let (_google, _github, app) = two_vouchers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        app.clock.advance(Duration::from_secs(11 * 60));
        let login = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        assert_eq!((login.url.path(), login.heading().as_str()), ("/login", "Confirm it’s you"));
        let page = browser.submit(&login, "/login/social", &[("connector", "google")]).await;
        assert_eq!((page.url.path(), page.status.as_u16()), ("/account", 200), "{}", page.text());
        let connected = invariants::check(env).await;
        assert_eq!(connected.live("social:github", "hub-1").len(), 1, "without a second press");
        // Disconnecting, too; and once: a reload of the login does nothing more.
        let github = link_id(env, "social:github", "hub-1").await;
        app.clock.advance(Duration::from_secs(11 * 60));
        let login = browser.submit(&page, "/account/disconnect", &[("link", &github)]).await;
        let page = browser.submit(&login, "/login/social", &[("connector", "google")]).await;
        assert_eq!(page.url.path(), "/account");
        assert!(invariants::check(env).await.live("social:github", "hub-1").is_empty());
        let page = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        assert_eq!(page.url.path(), "/account");
        let again = browser.submit(&login, "/login/social", &[("connector", "google")]).await;
        assert_eq!(again.url.path(), "/account");
        assert_eq!(invariants::check(env).await.live("social:github", "hub-1").len(), 1);
        // And the page that asks for an address.
        app.clock.advance(Duration::from_secs(11 * 60));
        let login = browser.submit(&page, "/account/address", &[]).await;
        let page = browser.submit(&login, "/login/social", &[("connector", "google")]).await;
        assert_eq!(page.url.path(), "/address");
    }

    /// Protocol rule 43: what waits is one customer's, in one session, for ten minutes.
    async fn a_button_waits_for_nobody_else_and_not_for_ever(env: &Env) {
        let (_google, _github, app) = two_vouchers(env).await;
        app.customer("eve@shop.example", "Eve").await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        app.clock.advance(Duration::from_secs(11 * 60));
        let login = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        // Another browser with the address of the login page.
        let other = Browser::new().submit(&login, "/login/social", &[("connector", "google")]).await;
        assert_eq!(other.status.as_u16(), 400);
        // Another customer.
        let eve = [("email", "eve@shop.example"), ("password", PASSWORD)];
        assert_eq!(browser.submit(&login, "/login/password", &eve).await.url.path(), "/account");
        assert_eq!(browser.submit(&login, "/login/social", &[("connector", "google")]).await.url.path(), "/account");
        assert!(invariants::check(env).await.live("social:github", "hub-1").is_empty(), "Eve's login has ended it");
        // Too late.
        let page = browser.get(app.url("/account")).await;
        app.clock.advance(Duration::from_secs(11 * 60));
        let login = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        app.clock.advance(Duration::from_secs(11 * 60));
        assert_eq!(browser.submit(&login, "/login/social", &[("connector", "google")]).await.url.path(), "/account");
        assert!(invariants::check(env).await.live("social:github", "hub-1").is_empty());
    }

    /// Rule 19: an address for which another connected provider vouches is still proved.
    async fn an_address_that_another_provider_vouches_for_stays_proved(env: &Env) {
        let (_google, _github, app) = two_vouchers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        let laptop = Browser::new();
        let page = account_through(&app, &laptop, "github").await;
        let google = link_id(env, "social:google", "ann-1").await;
        let page = laptop.submit(&page, "/account/disconnect", &[("link", &google)]).await;
        assert!(page.contains("Confirmed by Upstream github"), "{}", page.text());
        let graph = invariants::check(env).await;
        let row = &graph.customers[&graph.live("email", ANN)[0].root];
        assert_eq!(row.profile["email_verified"]["value"], true);
        assert!(graph.live("unproved_email", ANN).is_empty());
        let history = graph.history(&row.canonical);
        assert!(history.ends_with(&["link.removed", "link.proved"]), "{history:?}");
    }

    /// Rule 5, for the customer's eyes.
    async fn each_way_in_says_how_it_came_and_when_it_was_used(env: &Env) {
        let (_google, github, app) = two_vouchers(env).await;
        github.add_person("hub-1", json!({"preferred_username": "ann-at-hub"}));
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let page = app.log_in(&browser, app.url("/account"), ANN).await;
        let day = app.clock.now().to_string().chars().take(10).collect::<String>();
        assert!(page.contains(&format!("Added when you signed up, {day}.")), "{}", page.text());
        let page = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        let said = format!("Connected by you, {day}. Last used on {day}.");
        assert!(page.contains("ann-at-hub") && page.contains(&said), "{}", page.text());
    }

    /// Declined, broken, down: the account page is the way on, and nothing is changed.
    async fn a_failed_connection_leads_back_to_the_account_page(env: &Env) {
        let (_google, github, app) = two_vouchers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let before = invariants::check(env).await.events.len();
        for (fault, status, heading) in [
            (Fault::AuthorizeError("access_denied"), 200, "Nothing was connected"),
            (Fault::AuthorizeError("server_error"), 503, "That didn’t work"),
            (Fault::WrongSignature, 503, "That didn’t work"),
            (Fault::Answer(Endpoint::Token, BadAnswer::Status(503)), 503, "That didn’t work"),
        ] {
            github.faults().only(fault);
            let refused = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
            assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (status, heading), "{}", refused.text());
            assert_eq!(browser.click(&refused, "Back to your account").await.url.path(), "/account");
        }
        assert_eq!(invariants::check(env).await.events.len(), before);
    }
}
