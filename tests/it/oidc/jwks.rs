//! The published keys and their rotation: protocol rule 25. A verifier that keeps the key set for as long as it is told
//! to never meets a token that it cannot verify.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;
use samesake::app::key_policy;
use samesake::keys::{Changes, Rotation, emergency_rotate, rotate};
use serde_json::Value;

use super::{Visit, assert_token_error};
use crate::harness::browser::http_client;
use crate::harness::relying_party::{Answer, answer};
use crate::harness::{Env, jwks};
use crate::on_both;

async fn key_set(visit: &Visit) -> Answer {
    answer(http_client().get(visit.shop.endpoint("jwks_uri"))).await
}

fn kids(keys: &Value) -> BTreeSet<String> {
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// What `samesake keys rotate` does; the replica takes the new keys over as it does when it notices.
async fn rotated(visit: &Visit) -> Option<Changes> {
    let (app, store) = (&visit.app.app, visit.app.store.background());
    let now = visit.app.clock.now();
    let rotation = rotate(&store, &app.secrets.master, key_policy(&app.config), now).await.unwrap();
    app.provider.keys.reload(&store, now).await.unwrap();
    match rotation {
        Rotation::Done(changes) => Some(changes),
        Rotation::TooEarly { .. } => None,
    }
}

const CACHE: Duration = Duration::from_secs(3600 + 10);

on_both! {
    /// RFC 7517: three kinds, each with an active and a next key; nothing private.
    async fn only_public_keys_are_published(env: &Env) {
        let visit = Visit::start(env).await;
        let answer = key_set(&visit).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["cache-control"], "public, max-age=3600");
        let keys = answer.body["keys"].as_array().unwrap();
        assert_eq!((keys.len(), kids(&answer.body).len()), (6, 6));
        for key in keys {
            let members: Vec<&String> = key.as_object().unwrap().keys().collect();
            let expected: &[&str] = match key["kty"].as_str().unwrap() {
                "RSA" => &["alg", "e", "kid", "kty", "n", "use"],
                "EC" => &["alg", "crv", "kid", "kty", "use", "x", "y"],
                _ => &["alg", "crv", "kid", "kty", "use", "x"],
            };
            // One RSA key signs RS256 and PS256, so it may leave its algorithm open.
            let members: Vec<&String> = members.into_iter().filter(|name| *name != "alg").collect();
            let expected: Vec<&&str> = expected.iter().filter(|name| **name != "alg").collect();
            assert_eq!(format!("{members:?}"), format!("{expected:?}"));
            assert_eq!(key["use"], "sig");
        }
        let etag = answer.headers["etag"].clone();
        let again = http_client().get(visit.shop.endpoint("jwks_uri")).header("if-none-match", etag);
        assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    }

    /// Too early, nothing happens; in time, yesterday's key set verifies today's tokens and the other way round.
    async fn an_old_cache_never_fails_in_a_planned_rotation(env: &Env) {
        let visit = Visit::start(env).await;
        assert_eq!(rotated(&visit).await, None, "the next key is not known everywhere yet");
        let mut old_token = visit.tokens(&[]).await.id_token;
        for _ in 0..3 {
            let cached = key_set(&visit).await;
            visit.app.clock.advance(CACHE);
            let changes = rotated(&visit).await.unwrap();
            assert_eq!((changes.activated.len(), changes.retired.len()), (3, 3));
            let fresh = key_set(&visit).await;
            assert_ne!(cached.headers["etag"], fresh.headers["etag"]);
            assert!(changes.activated.iter().all(|kid| kids(&cached.body).contains(kid)), "published before it signs");

            let tokens = visit.tokens(&[]).await;
            for token in [&tokens.id_token, &tokens.access_token] {
                jwks::verify(&cached.body, token).unwrap();
            }
            let kid = jwks::peek(&tokens.id_token).0["kid"].as_str().unwrap().to_owned();
            assert!(changes.activated.contains(&kid));
            // The token from before is expired by now, but whoever looks still finds its key.
            jwks::verify(&fresh.body, &old_token).unwrap();
            assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::OK);
            old_token = tokens.id_token;
        }
    }

    /// Tokens from before the rotation are good here until they expire, and their keys are gone soon after.
    async fn a_retired_key_stays_until_its_last_token_has_expired(env: &Env) {
        let visit = Visit::start(env).await;
        visit.app.clock.advance(CACHE);
        let before = visit.tokens(&[]).await;
        let retired = rotated(&visit).await.unwrap().retired;
        visit.app.clock.advance(Duration::from_secs(890));
        assert_eq!(visit.shop.userinfo(&before.access_token).await.status, StatusCode::OK);
        assert!(retired.iter().all(|kid| kids_now(&visit, kid)), "still published");
        visit.app.clock.advance(Duration::from_secs(30));
        let keys = kids(&key_set(&visit).await.body);
        assert!(retired.iter().all(|kid| !keys.contains(kid)), "gone with the last token");
        // The hint of a logout may be older than its key: then the customer is asked.
        let page = visit.browser.get(visit.shop.end_session(&[("id_token_hint", &before.id_token)])).await;
        assert_eq!(page.heading(), "Sign out?");
    }

    /// A key that leaked: from this moment nothing it signed is believed, and everybody can go on signing in.
    async fn an_emergency_rotation_voids_what_was_signed(env: &Env) {
        let visit = Visit::start(env).await;
        let before = visit.tokens(&[]).await;
        let known = kids(&key_set(&visit).await.body);
        let (app, store) = (&visit.app.app, visit.app.store.background());
        let now = visit.app.clock.now();
        emergency_rotate(&store, &app.secrets.master, key_policy(&app.config), now).await.unwrap();
        app.provider.keys.reload(&store, now).await.unwrap();
        assert!(kids(&key_set(&visit).await.body).is_disjoint(&known));
        assert_eq!(visit.shop.userinfo(&before.access_token).await.error(), "invalid_token");
        let request = visit.shop.authorization_with(&[("id_token_hint", &before.id_token), ("prompt", "none")]);
        let page = visit.browser.get(&request.url).await;
        assert_eq!(visit.shop.error(&request, &page), "login_required");
        // Sessions and refresh tokens were not signed by that key.
        let answer = visit.shop.refresh(&before.refresh_token.unwrap()).await;
        visit.shop.token_response(answer).await;
        visit.tokens(&[]).await;
        assert_token_error(&visit.shop.refresh("x").await, 400, "invalid_grant");
    }

    /// Another replica, and one that starts later, sign with the same keys and verify each other's tokens.
    async fn replicas_share_keys_and_follow_a_rotation(env: &Env) {
        let visit = Visit::start(env).await;
        let replica = visit.app.replica(env).await;
        visit.app.clock.advance(CACHE);
        rotated(&visit).await.unwrap();
        let keys = &replica.app.provider.keys;
        let here = key_set(&visit).await.text;
        let follows = async || keys.jwks().body == here.as_bytes();
        crate::harness::until("the replica follows the rotation", follows).await;
        let there = visit.shop.clone().via(&replica.address);
        let tokens = visit.tokens(&[]).await;
        assert_eq!(there.userinfo(&tokens.access_token).await.status, StatusCode::OK);
        let refreshed = there.refresh(&tokens.refresh_token.unwrap()).await;
        let refreshed = visit.shop.token_response(refreshed).await;
        assert_eq!(visit.shop.userinfo(&refreshed.access_token).await.status, StatusCode::OK);
    }
}

/// Whether the ring here publishes this key.
fn kids_now(visit: &Visit, kid: &str) -> bool {
    let keys: Value = serde_json::from_slice(&visit.app.app.provider.keys.jwks().body).unwrap();
    kids(&keys).contains(kid)
}
