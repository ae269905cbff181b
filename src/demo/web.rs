//! What the demonstration's apps share as web servers: a page with its headers, cookies, redirects and failures.

use askama::Template;
use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum_extra::extract::cookie::{Cookie, SameSite};

use super::Urls;
use super::issuer::Problem;
use super::pages::{NavLink, STYLE_SHEET, STYLE_SHEET_PATH};

/// No `form-action`: browsers apply it to every redirect that follows a form, and Chirp's form leads through them all.
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'; img-src 'self' data:";

const PAGE_HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (CONTENT_SECURITY_POLICY, POLICY),
];

/// The style sheet, for any app's router.
pub(super) fn style_sheet() -> Router {
    let answer = || async { ([(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "no-cache")], STYLE_SHEET) };
    Router::new().route(STYLE_SHEET_PATH, get(answer))
}

/// A page with its headers.
pub(super) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = html.into_response();
            for (name, value) in PAGE_HEADERS {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page of the demonstration could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// 303, never to be cached.
pub(super) fn see_other(location: &str) -> Response {
    ([(CACHE_CONTROL, "no-store")], Redirect::to(location)).into_response()
}

/// A cookie of one app. Browsers do not tell ports apart, so its name must be the app's own.
pub(super) fn cookie(name: String, value: String) -> Cookie<'static> {
    // Lax: the way back from the gateway is a navigation from another site.
    Cookie::build((name, value)).path("/").http_only(true).same_site(SameSite::Lax).build()
}

/// The bar that ties the apps together.
pub(super) fn nav(urls: &Urls, current: &str) -> Vec<NavLink> {
    let link = |label: &str, href: String| NavLink { label: label.to_owned(), href, current: label == current };
    vec![
        link("Shop", format!("{}/", urls.shop)),
        link("Magazine", format!("{}/", urls.second)),
        link("Personalization", format!("{}/", urls.personalization)),
        link("Mailbox", urls.mailbox()),
        link("Gateway", format!("{}/", urls.gateway)),
    ]
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        tracing::warn!(error = %self, "an app of the demonstration could not answer");
        (StatusCode::BAD_GATEWAY, format!("This app of the demonstration could not answer: {self}\n")).into_response()
    }
}
