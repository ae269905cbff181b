//! Introspection: protocol rule 29, RFC 7662. A token is good to its client and its resource server, to nobody else.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Visit, assert_token_error};
use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::{Browser, Env, RelyingParty};
use crate::on_both;

const API: &str = "https://api.example";

struct Asked {
    visit: Visit,
    /// The resource server: a client whose ID is the audience.
    api: RelyingParty,
    other: RelyingParty,
}

impl Asked {
    async fn start(env: &Env) -> Asked {
        let server = json!({ "client_id": API, "grant_types": ["client_credentials"], "redirect_uris": ["https://api.example/cb"] });
        let visit = Visit::of(
            TestApp::builder(env)
                .client(web_client("shop", json!({ "resources": [API] })), Some(CLIENT_SECRET))
                .client(
                    web_client("robot", json!({ "grant_types": ["client_credentials"], "scope": "orders:read" })),
                    Some(CLIENT_SECRET),
                )
                .client(web_client(API, server), Some(CLIENT_SECRET))
                .web_client("other"),
        )
        .await;
        let (api, other) = (visit.app.relying_party(API).await, visit.app.relying_party("other").await);
        Asked { visit, api, other }
    }

    async fn told(&self, who: &RelyingParty, token: &str) -> Value {
        let answer = who.post("introspection_endpoint", &[("token", token)]).await;
        assert_eq!((answer.status, &answer.headers["cache-control"]), (StatusCode::OK, &"no-store".parse().unwrap()));
        assert_eq!(answer.headers["content-type"], "application/json");
        answer.body
    }

    async fn assert_inactive(&self, who: &RelyingParty, token: &str) {
        assert_eq!(self.told(who, token).await, json!({ "active": false }), "{token:.20}");
    }
}

on_both! {
    async fn a_token_is_told_to_its_client_and_its_resource_server(env: &Env) {
        let asked = Asked::start(env).await;
        let tokens = asked.visit.tokens(&[("scope", "openid email"), ("resource", API)]).await;
        let (_, claims) = asked.visit.shop.jwt(&tokens.access_token).await;
        let told = asked.told(&asked.visit.shop, &tokens.access_token).await;
        let mut expected = claims.clone();
        expected["active"] = json!(true);
        expected["token_type"] = json!("Bearer");
        assert_eq!(told, expected, "what the token says, and that it is good");
        assert_eq!(asked.told(&asked.api, &tokens.access_token).await, expected);
        asked.assert_inactive(&asked.other, &tokens.access_token).await;
    }

    /// A client's own token is about no customer.
    async fn a_clients_own_token_is_told(env: &Env) {
        let asked = Asked::start(env).await;
        let robot = asked.visit.app.relying_party("robot").await;
        let answer = robot.token(&[("grant_type", "client_credentials")]).await;
        let told = asked.told(&robot, answer.body["access_token"].as_str().unwrap()).await;
        assert_eq!((&told["active"], &told["sub"], &told["scope"]), (&json!(true), &json!("robot"), &json!("orders:read")));
    }

    async fn a_refresh_token_is_told_to_its_client_while_it_is_the_newest(env: &Env) {
        let asked = Asked::start(env).await;
        let tokens = asked.visit.tokens(&[]).await;
        let first = tokens.refresh_token.unwrap();
        let told = asked.told(&asked.visit.shop, &first).await;
        assert_eq!((&told["active"], &told["client_id"], &told["sub"]), (&json!(true), &json!("shop"), &tokens.claims["sub"]));
        assert_eq!((&told["scope"], told.get("token_type")), (&tokens.body["scope"], None));
        asked.assert_inactive(&asked.other, &first).await;
        asked.assert_inactive(&asked.api, &first).await;
        let second = asked.visit.shop.refresh(&first).await.body["refresh_token"].as_str().unwrap().to_owned();
        asked.assert_inactive(&asked.visit.shop, &first).await;
        assert_eq!(asked.told(&asked.visit.shop, &second).await["active"], true, "asking uses nothing up");
    }

    /// Expired, signed out, of another kind, changed, or no token at all: one answer.
    async fn whatever_is_worth_nothing_is_inactive(env: &Env) {
        let asked = Asked::start(env).await;
        let shop = &asked.visit.shop;
        let tokens = asked.visit.tokens(&[("scope", "openid")]).await;
        for token in [tokens.id_token.as_str(), "", " ", "a.b.c", &"x".repeat(5000), &format!("{}A", tokens.access_token)] {
            if !token.is_empty() {
                asked.assert_inactive(shop, token).await;
            }
        }
        let short = asked.visit.tokens(&[("scope", "openid")]).await;
        asked.visit.app.clock.advance(Duration::from_secs(901));
        asked.assert_inactive(shop, &short.access_token).await;

        let visitor = Visit { browser: Browser::new(), ..asked.visit };
        let tokens = visitor.tokens(&[("scope", "openid")]).await;
        let told = async || visitor.shop.post("introspection_endpoint", &[("token", &tokens.access_token)]).await.body;
        assert_eq!(told().await["active"], true);
        visitor.browser.get(&visitor.shop.end_session(&[("id_token_hint", &tokens.id_token)])).await;
        assert_eq!(told().await, json!({ "active": false }), "the session has ended");
        let refreshed = visitor.shop.post("introspection_endpoint", &[("token", tokens.refresh_token.as_deref().unwrap())]).await;
        assert_eq!(refreshed.body, json!({ "active": false }));
    }

    /// RFC 7662 §2.1: nobody fishes for tokens.
    async fn whoever_asks_must_prove_who_they_are(env: &Env) {
        let public = json!({ "token_endpoint_auth_method": "none" });
        let visit = Visit::of(TestApp::builder(env).web_client("shop").client(web_client("spa", public), None)).await;
        let tokens = visit.tokens(&[]).await;
        let token = [("token", tokens.access_token.as_str())];
        let spa = visit.app.relying_party("spa").await;
        assert_token_error(&spa.post("introspection_endpoint", &token).await, 401, "invalid_client");
        let mut thief = visit.shop.clone();
        thief.secret = Some("wrong".to_owned());
        assert_token_error(&thief.post("introspection_endpoint", &token).await, 401, "invalid_client");
        assert_token_error(&visit.shop.post("introspection_endpoint", &[]).await, 400, "invalid_request");
        let twice = [("token", "a"), ("token", "b")];
        assert_token_error(&visit.shop.post("introspection_endpoint", &twice).await, 400, "invalid_request");
    }
}
