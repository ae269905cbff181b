//! Consent for apps of others: protocol rules 6 and 13, OpenID Connect Core §3.1.2.4 and §11.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::{ANN, BEN, Visit, assert_refused, assert_token_error};
use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::browser::http_client;
use crate::harness::{Browser, Env, Page};
use crate::on_both;

/// An app of somebody else's.
async fn foreign(env: &Env) -> Visit {
    let metadata = json!({
        "first_party": false,
        "client_name": "Foreign <b>Books</b>",
        "logo_uri": "https://shop.example/logo.png",
        "policy_uri": "https://shop.example/policy",
        "tos_uri": "https://shop.example/terms",
    });
    Visit::with(env, metadata).await
}

/// Up to the consent page.
async fn asked(visit: &Visit, changes: &[(&str, &str)]) -> (crate::harness::relying_party::Authorization, Page) {
    let (request, page) = visit.authorize(changes).await;
    assert_eq!(page.url.path(), "/consent", "{} {}", page.url, page.text());
    (request, page)
}

const FEW: [(&str, &str); 1] = [("scope", "openid email")];
const MORE: [(&str, &str); 1] = [("scope", "openid email profile")];

on_both! {
    async fn consent_is_asked_once_and_again_for_more(env: &Env) {
        let visit = foreign(env).await;
        let (request, page) = asked(&visit, &FEW).await;
        assert_eq!(page.heading(), "Allow Foreign <b>Books</b> to use your account?");
        for part in ["logo.png", "policy", "terms"] {
            assert!(page.body.contains(&format!("https://shop.example/{part}")), "{part}\n{}", page.body);
        }
        assert!(page.contains("Your e-mail address") && !page.contains("Your name and picture"), "{}", page.text());
        assert!(page.contains(ANN), "it says whose account: {}", page.text());
        let callback = visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
        assert_eq!(visit.shop.finish(&request, &callback).await.body["scope"], "openid email");
        assert_eq!(visit.events("consent.granted").await.len(), 1);

        visit.tokens(&FEW).await;
        let (request, page) = asked(&visit, &MORE).await;
        let callback = visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
        visit.shop.finish(&request, &callback).await;
        visit.tokens(&MORE).await;
        visit.tokens(&FEW).await;
        // Another browser, the same customer: what was agreed to is remembered with the customer.
        let elsewhere = visit.shop.authorization_with(&MORE);
        let callback = visit.app.log_in(&Browser::new(), &elsewhere.url, ANN).await;
        visit.shop.finish(&elsewhere, &callback).await;
    }

    async fn a_missing_consent_is_told_silently(env: &Env) {
        let visit = foreign(env).await;
        let (_, page) = asked(&visit, &FEW).await;
        let silent = visit.shop.authorization_with(&[("scope", "openid email"), ("prompt", "none")]);
        assert_refused(&visit.shop, &silent, &visit.browser.get(&silent.url).await, "consent_required");
        visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
        let silent = visit.shop.authorization_with(&[("scope", "openid email"), ("prompt", "none")]);
        visit.shop.finish(&silent, &visit.browser.get(&silent.url).await).await;
        let silent = visit.shop.authorization_with(&[("scope", "openid profile"), ("prompt", "none")]);
        assert_refused(&visit.shop, &silent, &visit.browser.get(&silent.url).await, "consent_required");
    }

    async fn a_denied_consent_goes_back_to_the_app_and_is_not_remembered(env: &Env) {
        let visit = foreign(env).await;
        let (request, page) = asked(&visit, &FEW).await;
        let callback = visit.browser.submit(&page, "/consent", &[("decision", "deny")]).await;
        assert_refused(&visit.shop, &request, &callback, "access_denied");
        asked(&visit, &FEW).await;
        assert_eq!(visit.events("consent.granted").await.len(), 0);
    }

    /// A link preview, a prefetch, or a form of another site agrees to nothing.
    async fn consent_takes_a_click_on_our_page(env: &Env) {
        let visit = foreign(env).await;
        let (_, page) = asked(&visit, &FEW).await;
        let flow = page.parameter("flow").unwrap();
        let address = visit.app.url(&format!("/consent?flow={flow}&decision=allow"));
        visit.browser.get(&address).await;
        let cookies: Vec<String> =
            visit.browser.cookies().iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let head = http_client().head(address).header("cookie", cookies.join("; ")).header("sec-purpose", "prefetch");
        assert_eq!(head.send().await.unwrap().status(), StatusCode::OK);
        let fields = [("flow", flow.as_str()), ("decision", "allow")];
        for origin in ["https://evil.example", "null"] {
            let forged = visit.browser.post_from(origin, &visit.app.url("/consent"), &fields).await;
            assert_eq!((forged.status, forged.redirect()), (StatusCode::FORBIDDEN, None));
        }
        let stranger = Browser::new().post_from(&visit.shop.issuer, &visit.app.url("/consent"), &fields).await;
        assert_eq!((stranger.status, stranger.redirect()), (StatusCode::BAD_REQUEST, None));
        asked(&visit, &FEW).await;
    }

    /// Two tabs: while Ann's consent page is open in one, Ben signs in in the other. Ann's page does not speak for Ben.
    async fn a_consent_page_speaks_for_the_customer_it_names(env: &Env) {
        let visit = foreign(env).await;
        visit.app.customer(BEN, "Ben Example").await;
        let (request, page) = asked(&visit, &FEW).await;
        let choice = visit.shop.authorization_with(&[("prompt", "select_account")]);
        let choice_page = visit.browser.get(&choice.url).await;
        let other_tab = visit.shop.authorization_with(&[("prompt", "login")]);
        visit.app.log_in(&visit.browser, &other_tab.url, BEN).await;

        let again = visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
        assert_eq!(again.url.path(), "/consent");
        assert!(again.contains(BEN), "{}", again.text());
        assert_eq!(visit.events("consent.granted").await.len(), 0);
        // Ben has signed in since the choice was offered, so he is chosen; but he has not consented.
        let chosen = visit.browser.submit(&choice_page, "/select-account", &[("choice", "continue")]).await;
        assert_eq!(chosen.url.path(), "/consent");
        assert!(chosen.contains(BEN), "{}", chosen.text());
        let callback = visit.browser.submit(&again, "/consent", &[("decision", "allow")]).await;
        let tokens = visit.shop.finish(&request, &callback).await;
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.body["email"], BEN);
    }

    /// `max_age` leaves time to read the page, but a page left open all lunch is no fresh login.
    async fn a_consent_page_left_open_does_not_stretch_max_age(env: &Env) {
        let visit = foreign(env).await;
        for (minutes, path) in [(9, "/callback"), (20, "/login")] {
            let fresh = [("scope", "openid email"), ("prompt", "consent login"), ("max_age", "60")];
            let (request, page) = asked(&visit, &fresh).await;
            visit.app.clock.advance(Duration::from_secs(60 * minutes));
            let next = visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
            assert_eq!(next.url.path(), path, "after {minutes} minutes");
            if next.stopped {
                visit.shop.code(&request, &next);
            }
        }
    }

    /// The company's own app asks nobody, unless it asks for being asked.
    async fn consent_is_skipped_for_first_party_clients_only(env: &Env) {
        let visit = Visit::start(env).await;
        visit.tokens(&[]).await;
        let request = visit.shop.authorization_with(&[("prompt", "consent")]);
        let page = visit.browser.get(&request.url).await;
        assert_eq!(page.url.path(), "/consent");
        let callback = visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
        visit.shop.finish(&request, &callback).await;
    }

    async fn prompt_consent_asks_again_and_goes_with_login(env: &Env) {
        let visit = foreign(env).await;
        for prompt in ["", "consent", "login consent"] {
            let (request, page) = asked(&visit, &[("scope", "openid email"), ("prompt", prompt)]).await;
            let callback = visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
            visit.shop.finish(&request, &callback).await;
        }
    }

    /// OpenID Connect Core §11: an app of others goes on without the customer only if the customer is asked each time.
    async fn offline_access_of_others_wants_prompt_consent(env: &Env) {
        let visit = foreign(env).await;
        let scope = "openid offline_access";
        let (request, page) = asked(&visit, &[("scope", scope)]).await;
        assert!(!page.contains("Access while you are away"), "{}", page.text());
        let callback = visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
        assert_eq!(visit.shop.finish(&request, &callback).await.body["scope"], "openid");

        let (request, page) = asked(&visit, &[("scope", scope), ("prompt", "consent")]).await;
        assert!(page.contains("Access while you are away"), "{}", page.text());
        let callback = visit.browser.submit(&page, "/consent", &[("decision", "allow")]).await;
        assert_eq!(visit.shop.finish(&request, &callback).await.body["scope"], scope);
        // The answer given is no answer for the next time.
        let later = visit.tokens(&[("scope", scope)]).await;
        assert_eq!(later.body["scope"], "openid");
    }

    /// Where no refresh token can be had, `offline_access` means nothing.
    async fn offline_access_wants_a_client_that_may_refresh(env: &Env) {
        let visit = Visit::with(env, json!({ "grant_types": ["authorization_code"] })).await;
        let tokens = visit.tokens(&[("scope", "openid offline_access")]).await;
        assert_eq!((tokens.body["scope"].as_str(), tokens.refresh_token), (Some("openid"), None));
        let only = visit.shop.authorization_with(&[("scope", "offline_access")]);
        assert_refused(&visit.shop, &only, &visit.browser.get(&only.url).await, "invalid_scope");
        assert_token_error(&visit.shop.refresh("x").await, 400, "unauthorized_client");
    }

    /// Rule 12: unknown scopes are dropped, and the answer says what was granted.
    async fn unknown_scopes_are_dropped(env: &Env) {
        let own = json!({ "scope": "openid email orders:read https://api.example/orders" });
        let visit = Visit::of(TestApp::builder(env).client(web_client("shop", own), Some(CLIENT_SECRET))).await;
        let asked = "profile orders:read  openid orders:write openid \"x\" https://api.example/orders";
        let tokens = visit.tokens(&[("scope", asked)]).await;
        assert_eq!(tokens.body["scope"], "orders:read openid https://api.example/orders");
        let none = visit.shop.authorization_with(&[("scope", "orders:write")]);
        assert_refused(&visit.shop, &none, &visit.browser.get(&none.url).await, "invalid_scope");
        let missing = visit.shop.authorization_with(&[("scope", "")]);
        assert_refused(&visit.shop, &missing, &visit.browser.get(&missing.url).await, "invalid_scope");
    }
}
