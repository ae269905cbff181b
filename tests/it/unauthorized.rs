//! Every route there is, as a stranger finds it: the list below is the whole of what the world may touch.
//!
//! The routes are read from the source, so that a new one cannot be forgotten here; what each says to somebody without
//! a session, a flow, a token or a secret is asked of the running gateway. Whoever adds a route decides in this list.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Method, StatusCode};
use samesake::http::admin_api;
use serde_json::json;

use crate::harness::browser::http_client;
use crate::harness::upstream::Upstream;
use crate::harness::{Env, TestApp};
use crate::on_both;

/// A route, a method, and what a stranger gets. Methods that are not listed are 405.
///
/// public: answers everybody, by design. begins: starts a login. refused: says no.
const GOLDEN: &[(&str, &str, u16, &str)] = &[
    // Documents about ourselves
    ("/.well-known/oauth-authorization-server", "GET", 200, "public"),
    ("/.well-known/openid-configuration", "GET", 200, "public"),
    ("/jwks.json", "GET", 200, "public"),
    ("/health/live", "GET", 200, "public"),
    ("/health/ready", "GET", 200, "public"),
    ("/assets/{name}", "GET", 404, "public"), // no such file; those there are, are for everybody
    // Pages that tell nobody anything
    ("/", "GET", 200, "public"),
    ("/logout", "GET", 200, "public"),
    ("/end-session", "GET", 200, "public"),
    ("/end-session", "POST", 303, "public"),
    ("/sign-in", "GET", 303, "begins"),
    ("/account", "GET", 303, "begins"),
    // The desk, of admins who are signed in
    ("/admin", "GET", 303, "begins"),
    ("/admin/search", "GET", 303, "begins"),
    ("/admin/customers/{customer}", "GET", 303, "begins"),
    ("/admin/customers/{customer}/{deed}", "GET", 303, "begins"),
    ("/admin/customers/{customer}/{deed}", "POST", 303, "begins"),
    ("/admin/customers/{customer}/links/{link}/{deed}", "GET", 303, "begins"),
    ("/admin/customers/{customer}/links/{link}/{deed}", "POST", 303, "begins"),
    ("/admin/customers/{customer}/sessions/{sid}/{deed}", "GET", 303, "begins"),
    ("/admin/customers/{customer}/sessions/{sid}/{deed}", "POST", 303, "begins"),
    ("/admin/audit", "GET", 303, "begins"),
    ("/admin/audit/chains", "GET", 303, "begins"),
    ("/admin/roles", "GET", 303, "begins"),
    ("/admin/roles/{customer}", "GET", 303, "begins"),
    ("/admin/roles/{customer}", "POST", 303, "begins"),
    ("/admin/compare", "GET", 303, "begins"),
    ("/admin/merges", "POST", 303, "begins"),
    ("/admin/merges/new", "GET", 303, "begins"),
    ("/admin/merges/{merge}", "GET", 303, "begins"),
    ("/admin/merges/{merge}/undo", "GET", 303, "begins"),
    ("/admin/merges/{merge}/undo", "POST", 303, "begins"),
    ("/admin/proposals", "GET", 303, "begins"),
    ("/admin/proposals/{proposal}", "GET", 303, "begins"),
    ("/admin/proposals/{proposal}/approve", "POST", 303, "begins"),
    ("/admin/proposals/{proposal}/withdraw", "POST", 303, "begins"),
    ("/admin/queue/watch", "POST", 303, "begins"),
    ("/admin/queue/decline", "POST", 303, "begins"),
    ("/admin/queue/close", "POST", 303, "begins"),
    ("/admin/not-same", "POST", 303, "begins"),
    ("/admin/not-same/lift", "POST", 303, "begins"),
    // What needs a registered client
    ("/authorize", "GET", 400, "refused"),
    ("/authorize", "POST", 303, "public"), // once more by GET, with the cookies of this browser
    ("/token", "POST", 401, "refused"),
    ("/token", "OPTIONS", 204, "public"),
    ("/native-nonce", "POST", 401, "refused"),
    // What needs a token that the provider has signed
    ("/connectors/{connector}/backchannel-logout", "POST", 400, "refused"),
    ("/connectors/{connector}/events", "POST", 404, "refused"), // this one tells nothing of its accounts
    // What needs an access token
    ("/userinfo", "GET", 401, "refused"),
    ("/userinfo", "POST", 401, "refused"),
    ("/userinfo", "OPTIONS", 204, "public"),
    ("/api/v1/events", "GET", 401, "refused"), // of a client itself
    // What needs an access token for the admin API, of somebody with a role
    ("/api/v1/openapi.json", "GET", 200, "public"),
    ("/.well-known/oauth-protected-resource/api/v1", "GET", 200, "public"),
    ("/api/v1/customers", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}/timeline", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}/erase", "POST", 401, "refused"),
    ("/api/v1/customers/{customer}/merges", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}/not-same", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}/candidates", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}/sessions", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}/sessions/end", "POST", 401, "refused"),
    ("/api/v1/customers/{customer}/sessions/{sid}/end", "POST", 401, "refused"),
    ("/api/v1/customers/{customer}/hold", "POST", 401, "refused"),
    ("/api/v1/customers/{customer}/release", "POST", 401, "refused"),
    ("/api/v1/customers/{customer}/brand", "POST", 401, "refused"),
    ("/api/v1/customers/{customer}/links", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}/links", "POST", 401, "refused"),
    ("/api/v1/customers/{customer}/links/{link}", "GET", 401, "refused"),
    ("/api/v1/customers/{customer}/links/{link}/remove", "POST", 401, "refused"),
    ("/api/v1/customers/{customer}/links/{link}/enable", "POST", 401, "refused"),
    ("/api/v1/candidates", "GET", 401, "refused"),
    ("/api/v1/candidates/{a}/{b}", "GET", 401, "refused"),
    ("/api/v1/candidates/{a}/{b}/dismiss", "POST", 401, "refused"),
    ("/api/v1/candidates/{a}/{b}/watch", "POST", 401, "refused"),
    ("/api/v1/merge-requests", "GET", 401, "refused"),
    ("/api/v1/merge-requests/{request}", "GET", 401, "refused"),
    ("/api/v1/merge-requests/{request}/decline", "POST", 401, "refused"),
    ("/api/v1/conflicts", "GET", 401, "refused"),
    ("/api/v1/conflicts/{conflict}", "GET", 401, "refused"),
    ("/api/v1/conflicts/{conflict}/close", "POST", 401, "refused"),
    ("/api/v1/links", "GET", 401, "refused"),
    ("/api/v1/merges", "POST", 401, "refused"),
    ("/api/v1/merges/plan", "POST", 401, "refused"),
    ("/api/v1/merges/{merge}", "GET", 401, "refused"),
    ("/api/v1/merges/{merge}/undo", "POST", 401, "refused"),
    ("/api/v1/merges/{merge}/undo/plan", "POST", 401, "refused"),
    ("/api/v1/proposals", "GET", 401, "refused"),
    ("/api/v1/proposals", "POST", 401, "refused"),
    ("/api/v1/proposals/{proposal}", "GET", 401, "refused"),
    ("/api/v1/proposals/{proposal}/approve", "POST", 401, "refused"),
    ("/api/v1/proposals/{proposal}/withdraw", "POST", 401, "refused"),
    ("/api/v1/not-same", "POST", 401, "refused"),
    ("/api/v1/not-same/lift", "POST", 401, "refused"),
    ("/api/v1/webhooks", "GET", 401, "refused"),
    ("/api/v1/webhooks/{webhook}", "GET", 401, "refused"),
    ("/api/v1/webhooks/{webhook}/dead-letters", "GET", 401, "refused"),
    ("/api/v1/webhooks/{webhook}/retry", "POST", 401, "refused"),
    ("/api/v1/audit", "GET", 401, "refused"),
    ("/api/v1/admins", "GET", 401, "refused"),
    ("/api/v1/admins/{customer}", "GET", 401, "refused"),
    ("/api/v1/admins/{customer}/grant", "POST", 401, "refused"),
    ("/api/v1/admins/{customer}/revoke", "POST", 401, "refused"),
    // What needs a login flow of this browser
    ("/callback/{connector}", "GET", 400, "refused"),
    ("/callback/{connector}", "POST", 400, "refused"),
    ("/consent", "GET", 400, "refused"),
    ("/consent", "POST", 400, "refused"),
    ("/login", "GET", 400, "refused"),
    ("/login/cancel", "POST", 400, "refused"),
    ("/login/password", "POST", 400, "refused"),
    ("/login/social", "POST", 400, "refused"),
    ("/select-account", "GET", 400, "refused"),
    ("/select-account", "POST", 400, "refused"),
    ("/link", "GET", 400, "refused"),
    ("/link/send", "POST", 400, "refused"),
    ("/link/code", "GET", 400, "refused"),
    ("/link/code", "POST", 400, "refused"),
    ("/link/resend", "POST", 400, "refused"),
    ("/address", "GET", 400, "refused"),
    ("/address", "POST", 400, "refused"),
    ("/address/skip", "POST", 400, "refused"),
    ("/address/code", "GET", 400, "refused"),
    ("/address/code", "POST", 400, "refused"),
    ("/address/resend", "POST", 400, "refused"),
    ("/whole/code", "GET", 400, "refused"),
    ("/whole/code", "POST", 400, "refused"),
    ("/whole/resend", "POST", 400, "refused"),
    ("/both-mine", "GET", 400, "refused"),
    ("/both-mine", "POST", 400, "refused"),
    ("/both-mine/join", "POST", 400, "refused"),
    ("/sign-up", "GET", 400, "refused"),
    ("/sign-up", "POST", 400, "refused"),
    ("/sign-up/code", "GET", 400, "refused"),
    ("/sign-up/code", "POST", 400, "refused"),
    ("/sign-up/resend", "POST", 400, "refused"),
    // What needs a session, and a form made for it
    ("/account/address", "POST", 303, "refused"), // to sign in first
    ("/account/connect", "POST", 303, "refused"),
    ("/account/disconnect", "POST", 303, "refused"),
    ("/account/whole", "POST", 303, "refused"),
    // Signing out of nothing
    ("/logout/confirm", "POST", 200, "public"),
    // What needs a destination, a registered return address, a ticket, a session
    ("/.samesake/{destination}/callback", "GET", 303, "refused"), // to the page below, which is on our own origin
    ("/handoff/{destination}/expired", "GET", 400, "refused"),
    ("/.samesake/{destination}/start", "GET", 400, "refused"),
    ("/handoff/{destination}", "GET", 400, "refused"),
    ("/forward-auth/{destination}", "ANY", 401, "refused"),
    ("/forward-auth/{destination}/", "ANY", 401, "refused"),
    ("/forward-auth/{destination}/{*path}", "ANY", 401, "refused"),
];

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Every `.route("path", get(…).post(…))` of the surface, as path and method.
fn routes() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(path).unwrap();
                // The admin API's stand in its table; its router is the one that is made of no texts.
                let written = source.split(".route(").skip(1).filter(|route| route.trim_start().starts_with('"'));
                assert!(written.clone().count() + 1 >= source.split(".route(").skip(1).count(), "read those too");
                found.extend(written.flat_map(methods_of));
                assert!(!source.contains("route_service(") && !source.contains(".nest("), "read those too");
            }
        }
    }
    found.extend(
        admin_api::operations().map(|operation| {
            (format!("{}{}", admin_api::PREFIX, operation.path), operation.method.as_str().to_owned())
        }),
    );
    found
}

