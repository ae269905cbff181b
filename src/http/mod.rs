//! Everything that speaks HTTP: the only place, with `serve.rs`, that names axum.
//!
//! Routers by surface: browser routes see the session, program routes never do. Layers are mounted where they are
//! needed, because each one costs.

pub mod admin;
pub mod admin_api;
pub mod browser;
pub mod context;
pub mod cors;
pub mod either;
pub mod error;
pub mod handoff;
pub mod health;
pub mod layers;
pub mod login;
pub mod oidc;
pub mod pages;
pub mod receive;
pub mod session;
pub mod session_store;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_sessions::SessionManagerLayer;
use tower_sessions::cookie::SameSite;

use crate::app::App;
use session_store::KvSessionStore;

/// The whole service.
pub fn router(app: &App) -> Router {
    let browser = Router::new()
        .merge(oidc::browser_routes())
        .merge(login::routes())
        .merge(admin::routes())
        .merge(handoff::browser_routes())
        .layer(session_layer(app));
    let all = Router::new()
        .merge(browser)
        .merge(oidc::routes())
        .merge(handoff::routes())
        .merge(receive::routes())
        .merge(health::routes())
        .merge(admin_api::routes(app))
        .route("/assets/{name}", get(asset))
        .fallback(not_found);
    layers::around(all, app).with_state(app.clone())
}

fn session_layer(app: &App) -> SessionManagerLayer<KvSessionStore> {
    SessionManagerLayer::new(KvSessionStore::new(app.kv().clone(), app.clock.clone()))
        .with_name(app.cookies.name("session"))
        .with_secure(app.cookies.secure())
        // Strict would lose the session on the way back from the provider.
        .with_same_site(SameSite::Lax)
        .with_http_only(true)
        .with_path("/")
}

async fn asset(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    match app.brand.asset(&name) {
        Some(asset) => asset.respond(known),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn not_found(State(app): State<App>, context: context::Context) -> Response {
    let title = "There is no such page";
    let text = "The address may be mistyped, or the page is gone.";
    error::plain_page(&app, &context, StatusCode::NOT_FOUND, title, text, vec![])
}
