//! Userinfo (OpenID Connect Core §5.3): the claims that the access token's scope asks for.

use super::Provider;
use super::grants::revoked_key;
use crate::clock::Timestamp;
use crate::identity::merge::side::{self, Seen};
use crate::identity::profile;
use crate::ids::{CustomerId, GrantId};
use crate::keys::{Expect, Expiry};
use crate::kv::{Op, Reply};
use crate::protocol::claims::UserinfoClaims;
use crate::protocol::token::AccessTokenClaims;
use crate::protocol::{ErrorCode, OAuthError};
use crate::session;
use crate::store::{self, CustomerState, Tx};

/// Answers a userinfo request.
///
/// # Errors
/// `invalid_token` for a token that is not (or no longer) good, `insufficient_scope` without `openid`.
pub async fn answer(provider: &Provider, access_token: &str, now: Timestamp) -> Result<UserinfoClaims, OAuthError> {
    let claims = verify(provider, access_token, now)?;
    let live = check_live(provider, &claims, now).await?;
    let client = provider.clients.find(&claims.client_id).ok_or_else(|| invalid("the client is gone"))?;
    if !claims.scope.contains("openid") {
        return Err(OAuthError::new(ErrorCode::InsufficientScope, "the scope openid is needed"));
    }
    let mut tx = provider.store.begin_read().await.map_err(OAuthError::server_error)?;
    let seen =
        seen(provider, &mut tx, &client.sector, &claims.sub, &live, now).await.map_err(OAuthError::server_error)?;
    let seen = seen.ok_or_else(|| invalid("no such customer"))?;
    Ok(UserinfoClaims {
        merged_from: seen.merged_from.into_iter().filter(|retired| *retired != claims.sub).collect(),
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

/// On whose behalf a token is good.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) grant: GrantId,
    /// Whose session it is bound to.
    pub(super) customer: Option<CustomerId>,
}

fn verify(provider: &Provider, access_token: &str, now: Timestamp) -> Result<AccessTokenClaims, OAuthError> {
    let expect = Expect {
        typ: &["at+jwt"],
        issuer: &provider.issuer,
        audience: Some(&provider.issuer),
        now,
        expiry: Expiry::Checked,
    };
    provider.keys.verify(access_token, &expect).map_err(|error| invalid(&error.to_string()))
}

/// One round trip: the session the token is bound to still lives, and its grant is not revoked.
pub(super) async fn check_live(
    provider: &Provider,
    claims: &AccessTokenClaims,
    now: Timestamp,
) -> Result<Live, OAuthError> {
    let grant: GrantId = claims
        .jti
        .split_once('.')
        .and_then(|(grant, _)| grant.parse().ok())
        .ok_or_else(|| invalid("the token names no grant"))?;
    let mut ops = vec![Op::Get { key: revoked_key(grant) }];
    if let Some(sid) = &claims.sid {
        ops.push(Op::Get { key: session::sid_key(sid) });
    }
    let replies = provider.kv.run(ops).await.map_err(OAuthError::server_error)?;
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

fn invalid(detail: &str) -> OAuthError {
    OAuthError::invalid_token("the access token is invalid, expired or revoked").detail(detail)
}
