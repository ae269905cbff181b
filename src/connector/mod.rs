//! Upstream identity providers: where a customer may prove who they are.
//!
//! A connector turns a callback into an [`UpstreamIdentity`] or a refusal; the link key is (connector ID, upstream
//! subject), never the issuer (spec/identity.md rules 3 and 8). It must not know customers, sessions, the database
//! or the pages; whoever calls it keeps the [`PendingUpstream`] and has compared `state` with the browser's.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use url::Url;

mod apple;
mod breaker;
pub mod claims;
mod configured;
mod discovery;
mod exchange;
mod facebook;
mod github;
mod google;
mod id_token;
mod levels;
mod linkedin;
mod microsoft;
pub mod native;
pub mod oauth2;
pub mod oidc;
pub mod registry;
mod revocation;
mod security_event;
mod self_check;
mod tokens;
mod x;

pub use native::NativeNonce;
pub use registry::{Registry, RegistryError};
pub use security_event::{Feed, MAX_AGE as NOTICE_MAX_AGE, Notice, NoticeError};
pub use self_check::{Finding, Verdict};
pub use tokens::UpstreamTokens;

use crate::clock::Timestamp;
use crate::config::{ConnectorConfig, EmailTrust};
use crate::outbound::OutboundError;
use crate::protocol::security_event::{AccountEvent, LoggedOut};
use crate::secret::{Secret, random_token};

/// One configured upstream provider.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What it was configured with.
    fn config(&self) -> &ConnectorConfig;

    /// The stable ID: half of the link key.
    fn id(&self) -> &str {
        &self.config().id
    }

    /// What customers read on the button.
    fn name(&self) -> &str {
        &self.config().name
    }

    /// How far this identity's e-mail address is believed (spec/identity.md rule 8): never further than configured.
    fn email_trust(&self, _identity: &UpstreamIdentity) -> EmailTrust {
        self.config().email_trust()
    }

    /// Whether it may link to a customer who has proved the same address without asking them (rule 8).
    fn links_automatically(&self) -> bool {
        self.config().link_automatically
    }

    /// How the provider answers.
    fn response_mode(&self) -> ResponseMode {
        ResponseMode::Query
    }

    /// The level of ours that a login reached by the provider's word; `None` if the configuration lists none for it.
    fn level(&self, identity: &UpstreamIdentity) -> Option<&str> {
        levels::reached(&self.config().levels, identity)
    }

    /// Whether the provider did not answer lately and is left alone for a while.
    fn is_paused(&self) -> bool {
        false
    }

    /// Where to send the browser, and what to keep until it returns.
    ///
    /// # Errors
    /// [`ConnectorError::Unavailable`] or [`ConnectorError::Invalid`] if the provider's metadata cannot be had;
    /// [`ConnectorError::Paused`].
    async fn authorization_request(
        &self,
        redirect_uri: &Url,
        wishes: Wishes<'_>,
        now: Timestamp,
    ) -> Result<UpstreamRequest, ConnectorError>;

    /// Turns the callback into the proved identity. `redirect_uri` is the one of the request. The caller has found
    /// `pending` by the callback's `state` and consumed it.
    ///
    /// # Errors
    /// See [`ConnectorError`].
    async fn finish(
        &self,
        callback: &UpstreamCallback,
        pending: &PendingUpstream,
        redirect_uri: &Url,
        now: Timestamp,
    ) -> Result<UpstreamIdentity, ConnectorError>;

    /// Turns an ID token that a native SDK got from this provider into the proved identity. `beside` is what the app
    /// was given along with it. The caller sees to it that no token counts twice.
    ///
    /// # Errors
    /// [`ConnectorError::Invalid`] if the token is not one of ours, fresh, and asked for with this nonce, or if this
    /// kind has none; [`ConnectorError::Unavailable`] if the provider's keys cannot be had.
    async fn verify_native(
        &self,
        _id_token: &str,
        _nonce: &NativeNonce,
        _beside: &UpstreamCallback,
        _now: Timestamp,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        Err(ConnectorError::invalid("this kind of provider has no tokens for native apps"))
    }

    /// Gets new tokens for a refresh token. Whether the provider took it is open if it does not answer.
    ///
    /// # Errors
    /// [`ConnectorError::Provider`] with `invalid_grant` if the customer has to sign in there again.
    async fn refresh(&self, refresh_token: &Secret<String>, now: Timestamp) -> Result<UpstreamTokens, ConnectorError>;

    /// By what means the provider tells what happens to its accounts.
    fn feed(&self) -> Feed {
        Feed::None
    }

    /// Verifies a logout token (OpenID Connect Back-Channel Logout §2.6).
    ///
    /// # Errors
    /// See [`NoticeError`].
    async fn logout_token(&self, _token: &str, _now: Timestamp) -> Result<Notice<LoggedOut>, NoticeError> {
        Err(NoticeError::NotOffered)
    }

    /// Verifies a token of the provider's [`Feed`].
    ///
    /// # Errors
    /// See [`NoticeError`].
    async fn account_events(&self, _token: &str, _now: Timestamp) -> Result<Notice<Vec<AccountEvent>>, NoticeError> {
        Err(NoticeError::NotOffered)
    }

    /// Gives a refresh token back (RFC 7009). Where the provider has no endpoint for it, there is nothing to do.
    ///
    /// # Errors
    /// [`ConnectorError::Unavailable`] if it is worth another try, any other if not.
    async fn revoke(&self, _token: &Secret<String>, _now: Timestamp) -> Result<(), ConnectorError> {
        Ok(())
    }

    /// Tries out what can be tried without a customer, and says in words what is wrong.
    async fn self_check(&self, redirect_uri: &Url, now: Timestamp) -> Vec<Finding>;
}

