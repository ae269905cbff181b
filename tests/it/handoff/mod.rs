//! The signed identity and the ways to get it (spec/handoff.md), as proxies, apps and browsers meet them.
//!
//! Most tests have the app's domain and the gateway in one place: `http://localhost` is another site to a browser than
//! `http://127.0.0.1`, and forward-auth is asked with the cookies a proxy would pass on. `nginx` has a real proxy.

mod forward_auth;
mod nginx;
mod statement;
mod ticket;
mod who;

use reqwest::StatusCode;
use samesake::ids::Sid;
use serde_json::{Value, json};
use url::Url;

use crate::harness::app::{Builder, PASSWORD, TestApp};
use crate::harness::browser::http_client;
use crate::harness::{Browser, Env, Page, jwks};

const ANN: &str = "ann@shop.example";
const BOB: &str = "bob@shop.example";

/// A gateway for Ann and Bob with a destination `shop` on the app's domain; `changes` replace or add members.
fn with_shop(env: &Env, changes: Value) -> Builder<'_> {
    TestApp::builder(env).destination(destination("shop", changes))
}

/// A destination on the app's domain.
fn destination(id: &str, changes: Value) -> Value {
    let mut destination = json!({ "id": id, "origins": ["http://localhost"] });
    for (name, value) in changes.as_object().unwrap() {
        destination[name] = value.clone();
    }
    destination
}

async fn start(builder: Builder<'_>) -> TestApp {
    let app = builder.start().await;
    app.customer(ANN, "Ann Example").await;
    app.customer(BOB, "Bob Example").await;
    app
}

/// A page of the app.
fn at_the_app(app: &TestApp, path: &str) -> Url {
    let mut url = app.url(path);
    url.set_host(Some("localhost")).unwrap();
    url
}

/// Where the proxy sends a browser that must log in to see `return_to`.
fn start_url(app: &TestApp, destination: &str, return_to: &str) -> Url {
    let mut url = at_the_app(app, &format!("/.samesake/{destination}/start"));
    url.query_pairs_mut().append_pair("rd", return_to);
    url
}

/// Walks the whole way to a page of the app, logging in if asked.
async fn arrive(app: &TestApp, browser: &Browser, destination: &str, email: &str) {
    let cart = at_the_app(app, "/cart");
    let mut page = browser.get(start_url(app, destination, cart.as_str())).await;
    if page.url != cart {
        page = browser.submit(&page, "/login/password", &[("email", email), ("password", PASSWORD)]).await;
    }
    assert_eq!(page.url, cart, "{} {}", page.status, page.text());
}

/// What the proxy is answered when it asks for this browser at the app's domain.
async fn asked(app: &TestApp, browser: &Browser, destination: &str) -> Page {
    browser.get_one(at_the_app(app, &format!("/forward-auth/{destination}"))).await
}

/// The statement in an answer that lets the request pass.
fn statement(page: &Page) -> &str {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
    assert_eq!(page.header("cache-control"), Some("private, no-store"));
    page.header("samesake-identity").unwrap()
}

/// The header and claims of the statement in an answer, verified.
async fn claims(app: &TestApp, page: &Page) -> (Value, Value) {
    let keys: Value = http_client().get(app.url("/jwks.json")).send().await.unwrap().json().await.unwrap();
    jwks::verify(&keys, statement(page)).unwrap()
}

/// The level of an answer: in the header for people, and the same in the statement.
fn level(page: &Page) -> String {
    let claims = jwks::peek(statement(page)).1;
    assert_eq!(claims["level"], page.header("samesake-level").unwrap());
    claims["level"].as_str().unwrap().to_owned()
}

/// The session that the browser's cookie on the app's domain names.
fn sid(browser: &Browser) -> Sid {
    let cookies = browser.cookies();
    let forward = cookies.iter().find(|cookie| cookie.name.starts_with("samesake-forward-")).unwrap();
    serde_json::from_value(json!(forward.value.split_once('.').unwrap().0)).unwrap()
}

fn members(claims: &Value) -> Vec<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}
