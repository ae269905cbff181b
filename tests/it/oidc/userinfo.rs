//! Userinfo: protocol rules 12 and 28; OpenID Connect Core §5.3, RFC 6750.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{ANN, Visit, assert_describes};
use crate::harness::Env;
use crate::harness::browser::http_client;
use crate::harness::relying_party::{Answer, answer};
use crate::on_both;

fn request(visit: &Visit, method: Method) -> RequestBuilder {
    http_client().request(method, visit.shop.endpoint("userinfo_endpoint"))
}

/// RFC 6750 §3: a challenge, whose words are those of the body.
fn assert_challenged(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status.as_u16(), answer.error()), (status, error));
    assert_eq!(answer.headers["cache-control"], "no-store");
    let description = answer.body["error_description"].as_str().unwrap();
    assert_describes(description);
    let mut expected = format!("Bearer realm=\"samesake\", error=\"{error}\", error_description=\"{description}\"");
    if error == "insufficient_scope" {
        expected.push_str(", scope=\"openid\"");
    }
    assert_eq!(answer.headers["www-authenticate"], expected);
}

/// RFC 6750 §3.1: who has sent no token is told how, and of no error.
fn assert_asked(answer: &Answer) {
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::UNAUTHORIZED, ""));
    assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"samesake\"");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

on_both! {
    async fn the_token_may_come_in_the_header_or_in_a_form(env: &Env) {
        let visit = Visit::start(env).await;
        let token = visit.tokens(&[]).await.access_token;
        let expected = request(&visit, Method::GET).bearer_auth(&token);
        let expected = answer(expected).await;
        assert_eq!((expected.status, &expected.body["email"]), (StatusCode::OK, &json!(ANN)));
        assert_eq!(expected.headers["content-type"], "application/json");
        assert_eq!(expected.headers["cache-control"], "no-store");
        for request in [
            request(&visit, Method::GET).header("authorization", format!("bEARER  {token}")),
            request(&visit, Method::POST).bearer_auth(&token),
            request(&visit, Method::POST).bearer_auth(&token).form(&[("x", "y")]),
            request(&visit, Method::POST).form(&[("access_token", &token)]),
        ] {
            let answer = answer(request).await;
            assert_eq!((answer.status, &answer.body), (StatusCode::OK, &expected.body));
        }
        let head = request(&visit, Method::HEAD).bearer_auth(&token).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK);
    }

    async fn a_request_without_a_token_is_asked_for_one(env: &Env) {
        let visit = Visit::start(env).await;
        let token = visit.tokens(&[]).await.access_token;
        let mut in_query = visit.shop.endpoint("userinfo_endpoint");
        in_query.query_pairs_mut().append_pair("access_token", &token);
        for request in [
            request(&visit, Method::GET),
            request(&visit, Method::POST),
            // RFC 9700 §4.3.2: never in the address.
            http_client().get(in_query),
            request(&visit, Method::GET).basic_auth("shop", Some("x")),
            request(&visit, Method::GET).header("authorization", "DPoP x"),
            request(&visit, Method::POST).header("content-type", "application/json").body(format!("{{\"access_token\":\"{token}\"}}")),
        ] {
            assert_asked(&answer(request).await);
        }
    }

    async fn a_malformed_request_is_an_invalid_request(env: &Env) {
        let visit = Visit::start(env).await;
        let token = visit.tokens(&[]).await.access_token;
        for request in [
            request(&visit, Method::POST).bearer_auth(&token).form(&[("access_token", &token)]),
            request(&visit, Method::POST).form(&[("access_token", &token), ("access_token", &token)]),
            request(&visit, Method::GET).header("authorization", "Bearer "),
            request(&visit, Method::GET).header("authorization", "Bearer"),
            request(&visit, Method::GET).header("authorization", "Bearer \u{e4}"),
            request(&visit, Method::GET).bearer_auth(&token).header("authorization", format!("Bearer {token}")),
        ] {
            assert_challenged(&answer(request).await, 400, "invalid_request");
        }
    }

    async fn a_token_that_is_not_good_is_an_invalid_token(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&[("scope", "openid email")]).await;
        let refresh_token = tokens.refresh_token.unwrap();
        for bad in ["x", "a.b.c", &"x".repeat(17_000), &tokens.id_token, &refresh_token, "eyJhbGciOiJub25lIn0.e30."] {
            assert_challenged(&visit.shop.userinfo(bad).await, 401, "invalid_token");
        }
        visit.app.clock.advance(Duration::from_secs(899));
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::OK);
        visit.app.clock.advance(Duration::from_secs(2));
        assert_challenged(&visit.shop.userinfo(&tokens.access_token).await, 401, "invalid_token");
        let plain = visit.shop.refresh(&refresh_token).await;
        let narrow = [("grant_type", "refresh_token"), ("refresh_token", plain.body["refresh_token"].as_str().unwrap()), ("scope", "email")];
        let narrow = visit.shop.token(&narrow).await;
        let narrow = narrow.body["access_token"].as_str().unwrap();
        assert_challenged(&visit.shop.userinfo(narrow).await, 403, "insufficient_scope");
    }

    /// Rule 12: each scope its claims, each claim its JSON type (OpenID Connect Core §5.1 and §5.4).
    async fn claims_follow_scopes_with_the_right_types(env: &Env) {
        let visit = Visit::start(env).await;
        let userinfo = async |scope: &str| {
            let tokens = visit.tokens(&[("scope", scope)]).await;
            let mut body = visit.shop.userinfo(&tokens.access_token).await.body;
            assert_eq!(body["sub"], tokens.claims["sub"]);
            body.as_object_mut().unwrap().remove("sub");
            body
        };
        assert_eq!(userinfo("openid").await, json!({}));
        assert_eq!(userinfo("openid email").await, json!({ "email": ANN, "email_verified": true }));
        let profile = userinfo("openid profile").await;
        let updated_at = &profile["updated_at"];
        assert!(updated_at.is_i64(), "a number of seconds: {updated_at}");
        assert_eq!(profile, json!({ "name": "Ann Example", "updated_at": updated_at }));
        let both = userinfo("openid profile email").await;
        assert_eq!(both.as_object().unwrap().len(), 4);
        assert_eq!(both["email_verified"], Value::Bool(true));
    }
}
