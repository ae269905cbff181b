//! Refresh-token rotation without forks: protocol rule 17, first half. How a family ends is in `refresh_end`.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use samesake::session::suspect_key;
use serde_json::json;

use super::{ANN, Visit, assert_token_error};
use crate::harness::app::TestApp;
use crate::harness::{Browser, Env};
use crate::{on_both, on_servers};

/// The refresh token of a successful answer.
fn successor(answer: &crate::harness::relying_party::Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    answer.body["refresh_token"].as_str().unwrap().to_owned()
}

on_both! {
    /// OpenID Connect Core §12.2: the same customer, session and time of login; a new time of issue; no nonce.
    async fn each_refresh_gives_a_new_token_and_an_id_token_of_the_same_login(env: &Env) {
        let visit = Visit::start(env).await;
        let first = visit.tokens(&[]).await;
        let mut tokens = first.clone();
        let mut seen = BTreeSet::new();
        for _ in 0..5 {
            visit.app.clock.advance(Duration::from_secs(60));
            let answer = visit.shop.refresh(tokens.refresh_token.as_ref().unwrap()).await;
            tokens = visit.shop.token_response(answer).await;
            assert!(seen.insert(tokens.refresh_token.clone()), "each token is new");
            for name in ["iss", "sub", "aud", "auth_time", "amr", "sid"] {
                assert_eq!(tokens.claims[name], first.claims[name], "{name}");
            }
            assert!(tokens.claims["iat"].as_i64() > first.claims["iat"].as_i64());
            assert_eq!(tokens.claims.get("nonce"), None);
            assert_eq!(tokens.body["scope"], first.body["scope"]);
        }
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::OK);
    }

    /// The reply got lost: the same old token gets the very same successor, as often as it asks.
    async fn a_lost_reply_is_given_again_with_the_identical_successor(env: &Env) {
        let visit = Visit::start(env).await;
        let old = visit.tokens(&[]).await.refresh_token.unwrap();
        let next = successor(&visit.shop.refresh(&old).await);
        for _ in 0..4 {
            visit.app.clock.advance(Duration::from_secs(7));
            assert_eq!(successor(&visit.shop.refresh(&old).await), next);
        }
        assert_ne!(successor(&visit.shop.refresh(&next).await), next);
        assert_eq!(visit.events("token.reuse").await.len(), 0);
    }

    /// Ten tabs notice at once that their access token is old. All of them go on, with one and the same token.
    async fn ten_tabs_refreshing_at_once_get_the_identical_successor(env: &Env) {
        let visit = Visit::start(env).await;
        let replica = visit.app.replica(env).await;
        let there = visit.shop.clone().via(&replica.address);
        let mut token = visit.tokens(&[]).await.refresh_token.unwrap();
        for _ in 0..3 {
            let tabs = (0..10).map(|tab| if tab % 2 == 0 { &visit.shop } else { &there }.refresh(&token));
            let answers = join_all(tabs).await;
            let successors: BTreeSet<String> = answers.iter().map(successor).collect();
            assert_eq!(successors.len(), 1);
            for answer in &answers {
                let access_token = answer.body["access_token"].as_str().unwrap();
                assert_eq!(visit.shop.userinfo(access_token).await.status, StatusCode::OK);
            }
            token = successors.into_iter().next().unwrap();
        }
        assert_eq!(visit.events("token.reuse").await.len(), 0);
    }

    /// Thirty seconds from the rotation, however often the old token was seen meanwhile.
    async fn the_window_never_extends(env: &Env) {
        let visit = Visit::start(env).await;
        let old = visit.tokens(&[]).await.refresh_token.unwrap();
        let next = successor(&visit.shop.refresh(&old).await);
        for _ in 0..2 {
            visit.app.clock.advance(Duration::from_secs(14));
            assert_eq!(successor(&visit.shop.refresh(&old).await), next);
        }
        visit.app.clock.advance(Duration::from_secs(4));
        assert_token_error(&visit.shop.refresh(&old).await, 400, "invalid_grant");
        assert_token_error(&visit.shop.refresh(&next).await, 400, "invalid_grant");
    }

    /// Once the successor was used, its predecessor is reuse at once, window or not.
    async fn a_used_successor_closes_the_window(env: &Env) {
        let visit = Visit::start(env).await;
        let old = visit.tokens(&[]).await.refresh_token.unwrap();
        let next = successor(&visit.shop.refresh(&old).await);
        let last = successor(&visit.shop.refresh(&next).await);
        assert_token_error(&visit.shop.refresh(&old).await, 400, "invalid_grant");
        assert_token_error(&visit.shop.refresh(&last).await, 400, "invalid_grant");
    }

    /// The thief and the customer cannot be told apart, so this family ends; everything else goes on.
    async fn reuse_ends_this_family_and_marks_the_session(env: &Env) {
        let visit = Visit::of(TestApp::builder(env).web_client("shop").web_client("other")).await;
        let stolen = visit.tokens(&[]).await;
        let same_session = visit.tokens(&[]).await;
        let other = visit.app.relying_party("other").await;
        let request = other.authorization();
        let other_client = other.finish(&request, &visit.browser.get(&request.url).await).await;
        let request = visit.shop.authorization();
        let page = visit.app.log_in(&Browser::new(), &request.url, ANN).await;
        let other_device = visit.shop.finish(&request, &page).await;

        let old = stolen.refresh_token.clone().unwrap();
        let next = visit.shop.token_response(visit.shop.refresh(&old).await).await;
        visit.app.clock.advance(Duration::from_secs(31));
        for token in [&old, next.refresh_token.as_ref().unwrap(), &old] {
            assert_token_error(&visit.shop.refresh(token).await, 400, "invalid_grant");
        }
        for token in [&stolen.access_token, &next.access_token] {
            assert_eq!(visit.shop.userinfo(token).await.error(), "invalid_token");
        }
        for (shop, tokens) in [(&visit.shop, &same_session), (&other, &other_client), (&visit.shop, &other_device)] {
            assert_eq!(shop.userinfo(&tokens.access_token).await.status, StatusCode::OK);
            assert_eq!(shop.refresh(tokens.refresh_token.as_ref().unwrap()).await.status, StatusCode::OK);
        }
        assert_eq!(visit.silently().await, None, "nobody is signed out");

        let key = |tokens: &crate::harness::relying_party::Tokens| suspect_key(tokens.claims["sid"].as_str().unwrap());
        assert!(visit.is_marked(&key(&stolen)).await);
        assert!(!visit.is_marked(&key(&other_device)).await);
        let events = visit.events("token.reuse").await;
        assert_eq!(events.len(), 1, "said once");
        assert_eq!(events[0].root.to_string(), stolen.claims["sub"].as_str().unwrap());
        assert_eq!(events[0].payload["detail"], json!({ "client_id": "shop", "what": "refresh_token" }));
    }

    /// Another client with the token, new or old, gets nothing and breaks nothing.
    async fn a_refresh_token_is_its_own_clients(env: &Env) {
        let visit = Visit::of(TestApp::builder(env).web_client("shop").web_client("other")).await;
        let other = visit.app.relying_party("other").await;
        let old = visit.tokens(&[]).await.refresh_token.unwrap();
        assert_token_error(&other.refresh(&old).await, 400, "invalid_grant");
        let next = successor(&visit.shop.refresh(&old).await);
        assert_token_error(&other.refresh(&old).await, 400, "invalid_grant");
        assert_token_error(&other.refresh(&next).await, 400, "invalid_grant");
        assert_eq!(successor(&visit.shop.refresh(&old).await), next);
        assert_eq!(visit.shop.refresh(&next).await.status, StatusCode::OK);
        assert_eq!(visit.events("token.reuse").await.len(), 0);
    }

    /// RFC 6749 §6. A refusal does not use the token up.
    async fn scope_can_narrow_and_never_widen(env: &Env) {
        let visit = Visit::start(env).await;
        let token = visit.tokens(&[("scope", "openid email")]).await.refresh_token.unwrap();
        let refresh = async |token: &str, scope: &str| {
            visit.shop.token(&[("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)]).await
        };
        for wider in ["openid email profile", "offline_access", "unheard-of", "openid email unheard-of", "\""] {
            assert_token_error(&refresh(&token, wider).await, 400, "invalid_scope");
        }
        let narrow = refresh(&token, "email").await;
        assert_eq!(narrow.body["scope"], "email");
        assert_eq!(narrow.body.get("id_token"), None, "no openid, no ID token");
        let userinfo = visit.shop.userinfo(narrow.body["access_token"].as_str().unwrap()).await;
        assert_eq!((userinfo.status, userinfo.error()), (StatusCode::FORBIDDEN, "insufficient_scope"));
        let whole = refresh(&successor(&narrow), "").await;
        assert_eq!(whole.body["scope"], "openid email", "the grant itself has not shrunk");
    }

    async fn what_is_no_refresh_token_is_refused(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&[]).await;
        let good = tokens.refresh_token.unwrap();
        let long = "A".repeat(30_000);
        let changed = good.replacen(&good[..4], "AAAA", 1);
        for bad in ["x", "\0", &long, &changed, &good[1..], &format!("{good}A"), &tokens.access_token, &tokens.id_token] {
            assert_token_error(&visit.shop.refresh(bad).await, 400, "invalid_grant");
        }
        assert_token_error(&visit.shop.refresh("").await, 400, "invalid_request");
        assert_eq!(visit.shop.refresh(&good).await.status, StatusCode::OK);
    }
}

on_servers! {
    /// Twenty presentations of a stolen token at once: the family ends, and it is said once.
    async fn concurrent_reuse_is_said_once(env: &Env) {
        let visit = Visit::start(env).await;
        let old = visit.tokens(&[]).await.refresh_token.unwrap();
        let next = successor(&visit.shop.refresh(&old).await);
        visit.app.clock.advance(Duration::from_secs(31));
        for answer in join_all((0..20).map(|_| visit.shop.refresh(&old))).await {
            assert_token_error(&answer, 400, "invalid_grant");
        }
        assert_token_error(&visit.shop.refresh(&next).await, 400, "invalid_grant");
        assert_eq!(visit.events("token.reuse").await.len(), 1);
    }
}
