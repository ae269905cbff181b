//! Access tokens presented to our own endpoints (RFC 9068 §4): ours, for this audience, and still good.
//!
//! Whoever else verifies them needs the public keys only; we also know whether the session or the grant they came from
//! has ended. What a token's scope allows is the endpoint's to say.

use super::Provider;
use super::grants::revoked_key;
use crate::clock::Timestamp;
use crate::ids::{CustomerId, GrantId};
use crate::keys::{Expect, Expiry};
use crate::kv::{Op, Reply};
use crate::protocol::OAuthError;
use crate::protocol::token::AccessTokenClaims;
use crate::session;

/// On whose behalf a token is good.
#[derive(Clone, Debug)]
pub struct Live {
    pub grant: GrantId,
    /// Whose session it is bound to.
    pub customer: Option<CustomerId>,
}

/// The claims of a token that is good now, at the cost of one round trip.
///
/// # Errors
/// `invalid_token` for one that is not, or no longer, good.
pub async fn check(
    provider: &Provider,
    access_token: &str,
    audience: &str,
    now: Timestamp,
) -> Result<(AccessTokenClaims, Live), OAuthError> {
    let expect =
        Expect { typ: &["at+jwt"], issuer: &provider.issuer, audience: Some(audience), now, expiry: Expiry::Checked };
    let claims: AccessTokenClaims =
        provider.keys.verify(access_token, &expect).map_err(|error| invalid(&error.to_string()))?;
    let live = check_live(provider, &claims, now).await?;
    Ok((claims, live))
}

/// The session the token is bound to still lives, and its grant is not revoked.
pub(super) async fn check_live(
    provider: &Provider,
    claims: &AccessTokenClaims,
    now: Timestamp,
) -> Result<Live, OAuthError> {
    let grant = grant_of(claims).ok_or_else(|| invalid("the token names no grant"))?;
    let mut ops = vec![Op::Get { key: revoked_key(grant) }];
    if let Some(sid) = &claims.sid {
        ops.push(Op::Get { key: session::sid_key(sid) });
    }
    let replies = provider.kv.run(ops).await?;
    let mut values = replies.into_iter().map(|reply| match reply {
        Reply::Value(value) => value,
        Reply::Done(_) | Reply::Count(_) | Reply::Members(_) => None,
    });
    if values.next().flatten().is_some() {
        return Err(invalid("the grant is revoked"));
    }
    match &claims.sid {
        Some(_) => {
            let session = session::live_record(values.next().flatten().as_deref(), now);
            let session = session.ok_or_else(|| invalid("the session has ended"))?;
            Ok(Live { grant, customer: Some(session.customer) })
        }
        None => Ok(Live { grant, customer: None }),
    }
}

/// The grant that a token came from.
pub(super) fn grant_of(claims: &AccessTokenClaims) -> Option<GrantId> {
    claims.jti.split_once('.').and_then(|(grant, _)| grant.parse().ok())
}

/// One wording for every reason; the reason is for the logs.
pub fn invalid(detail: &str) -> OAuthError {
    OAuthError::invalid_token("the access token is invalid, expired or revoked").detail(detail)
}
