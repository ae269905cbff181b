//! Forward-auth and the way a browser on an app's own domain gets there and back.

pub mod forward_auth;
pub mod ticket;

use axum::Router;
use axum::routing::{any, get};

use crate::app::App;

/// Asked by proxies, and reached through them on the app's own domain. No session layer here.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/forward-auth/{destination}", any(forward_auth::answer))
        // Envoy appends the original path.
        .route("/forward-auth/{destination}/", any(forward_auth::answer_below))
        .route("/forward-auth/{destination}/{*path}", any(forward_auth::answer_below))
        .route("/.samesake/{destination}/start", get(ticket::start))
        .route("/.samesake/{destination}/callback", get(ticket::callback))
}

/// On the issuer's own origin.
pub fn browser_routes() -> Router<App> {
    Router::new()
        .route("/handoff/{destination}", get(ticket::authorize))
        .route("/handoff/{destination}/expired", get(ticket::expired))
}
