//! The device grant: protocol rule 18, RFC 8628. A device shows a code, a person types it in and decides.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use url::Url;

use super::{ANN, Visit, assert_token_error};
use crate::harness::app::{CLIENT_SECRET, PASSWORD, TestApp, web_client};
use crate::harness::relying_party::{Answer, Tokens};
use crate::harness::{Browser, Env, Page, RelyingParty};
use crate::on_both;

pub const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A television's client.
pub fn tv_client(changes: &Value) -> Value {
    let mut metadata = json!({
        "client_name": "Living Room TV",
        "grant_types": [DEVICE_CODE, "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    metadata.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    metadata
}

/// What a device does.
pub struct Device<'a> {
    tv: &'a RelyingParty,
    pub device_code: String,
    pub user_code: String,
    pub complete: Url,
}

impl<'a> Device<'a> {
    pub async fn begin(tv: &'a RelyingParty) -> Device<'a> {
        Device::begin_with(tv, &[]).await
    }

    async fn begin_with(tv: &'a RelyingParty, parameters: &[(&str, &str)]) -> Device<'a> {
        let answer = tv.post("device_authorization_endpoint", parameters).await;
        assert_eq!((answer.status, &answer.headers["cache-control"]), (StatusCode::OK, &"no-store".parse().unwrap()));
        let text = |name: &str| answer.body[name].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned();
        assert_eq!((&answer.body["expires_in"], &answer.body["interval"]), (&json!(600), &json!(5)));
        let (user_code, complete) = (text("user_code"), text("verification_uri_complete"));
        assert_eq!(complete, format!("{}?user_code={user_code}", text("verification_uri")));
        Device { tv, device_code: text("device_code"), user_code, complete: complete.parse().unwrap() }
    }

    pub async fn ask(&self) -> Answer {
        self.tv.token(&[("grant_type", DEVICE_CODE), ("device_code", &self.device_code)]).await
    }

    pub async fn tokens(&self) -> Tokens {
        self.tv.token_response(self.ask().await).await
    }

    /// Up to the question, by whoever sits before this browser.
    async fn question(&self, browser: &Browser) -> Page {
        let page = browser.get(&self.complete).await;
        assert_eq!(page.heading(), "Connect a device");
        let page = browser.submit(&page, "/device", &[("user_code", &self.user_code)]).await;
        if page.url.path() != "/login" {
            return page;
        }
        browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await
    }

    /// The whole of a person's part.
    pub async fn decide(&self, browser: &Browser, decision: &str) -> Page {
        let page = self.question(browser).await;
        browser.submit(&page, "/device/confirm", &[("decision", decision)]).await
    }
}

struct Room {
    visit: Visit,
    tv: RelyingParty,
}

impl Room {
    async fn start(env: &Env) -> Room {
        Room::with(env, json!({})).await
    }

    async fn with(env: &Env, changes: Value) -> Room {
        let builder = TestApp::builder(env).web_client("shop").client(web_client("tv", tv_client(&changes)), None);
        let visit = Visit::of(builder).await;
        let tv = visit.app.relying_party("tv").await;
        Room { visit, tv }
    }

    fn wait(&self, seconds: u64) {
        self.visit.app.clock.advance(Duration::from_secs(seconds));
    }
}

on_both! {
    async fn a_device_is_connected_by_whoever_types_its_code(env: &Env) {
        let room = Room::start(env).await;
        let device = Device::begin(&room.tv).await;
        assert_token_error(&device.ask().await, 400, "authorization_pending");
        let question = device.question(&room.visit.browser).await;
        let text = question.text();
        for shown in ["Sign in to Living Room TV on your device?", device.user_code.as_str(), "127.0.0.1", ANN] {
            assert!(text.contains(shown), "{shown} is not in {text}");
        }
        room.wait(5);
        assert_token_error(&device.ask().await, 400, "authorization_pending");
        let done = room.visit.browser.submit(&question, "/device/confirm", &[("decision", "allow")]).await;
        assert_eq!((done.status, done.heading().as_str()), (StatusCode::OK, "Your device is connected"));
        room.wait(5);
        let tokens = device.tokens().await;
        let shop = room.visit.tokens(&[]).await;
        assert_eq!(tokens.claims["sub"], shop.claims["sub"]);
        assert_ne!(tokens.claims["sid"], shop.claims["sid"], "the device has a session of its own");
        assert_eq!(tokens.claims["amr"], shop.claims["amr"]);
        assert_eq!(room.tv.userinfo(&tokens.access_token).await.body["email"], ANN);
        let again = room.tv.refresh(tokens.refresh_token.as_deref().unwrap()).await;
        assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    }

    /// RFC 8628 §3.5: once answered, its code is used up; asking too often is told.
    async fn a_device_code_is_good_once_and_not_asked_for_too_often(env: &Env) {
        let room = Room::start(env).await;
        let device = Device::begin(&room.tv).await;
        assert_token_error(&device.ask().await, 400, "authorization_pending");
        assert_token_error(&device.ask().await, 400, "slow_down");
        device.decide(&room.visit.browser, "allow").await;
        assert_token_error(&device.ask().await, 400, "slow_down");
        room.wait(5);
        let answers = futures::future::join_all((0..10).map(|_| device.ask())).await;
        let given = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(given, 1, "{:?}", answers.iter().map(|answer| &answer.text).collect::<Vec<_>>());
        room.wait(5);
        assert_token_error(&device.ask().await, 400, "expired_token");
        let used = room.visit.browser.get(&device.complete).await;
        let used = room.visit.browser.submit(&used, "/device", &[("user_code", &device.user_code)]).await;
        assert_eq!(used.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    async fn a_device_that_was_refused_is_told(env: &Env) {
        let room = Room::start(env).await;
        let device = Device::begin(&room.tv).await;
        let page = device.decide(&room.visit.browser, "deny").await;
        assert_eq!(page.heading(), "Your device is not connected");
        assert_token_error(&device.ask().await, 400, "access_denied");
        room.wait(5);
        assert_token_error(&device.ask().await, 400, "expired_token");
    }

    async fn nobody_has_to_hurry_but_a_code_expires(env: &Env) {
        let room = Room::start(env).await;
        let device = Device::begin(&room.tv).await;
        let question = device.question(&room.visit.browser).await;
        room.wait(601);
        assert_token_error(&device.ask().await, 400, "expired_token");
        let late = room.visit.browser.submit(&question, "/device/confirm", &[("decision", "allow")]).await;
        assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", late.text());
        let early = Device::begin(&room.tv).await;
        assert_ne!(early.user_code, device.user_code);
    }

    /// A code is answered once, by the customer who was asked, in the session that is open still.
    async fn an_answer_is_the_customers_own_and_the_first(env: &Env) {
        let room = Room::start(env).await;
        let device = Device::begin(&room.tv).await;
        let question = device.question(&room.visit.browser).await;
        let stranger = Browser::new();
        let stolen = stranger.submit(&question, "/device/confirm", &[("decision", "allow")]).await;
        assert_eq!(stolen.heading(), "This page has expired");
        assert_token_error(&device.ask().await, 400, "authorization_pending");
        room.visit.browser.submit(&question, "/device/confirm", &[("decision", "allow")]).await;
        let twice = room.visit.browser.submit(&question, "/device/confirm", &[("decision", "deny")]).await;
        assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);
        // Signing out before the device has asked takes the answer along.
        let shop = room.visit.tokens(&[]).await;
        room.visit.browser.get(&room.visit.shop.end_session(&[("id_token_hint", &shop.id_token)])).await;
        room.wait(5);
        assert_token_error(&device.ask().await, 400, "invalid_grant");
    }

    /// A code tells nothing by being tried: unknown ones look alike, and tries are counted.
    async fn codes_cannot_be_guessed(env: &Env) {
        let room = Room::start(env).await;
        let mut statuses = BTreeSet::new();
        let page = room.visit.browser.get(room.visit.app.url("/device")).await;
        // However the minutes fall, one of them has more than a hundred.
        for number in 0..205 {
            let guess: String = format!("{number:08}").bytes().map(|b| char::from(b"BCDFGHJKLM"[usize::from(b - b'0')])).collect();
            let answer = room.visit.browser.submit(&page, "/device", &[("user_code", &guess)]).await;
            statuses.insert(answer.status.as_u16());
        }
        assert_eq!(statuses, BTreeSet::from([422, 429]));
    }

    async fn only_clients_for_it_connect_devices(env: &Env) {
        let room = Room::start(env).await;
        let shop = &room.visit.shop;
        assert_token_error(&shop.post("device_authorization_endpoint", &[]).await, 400, "unauthorized_client");
        let wrong = room.tv.post("device_authorization_endpoint", &[("scope", "unheard-of")]).await;
        assert_token_error(&wrong, 400, "invalid_scope");
        let wrong = room.tv.post("device_authorization_endpoint", &[("resource", "https://api.example")]).await;
        assert_token_error(&wrong, 400, "invalid_target");
        for code in ["", "nonsense"] {
            let answer = room.tv.token(&[("grant_type", DEVICE_CODE), ("device_code", code)]).await;
            assert_token_error(&answer, 400, if code.is_empty() { "invalid_request" } else { "expired_token" });
        }
        // Another client's code is no good.
        let other = TestApp::builder(env)
            .client(web_client("tv", tv_client(&json!({}))), None)
            .client(web_client("radio", tv_client(&json!({ "token_endpoint_auth_method": "client_secret_basic" }))), Some(CLIENT_SECRET))
            .start()
            .await;
        let (tv, radio) = (other.relying_party("tv").await, other.relying_party("radio").await);
        let device = Device::begin(&tv).await;
        let stolen = Device { tv: &radio, device_code: device.device_code.clone(), user_code: String::new(), complete: device.complete.clone() };
        assert_token_error(&stolen.ask().await, 400, "invalid_grant");
    }

    /// What an app of others was allowed is remembered like any consent.
    async fn a_devices_scope_is_asked_for_and_narrowed(env: &Env) {
        let room = Room::with(env, json!({ "first_party": false })).await;
        let device = Device::begin_with(&room.tv, &[("scope", "openid email unheard-of")]).await;
        let question = device.question(&room.visit.browser).await;
        assert!(question.text().contains("Your e-mail address") && !question.text().contains("Your name and picture"));
        room.visit.browser.submit(&question, "/device/confirm", &[("decision", "allow")]).await;
        let tokens = device.tokens().await;
        assert_eq!(tokens.body["scope"], "openid email");
    }
}
