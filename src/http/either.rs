//! The parameters of an endpoint that takes GET and POST alike (RFC 6749 §3.1, RP-Initiated Logout 1.0 §2): from the
//! query of the one, from the form of the other.
//!
//! Browsers keep `SameSite=Lax` cookies back when another site posts a form, but send them when they follow a redirect
//! of ours: a POST without any is sent round once more as a GET, lest a customer who is signed in seem a stranger.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;

use super::error::Failure;
use crate::app::App;
use crate::protocol::params::Params;

/// Longer addresses do not pass every proxy.
const MAX_QUERY: usize = 6000;

/// The parameters, wherever they stood.
#[derive(Debug)]
pub struct EitherParams(pub Params);

impl FromRequest<App> for EitherParams {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        if request.method() != Method::POST {
            return Ok(Self(Params::parse(request.uri().query().unwrap_or_default().as_bytes())));
        }
        let path = request.uri().path().to_owned();
        let is_stranger = app.cookies.browser(&CookieJar::from_headers(request.headers())).known().is_none();
        let form = form(request, app).await?;
        match again(&path, &form).filter(|_| is_stranger) {
            Some(detour) => Err(Failure::answer(detour)),
            None => Ok(Self(Params::parse(&form))),
        }
    }
}

/// The body of a form.
///
/// # Errors
/// With what says so, if it is too long.
pub async fn form(request: Request, app: &App) -> Result<Bytes, Failure> {
    Bytes::from_request(request, app).await.map_err(|rejection| Failure::answer(rejection.into_response()))
}

/// The same as a GET; `None` if that is too long for an address.
fn again(path: &str, form: &[u8]) -> Option<Response> {
    let query = std::str::from_utf8(form).ok().filter(|form| form.len() <= MAX_QUERY)?;
    // Written anew, so that nothing in it can end the header early.
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(url::form_urlencoded::parse(query.as_bytes()))
        .finish();
    Some(Redirect::to(&format!("{path}?{query}")).into_response())
}
