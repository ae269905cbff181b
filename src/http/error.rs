//! Errors become responses here and nowhere else: OAuth JSON, a redirect, problem JSON, or a page with a request ID.

use axum::Json;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::context::Context;
use super::pages::{Action, DeveloperDetail, ErrorPage, ExpiredPage, View};
use crate::app::App;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::protocol::{ErrorCode, OAuthError};
use crate::store::retry::Contended;
use crate::{kv, store};

/// After how many seconds what cannot be done just now may be tried again.
const COME_BACK: HeaderValue = HeaderValue::from_static("2");

/// Why a handler of pages ends early: something of ours failed, or the request already has its answer.
#[derive(Debug)]
pub enum Failure {
    /// The outermost layer makes the page.
    Internal(StatusCode),
    /// The page itself.
    Answer(Box<Response>),
}

impl Failure {
    /// Ends the handler with this answer.
    pub fn answer(response: Response) -> Self {
        Self::Answer(Box::new(response))
    }
}

impl<E: std::error::Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        log_failure(&error);
        let error: &(dyn std::error::Error + 'static) = &error;
        let passes = error.downcast_ref::<store::Error>().is_some_and(store::Error::passes);
        Self::Internal(if passes { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR })
    }
}

fn log_failure(error: &dyn std::error::Error) {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    tracing::error!(error = text, "a request failed");
}

/// Marks a response that is still to be rendered as a page.
#[derive(Clone, Copy, Debug)]
pub struct Unrendered;

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::Internal(status) => {
                let mut response = status.into_response();
                response.extensions_mut().insert(Unrendered);
                response
            }
            Self::Answer(response) => *response,
        }
    }
}

/// The page for a failure of ours.
pub fn failure_page(app: &App, status: StatusCode, request_id: &str) -> Response {
    let busy = status == StatusCode::SERVICE_UNAVAILABLE;
    let page = ErrorPage {
        brand: &app.brand,
        title: if busy { "We can’t do that just now" } else { "Something went wrong on our side" }.to_owned(),
        text: "Nothing was lost. Please try again in a moment.".to_owned(),
        what_to_do: vec![],
        request_id: request_id.to_owned(),
        developer: None,
    };
    let mut response = page.page().with_status(status).into_response();
    if busy {
        response.headers_mut().insert(RETRY_AFTER, COME_BACK);
    }
    response
}

/// The page for an authorization request whose client or redirect URI is not proved: never a redirect.
pub fn refused_page(app: &App, context: &Context, error: &OAuthError) -> Response {
    tracing::info!(error = error.code.as_str(), description = error.description, "authorization request refused");
    let page = ErrorPage {
        brand: &app.brand,
        title: "This sign-in link does not work".to_owned(),
        text: "The app that sent you here made a mistake. Go back to it and try again; if that does not help, tell \
               its support."
            .to_owned(),
        what_to_do: vec![],
        request_id: context.request_id.clone(),
        developer: Some(DeveloperDetail {
            code: error.code.as_str().to_owned(),
            description: error.description.clone(),
        }),
    };
    page.page().with_status(StatusCode::BAD_REQUEST).into_response()
}

/// The page for a flow that has expired, belongs to another browser, or never was.
pub fn expired_page(app: &App, context: &Context) -> Response {
    let page = ExpiredPage { brand: &app.brand, start_again: None, request_id: context.request_id.clone() };
    page.page().with_status(StatusCode::BAD_REQUEST).into_response()
}

/// A page that says what happened and what to do.
pub fn plain_page(
    app: &App,
    context: &Context,
    status: StatusCode,
    title: &str,
    text: &str,
    what_to_do: Vec<Action>,
) -> Response {
    let page = ErrorPage {
        brand: &app.brand,
        title: title.to_owned(),
        text: text.to_owned(),
        what_to_do,
        request_id: context.request_id.clone(),
        developer: None,
    };
    page.page().with_status(status).into_response()
}

