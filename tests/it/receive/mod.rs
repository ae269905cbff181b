//! What providers tell us after a login, as they send it: logout tokens, Google's security events, Apple's notifications;
//! and what an admin does to a link by hand.

mod admin;
mod apple;
mod google;
mod logout;
mod races;
mod tasks;

use samesake::store::Flag;
use serde_json::{Value, json};

use crate::harness::browser::http_client;
use crate::harness::relying_party::{Answer, Tokens, answer};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, RelyingParty, TestApp};

/// What providers send by push.
const SECEVENT: &str = "application/secevent+jwt";
const FORM: &str = "application/x-www-form-urlencoded";

/// Ann at the provider, in a session of this name there.
fn ann_in(upstream: &Upstream, sid: &str) {
    let claims = json!({"email": "ann@shop.example", "email_verified": true, "name": "Ann", "sid": sid});
    upstream.add_person("ann-1", claims);
}

/// A whole login at the app through a provider, with a refresh token that outlives the session or not.
async fn log_in(rp: &RelyingParty, browser: &Browser, connector: &str, scope: &str) -> Tokens {
    let authorization = rp.authorization_with(&[("scope", scope), ("prompt", "login")]);
    let page = browser.get(&authorization.url).await;
    let callback = browser.submit(&page, "/login/social", &[("connector", connector)]).await;
    rp.finish(&authorization, &callback).await
}

/// Whether the browser has a session at the gateway.
async fn is_signed_in(app: &TestApp, browser: &Browser) -> bool {
    browser.get(app.url("/account")).await.url.path() == "/account"
}

/// Whether a refresh token still gives anything.
async fn refreshes(rp: &RelyingParty, tokens: &Tokens) -> bool {
    let answer = rp.refresh(tokens.refresh_token.as_deref().unwrap()).await;
    match answer.status.as_u16() {
        200 => true,
        _ => {
            assert_eq!(answer.error(), "invalid_grant");
            false
        }
    }
}

/// Sends a body to a route of a connector.
async fn send(app: &TestApp, connector: &str, route: &str, media_type: &str, body: String) -> Answer {
    let url = app.url(&format!("/connectors/{connector}/{route}"));
    let sent = answer(http_client().post(url).header("content-type", media_type).body(body)).await;
    assert_eq!(sent.headers.get("cache-control").unwrap(), "no-store");
    assert!(!sent.headers.contains_key("set-cookie"));
    sent
}

async fn send_logout(app: &TestApp, connector: &str, token: &str) -> Answer {
    send(app, connector, "backchannel-logout", FORM, format!("logout_token={token}")).await
}

async fn send_event(app: &TestApp, connector: &str, token: &str) -> Answer {
    send(app, connector, "events", SECEVENT, token.to_owned()).await
}

/// The flags that fly for whoever has this account, as `kind`.
async fn flags(app: &TestApp, namespace: &str, subject: &str) -> Vec<String> {
    let store = app.store.background();
    let mut tx = store.begin_read().await.unwrap();
    let root = tx.link_resolve(namespace, subject).await.unwrap().unwrap();
    let flags: Vec<Flag> = tx.flags_of(root).await.unwrap();
    flags.into_iter().map(|flag| flag.kind).collect()
}

/// The names and details of the events of this kind, oldest first.
fn told(graph: &crate::harness::invariants::Graph, kind: &str) -> Vec<Value> {
    graph.events.iter().filter(|event| event.kind == kind).map(|event| event.payload.clone()).collect()
}
