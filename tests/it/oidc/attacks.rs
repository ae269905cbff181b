//! Tokens forged, swapped and sent elsewhere: protocol rules 38 to 41, RFC 8725, RFC 9700.

use aws_lc_rs::hmac;
use reqwest::StatusCode;
use samesake::secret::{base64url, from_base64url};
use serde_json::{Value, json};

use super::{ANN, Visit, assert_token_error};
use crate::harness::app::{PASSWORD, TestApp};
use crate::harness::{Browser, Env, jwks};
use crate::on_both;

fn segment(json: &str) -> String {
    base64url(json.as_bytes())
}

/// A JWS of this header and these claims with any signature.
fn jws(header: &Value, claims: &str, signature: &[u8]) -> String {
    format!("{}.{claims}.{}", segment(&header.to_string()), base64url(signature))
}

/// The claims of a token as it carries them, and its signature.
fn taken_apart(token: &str) -> (Value, String, Vec<u8>) {
    let parts: Vec<&str> = token.split('.').collect();
    (jwks::peek(token).0, parts[1].to_owned(), from_base64url(parts[2]).unwrap())
}

/// Rule 39: everything that has ever got a forged token past a verifier, made from a good one.
fn forgeries(token: &str, keys: &Value) -> Vec<(&'static str, String)> {
    let (header, claims, signature) = taken_apart(token);
    let changed = |changes: Value| {
        let mut header = header.clone();
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        header
    };
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let hs256 = |secret: &[u8]| {
        let header = changed(json!({ "alg": "HS256" }));
        let input = format!("{}.{claims}", segment(&header.to_string()));
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
        format!("{input}.{}", base64url(mac.as_ref()))
    };
    let text = header.to_string();
    let doubled = text.replacen('{', "{\"alg\":\"none\",", 1);
    let claims_json = String::from_utf8(from_base64url(&claims).unwrap()).unwrap();
    let (_, members) = claims_json.split_once('{').unwrap();
    let zero = [0_u8; 64];
    vec![
        ("alg none", jws(&changed(json!({ "alg": "none" })), &claims, b"")),
        ("alg None", jws(&changed(json!({ "alg": "None" })), &claims, &signature)),
        ("no signature", jws(&header, &claims, b"")),
        ("HS256 with the public key", hs256(key.to_string().as_bytes())),
        ("HS256 with the modulus or point", hs256(key["n"].as_str().or(key["x"].as_str()).unwrap().as_bytes())),
        ("HS256 with nothing", hs256(b"")),
        ("another algorithm", jws(&changed(json!({ "alg": "ES384" })), &claims, &signature)),
        ("r and s zero", jws(&header, &claims, &zero)),
        ("cut signature", jws(&header, &claims, &signature[..signature.len() - 1])),
        ("longer signature", jws(&header, &claims, &[signature.clone(), vec![0]].concat())),
        ("embedded jwk", jws(&changed(json!({ "jwk": key })), &claims, &signature)),
        ("jku", jws(&changed(json!({ "jku": "https://evil.example/jwks" })), &claims, &signature)),
        ("x5u", jws(&changed(json!({ "x5u": "https://evil.example/x5u" })), &claims, &signature)),
        ("crit", jws(&changed(json!({ "crit": ["exp"] })), &claims, &signature)),
        ("b64", jws(&changed(json!({ "b64": false, "crit": ["b64"] })), &claims, &signature)),
        ("path in kid", jws(&changed(json!({ "kid": "../../../dev/null" })), &claims, &signature)),
        ("SQL in kid", jws(&changed(json!({ "kid": "x' UNION SELECT 'k' --" })), &claims, &signature)),
        ("no kid", jws(&changed(json!({ "kid": null })), &claims, &signature)),
        ("doubled member", format!("{}.{claims}.{}", segment(&doubled), base64url(&signature))),
        ("other claims", jws(&header, &segment(&format!("{{\"sub\":\"someone-else\",{members}")), &signature)),
        ("other type", jws(&changed(json!({ "typ": "JWT" })), &claims, &signature)),
        ("four parts", format!("{token}.x")),
        ("white space", format!("{} ", token.replacen('.', ". ", 1))),
    ]
}

