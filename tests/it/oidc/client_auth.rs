//! Who is asking at the token endpoint: protocol rule 15, RFC 6749 §2.3.

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::json;

use super::{Visit, assert_token_error};
use crate::harness::Env;
use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::browser::http_client;
use crate::harness::relying_party::{Answer, answer};
use crate::on_both;

const CHALLENGE: &str = "Basic realm=\"samesake\", charset=\"UTF-8\"";
/// With every character that form encoding changes.
const AWKWARD: &str = "p\u{e4}ss w+rd:/%20&=?";

/// A gateway with a machine for each method, all with the grant that needs no customer.
async fn start(env: &Env) -> TestApp {
    let machine = |id: &str, method: &str| {
        let changes = json!({
            "grant_types": ["client_credentials", "authorization_code", "refresh_token"],
            "scope": "openid orders",
            "token_endpoint_auth_method": method,
        });
        web_client(id, changes)
    };
    let public = json!({ "token_endpoint_auth_method": "none" });
    TestApp::builder(env)
        .client(machine("basic", "client_secret_basic"), Some(CLIENT_SECRET))
        .client(machine("post", "client_secret_post"), Some(CLIENT_SECRET))
        .client(machine("a:b%2F+c", "client_secret_basic"), Some(AWKWARD))
        .client(web_client("public", public), None)
        .start()
        .await
}

fn request(app: &TestApp) -> RequestBuilder {
    http_client().post(app.url("/token"))
}

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn basic(id: &str, secret: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")))
}

async fn with_header(app: &TestApp, authorization: &str, fields: &[(&str, &str)]) -> Answer {
    answer(request(app).header("authorization", authorization).form(fields)).await
}

/// RFC 6749 §5.2: whoever tried by header is challenged in the same scheme; whoever tried otherwise is not.
fn assert_unknown(answer: &Answer, by_header: bool) {
    assert_token_error(answer, 401, "invalid_client");
    assert_eq!(answer.body["error_description"], "client authentication failed", "one wording for every reason");
    let challenge = answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap());
    assert_eq!(challenge, by_header.then_some(CHALLENGE));
}

on_both! {
    async fn each_client_authenticates_by_its_registered_method(env: &Env) {
        let app = start(env).await;
        let post = [GRANT, ("client_id", "post"), ("client_secret", CLIENT_SECRET)];
        assert_eq!(answer(request(&app).form(&post)).await.status, StatusCode::OK);
        for id in ["basic", "a:b%2F+c"] {
            let secret = if id == "basic" { CLIENT_SECRET } else { AWKWARD };
            let header = basic(&encoded(id), &encoded(secret));
            assert_eq!(with_header(&app, &header, &[GRANT]).await.status, StatusCode::OK, "{id}");
            let lower = header.replacen("Basic", "bASIC", 1);
            assert_eq!(with_header(&app, &lower, &[GRANT, ("client_id", id)]).await.status, StatusCode::OK);
        }
        let post = [GRANT, ("client_id", "basic"), ("client_secret", CLIENT_SECRET)];
        assert_unknown(&answer(request(&app).form(&post)).await, false);
        assert_unknown(&with_header(&app, &basic("post", &encoded(CLIENT_SECRET)), &[GRANT]).await, true);
        for id in ["basic", "post"] {
            assert_unknown(&answer(request(&app).form(&[GRANT, ("client_id", id)])).await, false);
        }
        assert_unknown(&with_header(&app, &basic("public", ""), &[GRANT]).await, true);
        let public = [GRANT, ("client_id", "public"), ("client_secret", "x")];
        assert_unknown(&answer(request(&app).form(&public)).await, false);
    }

    async fn whatever_is_wrong_looks_the_same(env: &Env) {
        let app = start(env).await;
        let long = "x".repeat(5000);
        for header in [
            basic("basic", "wrong"),
            basic("basic", ""),
            basic("nobody", "wrong"),
            basic("", ""),
            basic("BASIC", &encoded(CLIENT_SECRET)),
            basic("basic", &long),
            "Basic".to_owned(),
            "Basic %%%".to_owned(),
            "Basic YmFzaWM=".to_owned(),
            format!("Bearer {}", &basic("basic", &encoded(CLIENT_SECRET))[6..]),
            "Digest username=basic".to_owned(),
        ] {
            assert_unknown(&with_header(&app, &header, &[GRANT]).await, true);
        }
        for (id, secret) in [("post", "wrong"), ("nobody", "wrong"), ("post", &long), ("post", "\0")] {
            let fields = [GRANT, ("client_id", id), ("client_secret", secret)];
            assert_unknown(&answer(request(&app).form(&fields)).await, false);
        }
        assert_unknown(&answer(request(&app).form(&[GRANT])).await, false);
        let assertion = [GRANT, ("client_id", "post"), ("client_assertion", "e30.e30.x")];
        assert_unknown(&answer(request(&app).form(&assertion)).await, false);
    }

    async fn two_methods_at_once_are_an_invalid_request(env: &Env) {
        let app = start(env).await;
        let header = basic("basic", &encoded(CLIENT_SECRET));
        for more in [("client_secret", CLIENT_SECRET), ("client_assertion", "e30.e30.x"), ("client_id", "post")] {
            assert_token_error(&with_header(&app, &header, &[GRANT, more]).await, 400, "invalid_request");
        }
        let both = [GRANT, ("client_id", "post"), ("client_secret", CLIENT_SECRET), ("client_assertion", "x")];
        assert_token_error(&answer(request(&app).form(&both)).await, 400, "invalid_request");
        let twice: HeaderMap = HeaderMap::from_iter([(reqwest::header::AUTHORIZATION, HeaderValue::from_str(&header).unwrap())]);
        let twice = request(&app).header("authorization", basic("post", "x")).headers({
            let mut headers = twice.clone();
            headers.append("authorization", HeaderValue::from_str(&header).unwrap());
            headers
        });
        assert_token_error(&answer(twice.form(&[GRANT])).await, 400, "invalid_request");
    }

    /// An app in the customer's hands has no secret: its ID, PKCE and exact redirect URI must do.
    async fn a_public_client_needs_no_secret(env: &Env) {
        let visit = Visit::with(env, json!({ "token_endpoint_auth_method": "none" })).await;
        let tokens = visit.tokens(&[]).await;
        assert_eq!(visit.shop.refresh(&tokens.refresh_token.unwrap()).await.status, StatusCode::OK);
    }

    /// Only metadata's methods are advertised, and each works.
    async fn the_advertised_methods_are_those_that_work(env: &Env) {
        let app = start(env).await;
        let metadata = &app.relying_party("basic").await.metadata;
        let methods = json!(["client_secret_basic", "client_secret_post", "none"]);
        assert_eq!(metadata["token_endpoint_auth_methods_supported"], methods);
    }
}
