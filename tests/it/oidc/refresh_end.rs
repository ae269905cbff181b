//! How a family of refresh tokens ends: protocol rule 17, second half.

use std::time::Duration;

use reqwest::StatusCode;
use samesake::store::CustomerState;
use serde_json::json;

use super::{ANN, Visit, assert_token_error, plus};
use crate::harness::Env;
use crate::on_both;

const OFFLINE: [(&str, &str); 1] = [("scope", "openid email offline_access")];
const ONLINE: [(&str, &str); 1] = [("scope", "openid email")];
const DAY: Duration = Duration::from_secs(24 * 3600);

on_both! {
    async fn a_family_ends_when_it_idles(env: &Env) {
        let visit = Visit::start(env).await;
        let token = visit.tokens(&OFFLINE).await.refresh_token.unwrap();
        visit.app.clock.advance(29 * DAY);
        let answer = visit.shop.refresh(&token).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        visit.app.clock.advance(31 * DAY);
        let token = answer.body["refresh_token"].as_str().unwrap();
        assert_token_error(&visit.shop.refresh(token).await, 400, "invalid_grant");
        assert_eq!(visit.events("token.reuse").await.len(), 0);
    }

    /// However busy it is, and no token outlives it.
    async fn a_family_ends_at_its_absolute_end(env: &Env) {
        let visit = Visit::start(env).await;
        let mut token = visit.tokens(&OFFLINE).await.refresh_token.unwrap();
        for _ in 0..8 {
            visit.app.clock.advance(22 * DAY);
            let answer = visit.shop.refresh(&token).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
            token = answer.body["refresh_token"].as_str().unwrap().to_owned();
        }
        visit.app.clock.advance(4 * DAY - Duration::from_secs(60));
        let last = visit.shop.refresh(&token).await;
        assert!(last.body["expires_in"].as_u64().unwrap() <= 60, "{}", last.text);
        token = last.body["refresh_token"].as_str().unwrap().to_owned();
        visit.app.clock.advance(Duration::from_secs(61));
        assert_token_error(&visit.shop.refresh(&token).await, 400, "invalid_grant");
    }

    /// Without `offline_access` the family belongs to the session, and ends with it at the latest.
    async fn a_family_of_a_session_does_not_outlive_it(env: &Env) {
        let visit = Visit::start(env).await;
        let mut token = visit.tokens(&ONLINE).await.refresh_token.unwrap();
        for _ in 0..2 {
            visit.app.clock.advance(14 * DAY);
            token = visit.shop.refresh(&token).await.body["refresh_token"].as_str().unwrap().to_owned();
        }
        visit.app.clock.advance(3 * DAY);
        assert_token_error(&visit.shop.refresh(&token).await, 400, "invalid_grant");
    }

    async fn a_logout_ends_all_but_offline_access(env: &Env) {
        let visit = Visit::start(env).await;
        let online = visit.tokens(&ONLINE).await;
        let offline = visit.tokens(&OFFLINE).await;
        visit.browser.get(visit.shop.end_session(&[("id_token_hint", &online.id_token)])).await;
        assert_eq!(visit.silently().await.as_deref(), Some("login_required"));
        assert_token_error(&visit.shop.refresh(&online.refresh_token.unwrap()).await, 400, "invalid_grant");
        assert_eq!(visit.shop.userinfo(&online.access_token).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(visit.shop.userinfo(&offline.access_token).await.status, StatusCode::OK);
        let answer = visit.shop.refresh(&offline.refresh_token.unwrap()).await;
        let tokens = visit.shop.token_response(answer).await;
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::OK);
    }

    /// A block ends what was given before it, `offline_access` or not. A refusal uses nothing up.
    async fn a_blocked_customer_refreshes_nothing(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&OFFLINE).await;
        let token = tokens.refresh_token.unwrap();
        let customer = tokens.claims["sub"].as_str().unwrap().parse().unwrap();
        for (state, status) in [(CustomerState::Blocked, 400), (CustomerState::Active, 200), (CustomerState::Erased, 400)] {
            let mut tx = visit.app.store.begin().await.unwrap();
            tx.customer_state_set(customer, state, visit.app.clock.now()).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(visit.shop.refresh(&token).await.status.as_u16(), status, "{state:?}");
            assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status == StatusCode::OK, status == 200);
        }
        assert_eq!(visit.events("token.reuse").await.len(), 0);
    }

    /// RFC 8707 §2.2: one grant for two resource servers, one refresh for each.
    async fn a_refresh_may_narrow_the_resources_and_never_widen_them(env: &Env) {
        let apis = json!({ "resources": ["https://a.example", "https://b.example", "https://c.example"] });
        let visit = Visit::with(env, apis).await;
        let mut request = visit.shop.authorization_with(&[("resource", "https://a.example")]);
        request.url = plus(&request.url, "resource", "https://b.example");
        let page = visit.app.log_in(&visit.browser, &request.url, ANN).await;
        let tokens = visit.shop.finish(&request, &page).await;
        let (_, claims) = visit.shop.jwt(&tokens.access_token).await;
        assert_eq!(claims["aud"], json!(["https://a.example", "https://b.example"]));
        let mut token = tokens.refresh_token.unwrap();
        for (asked, aud) in [("https://b.example", "https://b.example"), ("https://a.example", "https://a.example")] {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", &token), ("resource", asked)];
            let answer = visit.shop.token(&fields).await;
            let tokens = visit.shop.token_response(answer).await;
            assert_eq!(visit.shop.jwt(&tokens.access_token).await.1["aud"], aud);
            token = tokens.refresh_token.unwrap();
        }
        for wider in ["https://c.example", "https://a.example/", "x"] {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", &token), ("resource", wider)];
            assert_token_error(&visit.shop.token(&fields).await, 400, "invalid_target");
        }
        assert_eq!(visit.shop.refresh(&token).await.status, StatusCode::OK);
    }
}
