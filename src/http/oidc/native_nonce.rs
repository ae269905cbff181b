//! Where a native app gets the nonce for its provider's SDK. The client authenticates as at the token endpoint.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::posted::{self, Posted};
use crate::app::App;
use crate::connector::native::MAX_AGE;
use crate::oidc::native_nonce;
use crate::protocol::OAuthError;

/// Answers `{"nonce": …, "expires_in": …}`, the latter in seconds.
pub async fn post(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let posted = match Posted::read(&headers, &body) {
        Ok(posted) => posted,
        Err(refusal) => return refusal,
    };
    match nonce(&app, &posted) {
        Ok(nonce) => posted::answer(&json!({ "nonce": nonce, "expires_in": MAX_AGE.as_secs() })),
        Err(error) => posted.refuse(&error),
    }
}

fn nonce(app: &App, posted: &Posted<'_>) -> Result<String, OAuthError> {
    let client = posted.client(app)?;
    native_nonce::issue(&app.provider, &client, app.clock.now())
}
