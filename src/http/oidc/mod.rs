//! The endpoints that relying parties talk to.

pub mod authorize;
pub mod device;
pub mod discovery;
pub mod end_session;
pub mod introspection;
pub mod native_nonce;
pub mod posted;
pub mod pushed;
pub mod token;
pub mod userinfo;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// Endpoints a browser visits: they see the session.
pub fn browser_routes() -> Router<App> {
    Router::new()
        .route("/authorize", get(authorize::either).post(authorize::either))
        .route("/end-session", get(end_session::either).post(end_session::either))
}

/// Whether errors at this path are told in the form of RFC 6749 §5.2, whoever finds them.
pub fn is_of_programs(path: &str) -> bool {
    let posted = ["/token", "/userinfo", "/introspect", "/revoke", "/par", "/device-authorization", "/native-nonce"];
    posted.contains(&path)
}

/// Endpoints for programs: they never see a session.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery::metadata))
        .route("/.well-known/oauth-authorization-server", get(discovery::metadata))
        .route("/jwks.json", get(discovery::jwks))
        .route("/token", post(token::post).options(super::cors::preflight))
        .route("/introspect", post(introspection::introspect))
        .route("/revoke", post(introspection::revoke).options(super::cors::preflight))
        .route("/par", post(pushed::post).options(super::cors::preflight))
        .route("/device-authorization", post(device::post))
        .route("/native-nonce", post(native_nonce::post))
        .route("/userinfo", get(userinfo::get).post(userinfo::post).options(super::cors::preflight))
}
