//! The OpenID Provider as relying parties and browsers meet it: spec/protocol.md, rule by rule, over real HTTP.
//!
//! One file per endpoint or rule. Every refusal is asserted as a whole: status, headers, the exact members of the body
//! or of the redirect.

mod attacks;
mod authorize;
mod client_auth;
mod code;
mod consent;
mod cors;
pub mod device;
mod discovery;
mod id_token;
mod introspection;
mod jwks;
mod logout;
mod path;
mod prompt;
mod pushed;
mod redirect_uri;
mod refresh;
mod refresh_end;
mod revocation;
mod token;
mod userinfo;

use std::collections::BTreeMap;

use reqwest::StatusCode;
use samesake::store::OutboxRow;
use serde_json::{Value, json};
use url::Url;

use crate::harness::app::{Builder, CLIENT_SECRET, PASSWORD, TestApp, web_client};
use crate::harness::relying_party::{Answer, Authorization, Tokens};
use crate::harness::{Browser, Env, Page, RelyingParty};

pub const ANN: &str = "ann@example.com";
pub const BEN: &str = "ben@example.com";

/// A running gateway with one app and the customer Ann, who sits before a fresh browser.
pub struct Visit {
    pub app: TestApp,
    pub shop: RelyingParty,
    pub browser: Browser,
}

impl Visit {
    /// The app is a first-party web client that may do everything.
    pub async fn start(env: &Env) -> Visit {
        Visit::with(env, json!({})).await
    }

    /// The same with other client metadata.
    pub async fn with(env: &Env, changes: Value) -> Visit {
        let secret = (changes["token_endpoint_auth_method"] != "none").then_some(CLIENT_SECRET);
        Visit::of(TestApp::builder(env).client(web_client("shop", changes), secret)).await
    }

    /// Any gateway that has a client `shop`.
    pub async fn of(builder: Builder<'_>) -> Visit {
        let app = builder.start().await;
        app.customer(ANN, "Ann Example").await;
        let shop = app.relying_party("shop").await;
        Visit { app, shop, browser: Browser::new() }
    }

    /// Ann goes from the app through the login, if one is asked for, and back.
    pub async fn authorize(&self, changes: &[(&str, &str)]) -> (Authorization, Page) {
        let authorization = self.shop.authorization_with(changes);
        let page = self.browser.get(&authorization.url).await;
        if page.stopped || page.url.path() != "/login" {
            return (authorization, page);
        }
        let page = self.browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        (authorization, page)
    }

    /// The same, up to verified tokens.
    pub async fn tokens(&self, changes: &[(&str, &str)]) -> Tokens {
        let (authorization, page) = self.authorize(changes).await;
        self.shop.finish(&authorization, &page).await
    }

    /// A code, not redeemed yet.
    pub async fn code(&self, changes: &[(&str, &str)]) -> (Authorization, String) {
        let (authorization, page) = self.authorize(changes).await;
        let code = self.shop.code(&authorization, &page);
        (authorization, code)
    }

    /// What `prompt=none` answers: `None` if there is a session, else the error.
    pub async fn silently(&self) -> Option<String> {
        let authorization = self.shop.authorization_with(&[("prompt", "none")]);
        let page = self.browser.get(&authorization.url).await;
        if page.parameter("code").is_some() {
            self.shop.code(&authorization, &page);
            return None;
        }
        Some(self.shop.error(&authorization, &page))
    }

    /// The events of this kind in the outbox.
    pub async fn events(&self, kind: &str) -> Vec<OutboxRow> {
        let mut tx = self.app.store.background().begin_read().await.unwrap();
        let mut events = tx.outbox_after(0, 1000).await.unwrap();
        events.retain(|event| event.event_type == kind);
        events
    }

    /// Whether something is marked in the key-value store.
    pub async fn is_marked(&self, key: &str) -> bool {
        self.app.kv.get(key).await.unwrap().is_some()
    }
}

/// RFC 6749 §5.2: an error of the token endpoint is JSON that no cache keeps, and holds nothing else.
pub fn assert_token_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status.as_u16(), answer.error()), (status, code), "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let names: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["error", "error_description"]);
    assert_describes(answer.body["error_description"].as_str().unwrap());
}

/// RFC 6749 §5.2 allows printable ASCII without quotes and backslashes.
pub fn assert_describes(description: &str) {
    assert!(description.len() > 10, "says too little: {description}");
    assert!(description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{description}");
}

/// RFC 6749 §4.1.2.1 and RFC 9207: the error goes back to the app with its state and our name, and nothing else.
pub fn assert_refused(shop: &RelyingParty, authorization: &Authorization, page: &Page, error: &str) {
    assert_eq!(shop.error(authorization, page), error, "{}", page.url);
    let fields: BTreeMap<_, _> = page.url.query_pairs().into_owned().collect();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["error", "error_description", "iss", "state"]);
    assert_describes(&fields["error_description"]);
    assert_eq!(page.url.fragment(), None);
}

/// A refusal that the person sees and the app does not: there is no way on from here.
pub fn assert_error_page(page: &Page) {
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{} {}", page.url, page.text());
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert!(page.header("location").is_none() && page.header("refresh").is_none());
    assert_eq!(page.heading(), "This sign-in link does not work");
    assert!(page.forms().is_empty() && !page.body.contains("http-equiv"), "{}", page.body);
}

/// An address with one more parameter, whatever it has already.
pub fn plus(url: &Url, name: &str, value: &str) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair(name, value);
    url
}
