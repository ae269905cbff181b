//! Apple: the posted answer, the signed client secret, the name that comes once.

use samesake::config::EmailTrust;
use samesake::connector::{ConnectorError, Registry, UpstreamCallback, UpstreamIdentity};
use samesake::secret::Secret;
use serde_json::{Value, json};
use url::Url;

use super::{Login, gateway, links, outbound, press, provider_error};
use crate::harness::providers::apple::Apple;
use crate::harness::{Browser, Env, Page, TestApp, html, jwks};
use crate::on_both;

fn ada() -> Value {
    json!({
        "sub": "000123.abcdef0123456789.0456", "email": "x7k2@privaterelay.appleid.com", "email_verified": "true",
        "is_private_email": "true",
        "first": {"name": {"firstName": "Ada", "lastName": "Byron"}, "email": "x7k2@privaterelay.appleid.com"},
    })
}

/// From the app to Apple's page, whose form is about to be posted.
async fn up_to_the_form(app: &TestApp, browser: &Browser) -> Page {
    let shop = app.relying_party("shop").await;
    let page = browser.get(&shop.authorization_with(&[("state", "the-app-s-own-state")]).url).await;
    press(browser, &page, "apple").await
}

/// Posts the form of Apple's page as a browser does that keeps its cookies back. Where that leads.
async fn posted_without_cookies(page: &Page) -> Url {
    let form = page.forms().remove(0);
    assert_eq!((form.id.as_str(), form.method.as_str()), ("apple", "post"));
    let fields = form.filled_in(&[]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let callback = page.url.join(&form.action).unwrap();
    let answer = Browser::new().post_from("https://appleid.apple.com", &callback, &fields).await;
    assert_eq!(answer.status, 303);
    assert!(answer.headers.get("set-cookie").is_none(), "the POST decides nothing");
    let next = answer.redirect().unwrap();
    for (_, value) in &fields {
        assert!(!next.as_str().contains(value), "nothing that was posted stands in the address: {next}");
    }
    next
}

on_both! {
    /// The name comes with the first login only, and stays.
    async fn an_apple_customer_signs_in_and_returns_with_the_name_of_the_first_time(env: &Env) {
        let apple = Apple::start().await;
        apple.stand.log_in_as(ada());
        let app = gateway(env, apple.config(json!({}))).await;
        let shop = app.relying_party("shop").await;
        let mut subjects = Vec::new();
        for _ in 0..2 {
            let (browser, authorization) = (Browser::new(), shop.authorization());
            let page = browser.get(&authorization.url).await;
            let page = press(&browser, &page, "apple").await;
            let callback = browser.submit(&page, "apple", &[]).await;
            let tokens = shop.finish(&authorization, &callback).await;
            let userinfo = shop.userinfo(&tokens.access_token).await.body;
            assert_eq!((&userinfo["given_name"], &userinfo["family_name"]), (&json!("Ada"), &json!("Byron")));
            assert_eq!(userinfo["email_verified"], true);
            subjects.push(tokens.claims["sub"].clone());
        }
        assert_eq!(subjects[0], subjects[1]);
        assert_eq!(links(&app, "apple", "000123.abcdef0123456789.0456").await, 1);
    }

    /// Browsers keep Lax cookies back when another site posts: the POST must not need them, and the GET that follows
    /// must (spec/protocol.md rule 36).
    async fn the_post_needs_no_cookie_and_the_browser_that_began_is_the_one_that_ends(env: &Env) {
        let apple = Apple::start().await;
        apple.stand.log_in_as(ada());
        let app = gateway(env, apple.config(json!({}))).await;
        let browser = Browser::new();
        let next = posted_without_cookies(&up_to_the_form(&app, &browser).await).await;
        let home = browser.get(&next).await;
        assert!(home.stopped, "{}", home.text());
        assert_eq!(home.parameter("state").as_deref(), Some("the-app-s-own-state"));
        // A reload goes on, as the customer who is signed in now.
        assert!(browser.get(&next).await.stopped);
        // A browser that did not begin a login gets nothing from it.
        let next = posted_without_cookies(&up_to_the_form(&app, &Browser::new()).await).await;
        for stranger in [Browser::new(), browser] {
            let page = stranger.get(&next).await;
            assert!(!page.stopped && page.status == 400, "{} {}", page.status, page.text());
        }
    }

    async fn what_is_posted_to_another_kind_or_too_long_is_a_page(env: &Env) {
        let (apple, upstream) = (Apple::start().await, crate::harness::upstream::Upstream::start().await);
        let app = TestApp::builder(env).connector(apple.config(json!({}))).connector(upstream.config("other"));
        let app = app.start().await;
        let long = "x".repeat(20_000);
        for (path, user) in [("/callback/other", "{}"), ("/callback/nobody", "{}"), ("/callback/apple", long.as_str())] {
            let page = Browser::new().post_from("https://appleid.apple.com", &app.url(path), &[("user", user)]).await;
            assert_eq!(page.status, 400, "{path}");
            assert!(!html::text(&page.body).is_empty(), "{path}");
        }
        let page = Browser::new().get(app.url("/callback/apple?posted=unknown")).await;
        assert_eq!(page.status, 400);
    }

    async fn a_customer_who_cancels_at_apple_is_back_at_the_login_page(env: &Env) {
        let apple = Apple::start().await;
        apple.stand.log_in_as(ada());
        apple.stand.refuse_with(&[("error", "user_cancelled_authorize")]);
        let app = gateway(env, apple.config(json!({}))).await;
        let browser = Browser::new();
        let page = up_to_the_form(&app, &browser).await;
        let page = browser.submit(&page, "apple", &[]).await;
        assert_eq!(page.status, 422);
        assert!(page.contains("Apple"), "{}", page.text());
        assert_eq!(page.form("/login/social", &[("connector", "apple")]).method, "post");
    }
}

/// A login without the gateway: the form of Apple's page, taken for a callback.
async fn log_in(login: &Login) -> Result<UpstreamIdentity, ConnectorError> {
    let request =
        login.connector.authorization_request(&login.redirect_uri, Default::default(), login.clock.now()).await?;
    let page = login.browser.get(request.url).send().await.unwrap().text().await.unwrap();
    let form = html::forms(&page).remove(0).filled_in(&[]);
    let said = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let callback = UpstreamCallback { code: said("code"), user: said("user"), ..UpstreamCallback::default() };
    login.finish(&callback, &request.pending).await
}

#[tokio::test]
async fn each_client_secret_is_fresh_and_what_apple_documents() {
    let apple = Apple::start().await;
    apple.stand.log_in_as(ada());
    let login = Login::with(apple.config(json!({})));
    for _ in 0..2 {
        log_in(&login).await.unwrap();
    }
    let secrets = apple.client_secrets();
    assert_eq!(secrets.len(), 2);
    for secret in &secrets {
        let (header, claims) = jwks::peek(secret);
        assert_eq!((&header["alg"], &header["kid"]), (&json!("ES256"), &json!("K1K2K3K4K5")));
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    }
    assert_ne!(secrets[0], secrets[1]);
    let asked = apple.stand.last_authorization();
    assert_eq!((asked["response_mode"].as_str(), asked["scope"].as_str()), ("form_post", "openid email name"));
    let other = Login::with(apple.config(json!({"team_id": "ZZZZZZZZZZ"})));
    assert_eq!(log_in(&other).await.err(), Some(provider_error("invalid_client")));
}

#[tokio::test]
async fn booleans_come_as_text_and_a_relay_is_known_as_one() {
    let apple = Apple::start().await;
    let login = Login::with(apple.config(json!({})));
    for (verified, private, expected) in [
        (json!("true"), json!("true"), (true, true)),
        (json!(true), json!(true), (true, true)),
        (json!("false"), json!("false"), (false, false)),
        (json!(true), json!(null), (true, false)),
    ] {
        apple.stand.log_in_as(json!({
            "sub": "a", "email": "a@b.example", "email_verified": verified, "is_private_email": private,
        }));
        let identity = log_in(&login).await.unwrap();
        let is_private = identity.raw["is_private_email"].as_bool();
        assert_eq!((identity.email_verified, is_private), (expected.0, Some(expected.1)), "{verified} {private}");
        assert_eq!(login.connector.email_trust(&identity), EmailTrust::Verified);
    }
}

/// The form is not signed: it names, and proves nothing.
#[tokio::test]
async fn the_posted_name_brings_no_address_and_no_failure() {
    let apple = Apple::start().await;
    let login = Login::with(apple.config(json!({})));
    for (first, name) in [
        (json!({"name": {"firstName": "Ada"}, "email": "evil@example.com"}), Some("Ada")),
        (json!({"name": {"firstName": 7}}), None),
        (json!("nonsense"), None),
        (json!({"name": {"firstName": "x".repeat(5000)}}), None),
    ] {
        apple.stand.log_in_as(json!({"sub": "a", "first": first.clone()}));
        let identity = log_in(&login).await.unwrap();
        assert_eq!((identity.given_name.as_deref(), identity.email), (name, None), "{first}");
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_at_the_start() {
    let apple = Apple::start().await;
    let garbage = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    for text in ["", "not a key", garbage, &apple.p8.replace("PRIVATE", "PUBLIC")] {
        let mut config = apple.config(json!({}));
        config.private_key = Secret::new(text.to_owned());
        let refused = Registry::from_config(&[config], outbound()).map(|_| ()).map_err(|error| error.to_string());
        let expected = "connector `apple`: private_key: it is not a P-256 private key in PKCS#8 PEM form; take the .p8 \
                        file that Apple gave you";
        assert_eq!(refused, Err(expected.to_owned()));
    }
    // Neither line ends nor indentation matter: environments mangle both.
    for text in [apple.p8.replace('\n', "\r\n"), apple.p8.replace('\n', "\n   ")] {
        let mut config = apple.config(json!({}));
        config.private_key = Secret::new(text);
        assert!(Registry::from_config(&[config], outbound()).is_ok());
    }
}
