//! The token endpoint (RFC 6749 §3.2).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::posted::{self, Posted};
use crate::app::App;
use crate::http::cors;
use crate::oidc::token;

/// A token request.
pub async fn post(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = answer(&app, &headers, &body).await;
    cors::allow_registered(&app, &headers, &mut response);
    response
}

async fn answer(app: &App, headers: &HeaderMap, body: &[u8]) -> Response {
    let posted = match Posted::read(headers, body) {
        Ok(posted) => posted,
        Err(refusal) => return refusal,
    };
    match token::answer(&app.provider, posted.authorization, &posted.params, app.clock.now()).await {
        Ok(tokens) => posted::answer(&tokens),
        Err(error) => posted.refuse(&error),
    }
}
