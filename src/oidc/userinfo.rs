//! Userinfo (OpenID Connect Core §5.3): the claims that the access token's scope asks for.

use super::Provider;
use super::grants::revoked_key;
use crate::clock::Timestamp;
use crate::identity::profile;
use crate::ids::GrantId;
use crate::keys::{Expect, Expiry};
use crate::kv::{Op, Reply};
use crate::protocol::claims::UserinfoClaims;
use crate::protocol::token::AccessTokenClaims;
use crate::protocol::{ErrorCode, OAuthError};
use crate::session;
use crate::store::CustomerState;

/// Answers a userinfo request.
///
/// # Errors
/// `invalid_token` for a token that is not (or no longer) good, `insufficient_scope` without `openid`.
pub async fn answer(provider: &Provider, access_token: &str, now: Timestamp) -> Result<UserinfoClaims, OAuthError> {
    let claims = verify(provider, access_token, now)?;
    check_live(provider, &claims, now).await?;
    let client = provider.clients.find(&claims.client_id).ok_or_else(|| invalid("the client is gone"))?;
    if !claims.scope.contains("openid") {
        return Err(OAuthError::new(ErrorCode::InsufficientScope, "the scope openid is needed"));
    }
    let mut tx = provider.store.begin_read().await.map_err(OAuthError::server_error)?;
    let view = tx.subject_view_by_sub(&client.sector, &claims.sub).await.map_err(OAuthError::server_error)?;
    let view = view.filter(|view| view.state == CustomerState::Active).ok_or_else(|| invalid("no such customer"))?;
    Ok(profile::claims(&view.profile, claims.sub).within(&claims.scope))
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
) -> Result<(), OAuthError> {
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
        Some(_) if !session::is_live_record(values.next().flatten().as_deref(), now) => {
            Err(invalid("the session has ended"))
        }
        _ => Ok(()),
    }
}

fn invalid(detail: &str) -> OAuthError {
    OAuthError::invalid_token("the access token is invalid, expired or revoked").detail(detail)
}
