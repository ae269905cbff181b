//! The account page: connecting and disconnecting accounts at providers (spec/identity.md rules 15 to 19).

use std::time::Duration;

use samesake::identity::unlinking::{self, Authority, Unlinked, Ways};
use samesake::ids::LinkId;
use serde_json::json;

use super::{log_in_through, provider_with_ann};
use crate::harness::app::PASSWORD;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, TestApp, invariants, until};
use crate::{on_both, on_servers};

const ANN: &str = "ann@shop.example";

/// Two providers, `google` with Ann's address and `github` with another one of hers, and a gateway with both.
async fn two_providers(env: &Env) -> (Upstream, Upstream, TestApp) {
    let google = provider_with_ann(env).await;
    let github = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    github.add_person("hub-1", json!({"email": "ann@hub.example", "email_verified": true, "name": "Ann"}));
    let builder = TestApp::builder(env).web_client("shop").connector(google.config("google"));
    let app = builder.connector(github.config("github")).start().await;
    (google, github, app)
}

/// Opens the account page and logs in for it through a provider.
async fn account_through(app: &TestApp, browser: &Browser, connector: &str) -> Page {
    let page = browser.get(app.url("/account")).await;
    assert_eq!(page.url.path(), "/login");
    let page = browser.submit(&page, "/login/social", &[("connector", connector)]).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
    page
}

/// Presses the button that connects an account at a provider, and goes through it.
async fn connect(browser: &Browser, page: &Page, connector: &str) -> Page {
    browser.submit(page, "/account/connect", &[("connector", connector)]).await
}

/// The ID of the customer's live link of a namespace, as the page's button names it.
async fn link_id(env: &Env, namespace: &str, external_id: &str) -> String {
    let graph = invariants::check(env).await;
    uuid::Uuid::parse_str(&graph.live(namespace, external_id)[0].id).unwrap().to_string()
}

async fn disconnect(browser: &Browser, page: &Page, link: &str) -> Page {
    browser.submit(page, "/account/disconnect", &[("link", link)]).await
}

