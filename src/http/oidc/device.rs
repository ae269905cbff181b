//! The device authorization endpoint (RFC 8628 §3.1).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::posted::{self, Posted};
use crate::app::App;
use crate::http::context::Context;
use crate::oidc::device;
use crate::protocol::OAuthError;
use crate::protocol::device::DeviceAuthorization;

/// A device that wants to be connected.
pub async fn post(State(app): State<App>, context: Context, headers: HeaderMap, body: Bytes) -> Response {
    let posted = match Posted::read(&headers, &body) {
        Ok(posted) => posted,
        Err(refusal) => return refusal,
    };
    match begin(&app, &context, &posted).await {
        Ok(authorization) => posted::answer(&authorization),
        Err(error) => posted.refuse(&error),
    }
}

async fn begin(app: &App, context: &Context, posted: &Posted<'_>) -> Result<DeviceAuthorization, OAuthError> {
    let client = posted.client(app)?;
    let place = context.client.to_string();
    device::begin(&app.provider, &client, &posted.params, place, context.now).await
}
