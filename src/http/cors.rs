//! Cross-origin requests (Fetch standard): programs in browsers may read our answers if they run on the origin of a
//! registered redirect URI. The authorization endpoint is for navigation only and allows none.

use axum::extract::State;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::app::App;

/// Lets the request's origin read the answer if it is a registered one.
pub fn allow_registered(app: &App, request: &HeaderMap, response: &mut Response) {
    let Some(origin) = request.get(ORIGIN) else { return };
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    if origin.to_str().is_ok_and(|origin| app.provider.clients.owns_origin(origin)) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        // The challenge says what is wrong with a token (RFC 6750 §3).
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("www-authenticate"));
    }
}

/// The question a browser asks before it sends an `Authorization` header.
pub async fn preflight(State(app): State<App>, headers: HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    allow_registered(&app, &headers, &mut response);
    if response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}
