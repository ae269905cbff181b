//! Userinfo (OpenID Connect Core §5.3): the claims that the access token's scope asks for.

use super::Provider;
use super::access_token::{Live, check, invalid};
use crate::clock::Timestamp;
use crate::identity::merge::side::{self, Seen};
use crate::identity::profile;
use crate::protocol::claims::UserinfoClaims;
use crate::protocol::{ErrorCode, OAuthError};
use crate::store::{self, CustomerState, Tx};

/// Answers a userinfo request.
///
/// # Errors
/// `invalid_token` for a token that is not (or no longer) good, `insufficient_scope` without `openid`.
pub async fn answer(provider: &Provider, access_token: &str, now: Timestamp) -> Result<UserinfoClaims, OAuthError> {
    let (claims, live) = check(provider, access_token, &provider.issuer, now).await?;
    let client = provider.clients.find(&claims.client_id).ok_or_else(|| invalid("the client is gone"))?;
    if !claims.scope.contains("openid") {
        return Err(OAuthError::new(ErrorCode::InsufficientScope, "the scope openid is needed"));
    }
    let mut tx = provider.store.begin_read().await?;
    let seen = seen(provider, &mut tx, &client.sector, &claims.sub, &live, now).await?;
    let seen = seen.ok_or_else(|| invalid("no such customer"))?;
    Ok(UserinfoClaims {
        merged_from: seen.retired_beside(&claims.sub),
        ..profile::claims(&seen.profile, claims.sub).within(&claims.scope)
    })
}

/// What the holder of a token sees of the customer whom its subject means today. `None` if they may not log in, or the
/// subject is somebody else's by now: a merge was undone.
pub(super) async fn seen(
    provider: &Provider,
    tx: &mut Tx,
    sector: &str,
    sub: &str,
    live: &Live,
    now: Timestamp,
) -> Result<Option<Seen>, store::Error> {
    let rows = tx.members_seen_by_sub(sector, sub, Some(live.grant)).await?;
    let seen = side::see_by_sub(&rows, live.customer, &provider.subject_key.merge, now);
    Ok(seen.filter(|seen| seen.state == CustomerState::Active && seen.subs.iter().any(|known| known == sub)))
}
