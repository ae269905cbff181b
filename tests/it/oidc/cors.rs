//! Who may read our answers from a script in a browser: protocol rule 46.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use super::Visit;
use crate::harness::Env;
use crate::harness::browser::http_client;
use crate::on_both;

/// Registered by a redirect URI, so some app of ours runs there.
const APP: &str = "https://shop.example";
const STRANGERS: [&str; 6] = [
    "https://evil.example",
    "https://shop.example.evil.example",
    "http://shop.example",
    "https://shop.example:8443",
    "https://SHOP.example",
    "null",
];

/// `Access-Control-Allow-Origin` of the answer, and whether caches are told that it depends.
async fn allowed(request: RequestBuilder, origin: &str) -> (Option<String>, bool) {
    let answer = request.header("origin", origin).send().await.unwrap();
    let allowed = answer.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(answer.headers().get("access-control-allow-credentials"), None, "no cookies across origins");
    (allowed, answer.headers().get_all("vary").iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"origin")))
}

on_both! {
    async fn apps_of_registered_origins_read_tokens_and_userinfo(env: &Env) {
        let visit = Visit::start(env).await;
        for path in ["/token", "/userinfo"] {
            let post = || http_client().post(visit.app.url(path)).form(&[("x", "y")]);
            assert_eq!(allowed(post(), APP).await, (Some(APP.to_owned()), true), "errors can be read too");
            for stranger in STRANGERS {
                assert_eq!(allowed(post(), stranger).await, (None, true), "{stranger}");
            }
        }
        let token = visit.tokens(&[]).await.access_token;
        let userinfo = http_client().get(visit.app.url("/userinfo")).bearer_auth(token);
        assert_eq!(allowed(userinfo, APP).await, (Some(APP.to_owned()), true));
    }

    async fn a_preflight_is_answered_for_registered_origins(env: &Env) {
        let visit = Visit::start(env).await;
        for path in ["/token", "/userinfo"] {
            let ask = |origin: &str| {
                let request = http_client().request(Method::OPTIONS, visit.app.url(path)).header("origin", origin);
                request
                    .header("access-control-request-method", "POST")
                    .header("access-control-request-headers", "authorization,content-type")
            };
            let answer = ask(APP).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
            for (name, value) in [
                ("access-control-allow-origin", APP),
                ("access-control-allow-methods", "GET, POST"),
                ("access-control-allow-headers", "authorization, content-type"),
                ("access-control-max-age", "600"),
            ] {
                assert_eq!(answer.headers()[name], value);
            }
            let answer = ask("https://evil.example").send().await.unwrap();
            assert!(!answer.headers().keys().any(|name| name.as_str().starts_with("access-control-")));
        }
    }

    /// Keys and metadata are public; they are the same for everybody and depend on no origin.
    async fn anybody_reads_keys_and_metadata(env: &Env) {
        let visit = Visit::start(env).await;
        for path in ["/jwks.json", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
            for origin in [APP, "https://evil.example"] {
                let answer = allowed(http_client().get(visit.app.url(path)), origin).await;
                assert_eq!(answer, (Some("*".to_owned()), false));
            }
        }
    }

    /// Pages are for navigation: no script of another origin reads one.
    async fn no_page_is_read_across_origins(env: &Env) {
        let visit = Visit::start(env).await;
        for path in ["/authorize", "/end-session", "/login", "/consent", "/"] {
            for origin in [APP, "https://evil.example", visit.shop.issuer.as_str()] {
                let request = visit.shop.authorization_with(&[("prompt", "none")]);
                let url = if path == "/authorize" { request.url } else { visit.app.url(path) };
                assert_eq!(allowed(http_client().get(url.clone()), origin).await.0, None, "{path}");
                let preflight = http_client().request(Method::OPTIONS, url).header("access-control-request-method", "GET");
                let answer = preflight.header("origin", origin).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
                assert_eq!(answer.headers().get("access-control-allow-origin"), None);
            }
        }
        assert_eq!(visit.shop.metadata["response_modes_supported"], json!(["query", "form_post"]), "no web_message");
    }
}
