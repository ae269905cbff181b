//! Cookies: their names, their attributes, and the one that ties a login flow to its browser.
//!
//! On https every cookie is a `__Host-` cookie, which no sibling sub-domain can set (spec/protocol.md rule 42). On http,
//! which is for loopback only, browsers refuse that prefix, so the names are plain there.

use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use url::Url;

use crate::secret;

const BROWSER_LIFETIME: Duration = Duration::from_secs(180 * 24 * 3600);
/// What a value of ours never exceeds.
const MAX_VALUE: usize = 1024;

/// How cookies are named and marked here.
#[derive(Clone, Debug)]
pub struct Cookies {
    secure: bool,
}

impl Cookies {
    /// By the issuer's scheme.
    pub fn for_issuer(issuer: &Url) -> Self {
        Self { secure: issuer.scheme() == "https" }
    }

    /// Whether cookies are for https only.
    pub const fn secure(&self) -> bool {
        self.secure
    }

    /// The full name of one of our cookies.
    pub fn name(&self, name: &str) -> String {
        if self.secure { format!("__Host-samesake-{name}") } else { format!("samesake-{name}") }
    }

    /// The value a browser sent, if it can be one of ours.
    pub fn get<'a>(&self, jar: &'a CookieJar, name: &str) -> Option<&'a str> {
        jar.get(&self.name(name)).map(Cookie::value).filter(|value| value.len() <= MAX_VALUE)
    }

    /// Sets a cookie on a response.
    pub fn set(&self, response: &mut Response, name: &str, value: String, max_age: Duration) {
        let max_age = time::Duration::seconds(i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX));
        self.write(response, name, value, max_age);
    }

    /// Removes a cookie. A `__Host-` cookie is removed only by one with the same attributes.
    pub fn remove(&self, response: &mut Response, name: &str) {
        self.write(response, name, String::new(), time::Duration::ZERO);
    }

    /// The session layer's removal of its cookie lacks the attributes that a `__Host-` cookie insists on; a browser
    /// would keep the cookie.
    pub fn complete_removal(&self, response: &mut Response) {
        if !self.secure || !response.headers().contains_key(SET_COOKIE) {
            return;
        }
        let removal = format!("{}=;", self.name("session"));
        let is_removal = |line: &HeaderValue| line.as_bytes().starts_with(removal.as_bytes());
        let lines: Vec<HeaderValue> = response.headers().get_all(SET_COOKIE).iter().cloned().collect();
        if !lines.iter().any(is_removal) {
            return;
        }
        response.headers_mut().remove(SET_COOKIE);
        for line in lines.into_iter().filter(|line| !is_removal(line)) {
            response.headers_mut().append(SET_COOKIE, line);
        }
        self.remove(response, "session");
    }

    fn write(&self, response: &mut Response, name: &str, value: String, max_age: time::Duration) {
        let cookie = Cookie::build((self.name(name), value))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            // Lax: the return from a provider is a navigation from another site.
            .same_site(SameSite::Lax)
            .max_age(max_age)
            .build();
        if let Ok(header) = HeaderValue::from_str(&cookie.to_string()) {
            response.headers_mut().append(SET_COOKIE, header);
        }
    }

    /// The browser that a request comes from; a new one if it brings no cookie.
    pub fn browser(&self, jar: &CookieJar) -> Browser {
        match self.get(jar, BROWSER).filter(|value| value.len() == 43) {
            Some(value) => Browser { hash: secret::token_hash(value), new: None },
            None => {
                let value = secret::random_token();
                Browser { hash: secret::token_hash(&value), new: Some(value) }
            }
        }
    }

    /// Gives a new browser its cookie.
    pub fn introduce(&self, response: &mut Response, browser: &mut Browser) {
        if let Some(value) = browser.new.take() {
            self.set(response, BROWSER, value, BROWSER_LIFETIME);
        }
    }
}

const BROWSER: &str = "browser";

/// One browser, as login flows know it.
#[derive(Debug)]
pub struct Browser {
    /// Hash of its cookie.
    pub hash: String,
    new: Option<String>,
}

impl Browser {
    /// The hash, if the browser brought its cookie.
    pub fn known(&self) -> Option<&str> {
        self.new.is_none().then_some(self.hash.as_str())
    }
}
