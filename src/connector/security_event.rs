//! Tokens that a provider sends us on its own account: logout tokens, security event tokens, Apple's notifications.
//!
//! Verified with the provider's published keys, as its ID tokens are, but for another purpose: they need an ID, a time and
//! our name as audience, and may not pass for anything else. What they tell is `protocol::security_event`'s to read, and
//! what follows is not known here. RFC 8417, RFC 8725 §3.11, Back-Channel Logout §2.6, spec/protocol.md rules 34 and 39.

use std::time::Duration;

use serde_json::Value;

use super::ConnectorError;
use super::discovery::{Discovery, Provider};
use crate::clock::Timestamp;
use crate::config::ConnectorConfig;
use crate::keys::{Expect, Expiry, TokenError, numeric_date, verify_with_jwks};
use crate::protocol::security_event::{self, AccountEvent, Claims, DeliveryError, LoggedOut, Unfit};

/// How long after it was made a token still tells anything. Senders try again for a day or so.
pub const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const MAX_ID_BYTES: usize = 255;

/// By what means a provider tells what happens to its accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed {
    /// It does not.
    None,
    /// Security event tokens pushed to us (RFC 8935); where the sender's issuer and keys are to be read.
    SecurityEvents { configuration: String },
    /// Apple's own: a token within a JSON object.
    Notifications,
}

/// What a verified token tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice<T> {
    /// The token's ID, the same when it is sent again.
    pub id: String,
    /// When it happened, by the provider's clock and never later than by ours.
    pub at: Timestamp,
    pub told: T,
}

/// Why a token tells nothing. No variant carries anything of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// This connector is told nothing of the kind.
    #[error("the connector receives no such tokens")]
    NotOffered,
    /// The keys cannot be had: the same token may be good later.
    #[error("the provider's keys cannot be had: {0}")]
    Unavailable(ConnectorError),
    /// The token is not acceptable.
    #[error("the token is refused: {why}")]
    Refused { error: DeliveryError, why: String },
}

impl NoticeError {
    fn unfit(why: Unfit) -> Self {
        Self::Refused { error: DeliveryError::InvalidRequest, why: why.to_owned() }
    }
}

impl From<TokenError> for NoticeError {
    fn from(why: TokenError) -> Self {
        let error = match why {
            TokenError::Issuer => DeliveryError::InvalidIssuer,
            TokenError::Audience => DeliveryError::InvalidAudience,
            TokenError::UnknownKey | TokenError::Algorithm | TokenError::Signature => DeliveryError::InvalidKey,
            _ => DeliveryError::InvalidRequest,
        };
        Self::Refused { error, why: why.to_string() }
    }
}

/// Verifies a logout token (Back-Channel Logout §2.6). Its `typ` is recommended, not required (§2.4); what keeps an ID
/// token from passing for one is its event.
///
/// # Errors
/// See [`NoticeError`].
pub(super) async fn logout_token(
    discovery: &Discovery,
    config: &ConnectorConfig,
    token: &str,
    now: Timestamp,
) -> Result<Notice<LoggedOut>, NoticeError> {
    let typ = ["logout+jwt", "JWT", ""];
    let claims = Check { typ: &typ, expiry: Expiry::Checked }.run(discovery, config, token, now).await?;
    let (id, at) = id_and_time(&claims, now)?;
    Ok(Notice { id, at, told: LoggedOut::parse(&claims).map_err(NoticeError::unfit)? })
}