on_both! {
    /// Rules 15 and 17.
    async fn another_provider_is_connected_and_leads_to_the_same_customer(env: &Env) {
        let (_google, _github, app) = two_providers(env).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let first = log_in_through(&rp, &browser, "google").await;
        let page = browser.get(app.url("/account")).await;
        assert!(page.contains("Upstream google") && page.contains("How you sign in"), "{}", page.text());
        let page = connect(&browser, &page, "github").await;
        assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
        assert!(page.contains("Upstream github") && page.contains("ann@hub.example"), "{}", page.text());
        let graph = invariants::check(env).await;
        let ann = graph.live("social:google", "ann-1")[0].root.clone();
        assert_eq!(graph.live("social:github", "hub-1")[0].root, ann);
        assert_eq!(graph.live("email", "ann@hub.example")[0].root, ann, "an address nobody has comes along");
        for address in [ANN, "ann@hub.example"] {
            assert_eq!(app.mail_to(address).await.subject, "Upstream github was connected to your account");
        }
        // The session is the one it was, and either way leads to the same `sub`.
        let authorization = rp.authorization();
        let callback = browser.get(&authorization.url).await;
        let same = rp.finish(&authorization, &callback).await;
        assert_eq!((&same.claims["sub"], &same.claims["sid"]), (&first.claims["sub"], &first.claims["sid"]));
        let other = log_in_through(&rp, &Browser::new(), "github").await;
        assert_eq!(other.claims["sub"], first.claims["sub"]);
        // Once more is no event.
        let events = graph.events.len();
        let page = connect(&browser, &page, "github").await;
        assert_eq!(page.url.path(), "/account");
        assert_eq!(invariants::check(env).await.events.len(), events);
    }

    /// Rule 19: what is under way when the account is disconnected comes to nothing, however late its sessions end.
    async fn a_code_under_way_gives_nothing_once_its_account_is_disconnected(env: &Env) {
        let (_google, _github, app) = two_providers(env).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        connect(&browser, &page, "github").await;
        let (authorization, callback) = {
            let authorization = rp.authorization_with(&[("scope", "openid offline_access")]);
            let callback = browser.get(&authorization.url).await;
            (authorization, callback)
        };
        let code = rp.code(&authorization, &callback);
        let graph = invariants::check(env).await;
        let link = graph.live("social:google", "ann-1")[0];
        let (customer, link) = (link.root.parse().unwrap(), LinkId(link.id.parse().unwrap()));
        let ways = Ways::offered(&app.app.config);
        let mut tx = app.store.background().begin().await.unwrap();
        let gone = unlinking::remove(&mut tx, customer, link, &ways, Authority::Customer, app.clock.now()).await.unwrap();
        assert!(matches!(gone, Unlinked::Removed(_)));
        // Committed, and whoever did it has not come to end the sessions.
        tx.commit().await.unwrap();
        let refused = rp.redeem(&authorization, &code).await;
        assert_eq!((refused.status.as_u16(), refused.error()), (400, "invalid_grant"));
        invariants::check(env).await;
    }

    /// Rule 16.
    async fn an_account_of_another_customer_is_refused_and_nothing_of_them_is_told(env: &Env) {
        let (_google, _github, app) = two_providers(env).await;
        let rp = app.relying_party("shop").await;
        log_in_through(&rp, &Browser::new(), "github").await;
        let before = invariants::check(env).await;
        let ann = Browser::new();
        let page = account_through(&app, &ann, "google").await;
        let refused = connect(&ann, &page, "github").await;
        let said = (refused.status.as_u16(), refused.heading());
        assert_eq!(said, (409, "That account is already in use".to_owned()), "{}", refused.text());
        assert!(!refused.body.contains("hub.example"), "{}", refused.text());
        let after = invariants::check(env).await;
        assert_eq!(after.events.len(), before.events.len() + 3, "Ann's own first login and nothing else");
        assert_eq!(ann.click(&refused, "Back to your account").await.url.path(), "/account");
    }

    /// Rule 10: the session that asked for it must be the one that comes back.
    async fn a_connection_ends_in_the_session_that_began_it(env: &Env) {
        let (google, _github, app) = two_providers(env).await;
        google.add_person("eve-2", json!({"name": "Eve"}));
        let (ann, eve) = (Browser::new(), Browser::new());
        let page = account_through(&app, &ann, "google").await;
        let begun = ann.submit_one(&page, "/account/connect", &[("connector", "github")]).await;
        let callback = ann.get_one(begun.redirect().unwrap()).await.redirect().unwrap();
        google.choose("eve-2");
        account_through(&app, &eve, "google").await;
        let refused = eve.get(&callback).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (400, "This page has expired"));
        // The same browser, but somebody else has logged in meanwhile.
        let begun = ann.submit_one(&page, "/account/connect", &[("connector", "github")]).await;
        let callback = ann.get_one(begun.redirect().unwrap()).await.redirect().unwrap();
        ann.forget_cookies(Some("samesake-session"));
        account_through(&app, &ann, "google").await;
        let refused = ann.get(&callback).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (400, "This page has expired"));
        assert!(invariants::check(env).await.live("social:github", "hub-1").is_empty());
    }

    /// Rule 15.
    async fn changes_take_a_login_of_the_last_ten_minutes(env: &Env) {
        let (_google, _github, app) = two_providers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let link = link_id(env, "social:google", "ann-1").await;
        app.clock.advance(Duration::from_secs(11 * 60));
        for answer in [connect(&browser, &page, "github").await, disconnect(&browser, &page, &link).await] {
            assert_eq!((answer.url.path(), answer.heading().as_str()), ("/login", "Confirm it’s you"));
        }
        let asked = connect(&browser, &page, "github").await;
        let page = browser.submit(&asked, "/login/social", &[("connector", "google")]).await;
        assert_eq!(page.url.path(), "/account");
        assert_eq!(connect(&browser, &page, "github").await.url.path(), "/account");
        assert_eq!(invariants::check(env).await.live("social:github", "hub-1").len(), 1);
    }

    /// Protocol rule 43: a form of the account page is one session's.
    async fn the_forms_are_of_no_use_to_another_session(env: &Env) {
        let (google, _github, app) = two_providers(env).await;
        google.add_person("eve-2", json!({"name": "Eve"}));
        let (ann, eve) = (Browser::new(), Browser::new());
        account_through(&app, &ann, "google").await;
        google.choose("eve-2");
        let hers = account_through(&app, &eve, "google").await;
        let link = link_id(env, "social:google", "ann-1").await;
        // Eve's form in Ann's browser, and Ann's link in Eve's own form.
        let forms = hers.forms();
        let token = forms.iter().flat_map(|form| &form.fields).find(|field| field.name == "token").unwrap();
        let (origin, url) = (app.issuer.origin().ascii_serialization(), app.url("/account/disconnect"));
        let fields = [("token", token.value.as_str()), ("link", link.as_str())];
        assert_eq!(ann.post_from(&origin, &url, &fields).await.status.as_u16(), 400);
        let nothing = eve.post_from(&origin, &url, &fields).await;
        assert_eq!(nothing.redirect().unwrap().path(), "/account", "she has no such link");
        let forged = ann.post_from("https://evil.example", &app.url("/account/disconnect"), &[("link", &link)]).await;
        assert_eq!(forged.status.as_u16(), 403);
        assert_eq!(invariants::check(env).await.live("social:google", "ann-1").len(), 1);
        assert!(app.app.mailer.sent().is_empty());
    }

    /// Rule 18.
    async fn the_last_way_to_log_in_cannot_be_disconnected(env: &Env) {
        let (_google, _github, app) = two_providers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let google = link_id(env, "social:google", "ann-1").await;
        let refused = disconnect(&browser, &page, &google).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (409, "That’s your only way to sign in"));
        assert!(refused.contains("What counts: another connected account, or a password"), "{}", refused.text());
        assert!(app.app.mailer.sent().is_empty(), "nothing happened, so nothing is told");
        let page = connect(&browser, &page, "github").await;
        let gone = disconnect(&browser, &page, &google).await;
        // The session had come through it: it is over.
        assert_eq!(gone.url.path(), "/login");
        let page = browser.submit(&gone, "/login/social", &[("connector", "github")]).await;
        let github = link_id(env, "social:github", "hub-1").await;
        assert_eq!(disconnect(&browser, &page, &github).await.status.as_u16(), 409);
    }

    /// Rule 19.
    async fn what_came_through_a_link_ends_with_it(env: &Env) {
        let (_google, _github, app) = two_providers(env).await;
        app.customer("carl@shop.example", "Carl").await;
        let rp = app.relying_party("shop").await;
        let (phone, desk, laptop) = (Browser::new(), Browser::new(), Browser::new());
        let page = account_through(&app, &desk, "google").await;
        connect(&desk, &page, "github").await;
        let offline = [("scope", "openid offline_access")];
        let mut families = Vec::new();
        for (browser, connector) in [(&phone, "google"), (&laptop, "github")] {
            let authorization = rp.authorization_with(&offline);
            let page = browser.get(&authorization.url).await;
            let callback = browser.submit(&page, "/login/social", &[("connector", connector)]).await;
            families.push(rp.finish(&authorization, &callback).await);
        }
        let google = link_id(env, "social:google", "ann-1").await;
        let page = laptop.get(app.url("/account")).await;
        let page = disconnect(&laptop, &page, &google).await;
        assert_eq!(page.url.path(), "/account", "this one came another way");
        assert!(!page.contains("Disconnect Upstream google"), "{}", page.text());
        for browser in [&phone, &desk] {
            assert_eq!(browser.get(app.url("/account")).await.url.path(), "/login");
        }
        let refused = rp.refresh(families[0].refresh_token.as_deref().unwrap()).await;
        assert_eq!(refused.error(), "invalid_grant");
        let good = rp.refresh(families[1].refresh_token.as_deref().unwrap()).await;
        assert_eq!(good.status.as_u16(), 200);
        // The address that only this provider vouched for turns unproved, and its owner is told.
        let graph = invariants::check(env).await;
        assert!(graph.live("email", ANN).is_empty());
        assert_eq!(graph.live("unproved_email", ANN).len(), 1);
        let subject = "Upstream google was disconnected from your account";
        let is_it = |mail: &samesake::mail::Message| mail.subject == subject && mail.to.normalized() == ANN;
        until(subject, async || app.app.mailer.sent().iter().any(is_it)).await;
    }

    /// A customer with a password may lose every provider, and keeps the address that a code had proved.
    async fn a_password_is_a_way_to_log_in(env: &Env) {
        let (_google, _github, app) = two_providers(env).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let login = browser.get(app.url("/account")).await;
        let page = browser.submit(&login, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        let page = connect(&browser, &page, "google").await;
        let google = link_id(env, "social:google", "ann-1").await;
        let page = disconnect(&browser, &page, &google).await;
        assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
        let graph = invariants::check(env).await;
        assert!(graph.live("social:google", "ann-1").is_empty());
        assert_eq!(graph.live("email", ANN).len(), 1);
    }
}

