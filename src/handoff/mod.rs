//! Handing a signed identity to downstream services: who gets which statement, and how a browser on an app's own domain
//! comes to be vouched for (spec/handoff.md).

pub mod forward_auth;
pub mod known;
pub mod signed_identity;

use std::sync::Arc;

use url::Url;

use crate::protocol::jwk::SigningAlgorithm;
use crate::secret;

/// What a route asks of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Never blocks; always answers with the level.
    Observe,
    /// A live SSO session, or a challenge.
    Authenticated,
}

/// A receiver of signed identities: one audience.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The audience.
    pub id: String,
    /// For people.
    pub name: String,
    pub sector: String,
    pub pairwise: bool,
    /// Where a browser may be sent back to.
    pub origins: Vec<Url>,
    pub policy: Policy,
    pub algorithm: SigningAlgorithm,
    /// Trusted with the customer ID itself.
    pub internal: bool,
}

impl Destination {
    /// The address a browser may be sent to, if this text is one: absolute, on exactly a registered origin, and without
    /// anything that one parser reads differently from another (spec/protocol.md rule 40).
    pub fn way_back(&self, text: &str) -> Option<Url> {
        let ambiguous = |byte: u8| byte == b'\\' || byte <= b' ' || byte == 0x7f;
        if text.bytes().any(ambiguous) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let url = Url::parse(text).ok()?;
        let spelt_out = scheme.eq_ignore_ascii_case(url.scheme()) && !rest.starts_with('/');
        (spelt_out && self.owns(&url)).then_some(url)
    }

    /// The scheme is compared by itself: the origin of a `blob:` URL is that of the URL inside.
    fn owns(&self, url: &Url) -> bool {
        let plain = url.username().is_empty() && url.password().is_none();
        plain && self.origins.iter().any(|origin| origin.scheme() == url.scheme() && origin.origin() == url.origin())
    }

    /// Where this destination's own pages are on an app's origin: `/.samesake/{destination}/{page}`.
    #[must_use]
    pub fn page_on(&self, origin: &Url, page: &str) -> Url {
        self.path_on(origin, &[".samesake", &self.id, page])
    }

    /// An address with these path segments and nothing behind them. An ID may hold what a path may not.
    #[must_use]
    pub fn path_on(&self, origin: &Url, segments: &[&str]) -> Url {
        let mut url = origin.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    /// Stands for the ID where its characters may not stand, as in the name of a cookie.
    pub fn tag(&self) -> String {
        let digest = secret::sha256(&[self.id.as_bytes()]);
        secret::base64url(digest.first_chunk::<9>().unwrap_or(&[0; 9]))
    }
}

/// All destinations of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Destinations(Arc<Vec<Arc<Destination>>>);

impl Destinations {
    pub fn new(destinations: Vec<Destination>) -> Self {
        Self(Arc::new(destinations.into_iter().map(Arc::new).collect()))
    }

    /// The destination of this audience.
    pub fn find(&self, id: &str) -> Option<Arc<Destination>> {
        self.0.iter().find(|destination| destination.id == id).cloned()
    }
}
