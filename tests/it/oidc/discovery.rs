//! Discovery: protocol rule 26. The two documents are one, and what it promises is what there is.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{ANN, Visit};
use crate::harness::Env;
use crate::harness::browser::http_client;
use crate::on_both;

const PATHS: [&str; 2] = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];

on_both! {
    async fn both_metadata_documents_are_the_same_bytes(env: &Env) {
        let visit = Visit::start(env).await;
        let mut bodies = Vec::new();
        for path in PATHS {
            let answer = http_client().get(visit.app.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()["content-type"], "application/json");
            assert_eq!(answer.headers()["cache-control"], "public, max-age=300");
            assert_eq!(answer.headers()["access-control-allow-origin"], "*");
            let etag = answer.headers()["etag"].clone();
            bodies.push(answer.bytes().await.unwrap());
            let again = http_client().get(visit.app.url(path)).header("if-none-match", &etag).send().await.unwrap();
            assert_eq!((again.status(), &again.headers()["etag"]), (StatusCode::NOT_MODIFIED, &etag));
            assert!(again.bytes().await.unwrap().is_empty());
            let head = http_client().head(visit.app.url(path)).send().await.unwrap();
            assert_eq!((head.status(), &head.headers()["etag"]), (StatusCode::OK, &etag));
        }
        assert_eq!(bodies[0], bodies[1]);
    }

    /// Every member, so that nothing is promised by accident.
    async fn the_metadata_is_exactly_this(env: &Env) {
        let visit = Visit::start(env).await;
        let issuer = visit.app.issuer.as_str().trim_end_matches('/');
        let at = |path: &str| format!("{issuer}{path}");
        let expected = json!({
            "issuer": issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/jwks.json"),
            "introspection_endpoint": at("/introspect"),
            "revocation_endpoint": at("/revoke"),
            "pushed_authorization_request_endpoint": at("/par"),
            "device_authorization_endpoint": at("/device-authorization"),
            "end_session_endpoint": at("/end-session"),
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"],
            "subject_types_supported": ["public", "pairwise"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "PS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "require_pushed_authorization_requests": false,
            "code_challenge_methods_supported": ["S256"],
            "prompt_values_supported": ["none", "login", "consent", "select_account", "create"],
            "claim_types_supported": ["normal"],
            "claims_supported": [
                "iss", "sub", "aud", "iat", "exp", "auth_time", "nonce", "amr", "sid", "at_hash", "name", "given_name",
                "family_name", "preferred_username", "picture", "locale", "updated_at", "email", "email_verified",
            ],
            "claims_parameter_supported": false,
            "request_parameter_supported": false,
            "request_uri_parameter_supported": false,
            "authorization_response_iss_parameter_supported": true,
        });
        assert_eq!(visit.shop.metadata, expected);
    }

    /// What has a test of its own elsewhere is only named here: prompts (prompt.rs), algorithms (id_token.rs),
    /// authentication methods (client_auth.rs), response modes (authorize.rs), grants (token.rs, refresh.rs).
    async fn every_advertised_address_works(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&[]).await;
        for (name, status) in [
            ("authorization_endpoint", 400),
            ("token_endpoint", 405),
            ("userinfo_endpoint", 401),
            ("jwks_uri", 200),
            ("introspection_endpoint", 405),
            ("revocation_endpoint", 405),
            ("pushed_authorization_request_endpoint", 405),
            ("device_authorization_endpoint", 405),
            ("end_session_endpoint", 200),
        ] {
            let answer = http_client().get(visit.shop.endpoint(name)).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{name}");
        }
        for scope in visit.shop.metadata["scopes_supported"].as_array().unwrap() {
            let granted = tokens.body["scope"].as_str().unwrap();
            assert!(granted.split(' ').any(|token| scope == token), "{scope} is advertised but not granted");
        }
        let userinfo = visit.shop.userinfo(&tokens.access_token).await.body;
        let promised: BTreeSet<&str> =
            visit.shop.metadata["claims_supported"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for claim in tokens.claims.as_object().unwrap().keys().chain(userinfo.as_object().unwrap().keys()) {
            assert!(promised.contains(claim.as_str()), "{claim} is given but not advertised");
        }
        assert_eq!(userinfo["email"], ANN);
    }

    /// Endpoints of specifications that are not offered do not half exist.
    async fn nothing_works_unadvertised(env: &Env) {
        let visit = Visit::start(env).await;
        for path in ["/register", "/device_authorization", "/backchannel", "/check-session"] {
            for request in [http_client().get(visit.app.url(path)), http_client().post(visit.app.url(path))] {
                assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_FOUND, "{path}");
            }
        }
        for path in ["/.well-known/openid-configuration/", "/.well-known/openid-configuration/x", "/jwks.json/x"] {
            assert_eq!(http_client().get(visit.app.url(path)).send().await.unwrap().status(), StatusCode::NOT_FOUND);
        }
    }
}
