//! Userinfo (OpenID Connect Core §5.3): the claims that the access token's scope asks for.

use super::Provider;
use super::access_token::{check, invalid};
use crate::clock::Timestamp;
use crate::identity::profile;
use crate::protocol::claims::UserinfoClaims;
use crate::protocol::{ErrorCode, OAuthError};
use crate::store::CustomerState;

/// Answers a userinfo request.
///
/// # Errors
/// `invalid_token` for a token that is not (or no longer) good, `insufficient_scope` without `openid`.
pub async fn answer(provider: &Provider, access_token: &str, now: Timestamp) -> Result<UserinfoClaims, OAuthError> {
    let claims = check(provider, access_token, &provider.issuer, now).await?;
    let client = provider.clients.find(&claims.client_id).ok_or_else(|| invalid("the client is gone"))?;
    if !claims.scope.contains("openid") {
        return Err(OAuthError::new(ErrorCode::InsufficientScope, "the scope openid is needed"));
    }
    let mut tx = provider.store.begin_read().await.map_err(OAuthError::server_error)?;
    let view = tx.subject_view_by_sub(&client.sector, &claims.sub).await.map_err(OAuthError::server_error)?;
    let view = view.filter(|view| view.state == CustomerState::Active).ok_or_else(|| invalid("no such customer"))?;
    Ok(profile::claims(&view.profile, claims.sub).within(&claims.scope))
}