/// What an app would like of a login. Each is passed on only where the configuration says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes<'a> {
    /// What the app believes the customer is called.
    pub login_hint: Option<&'a str>,
    /// Levels of ours, the one it likes best first.
    pub levels: &'a [String],
}

/// How a provider sends its answer to the callback (OAuth 2.0 Multiple Response Types §2.1, Form Post §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    Query,
    FormPost,
}

/// The beginning of one login at an upstream provider.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    pub url: Url,
    pub pending: PendingUpstream,
}

/// What the callback is checked against. Secret: it is kept on our side, bound to the browser, and used once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingUpstream {
    /// The ID of the connector the browser was sent to (RFC 9700 §4.4: mix-up).
    pub connector: String,
    /// 32 random bytes as base64url.
    pub state: String,
    pub nonce: String,
    pub pkce_verifier: String,
}

impl PendingUpstream {
    /// Fresh random values for a login at this connector.
    fn new(connector: &str) -> Self {
        let [state, nonce, pkce_verifier] = [random_token(), random_token(), random_token()];
        Self { connector: connector.to_owned(), state, nonce, pkce_verifier }
    }
}

impl fmt::Debug for PendingUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingUpstream").field("connector", &self.connector).finish_non_exhaustive()
    }
}

/// The parameters of the provider's redirect back to us (RFC 6749 §4.1.2, RFC 9207), unjudged.
#[derive(Clone, Default, Deserialize)]
pub struct UpstreamCallback {
    pub code: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
    pub iss: Option<String>,
    /// Apple's: the customer's name, as JSON, at the first login only. Nobody has signed it.
    pub user: Option<String>,
    /// What a native app got from the provider beside the ID token: asks userinfo for what that one lacks.
    pub access_token: Option<Secret<String>>,
}

impl fmt::Debug for UpstreamCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamCallback").field("error", &self.error).field("iss", &self.iss).finish_non_exhaustive()
    }
}

/// Another subject by which a provider says that it knows the same account (spec/identity.md rule 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherName {
    /// Apple's `transfer_sub`: what the account is called while it moves to another team.
    Transfer(String),
    /// The account's subject at another connector: another app of the same business at Facebook.
    Business { connector: String, subject: String },
}

/// Who the provider says the customer is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamIdentity {
    /// The provider's name for the customer: byte-exact, 1 to 255 bytes, no control characters.
    pub subject: String,
    /// As the provider spells it.
    pub email: Option<String>,
    /// The provider's own word; what it is worth is the connector's [`EmailTrust`].
    pub email_verified: bool,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub preferred_username: Option<String>,
    /// An https URL.
    pub picture: Option<String>,
    pub locale: Option<String>,
    /// `YYYY-MM-DD`, a day of the calendar.
    #[serde(default)]
    pub birthdate: Option<String>,
    /// The same among the claims that the provider says it has verified.
    #[serde(default)]
    pub assured_birthdate: Option<String>,
    pub acr: Option<String>,
    pub amr: Vec<String>,
    pub auth_time: Option<Timestamp>,
    /// What the provider calls the session there (OpenID Connect Back-Channel Logout §2.1).
    pub sid: Option<String>,
    /// All claims about the customer as delivered, without the protocol's own; at most 16 KiB as JSON.
    pub raw: serde_json::Value,
    /// What else the provider calls this account.
    pub other_names: Vec<OtherName>,
    /// The provider's tokens, where they are kept. They are written down sealed only.
    #[serde(skip)]
    pub tokens: Option<UpstreamTokens>,
}

/// Why a login at an upstream provider came to nothing. No variant carries a token, code or claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// The customer said no at the provider.
    #[error("the customer canceled at the provider")]
    Denied,
    /// The provider answered with an error code (RFC 6749 §4.1.2.1, §5.2).
    #[error("the provider answered with the error {code}")]
    Provider { code: String },
    /// The provider cannot be reached, or says that it cannot answer now.
    #[error("the provider is not available: {reason}")]
    Unavailable { reason: String },
    /// It did not answer lately, and is not asked for a while.
    #[error("the provider did not answer lately and is left alone for a while")]
    Paused,
    /// The provider's answer, or the callback, fails a check.
    #[error("the provider's answer is not acceptable: {what}")]
    Invalid { what: &'static str },
}

impl ConnectorError {
    pub(crate) const fn invalid(what: &'static str) -> Self {
        Self::Invalid { what }
    }

    /// An error code from outside, if it looks like one: it ends up in logs.
    pub(crate) fn provider(code: &str) -> Self {
        let plain = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        Self::Provider { code: if plain && !code.is_empty() { code } else { "unreadable" }.to_owned() }
    }
}

impl From<OutboundError> for ConnectorError {
    fn from(error: OutboundError) -> Self {
        match error {
            OutboundError::TooLarge { .. } => Self::invalid("an answer is too long"),
            error => Self::Unavailable { reason: error.to_string() },
        }
    }
}

/// A connector as the registry hands it out.
pub type SharedConnector = Arc<dyn Connector>;
