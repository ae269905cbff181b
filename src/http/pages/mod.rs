//! The pages that customers see: their data, their words and how they become a response. No handler is here.
//!
//! Every page is an askama template over one of the structs below, so that all text is escaped. Pages work without
//! script, carry a strict Content-Security-Policy and stay under 30 kB with their style sheet. Handlers fill a struct
//! and answer with `page.page()`; what happens next is not known here.

mod assets;
mod brand;
mod color;
mod consent;
mod joining;
mod linking;
mod login;
mod outcome;
mod session;
#[cfg(test)]
mod tests;
pub mod text;

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use url::Url;

pub use assets::{ASSETS, Asset, asset};
pub(in crate::http) use assets::{DESK, asset_url};
pub use brand::{Brand, BrandSettings, Logo};
pub use consent::{ConsentPage, DeviceAnsweredPage, DeviceLine, ScopeLine, SelectAccountPage};
pub use joining::{AppLine, JoinPage, JoinedPage, Knew, ValueLine, ValueOf, WayLine};
pub use linking::{
    AccountExistsPage, AccountPage, AddressPage, BothMinePage, Came, ChannelLine, ConnectionLine, Hindrance, ProvedBy,
    Stopped,
};
pub use login::{CodePage, ConnectorButton, DevicePage, LoginPage, SignUpPage};
pub use outcome::{Action, DeveloperDetail, ErrorPage, ExpiredPage, FormPostPage};
pub use session::{LoggedOutPage, LogoutPage, SignedInPage};
pub use text::{CodePurpose, Message};

/// A page as it is sent: status, headers, bytes.
#[derive(Debug)]
pub struct Page {
    /// 200 unless changed.
    pub status: StatusCode,
    /// All headers that the page needs.
    pub headers: HeaderMap,
    /// The HTML.
    pub body: Bytes,
}

impl Page {
    /// The same page with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        (self.status, self.headers, self.body).into_response()
    }
}

/// A page's data that can become a [`Page`].
pub trait View: Template {
    /// The brand it is shown in.
    fn brand(&self) -> &Brand;

    /// Origins of pictures that are not ours, besides the brand's logo.
    fn image_origin(&self) -> Option<String> {
        None
    }

    /// Whether it brings one of our scripts.
    fn scripted(&self) -> bool {
        false
    }

    /// What is told to sites that the page leads to.
    fn referrer_policy(&self) -> &'static str {
        // Not no-referrer: it would blank the Origin header of our own forms, which the CSRF check reads.
        "same-origin"
    }

    /// Renders it.
    fn page(&self) -> Page {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static(self.referrer_policy()));
        let policy = HeaderValue::try_from(content_security_policy(self));
        headers.insert(CONTENT_SECURITY_POLICY, policy.unwrap_or(HeaderValue::from_static("default-src 'none'")));
        match self.render() {
            Ok(html) => Page { status: StatusCode::OK, headers, body: html.into() },
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
                Page { status: StatusCode::INTERNAL_SERVER_ERROR, headers, body: Bytes::from_static(b"Internal error") }
            }
        }
    }
}

/// There is no `form-action` on purpose: browsers apply it to every redirect that follows a form, and what follows a
/// sign-in leads through providers and apps whose own redirects nobody can list. Escaping keeps foreign forms out.
fn content_security_policy<V: View + ?Sized>(view: &V) -> String {
    let mut policy =
        String::from("default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'; img-src 'self'");
    for origin in [view.brand().image_origin(), view.image_origin()].into_iter().flatten() {
        policy.push(' ');
        policy.push_str(&origin);
    }
    if view.scripted() {
        policy.push_str("; script-src 'self'");
    }
    policy
}

/// A link that may stand in `href` or `src`: absolute http(s), or a path on this origin.
fn web_link(link: &str) -> Option<&str> {
    let local = link.starts_with('/') && !link.starts_with("//") && !link.contains(['\\', '\r', '\n', '\t']);
    let web = || Url::parse(link).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    (local || web()).then_some(link)
}

/// A link back to an app: also a private-use scheme, which contains a dot (RFC 8252 §7.1); never `javascript:`.
fn app_link(link: &str) -> Option<&str> {
    web_link(link).or_else(|| Url::parse(link).is_ok_and(|url| url.scheme().contains('.')).then_some(link))
}

/// The origin of an absolute picture URL, if it can stand in a Content-Security-Policy as it is.
fn image_origin(link: &str) -> Option<String> {
    let origin =
        Url::parse(link).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?.origin().ascii_serialization();
    // The URL standard lets `;` stand in a host name; here it would start another directive.
    origin.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]/_".contains(c)).then_some(origin)
}

/// The letter that stands for somebody who brings no picture.
pub(in crate::http) fn initial(name: &str) -> String {
    let letter = name.chars().find(|c| c.is_alphanumeric());
    letter.map_or_else(|| "·".to_owned(), |letter| letter.to_uppercase().collect())
}

/// One of six colours, always the same for the same name.
pub(in crate::http) fn tone(name: &str) -> u32 {
    name.bytes().fold(5_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % 6
}
