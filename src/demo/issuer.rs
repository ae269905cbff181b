//! The gateway as its relying parties see it: a metadata document, a key set, and tokens to verify.
//!
//! Both documents are fetched when first needed and kept for a while; a token with a key that is not known fetches
//! them once more, at a bounded rate. OpenID Connect Discovery 1.0 §4.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use url::Url;

use crate::clock::{Clock, Timestamp};
use crate::keys::{Expect, Expiry, TokenError, verify_with_jwks};
use crate::kv;
use crate::outbound::{Outbound, OutboundError, OutboundRequest, OutboundResponse, StatusCode};

const FRESH: Duration = Duration::from_secs(10 * 60);
const REFETCH_INTERVAL: Duration = Duration::from_secs(5);
/// The longest document or answer that is read.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// Why something could not be had from the gateway, or was not believed. No message carries a token.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the gateway does not answer: {0}")]
    Outbound(#[from] OutboundError),
    #[error("{what} answered {status}")]
    Status { what: &'static str, status: StatusCode },
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// An error code of OAuth.
    #[error("the gateway refused: {0}")]
    Refused(String),
    #[error("{0}")]
    Token(#[from] TokenError),
    #[error("the answer is not acceptable: {0}")]
    Mismatch(&'static str),
    #[error("the app's own store failed: {0}")]
    Store(#[from] kv::Error),
}

/// What an app needs of the metadata (OpenID Connect Discovery 1.0 §3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) userinfo_endpoint: Url,
    pub(super) end_session_endpoint: Url,
    jwks_uri: Url,
}

struct Known {
    metadata: Metadata,
    key_set: String,
    fetched_at: Timestamp,
}

/// One relying party's knowledge of the gateway.
pub(super) struct Issuer {
    url: String,
    outbound: Outbound,
    clock: Clock,
    known: Mutex<Option<Arc<Known>>>,
}

impl Issuer {
    pub(super) fn new(url: String, outbound: Outbound, clock: Clock) -> Self {
        Self { url, outbound, clock, known: Mutex::new(None) }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) async fn metadata(&self) -> Result<Metadata, Problem> {
        Ok(self.known(FRESH).await?.metadata.clone())
    }

    pub(super) async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, Problem> {
        Ok(self.outbound.send(request).await?)
    }

    /// Verifies a token that the gateway signed for this audience.
    pub(super) async fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        typ: &str,
        audience: &str,
    ) -> Result<T, Problem> {
        let typ = [typ];
        let (issuer, now) = (self.url.as_str(), self.now());
        let expect = Expect { typ: &typ, issuer, audience: Some(audience), now, expiry: Expiry::Checked };
        let known = self.known(FRESH).await?;
        match verify_with_jwks(&known.key_set, token, &expect) {
            // The keys may have been rotated since.
            Err(TokenError::UnknownKey) => {
                let newer = self.known(REFETCH_INTERVAL).await?;
                Ok(verify_with_jwks(&newer.key_set, token, &expect)?)
            }
            verified => Ok(verified?),
        }
    }

    /// What is known, fetched anew if it is older than that.
    async fn known(&self, max_age: Duration) -> Result<Arc<Known>, Problem> {
        // Whoever comes second waits for the first one's answer.
        let mut known = self.known.lock().await;
        let now = self.now();
        if let Some(known) = known.as_ref().filter(|known| now.since(known.fetched_at) < max_age) {
            return Ok(Arc::clone(known));
        }
        let fetched = Arc::new(self.fetch(now).await?);
        *known = Some(Arc::clone(&fetched));
        Ok(fetched)
    }

    async fn fetch(&self, now: Timestamp) -> Result<Known, Problem> {
        let discovery = Url::parse(&format!("{}/.well-known/openid-configuration", self.url));
        let discovery = discovery.map_err(|_| Problem::Unreadable("the issuer's URL"))?;
        let document = self.document(discovery, "discovery").await?;
        let metadata: Metadata =
            serde_json::from_str(&document).map_err(|_| Problem::Unreadable("the metadata document"))?;
        // Discovery §4.3: exactly the issuer that was asked.
        if metadata.issuer != self.url {
            return Err(Problem::Mismatch("the metadata is of another issuer"));
        }
        let key_set = self.document(metadata.jwks_uri.clone(), "the key set").await?;
        Ok(Known { metadata, key_set, fetched_at: now })
    }

    async fn document(&self, url: Url, what: &'static str) -> Result<String, Problem> {
        let response = self.outbound.send(OutboundRequest::get_json(url, MAX_BYTES)).await?;
        if response.status != StatusCode::OK {
            return Err(Problem::Status { what, status: response.status });
        }
        String::from_utf8(response.body.into()).map_err(|_| Problem::Unreadable(what))
    }
}