on_servers! {
    /// Rule 18: the database decides.
    async fn of_two_who_disconnect_the_last_two_at_once_one_succeeds(env: &Env) {
        let (_google, _github, app) = two_providers(env).await;
        let replica = app.replica(env).await;
        for round in 0..5 {
            let desk = Browser::new();
            let page = account_through(&app, &desk, "google").await;
            let page = connect(&desk, &page, "github").await;
            let laptop = Browser::new().via(&app.issuer, &replica.address);
            let other = account_through(&app, &laptop, "github").await;
            let google = link_id(env, "social:google", "ann-1").await;
            let github = link_id(env, "social:github", "hub-1").await;
            let (mine, theirs) = ([("link", github.as_str())], [("link", google.as_str())]);
            let (one, two) = futures::join!(
                desk.submit_one(&page, "/account/disconnect", &mine),
                laptop.submit_one(&other, "/account/disconnect", &theirs),
            );
            let mut statuses = [one.status.as_u16(), two.status.as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses, [303, 409], "round {round}");
            let graph = invariants::check(env).await;
            let live = graph.links.iter().filter(|link| link.live && link.namespace.starts_with("social:"));
            assert_eq!(live.count(), 1, "round {round}");
            let kept = if graph.live("social:google", "ann-1").len() == 1 { "google" } else { "github" };
            let browser = Browser::new();
            let page = account_through(&app, &browser, kept).await;
            // What was disconnected is free again: it is connected for the next round, if it is nobody's.
            let missing = if kept == "google" { "github" } else { "google" };
            assert_eq!(connect(&browser, &page, missing).await.url.path(), "/account", "round {round}");
        }
        assert_eq!(invariants::check(env).await.customers.len(), 1);
    }
}
