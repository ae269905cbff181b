//! ID tokens: protocol rules 7, 24 and 27; OpenID Connect Core §2, §3.1.3.6 and §8.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::{ANN, Visit};
use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::relying_party::RelyingParty;
use crate::harness::{Browser, Env};
use crate::on_both;

on_both! {
    /// The relying party of the harness checks signature, `iss`, `aud`, `exp`, `nonce` and `at_hash`; here is the rest.
    async fn each_client_gets_its_algorithm(env: &Env) {
        let algorithms = ["RS256", "ES256", "EdDSA", "PS256"];
        let mut builder = TestApp::builder(env).web_client("shop");
        for algorithm in algorithms {
            let metadata = json!({ "id_token_signed_response_alg": algorithm, "access_token_signed_response_alg": algorithm });
            builder = builder.client(web_client(algorithm, metadata), Some(CLIENT_SECRET));
        }
        let visit = Visit::of(builder).await;
        assert_eq!(visit.shop.metadata["id_token_signing_alg_values_supported"], json!(algorithms));
        for algorithm in algorithms {
            let app = visit.app.relying_party(algorithm).await;
            let request = app.authorization();
            let page = visit.app.log_in(&visit.browser, &request.url, ANN).await;
            let tokens = app.finish(&request, &page).await;
            assert!(tokens.claims["at_hash"].is_string());
            for (token, typ) in [(&tokens.id_token, "JWT"), (&tokens.access_token, "at+jwt")] {
                let (header, _) = app.jwt(token).await;
                let members: Vec<&String> = header.as_object().unwrap().keys().collect();
                assert_eq!(members, ["alg", "kid", "typ"]);
                assert_eq!((&header["alg"], &header["typ"]), (&json!(algorithm), &json!(typ)));
            }
            assert_eq!(app.userinfo(&tokens.access_token).await.status, StatusCode::OK);
        }
        assert_eq!(visit.tokens(&[]).await.claims["aud"], "shop");
    }

    async fn an_id_token_says_what_happened_and_no_more(env: &Env) {
        let visit = Visit::start(env).await;
        let before = visit.app.clock.now().seconds();
        let tokens = visit.tokens(&[]).await;
        let claims = &tokens.claims;
        let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
        let expected = ["amr", "at_hash", "aud", "auth_time", "exp", "iat", "iss", "nonce", "sid", "sub"];
        assert_eq!(names, expected, "claims of scopes come from userinfo");
        assert_eq!((&claims["aud"], &claims["amr"]), (&json!("shop"), &json!(["pwd"])));
        assert!((before..before + 60).contains(&claims["auth_time"].as_i64().unwrap()));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
        let without = visit.tokens_without_nonce().await;
        assert_eq!(without.get("nonce"), None, "a nonce is never invented");
        assert_eq!(without["sid"], claims["sid"]);
    }

    /// Rule 7: `acr` is neither claimed nor promised, because no level is defined here yet; `amr` is RFC 8176's word.
    async fn no_authentication_level_is_claimed_that_was_not_reached(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&[("acr_values", "urn:mace:incommon:iap:silver phr")]).await;
        assert_eq!(tokens.claims.get("acr"), None);
        assert_eq!(visit.shop.metadata.get("acr_values_supported"), None);
        let promised = visit.shop.metadata["claims_supported"].as_array().unwrap();
        assert!(!promised.contains(&json!("acr")));
    }

    /// RFC 6749 §3.1.2: plain OAuth, so no ID token and no userinfo.
    async fn without_openid_there_is_no_id_token(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[("scope", "email")]).await;
        let answer = visit.shop.redeem(&request, &code).await;
        assert_eq!((answer.status, answer.body.get("id_token")), (StatusCode::OK, None));
        let userinfo = visit.shop.userinfo(answer.body["access_token"].as_str().unwrap()).await;
        assert_eq!((userinfo.status, userinfo.error()), (StatusCode::FORBIDDEN, "insufficient_scope"));
    }

    /// Rule 27: one customer, one subject per sector; public clients see the customer ID.
    async fn subjects_are_public_or_pairwise_per_sector(env: &Env) {
        let pairwise = |sector: &str| json!({ "subject_type": "pairwise", "sector": sector });
        let builder = TestApp::builder(env)
            .web_client("shop")
            .client(web_client("news", pairwise("press")), Some(CLIENT_SECRET))
            .client(web_client("magazine", pairwise("press")), Some(CLIENT_SECRET))
            .client(web_client("bank", pairwise("money")), Some(CLIENT_SECRET));
        let visit = Visit::of(builder).await;
        let sub = async |client: &str, browser: &Browser| {
            let app: RelyingParty = visit.app.relying_party(client).await;
            let request = app.authorization();
            let page = visit.app.log_in(browser, &request.url, ANN).await;
            let tokens = app.finish(&request, &page).await;
            let userinfo = app.userinfo(&tokens.access_token).await;
            assert_eq!(userinfo.body["sub"], tokens.claims["sub"], "OpenID Connect Core §5.3.2");
            let refreshed = app.token_response(app.refresh(&tokens.refresh_token.unwrap()).await).await;
            assert_eq!(refreshed.claims["sub"], tokens.claims["sub"]);
            tokens.claims["sub"].as_str().unwrap().to_owned()
        };
        let (shop, news) = (sub("shop", &visit.browser).await, sub("news", &visit.browser).await);
        let (magazine, bank) = (sub("magazine", &visit.browser).await, sub("bank", &visit.browser).await);
        assert!(shop.parse::<samesake::ids::CustomerId>().is_ok());
        assert_eq!(news, magazine);
        assert_ne!(news, bank);
        assert!(!news.contains(&shop) && !bank.contains(&shop));
        visit.app.clock.advance(Duration::from_secs(40 * 24 * 3600));
        assert_eq!(sub("news", &Browser::new()).await, news, "the same for ever");
    }
}

impl Visit {
    async fn tokens_without_nonce(&self) -> serde_json::Value {
        let (request, code) = self.code(&[("nonce", "")]).await;
        self.shop.token_response(self.shop.redeem(&request, &code).await).await.claims
    }
}
