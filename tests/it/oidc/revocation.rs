//! Revocation: protocol rule 29, RFC 7009. A client gives back what is its own, with all that came of the same grant.

use reqwest::StatusCode;
use serde_json::json;

use super::{Visit, assert_token_error};
use crate::harness::app::{TestApp, web_client};
use crate::harness::relying_party::Answer;
use crate::harness::{Env, RelyingParty};
use crate::on_both;

async fn give_back(who: &RelyingParty, token: &str) -> Answer {
    who.post("revocation_endpoint", &[("token", token)]).await
}

fn assert_done(answer: &Answer) {
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
}

on_both! {
    async fn giving_back_either_token_ends_the_grant(env: &Env) {
        let visit = Visit::start(env).await;
        let kept = visit.tokens(&[]).await;
        for which in ["refresh", "access"] {
            let tokens = visit.tokens(&[]).await;
            let refresh = tokens.refresh_token.as_deref().unwrap();
            assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::OK);
            let token = if which == "refresh" { refresh } else { &tokens.access_token };
            assert_done(&give_back(&visit.shop, token).await);
            assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::UNAUTHORIZED, "{which}");
            assert_token_error(&visit.shop.refresh(refresh).await, 400, "invalid_grant");
            assert_done(&give_back(&visit.shop, token).await);
            assert_eq!(visit.silently().await, None, "the customer is signed in as before");
        }
        assert_eq!(visit.shop.userinfo(&kept.access_token).await.status, StatusCode::OK, "other grants live on");
        assert_eq!(visit.shop.refresh(kept.refresh_token.as_deref().unwrap()).await.status, StatusCode::OK);
    }

    /// A rotated refresh token names its family still: whoever lost a reply can give up.
    async fn an_older_refresh_token_gives_back_its_family(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&[]).await;
        let first = tokens.refresh_token.unwrap();
        let second = visit.shop.refresh(&first).await.body["refresh_token"].as_str().unwrap().to_owned();
        assert_done(&give_back(&visit.shop, &first).await);
        assert_token_error(&visit.shop.refresh(&second).await, 400, "invalid_grant");
        assert!(visit.events("token.reuse").await.is_empty(), "nothing was stolen");
    }

    async fn nobody_gives_back_what_is_another_clients(env: &Env) {
        let visit = Visit::of(TestApp::builder(env).web_client("shop").web_client("other")).await;
        let tokens = visit.tokens(&[]).await;
        let other = visit.app.relying_party("other").await;
        for token in [&tokens.access_token, tokens.refresh_token.as_ref().unwrap()] {
            assert_token_error(&give_back(&other, token).await, 400, "invalid_request");
        }
        let mut thief = visit.shop.clone();
        thief.secret = Some("wrong".to_owned());
        assert_token_error(&give_back(&thief, &tokens.access_token).await, 401, "invalid_client");
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::OK);
        assert_eq!(visit.shop.refresh(tokens.refresh_token.as_deref().unwrap()).await.status, StatusCode::OK);
    }

    /// RFC 7009 §2.2: what is no token is as good as given back. A client without a secret gives back its own.
    async fn what_is_no_token_is_given_back_already(env: &Env) {
        let public = json!({ "token_endpoint_auth_method": "none", "require_pkce": true });
        let visit = Visit::of(TestApp::builder(env).client(web_client("shop", public), None)).await;
        let tokens = visit.tokens(&[]).await;
        for nothing in ["nonsense", "a.b.c", &tokens.id_token, &"x".repeat(5000)] {
            assert_done(&give_back(&visit.shop, nothing).await);
        }
        assert_token_error(&visit.shop.post("revocation_endpoint", &[]).await, 400, "invalid_request");
        assert_done(&visit.shop.post("revocation_endpoint", &[("token", &tokens.access_token), ("token_type_hint", "pigeon")]).await);
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::UNAUTHORIZED);
    }
}
