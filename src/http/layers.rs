//! What surrounds every request: a request ID, limits, a caught panic, one line in the log, and pages for failures.

use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::Instrument;

use super::admin_api;
use super::context::RequestId;
use super::error::{Unrendered, failure_page, oauth_instead, problem_instead};
use super::oidc;
use crate::app::App;

/// Puts the layers around a router.
pub fn around(router: Router<App>, app: &App) -> Router<App> {
    let server = &app.config.server;
    router
        .layer(RequestBodyLimitLayer::new(server.max_body_bytes))
        .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| unrendered()))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, server.request_timeout))
        .layer(from_fn_with_state(app.clone(), outermost))
}

fn unrendered() -> Response {
    tracing::error!("a request panicked");
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(Unrendered);
    response
}

async fn outermost(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = RequestId::random();
    let began = Instant::now();
    let method = request.method().clone();
    let of_api = admin_api::is_below(request.uri().path());
    let of_programs = oidc::is_of_programs(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("request", id = id.0);
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    // The session layer and the time limit fail without a body.
    let bare = status.is_server_error() && !response.headers().contains_key(CONTENT_TYPE);
    if of_api {
        response = problem_instead(response);
    } else if of_programs {
        response = oauth_instead(response);
    } else if bare || response.extensions().get::<Unrendered>().is_some() {
        response = failure_page(&app, status, &id.0);
    }
    app.cookies.complete_removal(&mut response);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        headers.insert("x-request-id", value);
    }
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    if app.cookies.secure() {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
    // The route, not the address: queries carry codes and state.
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(%method, route, status = status.as_u16(), micros, "answered"));
    response
}
