//! The pushed authorization request endpoint (RFC 9126 §2).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::posted::{self, Posted};
use crate::app::App;
use crate::http::cors;
use crate::oidc::pushed;
use crate::protocol::OAuthError;

/// Answers `{"request_uri": …, "expires_in": …}` with 201.
pub async fn post(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = match Posted::read(&headers, &body) {
        Ok(posted) => match push(&app, &posted).await {
            Ok(request_uri) => {
                let body = json!({ "request_uri": request_uri, "expires_in": pushed::LIFETIME.as_secs() });
                (StatusCode::CREATED, posted::answer(&body)).into_response()
            }
            Err(error) => posted.refuse(&error),
        },
        Err(refusal) => refusal,
    };
    cors::allow_registered(&app, &headers, &mut response);
    response
}

async fn push(app: &App, posted: &Posted<'_>) -> Result<String, OAuthError> {
    let client = posted.client(app)?;
    pushed::push(&app.provider, &client, &posted.params, app.clock.now()).await
}