/// The methods of what stands behind `.route(`.
fn methods_of(route: &str) -> Vec<(String, String)> {
    let path = route.split('"').nth(1).unwrap();
    let end = route.find(".route(").unwrap_or(route.len());
    let mut depth = 1;
    let length = route[..end].find(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    let handlers = &route[..length.unwrap()];
    let names = ["get", "post", "put", "patch", "delete", "options", "any"];
    let named = names.iter().filter(|name| {
        let call = format!("{name}(");
        handlers
            .match_indices(&call)
            .any(|(at, _)| !handlers[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    });
    named.map(|name| (path.to_owned(), name.to_uppercase())).collect()
}

#[test]
fn every_route_is_in_the_golden_list_and_nothing_else() {
    let golden: BTreeSet<(String, String)> =
        GOLDEN.iter().map(|(path, method, ..)| ((*path).to_owned(), (*method).to_owned())).collect();
    assert_eq!(golden.len(), GOLDEN.len(), "a route stands twice in the list");
    assert_eq!(routes(), golden);
}

on_both! {
    async fn a_stranger_gets_what_the_golden_list_says(env: &Env) {
        let upstream = Upstream::start().await;
        let app = TestApp::builder(env)
            .web_client("shop")
            .connector(upstream.config("google"))
            .destination(json!({"id": "desk", "origins": ["https://desk.example"], "policy": "authenticated"}))
            .start()
            .await;
        app.customer("ann@shop.example", "Ann").await;
        let (hashes, statements) = (app.app.hasher.hashes(), app.store.statements());
        let http = http_client();
        let paths: BTreeSet<&str> = GOLDEN.iter().map(|(path, ..)| *path).collect();
        for path in paths {
            let known = path
                .replace("{connector}", "google")
                .replace("{destination}", "desk")
                .replace("{*path}", "cart/1")
                .replace("{name}", "secret.txt");
            // What is left names things of ours, by their IDs.
            let nobody = |part: &'_ str| if part.starts_with('{') { "019a0000-0000-7000-8000-000000000000".to_owned() } else { part.to_owned() };
            let filled = known.split('/').map(nobody).collect::<Vec<_>>().join("/");
            for method in METHODS {
                let listed = GOLDEN.iter().find(|(at, on, ..)| *at == path && (*on == method || *on == "ANY"));
                let request = http.request(Method::from_bytes(method.as_bytes()).unwrap(), app.url(&filled));
                let request = if method == "POST" { request.form(&[("x", "y")]) } else { request };
                let answer = request.send().await.unwrap();
                let expected = listed.map_or(405, |(_, _, status, _)| *status);
                assert_eq!(answer.status().as_u16(), expected, "{method} {path}");
                assert!(answer.headers().contains_key("x-request-id"), "{method} {path}");
                let session = answer.headers().get_all("set-cookie").iter().any(|line| {
                    line.to_str().unwrap().starts_with("samesake-session")
                });
                assert!(!session, "{method} {path} gives a stranger a session");
                let refused = listed.is_some_and(|(.., kind)| *kind == "refused");
                let body = answer.text().await.unwrap();
                assert!(!refused || !body.contains("ann@shop.example"), "{method} {path}");
            }
        }
        assert_eq!(app.app.hasher.hashes(), hashes, "no stranger makes us hash");
        assert_eq!(app.store.statements(), statements, "or asks the database for anything");
    }

    /// HEAD is GET without its body, and does nothing either.
    async fn head_is_get_without_a_body(env: &Env) {
        let app = TestApp::start(env).await;
        let http = http_client();
        for (path, _, status, _) in GOLDEN.iter().filter(|(path, method, ..)| *method == "GET" && !path.contains('{')) {
            let answer = http.head(app.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::from_u16(*status).unwrap(), "{path}");
            assert_eq!(answer.text().await.unwrap(), "", "{path}");
        }
    }
}
