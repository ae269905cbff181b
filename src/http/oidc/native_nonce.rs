//! Where a native app gets the nonce for its provider's SDK. The client authenticates as at the token endpoint.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::token::is_form;
use crate::app::App;
use crate::connector::native::MAX_AGE;
use crate::http::error::{Scheme, token_error};
use crate::oidc::{client_auth, native_nonce};
use crate::protocol::OAuthError;
use crate::protocol::params::Params;

/// Answers `{"nonce": …, "expires_in": …}`.
pub async fn post(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let scheme = if authorization.is_some() { Scheme::Basic } else { Scheme::Absent };
    let body: &[u8] = if is_form(&headers) { &body } else { &[] };
    match answer(&app, authorization, &Params::parse(body)) {
        Ok(nonce) => {
            let mut response = Json(json!({ "nonce": nonce, "expires_in": MAX_AGE.as_secs() })).into_response();
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => token_error(&error, scheme),
    }
}

fn answer(app: &App, authorization: Option<&str>, params: &Params) -> Result<String, OAuthError> {
    params.refuse_repeated()?;
    let client = client_auth::authenticate(authorization, params, &app.provider.clients)?;
    native_nonce::issue(&app.provider, &client, app.clock.now())
}
