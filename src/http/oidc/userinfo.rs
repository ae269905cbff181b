//! The userinfo endpoint (OpenID Connect Core §5.3): GET and POST, token in the header or in a form body (RFC 6750 §2).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use super::posted::is_form;
use crate::app::App;
use crate::http::cors;
use crate::http::error::{bearer_challenge, bearer_error};
use crate::oidc::userinfo;
use crate::protocol::OAuthError;
use crate::protocol::params::Params;

/// The token in the header.
pub async fn get(State(app): State<App>, headers: HeaderMap) -> Response {
    respond(&app, &headers, &[]).await
}

/// The token in the header or in the body.
pub async fn post(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let body: &[u8] = if is_form(&headers) { &body } else { &[] };
    respond(&app, &headers, body).await
}

async fn respond(app: &App, headers: &HeaderMap, body: &[u8]) -> Response {
    let mut response = answer(app, headers, &Params::parse(body)).await;
    cors::allow_registered(app, headers, &mut response);
    response
}

async fn answer(app: &App, headers: &HeaderMap, params: &Params) -> Response {
    let header = match bearer(headers).and_then(|token| params.refuse_repeated().map(|()| token)) {
        Ok(token) => token,
        Err(error) => return bearer_error(&error),
    };
    let token = match (header, params.get("access_token")) {
        // RFC 6750 §2: not more than one method.
        (Some(_), Some(_)) => {
            return bearer_error(&OAuthError::invalid_request("only one way to send the access token may be used"));
        }
        (Some(token), None) | (None, Some(token)) => token,
        (None, None) => return bearer_challenge(),
    };
    match userinfo::answer(&app.provider, token, app.clock.now()).await {
        Ok(claims) => {
            let mut response = Json(claims).into_response();
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => bearer_error(&error),
    }
}

/// RFC 9110 §11.1: the scheme's case does not matter. RFC 6750 §3.1: whoever tries another scheme is told which one is
/// meant, without an error.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, OAuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key(AUTHORIZATION) {
            true => Err(OAuthError::invalid_request("there are several Authorization headers")),
            false => Ok(None),
        };
    };
    let text = value.to_str().map_err(|_| OAuthError::invalid_request("the Authorization header is not ASCII"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    match token.trim() {
        _ if !scheme.eq_ignore_ascii_case("bearer") => Ok(None),
        "" => Err(OAuthError::invalid_request("the Authorization header holds no bearer token")),
        token => Ok(Some(token)),
    }
}