/// Verifies a token of a feed.
///
/// # Errors
/// See [`NoticeError`].
pub(super) async fn account_events(
    feed: &Feed,
    discovery: &Discovery,
    config: &ConnectorConfig,
    token: &str,
    now: Timestamp,
) -> Result<Notice<Vec<AccountEvent>>, NoticeError> {
    let typ = ["secevent+jwt", "JWT", ""];
    if *feed == Feed::None {
        return Err(NoticeError::NotOffered);
    }
    let check = Check { typ: &typ, expiry: Expiry::CheckedIfThere };
    let claims = check.run(discovery, config, token, now).await?;
    let (id, mut at) = id_and_time(&claims, now)?;
    let told = match feed {
        Feed::Notifications => {
            let (event, happened) = security_event::apple_event(&claims).map_err(NoticeError::unfit)?;
            at = happened.map_or(at, Timestamp::from_seconds).min(now);
            vec![event]
        }
        _ => {
            // Google names its subjects with the issuer of the token, or with that of its ID tokens.
            let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
            let issuers = [issuer, issuer.trim_end_matches('/')];
            security_event::security_events(&claims, &issuers).map_err(NoticeError::unfit)?
        }
    };
    Ok(Notice { id, at, told })
}

/// Every event token has an ID (RFC 8417 §2.2: `jti`) and says when it was made.
fn id_and_time(claims: &Claims, now: Timestamp) -> Result<(String, Timestamp), NoticeError> {
    let id = claims.get("jti").and_then(Value::as_str);
    let id = id.filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.chars().any(char::is_control));
    let Some(id) = id else { return Err(NoticeError::unfit("there is no fit jti")) };
    let Some(at) = numeric_date(claims, "iat")? else { return Err(NoticeError::unfit("there is no iat")) };
    if at + MAX_AGE < now {
        return Err(NoticeError::unfit("the token is too old"));
    }
    Ok((id.to_owned(), at.min(now)))
}

/// What a token has to be, beside one for us.
struct Check<'a> {
    typ: &'a [&'a str],
    expiry: Expiry,
}

impl Check<'_> {
    /// The claims of a token that the provider has signed, with newer keys if it names one that is not known.
    async fn run(
        &self,
        discovery: &Discovery,
        config: &ConnectorConfig,
        token: &str,
        now: Timestamp,
    ) -> Result<Claims, NoticeError> {
        // What is no token at all makes nobody fetch keys for it.
        let nobody = Expect { typ: self.typ, issuer: "", audience: None, now, expiry: self.expiry };
        if let Err(error) = verify_with_jwks::<Claims>("{\"keys\":[]}", token, &nobody)
            && error != TokenError::UnknownKey
        {
            return Err(error.into());
        }
        let provider = discovery.provider(now).await.map_err(NoticeError::Unavailable)?;
        let claims = match self.verify(&provider, token, now) {
            Err(TokenError::UnknownKey) => {
                let newer = discovery.newer_keys(&provider, now).await.map_err(NoticeError::Unavailable)?;
                let newer = newer.ok_or(TokenError::UnknownKey)?;
                self.verify(&newer, token, now)?
            }
            outcome => outcome?,
        };
        is_for_us(&claims, config)?;
        Ok(claims)
    }

    fn verify(&self, provider: &Provider, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        let keys = serde_json::to_string(&provider.keys).map_err(|_| TokenError::KeySet)?;
        let issuer = provider.issuer().as_str();
        let expect = Expect { typ: self.typ, issuer, audience: None, now, expiry: self.expiry };
        verify_with_jwks(&keys, token, &expect)
    }
}

/// RFC 8417 §2.2, RFC 7519 §4.1.3: one of the names we have at the provider is among those it is for. Apple names the app
/// that the group of clients belongs to, Google whichever client the customer used.
fn is_for_us(claims: &Claims, config: &ConnectorConfig) -> Result<(), TokenError> {
    let is_ours = |audience: &Value| {
        let name = audience.as_str();
        name == Some(config.client_id.as_str()) || config.native_client_ids.iter().any(|id| name == Some(id.as_str()))
    };
    let ours = match claims.get("aud") {
        Some(Value::Array(many)) => many.iter().any(is_ours),
        Some(one @ Value::String(_)) => is_ours(one),
        _ => return Err(TokenError::Claims),
    };
    if ours { Ok(()) } else { Err(TokenError::Audience) }
}
