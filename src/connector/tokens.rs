//! Tokens of a provider that are kept, so that a back end may call the provider's API for the customer.
//!
//! They are read from a token answer where the configuration says `store_tokens`, and nowhere else. This file must not
//! know where they are kept, nor for whom.

use oauth2::TokenResponse;

use super::ConnectorError;
use crate::clock::Timestamp;
use crate::config::ConnectorConfig;
use crate::secret::Secret;

/// A longer token is not kept.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// What a token answer brought. Nothing of it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTokens {
    pub access: Secret<String>,
    pub refresh: Option<Secret<String>>,
    /// When the access token ends, if the provider said so.
    pub expires_at: Option<Timestamp>,
    /// Space-separated.
    pub scope: String,
}

impl UpstreamTokens {
    /// The tokens of an answer. RFC 6749 §5.1: no scope in it means the one that was asked for.
    ///
    /// # Errors
    /// If a token is too long to be kept.
    pub(super) fn of(answer: &impl TokenResponse, asked: &[String], now: Timestamp) -> Result<Self, ConnectorError> {
        let access = answer.access_token().secret();
        let refresh = answer.refresh_token().map(|token| token.secret());
        if access.len() > MAX_TOKEN_BYTES || refresh.is_some_and(|token| token.len() > MAX_TOKEN_BYTES) {
            return Err(ConnectorError::invalid("a token is too long"));
        }
        let scope = match answer.scopes() {
            Some(scopes) => scopes.iter().map(|scope| scope.as_str().to_owned()).collect::<Vec<_>>().join(" "),
            None => asked.join(" "),
        };
        Ok(Self {
            access: Secret::new(access.clone()),
            refresh: refresh.map(|token| Secret::new(token.clone())),
            expires_at: answer.expires_in().map(|lifetime| now + lifetime),
            scope,
        })
    }

    /// The same, if the configuration says that they are kept. A login does not fail over a token that cannot be.
    pub(super) fn kept(config: &ConnectorConfig, answer: &impl TokenResponse, now: Timestamp) -> Option<Self> {
        if !config.store_tokens {
            return None;
        }
        let tokens = Self::of(answer, &config.scopes(), now);
        if let Err(error) = &tokens {
            tracing::warn!(connector.id = config.id, %error, "the provider's tokens are not kept");
        }
        tokens.ok()
    }
}
