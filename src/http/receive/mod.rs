//! What providers send us on their own account: logout tokens and events of accounts (spec/protocol.md rule 34).
//!
//! Programs call these routes: no session, no cookie, no page. What they say is believed for its signature alone, and a
//! token that came before is answered as the first time, without doing anything again.

mod events;
mod logout;

use axum::Json;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;

use crate::app::App;
use crate::connector::{NOTICE_MAX_AGE, NoticeError};
use crate::kv;
use crate::protocol::security_event::DeliveryError;
use crate::secret;

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/connectors/{connector}/backchannel-logout", post(logout::post))
        .route("/connectors/{connector}/events", post(events::post))
}

/// Why nothing was received.
enum Failed {
    Notice(NoticeError),
    /// The request is not what the route takes.
    Request(&'static str),
    /// Ours: the provider may send it again.
    Internal,
}

impl From<NoticeError> for Failed {
    fn from(error: NoticeError) -> Self {
        Self::Notice(error)
    }
}

impl From<crate::store::Error> for Failed {
    fn from(error: crate::store::Error) -> Self {
        tracing::error!(%error, "what a provider sent could not be taken in");
        Self::Internal
    }
}

impl From<kv::Error> for Failed {
    fn from(error: kv::Error) -> Self {
        tracing::error!(%error, "what a provider sent could not be taken in");
        Self::Internal
    }
}

/// The answer: Back-Channel Logout §2.8 and RFC 8935 §2.3, §2.4 agree on the form but not on its words.
fn answer(connector: &str, outcome: Result<StatusCode, Failed>, words: [&'static str; 2]) -> Response {
    let refusal = |status: StatusCode, code: &str, text: &str| {
        tracing::info!(connector.id = connector, error = code, reason = text, "what a provider sent is refused");
        let body = words.into_iter().zip([code, text]).map(|(name, value)| (name.to_owned(), json!(value)));
        (status, Json(serde_json::Value::Object(body.collect()))).into_response()
    };
    let invalid = DeliveryError::InvalidRequest.as_str();
    let mut response = match outcome {
        Ok(status) => status.into_response(),
        Err(Failed::Request(text)) => refusal(StatusCode::BAD_REQUEST, invalid, text),
        Err(Failed::Notice(NoticeError::Refused { error, why })) => {
            refusal(StatusCode::BAD_REQUEST, error.as_str(), &why)
        }
        Err(Failed::Notice(NoticeError::NotOffered)) => {
            refusal(StatusCode::NOT_FOUND, invalid, "this connector receives no such tokens")
        }
        Err(Failed::Notice(NoticeError::Unavailable(error))) => {
            tracing::warn!(connector.id = connector, %error, "the keys of a provider cannot be had");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "try again later")
        }
        Err(Failed::Internal) => refusal(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "try again later"),
    };
    let headers = response.headers_mut();
    // Back-Channel Logout §2.8.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
    }
    response
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The key under which a token is remembered once it was taken in.
fn seen_key(connector: &str, id: &str) -> String {
    let hash = secret::sha256(&[b"received", connector.as_bytes(), id.as_bytes()]);
    format!("received:{}", secret::base64url(&hash))
}

/// Whether a token was taken in before.
async fn is_known(app: &App, connector: &str, id: &str) -> Result<bool, kv::Error> {
    Ok(app.kv().get(&seen_key(connector, id)).await?.is_some())
}

/// Remembers a token for as long as it could come again. Only now, when all it asks for is done: one that failed
/// half-way must be taken in when it is sent again, and doing it twice is harmless.
async fn remember(app: &App, connector: &str, id: &str) -> Result<(), kv::Error> {
    app.kv().set(&seen_key(connector, id), b"1".to_vec(), NOTICE_MAX_AGE).await
}
