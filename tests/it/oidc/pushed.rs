//! Pushed authorization requests: protocol rule 11, RFC 9126.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use url::Url;

use super::{ANN, Visit, assert_error_page, assert_refused, assert_token_error};
use crate::harness::app::{CLIENT_SECRET, PASSWORD, TestApp, web_client};
use crate::harness::relying_party::{Answer, Authorization};
use crate::harness::{Env, Page};
use crate::on_both;

/// The parameters of a request, as they would stand in the address.
fn parameters(authorization: &Authorization) -> Vec<(String, String)> {
    authorization.url.query_pairs().into_owned().collect()
}

async fn push(visit: &Visit, parameters: &[(String, String)]) -> Answer {
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    visit.shop.post("pushed_authorization_request_endpoint", &parameters).await
}

/// A request of the shop's that waits here, and its reference.
async fn pushed(visit: &Visit, changes: &[(&str, &str)]) -> (Authorization, String) {
    let authorization = visit.shop.authorization_with(changes);
    let answer = push(visit, &parameters(&authorization)).await;
    assert_eq!((answer.status, &answer.body["expires_in"]), (StatusCode::CREATED, &json!(60)), "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let request_uri = answer.body["request_uri"].as_str().unwrap().to_owned();
    assert!(request_uri.starts_with("urn:ietf:params:oauth:request_uri:") && request_uri.len() > 60);
    (authorization, request_uri)
}

fn address(visit: &Visit, more: &[(&str, &str)]) -> Url {
    let mut url = visit.shop.endpoint("authorization_endpoint");
    url.query_pairs_mut().extend_pairs(more);
    url
}

async fn arrive(visit: &Visit, request_uri: &str) -> Page {
    visit.browser.get(&address(visit, &[("client_id", "shop"), ("request_uri", request_uri)])).await
}

async fn log_in(visit: &Visit, page: &Page) -> Page {
    assert_eq!(page.url.path(), "/login", "{}", page.text());
    visit.browser.submit(page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await
}

on_both! {
    /// Its values win: what the browser brings beside the reference does not count.
    async fn what_was_pushed_counts_and_nothing_that_the_browser_brings(env: &Env) {
        let visit = Visit::start(env).await;
        let (authorization, request_uri) = pushed(&visit, &[("scope", "openid email")]).await;
        let page = visit.browser.get(&address(&visit, &[
            ("client_id", "shop"),
            ("request_uri", &request_uri),
            ("scope", "openid profile offline_access"),
            ("state", "forged"),
            ("redirect_uri", "https://evil.example/"),
            ("prompt", "none"),
        ])).await;
        let callback = log_in(&visit, &page).await;
        let tokens = visit.shop.finish(&authorization, &callback).await;
        assert_eq!(tokens.body["scope"], "openid email");
    }

    /// Used up at the end of the login, not at its first page.
    async fn a_reference_may_be_opened_again_until_the_login_is_answered(env: &Env) {
        let visit = Visit::start(env).await;
        let (authorization, request_uri) = pushed(&visit, &[]).await;
        arrive(&visit, &request_uri).await;
        let callback = log_in(&visit, &arrive(&visit, &request_uri).await).await;
        visit.shop.finish(&authorization, &callback).await;
        assert_error_page(&arrive(&visit, &request_uri).await);

        // A refusal is an answer too.
        let (authorization, request_uri) = pushed(&visit, &[("prompt", "none"), ("max_age", "0")]).await;
        visit.app.clock.advance(Duration::from_secs(1));
        let refused = arrive(&visit, &request_uri).await;
        assert_eq!(visit.shop.error(&authorization, &refused), "login_required");
        assert_error_page(&arrive(&visit, &request_uri).await);
    }

    async fn a_reference_lives_for_a_minute(env: &Env) {
        let visit = Visit::start(env).await;
        let (authorization, request_uri) = pushed(&visit, &[]).await;
        let page = arrive(&visit, &request_uri).await;
        visit.app.clock.advance(Duration::from_secs(61));
        assert_error_page(&arrive(&visit, &request_uri).await);
        // Whoever has arrived may take their time.
        visit.shop.finish(&authorization, &log_in(&visit, &page).await).await;
    }

    async fn a_reference_is_its_own_clients(env: &Env) {
        let visit = Visit::of(TestApp::builder(env).web_client("shop").web_client("other")).await;
        let (_, request_uri) = pushed(&visit, &[]).await;
        for parameters in [
            vec![("client_id", "other"), ("request_uri", request_uri.as_str())],
            vec![("client_id", "nobody"), ("request_uri", &request_uri)],
            vec![("request_uri", &request_uri)],
            vec![("client_id", "shop"), ("client_id", "other"), ("request_uri", &request_uri)],
            vec![("client_id", "shop"), ("request_uri", &request_uri), ("request_uri", &request_uri)],
            vec![("client_id", "shop"), ("request_uri", "urn:ietf:params:oauth:request_uri:unheard-of")],
        ] {
            assert_error_page(&visit.browser.get(&address(&visit, &parameters)).await);
        }
        assert_eq!(arrive(&visit, &request_uri).await.url.path(), "/login", "it is there still");
    }

    /// What the authorization endpoint would refuse is refused before anybody is sent anywhere.
    async fn a_wrong_request_is_refused_when_it_is_pushed(env: &Env) {
        let visit = Visit::start(env).await;
        for (changes, error) in [
            (vec![("request_uri", "urn:ietf:params:oauth:request_uri:x")], "invalid_request"),
            (vec![("redirect_uri", "https://evil.example/")], "invalid_request"),
            (vec![("response_type", "token")], "unsupported_response_type"),
            (vec![("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
            (vec![("scope", "unheard-of")], "invalid_scope"),
            (vec![("resource", "https://api.example")], "invalid_target"),
            (vec![("request", "a.b.c")], "request_not_supported"),
            (vec![("client_id", "other")], "invalid_request"),
        ] {
            let answer = push(&visit, &parameters(&visit.shop.authorization_with(&changes))).await;
            assert_token_error(&answer, 400, error);
        }
        let mut thief = visit.shop.clone();
        thief.secret = Some("wrong".to_owned());
        let thief = Visit { shop: thief, ..visit };
        assert_token_error(&push(&thief, &parameters(&thief.shop.authorization())).await, 401, "invalid_client");
        let by_get = crate::harness::browser::http_client().get(thief.shop.endpoint("pushed_authorization_request_endpoint"));
        assert_eq!(by_get.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    }

    /// RFC 9126 §6: a client may be held to it.
    async fn a_client_that_must_push_is_refused_otherwise(env: &Env) {
        let changes = json!({ "require_pushed_authorization_requests": true });
        let visit = Visit::of(TestApp::builder(env).client(web_client("shop", changes), Some(CLIENT_SECRET))).await;
        let authorization = visit.shop.authorization();
        let page = visit.browser.get(&authorization.url).await;
        assert_refused(&visit.shop, &authorization, &page, "invalid_request");
        let (authorization, request_uri) = pushed(&visit, &[]).await;
        visit.shop.finish(&authorization, &log_in(&visit, &arrive(&visit, &request_uri).await).await).await;
    }
}
