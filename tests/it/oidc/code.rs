//! Authorization codes: protocol rule 16. One use, one client, one request, one minute, one living session.

use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;

use super::{ANN, Visit, assert_token_error};
use crate::harness::Env;
use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::relying_party::{Answer, RelyingParty};
use crate::{on_both, on_servers};

/// The first redemption of a code succeeded with this; now nothing of it works.
async fn assert_dead(shop: &RelyingParty, first: &Answer) {
    let userinfo = shop.userinfo(first.body["access_token"].as_str().unwrap()).await;
    assert_eq!((userinfo.status, userinfo.error()), (StatusCode::UNAUTHORIZED, "invalid_token"));
    if let Some(refresh_token) = first.body["refresh_token"].as_str() {
        assert_token_error(&shop.refresh(refresh_token).await, 400, "invalid_grant");
    }
}

on_both! {
    /// RFC 6749 §4.1.2. Also what was refreshed since dies; what other codes gave lives on.
    async fn a_replayed_code_fails_and_revokes_what_it_gave(env: &Env) {
        let visit = Visit::start(env).await;
        let other = visit.tokens(&[]).await;
        let (request, code) = visit.code(&[]).await;
        let first = visit.shop.redeem(&request, &code).await;
        let refreshed = visit.shop.refresh(first.body["refresh_token"].as_str().unwrap()).await;
        assert_eq!(refreshed.status, StatusCode::OK);
        for _ in 0..3 {
            assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
        }
        assert_dead(&visit.shop, &first).await;
        assert_dead(&visit.shop, &refreshed).await;
        assert_eq!(visit.shop.userinfo(&other.access_token).await.status, StatusCode::OK);
        assert_eq!(visit.shop.refresh(&other.refresh_token.unwrap()).await.status, StatusCode::OK);

        let events = visit.events("token.reuse").await;
        assert_eq!(events.len(), 1, "said once, however often it is replayed");
        assert_eq!(events[0].payload["detail"], json!({ "client_id": "shop", "what": "authorization_code" }));
    }

    async fn a_replay_revokes_access_tokens_without_refresh_tokens_too(env: &Env) {
        let visit = Visit::with(env, json!({ "grant_types": ["authorization_code"] })).await;
        let (request, code) = visit.code(&[]).await;
        let first = visit.shop.redeem(&request, &code).await;
        assert_eq!((first.status, &first.body["refresh_token"]), (StatusCode::OK, &json!(null)));
        assert_eq!(visit.shop.userinfo(first.body["access_token"].as_str().unwrap()).await.status, StatusCode::OK);
        assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
        assert_dead(&visit.shop, &first).await;
    }

    /// However late: the refresh tokens of a code live for months, and so long its replay ends them.
    async fn a_code_replayed_after_days_revokes_what_it_gave(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[]).await;
        let first = visit.shop.redeem(&request, &code).await;
        visit.app.clock.advance(Duration::from_secs(3 * 24 * 3600));
        assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
        assert_dead(&visit.shop, &first).await;
        assert_eq!(visit.events("token.reuse").await.len(), 1);
    }

    /// Whoever guesses at the request gets one guess.
    async fn a_mismatch_burns_the_code(env: &Env) {
        let app = TestApp::builder(env).web_client("shop").web_client("other");
        let visit = Visit::of(app).await;
        let other = visit.app.relying_party("other").await;
        let fields = |code: &str, redirect_uri: &str, verifier: &str| {
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect_uri), ("code_verifier", verifier)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        let callback = "https://shop.example/callback";
        let wrong = "w".repeat(43);
        for (redirect_uri, verifier, client) in [
            ("https://shop.example/other", None, &visit.shop),
            ("", None, &visit.shop),
            ("https://shop.example/callback/", None, &visit.shop),
            (callback, Some(wrong.as_str()), &visit.shop),
            (callback, Some(""), &visit.shop),
            (callback, None, &other),
        ] {
            let (request, code) = visit.code(&[]).await;
            let wrong = fields(&code, redirect_uri, verifier.unwrap_or(&request.verifier));
            let wrong: Vec<_> = wrong.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_token_error(&client.token(&wrong).await, 400, "invalid_grant");
            assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
        }
    }

    async fn a_code_lives_a_minute(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[]).await;
        visit.app.clock.advance(Duration::from_secs(58));
        assert_eq!(visit.shop.redeem(&request, &code).await.status, StatusCode::OK);
        let (request, code) = visit.code(&[]).await;
        visit.app.clock.advance(Duration::from_secs(61));
        assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
    }

    async fn the_code_of_an_ended_session_is_worthless(env: &Env) {
        let visit = Visit::start(env).await;
        let hint = visit.tokens(&[]).await.id_token;
        let (request, code) = visit.code(&[]).await;
        visit.browser.get(visit.shop.end_session(&[("id_token_hint", &hint)])).await;
        assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
    }

    async fn what_is_no_code_is_refused(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[]).await;
        let (random, sid) = code.split_once('.').unwrap();
        let long = "x".repeat(20_000);
        for bad in ["x", ".", "..", "x.", &format!(".{sid}"), &format!("{random}.x"), &format!("{code}x"), &long, "\0", "*"]
        {
            assert_token_error(&visit.shop.redeem(&request, bad).await, 400, "invalid_grant");
        }
        assert_token_error(&visit.shop.redeem(&request, "").await, 400, "invalid_request");
        assert_eq!(visit.shop.redeem(&request, &code).await.status, StatusCode::OK);
    }

    /// Whatever replica made it: what one has redeemed, the other refuses.
    async fn a_code_is_single_use_across_replicas(env: &Env) {
        let visit = Visit::start(env).await;
        let replica = visit.app.replica(env).await;
        let there = visit.shop.clone().via(&replica.address);
        let (request, code) = visit.code(&[]).await;
        let first = there.redeem(&request, &code).await;
        let tokens = visit.shop.tokens(&request, first.clone()).await;
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::OK);
        assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
        assert_dead(&there, &first).await;
    }

    /// A code that was stolen into another browser is of no use there: the app did not send that browser out.
    async fn a_code_is_bound_to_the_request_that_asked_for_it(env: &Env) {
        let visit = Visit::start(env).await;
        let (_, stolen) = visit.code(&[]).await;
        let thief = visit.shop.authorization();
        assert_token_error(&visit.shop.redeem(&thief, &stolen).await, 400, "invalid_grant");
    }

    async fn a_blocked_customer_gets_no_tokens(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[]).await;
        let sub = visit.tokens(&[]).await.claims["sub"].as_str().unwrap().parse().unwrap();
        let mut tx = visit.app.store.begin().await.unwrap();
        tx.customer_state_set(sub, samesake::store::CustomerState::Blocked, visit.app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
    }
}

