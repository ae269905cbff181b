//! Introspection (RFC 7662) and revocation (RFC 7009): what a client asks about a token, and how it gives one back.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::posted::{self, Posted};
use crate::app::App;
use crate::http::cors;
use crate::oidc::{introspection, revocation};
use crate::protocol::OAuthError;
use crate::protocol::introspection::Introspection;

/// What a token is worth. Programs in browsers have no secret and no business here.
pub async fn introspect(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let posted = match Posted::read(&headers, &body) {
        Ok(posted) => posted,
        Err(refusal) => return refusal,
    };
    match told(&app, &posted).await {
        Ok(told) => posted::answer(&told),
        Err(error) => posted.refuse(&error),
    }
}

async fn told(app: &App, posted: &Posted<'_>) -> Result<Introspection, OAuthError> {
    let client = posted.client(app)?;
    introspection::answer(&app.provider, &client, &posted.params, app.clock.now()).await
}

/// A token given back: 200 without a body, whether there was anything left of it or not (RFC 7009 §2.2).
pub async fn revoke(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = match Posted::read(&headers, &body) {
        Ok(posted) => match revoked(&app, &posted).await {
            Ok(()) => StatusCode::OK.into_response(),
            Err(error) => posted.refuse(&error),
        },
        Err(refusal) => refusal,
    };
    cors::allow_registered(&app, &headers, &mut response);
    response
}

async fn revoked(app: &App, posted: &Posted<'_>) -> Result<(), OAuthError> {
    let client = posted.client(app)?;
    revocation::revoke(&app.provider, &client, &posted.params, app.clock.now()).await
}
