//! The token endpoint (RFC 6749 §3.2).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::http::cors;
use crate::http::error::{Scheme, token_error};
use crate::oidc::token;
use crate::protocol::OAuthError;
use crate::protocol::params::Params;

/// A token request.
pub async fn post(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let mut response = answer(&app, &headers, &body).await;
    cors::allow_registered(&app, &headers, &mut response);
    response
}

async fn answer(app: &App, headers: &HeaderMap, body: &[u8]) -> Response {
    let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let scheme = if authorization.is_some() { Scheme::Basic } else { Scheme::Absent };
    if !is_form(headers) {
        let error = OAuthError::invalid_request("the body must be application/x-www-form-urlencoded");
        return token_error(&error, scheme);
    }
    if headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return token_error(&OAuthError::invalid_request("there are several Authorization headers"), scheme);
    }
    let now = app.clock.now();
    match token::answer(&app.provider, authorization, &Params::parse(body), now).await {
        Ok(tokens) => {
            let mut response = Json(tokens).into_response();
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
            response
        }
        Err(error) => token_error(&error, scheme),
    }
}

/// Whether the body is a form (RFC 6749 Appendix B).
pub fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