/// RFC 6749 §5.2: an error of the token endpoint. `basic`: the client tried the `Authorization` header.
pub fn token_error(error: &OAuthError, basic: Scheme) -> Response {
    log(error, "token request refused");
    let status = match error.code {
        ErrorCode::InvalidClient => StatusCode::UNAUTHORIZED,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = Json(json!({ "error": error.code.as_str(), "error_description": error.description }));
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED && basic == Scheme::Basic {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"samesake\", charset=\"UTF-8\""));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, COME_BACK);
    }
    response
}

/// Whether an `Authorization` header was there to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Basic,
    Absent,
}

/// RFC 6750 §3: a refusal of a protected resource, as a challenge.
pub fn bearer_error(error: &OAuthError) -> Response {
    log(error, "access token refused");
    let status = match error.code {
        ErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
        ErrorCode::InsufficientScope => StatusCode::FORBIDDEN,
        ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNAUTHORIZED,
    };
    let code = error.code.as_str();
    let body = Json(json!({ "error": code, "error_description": error.description }));
    let mut response = (status, body).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, COME_BACK);
    }
    if status.is_server_error() {
        // Another token would help nobody.
        return response;
    }
    let mut challenge = format!("Bearer realm=\"samesake\", error=\"{code}\"");
    challenge.push_str(&format!(", error_description=\"{}\"", error.description));
    if error.code == ErrorCode::InsufficientScope {
        challenge.push_str(", scope=\"openid\"");
    }
    if let Ok(value) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}

/// RFC 6750 §3.1: without any token the challenge names no error.
pub fn bearer_challenge() -> Response {
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"samesake\""));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The media type of RFC 9457.
const PROBLEM_JSON: &str = "application/problem+json";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.to_json().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(Ok(challenge)) = self.challenge.as_deref().map(HeaderValue::from_str) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, COME_BACK);
        }
        response
    }
}

/// For the admin API: whatever failed around a handler says so in the same form as the handler would.
pub fn problem_instead(response: Response) -> Response {
    let is_problem = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON);
    let status = response.status();
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allow = response.headers().get(ALLOW).cloned();
    let mut problem = Problem::new(ProblemKind::of_status(status.as_u16())).into_response();
    problem.headers_mut().extend(allow.map(|allow| (ALLOW, allow)));
    problem
}

/// For endpoints of programs: the same in the form of RFC 6749 §5.2. What a handler says is JSON already.
pub fn oauth_instead(response: Response) -> Response {
    let status = response.status();
    let is_json = response.headers().get(CONTENT_TYPE).is_some_and(|value| value == "application/json");
    let (code, words) = match status {
        _ if is_json => return response,
        StatusCode::PAYLOAD_TOO_LARGE => (ErrorCode::InvalidRequest, "the request is too large"),
        StatusCode::SERVICE_UNAVAILABLE => (ErrorCode::TemporarilyUnavailable, "the request took too long: try again"),
        StatusCode::INTERNAL_SERVER_ERROR => (ErrorCode::ServerError, "the server met an unexpected condition"),
        _ => return response,
    };
    let mut answer = token_error(&OAuthError::new(code, words), Scheme::Absent);
    *answer.status_mut() = status;
    answer
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Contention => Self::new(ProblemKind::Contention),
            store::Error::Unavailable(_) => {
                log_failure(&error);
                Self::new(ProblemKind::Unavailable)
            }
            _ => {
                log_failure(&error);
                Self::new(ProblemKind::ServerError)
            }
        }
    }
}

impl Contended for Problem {
    fn is_contention(&self) -> bool {
        self.kind == ProblemKind::Contention
    }
}

impl From<kv::Error> for Problem {
    fn from(error: kv::Error) -> Self {
        log_failure(&error);
        Self::new(ProblemKind::Unavailable)
    }
}

fn log(error: &OAuthError, message: &str) {
    let code = error.code.as_str();
    let detail = error.detail.as_deref().unwrap_or_default();
    match &error.source {
        Some(source) => tracing::error!(error = code, detail, cause = %source, "{message}"),
        None => tracing::info!(error = code, description = error.description, detail, "{message}"),
    }
}
