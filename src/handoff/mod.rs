//! Handing a signed identity to downstream services: who gets which statement, and how a browser on an app's own domain
//! comes to be vouched for (spec/handoff.md).

pub mod forward_auth;
pub mod signed_identity;

use std::sync::Arc;

use url::Url;

use crate::protocol::jwk::SigningAlgorithm;

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
    /// Whether a browser may be sent to this URL: an absolute one on exactly a registered origin.
    pub fn owns(&self, url: &Url) -> bool {
        let plain = url.username().is_empty() && url.password().is_none();
        plain && self.origins.iter().any(|origin| origin.origin() == url.origin())
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