on_both! {
    async fn no_forged_access_token_passes(env: &Env) {
        let visit = Visit::start(env).await;
        let token = visit.tokens(&[]).await.access_token;
        let keys = crate::harness::relying_party::answer(
            crate::harness::browser::http_client().get(visit.shop.endpoint("jwks_uri")),
        );
        let keys = keys.await.body;
        for (name, forged) in forgeries(&token, &keys) {
            let answer = visit.shop.userinfo(&forged).await;
            assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_token"), "{name}");
        }
        assert_eq!(visit.shop.userinfo(&token).await.status, StatusCode::OK);
    }

    async fn no_forged_hint_passes(env: &Env) {
        let visit = Visit::start(env).await;
        let hint = visit.tokens(&[]).await.id_token;
        let keys = crate::harness::relying_party::answer(
            crate::harness::browser::http_client().get(visit.shop.endpoint("jwks_uri")),
        );
        let keys = keys.await.body;
        let forged = forgeries(&hint, &keys).into_iter().filter(|(name, _)| *name != "other type");
        for (name, forged) in forged {
            let request = visit.shop.authorization_with(&[("id_token_hint", &forged), ("prompt", "none")]);
            let page = visit.browser.get(&request.url).await;
            assert_eq!(visit.shop.error(&request, &page), "login_required", "{name}");
            let page = visit.browser.get(visit.shop.end_session(&[("id_token_hint", &forged)])).await;
            assert_eq!(page.heading(), "Sign out?", "{name}");
        }
        assert_eq!(visit.silently().await, None);
    }

    /// Rules 38 and 39: one kind of token does not pass for another, nor one client's for another's.
    async fn tokens_do_not_pass_for_each_other(env: &Env) {
        let visit = Visit::of(TestApp::builder(env).web_client("shop").web_client("other")).await;
        let other = visit.app.relying_party("other").await;
        let (request, code) = visit.code(&[]).await;
        let tokens = visit.tokens(&[]).await;
        let refresh_token = tokens.refresh_token.unwrap();
        for wrong in [&tokens.id_token, &refresh_token, &code] {
            assert_eq!(visit.shop.userinfo(wrong).await.error(), "invalid_token");
        }
        for wrong in [&tokens.id_token, &tokens.access_token, &code] {
            assert_token_error(&visit.shop.refresh(wrong).await, 400, "invalid_grant");
        }
        for wrong in [&tokens.id_token, &tokens.access_token, &refresh_token] {
            assert_token_error(&visit.shop.redeem(&request, wrong).await, 400, "invalid_grant");
        }
        assert_token_error(&other.refresh(&refresh_token).await, 400, "invalid_grant");
        assert_eq!(visit.shop.redeem(&request, &code).await.status, StatusCode::OK);
    }

    /// Rule 40: what a request says is never where a page sends anybody.
    async fn nothing_redirects_where_a_request_says(env: &Env) {
        let visit = Visit::start(env).await;
        visit.tokens(&[]).await;
        let targets = ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"];
        for path in ["/", "/login", "/sign-in", "/logout", "/end-session", "/authorize", "/sign-up", "/consent"] {
            for target in targets.iter().chain(&["/x\r\nLocation: https://evil.example"]) {
                let mut url = visit.app.url(path);
                let names = ["rd", "redirect", "return_to", "next", "url", "post_logout_redirect_uri", "redirect_uri"];
                url.query_pairs_mut().extend_pairs(names.map(|name| (name, target)));
                let page = visit.browser.get(&url).await;
                assert!(!page.stopped, "{path} leads to {}", page.url);
                assert!(!page.body.contains("href=\"https://evil") && !page.body.contains("href=\"javascript:"));
            }
        }
        // A path of two slashes is no host.
        let page = visit.browser.get_one(format!("{}//evil.example/..", visit.shop.issuer)).await;
        assert_eq!((page.status, page.redirect()), (StatusCode::NOT_FOUND, None));
    }

    /// Rule 41, RFC 9700 §4.12: a 307 would carry the password on to the app.
    async fn a_credential_post_is_answered_with_303(env: &Env) {
        let visit = Visit::start(env).await;
        let browser = Browser::new();
        let login = browser.get(&visit.shop.authorization().url).await;
        let answer = browser.submit_one(&login, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "the address holds a code");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(answer.redirect().unwrap().query().unwrap().starts_with("code="));
    }
}
