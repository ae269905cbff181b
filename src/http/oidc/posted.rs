//! What a client posts to an endpoint for programs: a form, with the client's authentication beside or in it.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::app::App;
use crate::http::error::{Scheme, token_error};
use crate::oidc::client::Client;
use crate::oidc::client_auth;
use crate::protocol::OAuthError;
use crate::protocol::params::Params;

/// One request.
pub struct Posted<'a> {
    pub authorization: Option<&'a str>,
    pub params: Params,
}

impl<'a> Posted<'a> {
    /// Reads a request.
    ///
    /// # Errors
    /// With the answer, for what is no form (RFC 6749 Appendix B) or whose parameters or headers are repeated.
    pub fn read(headers: &'a HeaderMap, body: &[u8]) -> Result<Self, Response> {
        let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
        let this = Self { authorization, params: Params::parse(body) };
        let refuse = |text: &str| Err(this.refuse(&OAuthError::invalid_request(text)));
        if !is_form(headers) {
            return refuse("the body must be application/x-www-form-urlencoded");
        }
        if headers.get_all(AUTHORIZATION).iter().count() > 1 {
            return refuse("there are several Authorization headers");
        }
        match this.params.refuse_repeated() {
            Ok(()) => Ok(this),
            Err(error) => Err(this.refuse(&error)),
        }
    }

    /// The client, once it has proved to be that.
    ///
    /// # Errors
    /// As [`client_auth::authenticate`] says.
    pub fn client(&self, app: &App) -> Result<Arc<Client>, OAuthError> {
        client_auth::authenticate(self.authorization, &self.params, &app.provider.clients)
    }

    /// The answer to a request that is refused (RFC 6749 §5.2).
    pub fn refuse(&self, error: &OAuthError) -> Response {
        token_error(error, if self.authorization.is_some() { Scheme::Basic } else { Scheme::Absent })
    }
}

/// JSON that no cache keeps (RFC 6749 §5.1).
pub fn answer(body: &impl Serialize) -> Response {
    let mut response = Json(body).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// Whether the body is a form.
pub fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
