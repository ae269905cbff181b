//! What the stand-in provider does wrong when told to.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};

/// Where a fault of the answer itself shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Discovery,
    Jwks,
    Authorize,
    Token,
    Userinfo,
}

/// How an answer is bad, whatever it says.
#[derive(Clone, Debug)]
pub enum BadAnswer {
    /// Comes right, but late.
    Slow(Duration),
    /// Never ends, a byte at a time.
    Dripping,
    /// Never ends, as fast as the connection takes it.
    Endless,
    /// Announces a length beyond reason.
    Oversized,
    /// JSON nested 100,000 deep.
    DeeplyNested,
    NotJson,
    Status(u16),
    RedirectTo(String),
}

impl BadAnswer {
    /// The answer in place of the good one; only slowness lets the good one through.
    pub async fn response(self) -> Option<Response> {
        Some(match self {
            Self::Slow(by) => {
                tokio::time::sleep(by).await;
                return None;
            }
            Self::Dripping => drip().into_response(),
            Self::Endless => flood().into_response(),
            Self::Oversized => json_body(" ".repeat(8 * 1024 * 1024)),
            Self::DeeplyNested => json_body("{\"sub\":".to_owned() + &"[".repeat(100_000)),
            Self::NotJson => json_body("<html>".to_owned()),
            Self::Status(status) => {
                (StatusCode::from_u16(status).unwrap(), json_body("{\"error\":\"broken\"}".to_owned())).into_response()
            }
            Self::RedirectTo(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        })
    }
}

/// One thing that is wrong with a login.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A claim of the ID token replaced, or with `None` left out.
    Claim(&'static str, Option<Value>),
    /// A member of the ID token's header replaced, or with `None` left out.
    Header(&'static str, Option<Value>),
    /// A bit of the signature flipped.
    WrongSignature,
    EmptySignature,
    /// ES256 with r and s zero (CVE-2022-21449).
    ZeroSignature,
    /// Signed by a key of the same ID that nobody published.
    ForeignKey,
    /// The key in the token's own header, and signed with that.
    EmbeddedKey,
    AlgorithmNone,
    Hs256WithClientSecret,
    Hs256WithPublicKey,
    NoIdToken,
    /// The ID token only names the subject; the other claims are in userinfo.
    LeanIdToken,
    /// Another `sub` in userinfo, or with `None` none.
    UserinfoSubject(Option<&'static str>),
    /// An access token that is not one.
    AccessToken(&'static str),
    /// The error code of the token endpoint.
    TokenError(&'static str),
    /// The error code in the redirect back.
    AuthorizeError(&'static str),
    /// Another `iss` in the redirect back, or with `None` none (RFC 9207).
    CallbackIssuer(Option<&'static str>),
    /// A member of the metadata replaced, or with `None` left out.
    Metadata(&'static str, Option<Value>),
    /// The right key last, behind so many others.
    ManyKeys(usize),
    /// So many keys, of a few bytes each.
    ManyTinyKeys(usize),
    Answer(Endpoint, BadAnswer),
}

/// The switches. Faults add up until they are cleared.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// This fault and no other.
    pub fn only(&self, fault: Fault) {
        *self.lock() = vec![fault];
    }

    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The first fault that `choose` knows what to do with.
    pub fn find<T>(&self, choose: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        self.lock().iter().find_map(choose)
    }

    /// Members to replace or remove in a JSON object.
    pub fn edits(
        &self,
        choose: impl Fn(&Fault) -> Option<(&'static str, Option<Value>)>,
    ) -> HashMap<&'static str, Option<Value>> {
        self.lock().iter().filter_map(choose).collect()
    }

    /// The bad answer of an endpoint in place of the good one, if it has one.
    pub async fn spoil(&self, endpoint: Endpoint) -> Option<Response> {
        let bad = self.find(|fault| match fault {
            Fault::Answer(at, bad) if *at == endpoint => Some(bad.clone()),
            _ => None,
        })?;
        bad.response().await
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap()
    }
}

/// Applies edits to a JSON object.
pub fn edit(object: &mut Value, edits: HashMap<&'static str, Option<Value>>) {
    let members = object.as_object_mut().unwrap();
    for (name, value) in edits {
        match value {
            Some(value) => members.insert(name.to_owned(), value),
            None => members.remove(name),
        };
    }
}

/// Keys that are in nobody's interest: of a plausible size, or as small as they can be.
pub fn useless_keys(faults: &Faults) -> Vec<Value> {
    let small = faults.find(|fault| match fault {
        Fault::ManyTinyKeys(count) => Some(vec![json!({}); *count]),
        _ => None,
    });
    let large = faults.find(|fault| match fault {
        Fault::ManyKeys(count) => Some(
            (0..*count)
                .map(|n| json!({"kty": "RSA", "kid": format!("key-{n}"), "n": "x".repeat(342), "e": "AQAB"}))
                .collect(),
        ),
        _ => None,
    });
    small.or(large).unwrap_or_default()
}

/// An answer without an end and without a length, one space at a time.
pub fn drip() -> Body {
    Body::from_stream(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, Infallible>(" "), ()))
    }))
}

/// An answer without an end and without a length, as fast as it is taken.
pub fn flood() -> Body {
    Body::from_stream(stream::unfold((), |()| async {
        tokio::task::yield_now().await;
        Some((Ok::<_, Infallible>(" ".repeat(16 * 1024)), ()))
    }))
}

fn json_body(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
