//! Metadata and keys: served from memory, with an entity tag.

use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::app::App;
use crate::http::error::Failure;
use crate::oidc::discovery;
use crate::secret;

/// OpenID Connect Discovery 1.0 §4 and RFC 8414 §3: the same document.
pub async fn metadata(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    let document = app.metadata_document.get_or_init(|| {
        let body = serde_json::to_vec(&discovery::metadata(&app.provider)).unwrap_or_default();
        let etag = format!("\"{}\"", secret::base64url(&secret::sha256(&[&body])));
        (Bytes::from(body), etag)
    });
    Ok(cached(&headers, document.0.clone(), &document.1, 300))
}

/// RFC 7517 §5. `max-age` is what a planned rotation waits for.
pub async fn jwks(State(app): State<App>, headers: HeaderMap) -> Response {
    app.provider.keys.drop_expired(app.clock.now());
    let jwks = app.provider.keys.jwks();
    cached(&headers, jwks.body.clone(), &jwks.etag, app.config.keys.jwks_max_age.as_secs())
}

fn cached(request: &HeaderMap, body: Bytes, etag: &str, max_age: u64) -> Response {
    let known = request.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fresh = known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag);
    let mut response = if fresh { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={max_age}")) {
        headers.insert(CACHE_CONTROL, value);
    }
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(ETAG, value);
    }
    response
}
