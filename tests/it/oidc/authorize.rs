//! The authorization endpoint's form: protocol rules 1, 3, 4, 5, 8 and 10.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{ANN, Visit, assert_error_page, assert_refused, assert_token_error, plus};
use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::browser::http_client;
use crate::harness::{Browser, Env};
use crate::on_both;

on_both! {
    /// Rule 1.
    async fn get_and_post_are_alike_and_unknown_parameters_are_ignored(env: &Env) {
        let visit = Visit::start(env).await;
        let request = visit.shop.authorization_with(&[("utm_source", "mail"), ("foo", "bar")]);
        let page = visit.app.log_in(&visit.browser, &request.url, ANN).await;
        visit.shop.finish(&request, &page).await;

        let request = visit.shop.authorization_with(&[("foo", "bar")]);
        let (mut endpoint, fields) = (request.url.clone(), request.url.query_pairs().into_owned().collect::<Vec<_>>());
        endpoint.set_query(None);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = visit.browser.post_from("https://shop.example", &endpoint, &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        let callback = visit.browser.follow_until(&request.url, |_| false).await;
        visit.shop.finish(&request, &callback).await;
        assert_eq!(answer.redirect().unwrap().path(), "/callback");
    }

    /// Browsers keep our Lax cookies back from a form that another site posts. Going round by a redirect brings them.
    async fn a_form_posted_by_another_site_finds_the_session(env: &Env) {
        let visit = Visit::start(env).await;
        visit.tokens(&[]).await;
        let request = visit.shop.authorization_with(&[("prompt", "none"), ("state", "a b&c=d%\u{e4}")]);
        let form = request.url.query().unwrap().to_owned();
        let post = http_client().post(visit.app.url("/authorize")).body(form);
        let answer = post.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert!(answer.headers().get("set-cookie").is_none(), "the browser's own cookie must not be replaced");
        let again = visit.app.issuer.join(answer.headers()["location"].to_str().unwrap()).unwrap();
        assert_eq!(again.path(), "/authorize");
        let callback = visit.browser.get(&again).await;
        assert_eq!(callback.parameter("state").as_deref(), Some("a b&c=d%\u{e4}"));
        assert!(callback.parameter("code").is_some(), "{}", callback.url);
    }

    /// Rule 1. The redirect URI is proved by then, so the app is told; a repeated state is nobody's.
    async fn a_repeated_parameter_is_an_invalid_request(env: &Env) {
        let visit = Visit::start(env).await;
        for name in ["scope", "nonce", "response_type", "code_challenge", "prompt", "max_age", "response_mode", "x"] {
            let request = visit.shop.authorization();
            let twice = plus(&plus(&request.url, name, "query"), name, "query");
            assert_refused(&visit.shop, &request, &visit.browser.get(twice).await, "invalid_request");
        }
        let request = visit.shop.authorization();
        let page = visit.browser.get(plus(&request.url, "state", "other")).await;
        assert_eq!(page.parameter("error").as_deref(), Some("invalid_request"));
        assert_eq!(page.parameter("iss").as_deref(), Some(visit.shop.issuer.as_str()));
        assert_eq!(page.parameter("state"), None);
    }

    /// RFC 6749 §3.1: a parameter without a value is as if it were not sent.
    async fn an_empty_parameter_is_not_there(env: &Env) {
        let visit = Visit::start(env).await;
        let mut request = visit.shop.authorization();
        for name in ["prompt", "max_age", "response_mode", "id_token_hint", "request", "request_uri", "resource", "scope"]
        {
            request.url = plus(&request.url, name, "");
        }
        let page = visit.app.log_in(&visit.browser, &request.url, ANN).await;
        visit.shop.finish(&request, &page).await;
        let request = visit.shop.authorization_with(&[("prompt", "none"), ("state", "")]);
        let page = visit.browser.get(plus(&request.url, "state", "")).await;
        assert_eq!(page.parameter("state"), None, "a state is never invented");
    }

    /// Nothing hides behind many others: what is not read is not passed over in silence.
    async fn more_parameters_than_are_read_are_an_invalid_request(env: &Env) {
        let visit = Visit::start(env).await;
        let request = visit.shop.authorization();
        let many = (0..60).fold(request.url.clone(), |url, number| plus(&url, &format!("p{number}"), "x"));
        let page = visit.browser.get(plus(&many, "prompt", "none")).await;
        assert_refused(&visit.shop, &request, &page, "invalid_request");
        assert!(page.parameter("error_description").unwrap().contains("64"));
    }

    /// Rule 3: errors of every kind, before and after the login, carry `iss` and the very state.
    async fn every_redirect_carries_iss_and_the_exact_state(env: &Env) {
        let visit = Visit::start(env).await;
        let states = ["a", "a b+c", "%20%2B", "&x=y#z", "\"'<>\\", "\u{e4}\u{20ac}\u{1f600}", "eyJ.a-_~", "null", " "];
        for state in states.iter().map(|state| (*state).to_owned()).chain(["s".repeat(4096)]) {
            let request = visit.shop.authorization_with(&[("state", &state), ("prompt", "none")]);
            let page = visit.browser.get(&request.url).await;
            assert_eq!(page.parameter("state"), Some(state));
            assert_eq!(page.parameter("iss").as_deref(), Some(visit.shop.issuer.as_str()));
        }
        for (error, changes) in [
            ("invalid_request", [("response_type", ""), ("", "")]),
            ("unsupported_response_type", [("response_type", "token"), ("", "")]),
            ("invalid_scope", [("scope", "unheard-of"), ("", "")]),
            ("invalid_request", [("prompt", "none login"), ("", "")]),
            ("invalid_request", [("prompt", "unheard-of"), ("", "")]),
            ("invalid_request", [("max_age", "-1"), ("", "")]),
            ("invalid_request", [("max_age", "soon"), ("", "")]),
            ("invalid_request", [("max_age", "99999999999999999999999"), ("", "")]),
            ("invalid_request", [("code_challenge", ""), ("", "")]),
            ("invalid_request", [("response_mode", "fragment"), ("", "")]),
            ("invalid_target", [("resource", "https://api.example"), ("", "")]),
            ("login_required", [("prompt", "none"), ("response_mode", "query")]),
        ] {
            let changes: Vec<_> = changes.into_iter().filter(|(name, _)| !name.is_empty()).collect();
            let request = visit.shop.authorization_with(&changes);
            assert_refused(&visit.shop, &request, &visit.browser.get(&request.url).await, error);
        }
        let request = visit.shop.authorization();
        let login = visit.browser.get(&request.url).await;
        let page = visit.browser.submit(&login, "/login/cancel", &[]).await;
        assert_refused(&visit.shop, &request, &page, "access_denied");
    }

    /// Rule 3: what cannot be returned intact is refused, never cut and never altered.
    async fn a_state_that_cannot_be_returned_intact_is_refused(env: &Env) {
        let visit = Visit::start(env).await;
        let base = visit.shop.authorization_with(&[("state", "")]).url;
        for state in ["s".repeat(4097).as_str(), "line%0Abreak", "%0D%0ASet-Cookie:x", "%00", "%FF%FE", "%7F"] {
            let page = visit.browser.get(format!("{base}&state={state}")).await;
            assert_eq!(page.url.path(), "/callback");
            assert_eq!(page.parameter("error").as_deref(), Some("invalid_request"), "{state:.20}");
            assert_eq!(page.parameter("iss").as_deref(), Some(visit.shop.issuer.as_str()));
            assert_eq!(page.parameter("state"), None);
        }
    }

    /// Rule 4. Implicit, hybrid and the rest are refused on purpose.
    async fn only_the_code_flow_is_offered(env: &Env) {
        let own_query = json!({ "redirect_uris": ["https://shop.example/callback?tenant=a%20b&x"] });
        let app = TestApp::builder(env)
            .client(web_client("shop", own_query), Some(CLIENT_SECRET))
            .client(web_client("robot", json!({ "grant_types": ["client_credentials"] })), Some(CLIENT_SECRET));
        let visit = Visit::of(app).await;
        for kind in ["token", "id_token", "id_token token", "code token", "code id_token", "none", "CODE", "code code"] {
            let request = visit.shop.authorization_with(&[("response_type", kind)]);
            let page = visit.browser.get(&request.url).await;
            assert_eq!(visit.shop.error(&request, &page), "unsupported_response_type", "{kind}");
            assert!(page.url.as_str().starts_with("https://shop.example/callback?tenant=a%20b&x&error="), "{}", page.url);
        }
        for mode in ["fragment", "jwt", "query.jwt", "web_message", "QUERY"] {
            let request = visit.shop.authorization_with(&[("response_mode", mode)]);
            let page = visit.browser.get(&request.url).await;
            assert_eq!(visit.shop.error(&request, &page), "invalid_request", "{mode}");
        }
        let robot = visit.app.relying_party("robot").await;
        let request = robot.authorization();
        assert_refused(&robot, &request, &visit.browser.get(&request.url).await, "unauthorized_client");
    }

    /// Rule 4: a form that posts itself, works by a button without script, and holds nothing unescaped.
    async fn form_post_answers_with_an_escaped_form(env: &Env) {
        let visit = Visit::start(env).await;
        let state = "\"><script>alert(1)</script>&amp;'";
        for prompt in ["none", ""] {
            let request =
                visit.shop.authorization_with(&[("response_mode", "form_post"), ("state", state), ("prompt", prompt)]);
            let page = visit.app.log_in(&visit.browser, &request.url, ANN);
            let page = if prompt == "none" { visit.browser.get(&request.url).await } else { page.await };
            assert_eq!((page.status, page.url.origin()), (StatusCode::OK, visit.app.issuer.origin()));
            assert_eq!(page.header("cache-control"), Some("no-store"));
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
            let policy = page.header("content-security-policy").unwrap();
            assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
            assert!(!page.body.contains("<script>") && page.body.contains("<button"), "{}", page.body);
            let form = page.forms().remove(0);
            assert_eq!((form.method.as_str(), form.action.as_str()), ("post", "https://shop.example/callback"));
            let fields = form.filled_in(&[]);
            let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            assert_eq!((field("state"), field("iss")), (Some(state), Some(visit.shop.issuer.as_str())));
            if prompt == "none" {
                assert_eq!((fields.len(), field("error")), (4, Some("login_required")));
                continue;
            }
            assert_eq!(fields.len(), 3);
            visit.shop.tokens(&request, visit.shop.redeem(&request, field("code").unwrap()).await).await;
        }
    }

    /// Rule 5.
    async fn pkce_is_required_and_only_s256(env: &Env) {
        let app = TestApp::builder(env)
            .web_client("shop")
            .client(web_client("public", json!({ "token_endpoint_auth_method": "none" })), None)
            .client(web_client("legacy", json!({ "require_pkce": false })), Some(CLIENT_SECRET));
        let visit = Visit::of(app).await;
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        for client in ["shop", "public", "legacy"] {
            let shop = visit.app.relying_party(client).await;
            for (challenge, method) in [
                (good, ""),
                (good, "plain"),
                (good, "s256"),
                ("", "S256"),
                (&good[1..], "S256"),
                ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", "S256"),
                ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", "S256"),
            ] {
                let changes = [("code_challenge", challenge), ("code_challenge_method", method)];
                let request = shop.authorization_with(&changes);
                assert_refused(&shop, &request, &visit.browser.get(&request.url).await, "invalid_request");
            }
            let request =
                shop.authorization_with(&[("code_challenge", ""), ("code_challenge_method", ""), ("prompt", "none")]);
            let expected = if client == "legacy" { "login_required" } else { "invalid_request" };
            assert_refused(&shop, &request, &visit.browser.get(&request.url).await, expected);
        }
    }

    /// Rule 5: a challenge without its verifier, a verifier without a challenge, a wrong or malformed one.
    async fn a_code_needs_exactly_its_own_verifier(env: &Env) {
        let visit = Visit::with(env, json!({ "require_pkce": false })).await;
        let redeem = async |code: &str, verifier: &str| {
            let mut fields = vec![
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", "https://shop.example/callback"),
            ];
            fields.extend((!verifier.is_empty()).then_some(("code_verifier", verifier)));
            visit.shop.token(&fields).await
        };
        for wrong in ["", "x", &"a".repeat(43), &"a".repeat(128), &"a".repeat(129), "\u{e4}"] {
            let (_, code) = visit.code(&[]).await;
            assert_token_error(&redeem(&code, wrong).await, 400, "invalid_grant");
        }
        let without = [("code_challenge", ""), ("code_challenge_method", "")];
        let (request, code) = visit.code(&without).await;
        assert_token_error(&redeem(&code, &request.verifier).await, 400, "invalid_grant");
        let (_, code) = visit.code(&without).await;
        assert_eq!(redeem(&code, "").await.status, StatusCode::OK);
        let (request, code) = visit.code(&[]).await;
        assert_eq!(redeem(&code, &request.verifier).await.status, StatusCode::OK);
    }

    /// Rule 10: nobody believes that something was signed which was never looked at.
    async fn request_objects_are_refused_in_so_many_words(env: &Env) {
        let visit = Visit::start(env).await;
        for (name, value, error) in [
            ("request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"),
            ("request_uri", "https://shop.example/request.jwt", "request_uri_not_supported"),
            ("registration", "{}", "registration_not_supported"),
        ] {
            let request = visit.shop.authorization_with(&[(name, value)]);
            assert_refused(&visit.shop, &request, &visit.browser.get(&request.url).await, error);
        }
        for name in ["request_parameter_supported", "request_uri_parameter_supported"] {
            assert_eq!(visit.shop.metadata[name], false);
        }
    }

    /// Rule 8: hints of any shape never break a login; the address is filled in if it is one.
    async fn hints_never_break_a_login(env: &Env) {
        let visit = Visit::start(env).await;
        let long = "x".repeat(9000);
        for hint in ["ann@example.com", "\"><img src=x>", "+49 1", &long, "\u{202e}\0"] {
            let request = visit.shop.authorization_with(&[
                ("login_hint", hint),
                ("ui_locales", "tlh xx-\"<>"),
                ("claims_locales", "de-CH-1996 *"),
                ("display", "wap"),
                ("acr_values", "urn:unheard-of 4"),
                ("claims", "{\"id_token\":{\"acr\":{\"essential\":false}}}"),
            ]);
            let browser = Browser::new();
            let login = browser.get(&request.url).await;
            let form = login.form("/login/password", &[("email", ""), ("password", "")]).filled_in(&[]);
            let typed = form.iter().find(|(name, _)| name == "email").unwrap();
            assert_eq!(typed.1, if hint == ANN { hint } else { "" });
            let page = visit.app.log_in(&browser, &request.url, ANN).await;
            visit.shop.finish(&request, &page).await;
        }
    }

    /// Too much of anything is the sender's fault, and said so; never an error 500.
    async fn huge_requests_are_refused_as_such(env: &Env) {
        let visit = Visit::start(env).await;
        let long = |count| "x".repeat(count);
        for (name, value) in [("nonce", long(1025)), ("id_token_hint", long(8193))] {
            let request = visit.shop.authorization_with(&[(name, &value)]);
            assert_refused(&visit.shop, &request, &visit.browser.get(&request.url).await, "invalid_request");
        }
        let request = visit.shop.authorization_with(&[("x", &long(60_000))]);
        let answer = http_client().get(request.url.clone()).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 414 | 431), "{}", answer.status());
        for path in ["/authorize", "/token", "/userinfo", "/end-session"] {
            let post = http_client().post(visit.app.url(path)).form(&[("x", long(70_000))]);
            assert_eq!(post.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        }
        assert_error_page(&visit.browser.get_one(visit.app.url("/authorize?%FF%FE=%&&&==")).await);
    }

    /// RFC 9110 §9: HEAD answers as GET does without a body, other methods are not allowed.
    async fn other_methods_are_not_allowed(env: &Env) {
        let visit = Visit::start(env).await;
        for (path, allowed) in [("/authorize", "GET,HEAD,POST"), ("/token", "POST,OPTIONS")] {
            for method in [Method::PUT, Method::DELETE, Method::PATCH] {
                let answer = http_client().request(method, visit.app.url(path)).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
                assert_eq!(answer.headers()["allow"], allowed);
            }
        }
        let answer = http_client().get(visit.app.url("/token")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        let request = visit.shop.authorization_with(&[("prompt", "none")]);
        let answer = http_client().head(request.url.clone()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert!(answer.bytes().await.unwrap().is_empty());
    }
}