on_servers! {
    /// Twenty at once, on two replicas, with and without refresh tokens: at most one succeeds, and since the others
    /// show a replay, not even that one's tokens live.
    async fn of_twenty_concurrent_redemptions_at_most_one_succeeds_and_dies(env: &Env) {
        let app = TestApp::builder(env)
            .web_client("shop")
            .client(web_client("plain", json!({ "grant_types": ["authorization_code"] })), Some(CLIENT_SECRET));
        let visit = Visit::of(app).await;
        let replica = visit.app.replica(env).await;
        for client in ["shop", "plain", "shop", "plain"] {
            let here = visit.app.relying_party(client).await;
            let there = here.clone().via(&replica.address);
            let request = here.authorization();
            let page = visit.app.log_in(&visit.browser, &request.url, ANN).await;
            let code = here.code(&request, &page);
            let all = (0..20).map(|number| {
                let shop = if number % 2 == 0 { &here } else { &there };
                shop.redeem(&request, &code)
            });
            let answers = join_all(all).await;
            let (won, lost): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|it| it.status == StatusCode::OK);
            assert!(won.len() <= 1, "{} succeeded", won.len());
            for answer in lost {
                assert_token_error(answer, 400, "invalid_grant");
            }
            for answer in won {
                assert_dead(&here, answer).await;
                assert_dead(&there, answer).await;
            }
        }
        assert!(visit.events("token.reuse").await.len() <= 2, "said once for each code");
        assert_eq!(visit.silently().await, None, "the session itself is none the worse");
    }
}
