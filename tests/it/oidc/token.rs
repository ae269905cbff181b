//! The token endpoint's form, client credentials and access tokens: protocol rules 18, 20 and 23; RFC 6749 §5, RFC 9068.

use reqwest::StatusCode;
use serde_json::json;

use super::{Visit, assert_refused, assert_token_error, plus};
use crate::harness::Env;
use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::browser::{NeverComes, http_client};
use crate::harness::relying_party::answer;
use crate::on_both;

async fn with_robot(env: &Env) -> Visit {
    let robot = json!({
        "grant_types": ["client_credentials"],
        "scope": "openid email offline_access orders:read orders:write",
        "resources": ["https://api.example"],
    });
    Visit::of(TestApp::builder(env).web_client("shop").client(web_client("robot", robot), Some(CLIENT_SECRET))).await
}

on_both! {
    /// RFC 6749 §5.1: exactly these members, and nothing keeps them.
    async fn a_token_response_is_complete_and_never_kept(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[]).await;
        let answer = visit.shop.redeem(&request, &code).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!((&answer.headers["cache-control"], &answer.headers["pragma"]), (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap()));
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers.get("set-cookie"), None);
        let names: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"]);
        assert_eq!((&answer.body["token_type"], &answer.body["expires_in"]), (&json!("Bearer"), &json!(900)));
        assert_eq!(answer.body["scope"], "openid profile email offline_access");
    }

    /// Also where no handler had a say.
    async fn a_huge_request_of_a_program_is_refused_in_the_words_of_the_rfc(env: &Env) {
        let visit = Visit::start(env).await;
        let announced = u64::try_from(visit.app.app.config.server.max_body_bytes).unwrap() + 1;
        for path in ["/token", "/userinfo", "/introspect", "/revoke", "/par", "/device-authorization", "/native-nonce"] {
            let huge = http_client().post(visit.app.url(path)).header("content-type", "application/x-www-form-urlencoded");
            let refused = answer(huge.body(NeverComes { announced: Some(announced) })).await;
            assert_token_error(&refused, 413, "invalid_request");
        }
    }

    async fn each_wrong_request_gets_the_rfcs_error(env: &Env) {
        let visit = Visit::start(env).await;
        for (error, fields) in [
            ("invalid_request", vec![]),
            ("invalid_request", vec![("grant_type", "")]),
            ("unsupported_grant_type", vec![("grant_type", "password"), ("username", "ann"), ("password", "x")]),
            ("unsupported_grant_type", vec![("grant_type", "implicit")]),
            ("unsupported_grant_type", vec![("grant_type", "AUTHORIZATION_CODE")]),
            ("unsupported_grant_type", vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")]),
            ("unauthorized_client", vec![("grant_type", "client_credentials")]),
            ("invalid_request", vec![("grant_type", "authorization_code")]),
            ("invalid_request", vec![("grant_type", "refresh_token")]),
            ("invalid_request", vec![("grant_type", "refresh_token"), ("grant_type", "refresh_token")]),
            ("invalid_request", vec![("grant_type", "authorization_code"), ("code", "a"), ("code", "b")]),
            ("invalid_request", vec![("grant_type", "refresh_token"), ("refresh_token", "a"), ("x", "1"), ("x", "2")]),
        ] {
            assert_token_error(&visit.shop.token(&fields).await, 400, error);
        }
    }

    /// RFC 6749 §4.1.3: a form, not JSON, not the query.
    async fn only_a_form_in_the_body_is_read(env: &Env) {
        let visit = with_robot(env).await;
        let url = visit.app.url("/token");
        let robot = |request: reqwest::RequestBuilder| request.basic_auth("robot", Some(encoded(CLIENT_SECRET)));
        let json = robot(http_client().post(url.clone())).header("content-type", "application/json");
        let wrong = answer(json.body(r#"{"grant_type":"client_credentials"}"#)).await;
        assert_token_error(&wrong, 400, "invalid_request");
        let none = answer(robot(http_client().post(url.clone())).body("grant_type=client_credentials")).await;
        assert_token_error(&none, 400, "invalid_request");
        let query = visit.app.url("/token?grant_type=client_credentials");
        assert_token_error(&answer(robot(http_client().post(query)).form(&[("x", "y")])).await, 400, "invalid_request");
        let form = robot(http_client().post(url)).header("content-type", "Application/X-WWW-Form-Urlencoded; charset=utf-8");
        assert_eq!(answer(form.body("grant_type=client_credentials")).await.status, StatusCode::OK);
    }

    /// RFC 6749 §4.4, rule 18: a client acts for itself and for no customer.
    async fn client_credentials_speak_for_no_customer(env: &Env) {
        let visit = with_robot(env).await;
        let robot = visit.app.relying_party("robot").await;
        let ask = async |scope: &str| robot.token(&[("grant_type", "client_credentials"), ("scope", scope)]).await;
        let answer = ask("orders:read openid email offline_access unheard-of").await;
        let names: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["access_token", "expires_in", "scope", "token_type"]);
        assert_eq!(answer.body["scope"], "orders:read");
        let (header, claims) = robot.jwt(answer.body["access_token"].as_str().unwrap()).await;
        assert_eq!(header["typ"], "at+jwt");
        let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
        assert_eq!(names, ["aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub"]);
        assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("robot"), &json!("robot")));
        let userinfo = robot.userinfo(answer.body["access_token"].as_str().unwrap()).await;
        assert_eq!((userinfo.status, userinfo.error()), (StatusCode::FORBIDDEN, "insufficient_scope"));
        assert_eq!(ask("").await.body["scope"], "orders:read orders:write");
        assert_token_error(&ask("openid").await, 400, "invalid_scope");
        let twice = [ask("").await, ask("").await].map(|answer| answer.body["access_token"].clone());
        assert_ne!(twice[0], twice[1]);
    }

    /// RFC 6749 §3.3 knows no empty scope: where nothing is granted, nothing is said.
    async fn a_client_without_scopes_gets_a_token_without_scope(env: &Env) {
        let bare = json!({ "grant_types": ["client_credentials"], "scope": "" });
        let visit = Visit::of(TestApp::builder(env).web_client("shop").client(web_client("bare", bare), Some(CLIENT_SECRET))).await;
        let bare = visit.app.relying_party("bare").await;
        let answer = bare.token(&[("grant_type", "client_credentials")]).await;
        assert_eq!((answer.status, answer.body.get("scope")), (StatusCode::OK, None));
        let (_, claims) = bare.jwt(answer.body["access_token"].as_str().unwrap()).await;
        assert_eq!(claims.get("scope"), None);
        let userinfo = bare.userinfo(answer.body["access_token"].as_str().unwrap()).await;
        assert_eq!(userinfo.status, StatusCode::FORBIDDEN);
    }

    /// RFC 9068 §2: the claims of a customer's access token.
    async fn an_access_token_is_a_jwt_for_resource_servers(env: &Env) {
        let visit = Visit::start(env).await;
        let online = visit.tokens(&[("scope", "openid email")]).await;
        let (header, claims) = visit.shop.jwt(&online.access_token).await;
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
        let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
        assert_eq!(names, ["amr", "aud", "auth_time", "client_id", "exp", "iat", "iss", "jti", "scope", "sid", "sub"]);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!(visit.shop.issuer), &json!(visit.shop.issuer)));
        assert_eq!((&claims["client_id"], &claims["scope"]), (&json!("shop"), &json!("openid email")));
        assert_eq!((&claims["sub"], &claims["sid"]), (&online.claims["sub"], &online.claims["sid"]));
        assert_eq!((&claims["auth_time"], &claims["amr"]), (&online.claims["auth_time"], &json!(["pwd"])));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
        let other = visit.tokens(&[]).await;
        assert_ne!(visit.shop.jwt(&other.access_token).await.1["jti"], claims["jti"]);
    }

    /// Rule 20, RFC 8707.
    async fn the_audience_follows_resource(env: &Env) {
        let apis = json!({ "resources": ["https://a.example", "https://b.example/v1"] });
        let visit = Visit::with(env, apis).await;
        for other in ["https://c.example", "https://a.example/", "HTTPS://a.example", "https://a.example#x", "x", &visit.shop.issuer] {
            let request = visit.shop.authorization_with(&[("resource", other)]);
            assert_refused(&visit.shop, &request, &visit.browser.get(&request.url).await, "invalid_target");
        }
        let tokens = visit.tokens(&[("resource", "https://a.example")]).await;
        assert_eq!(visit.shop.jwt(&tokens.access_token).await.1["aud"], "https://a.example");
        assert_eq!(tokens.claims["aud"], "shop", "the ID token stays the client's");
        let userinfo = visit.shop.userinfo(&tokens.access_token).await;
        assert_eq!((userinfo.status, userinfo.error()), (StatusCode::UNAUTHORIZED, "invalid_token"));

        let both = visit.shop.authorization_with(&[("resource", "https://a.example")]);
        let page = visit.browser.get(plus(&both.url, "resource", "https://b.example/v1")).await;
        let code = visit.shop.code(&both, &page);
        let fields = [
            ("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "https://shop.example/callback"),
            ("code_verifier", &both.verifier), ("resource", "https://b.example/v1"),
        ];
        let tokens = visit.shop.token_response(visit.shop.token(&fields).await).await;
        assert_eq!(visit.shop.jwt(&tokens.access_token).await.1["aud"], "https://b.example/v1");

        let (request, code) = visit.code(&[("resource", "https://a.example")]).await;
        let fields = [
            ("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", "https://shop.example/callback"),
            ("code_verifier", &request.verifier), ("resource", "https://b.example/v1"),
        ];
        assert_token_error(&visit.shop.token(&fields).await, 400, "invalid_target");
    }

    async fn a_robot_may_ask_for_its_resources_only(env: &Env) {
        let visit = with_robot(env).await;
        let robot = visit.app.relying_party("robot").await;
        let ask = async |resource: &str| robot.token(&[("grant_type", "client_credentials"), ("resource", resource)]).await;
        let answer = ask("https://api.example").await;
        assert_eq!(robot.jwt(answer.body["access_token"].as_str().unwrap()).await.1["aud"], "https://api.example");
        assert_token_error(&ask("https://other.example").await, 400, "invalid_target");
    }
}

/// Rule 18: the `sub` of a client's own token is its ID, which may not look like a customer's.
#[test]
fn a_client_id_never_looks_like_a_customers_subject() {
    let is_like = samesake::ids::is_subject_like;
    let clock = samesake::clock::Clock::system();
    assert!(is_like(&samesake::ids::CustomerId::new(clock.now()).to_string()));
    assert!(is_like(&samesake::secret::random_token()), "a pairwise subject has this form");
    for id in ["shop", "6f1c0f0e-6c8f-4f8e-9d0e-000000000000", "a-client-of-43-characters-is.fine.if.it.dots"] {
        assert!(!is_like(id), "{id}");
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
