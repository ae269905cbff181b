//! Revocation (RFC 7009): a client gives back what it was issued.
//!
//! Tokens live and die with their grant: giving back one of them ends it, with the refresh token and every access token
//! of it (RFC 7009 §2.1 allows both). Our own endpoints know at once; a resource server that only verifies signatures
//! learns it when the access token expires.

use super::Provider;
use super::access_token::grant_of;
use super::client::Client;
use super::grants::refresh_token::RefreshToken;
use super::grants::revoke_access_tokens;
use crate::clock::Timestamp;
use crate::ids::GrantId;
use crate::keys::{Expect, Expiry};
use crate::protocol::OAuthError;
use crate::protocol::params::Params;
use crate::protocol::token::AccessTokenClaims;
use crate::store::retry::retry;

/// Ends the grant of a token of this client. A token that is none, or no longer one, is as good as revoked; doing it
/// again changes nothing.
///
/// # Errors
/// `invalid_request` without a token, or for one of another client (RFC 7009 §2.1); `server_error`.
pub async fn revoke(provider: &Provider, client: &Client, params: &Params, now: Timestamp) -> Result<(), OAuthError> {
    let token = params.required("token")?;
    let grant = match RefreshToken::decode(token, &provider.refresh_key) {
        Some(presented) => {
            let mut tx = provider.store.begin_read().await?;
            let family = tx.grant_find(presented.grant).await?;
            let Some(family) = family else { return Ok(()) };
            own(&family.client_id, client)?;
            family.id
        }
        None => {
            let issuer = &provider.issuer;
            let expect = Expect { typ: &["at+jwt"], issuer, audience: None, now, expiry: Expiry::Ignored };
            let Ok(claims) = provider.keys.verify::<AccessTokenClaims>(token, &expect) else { return Ok(()) };
            own(&claims.client_id, client)?;
            let Some(grant) = grant_of(&claims) else { return Ok(()) };
            grant
        }
    };
    end(provider, grant, now).await
}

fn own(issued_to: &str, client: &Client) -> Result<(), OAuthError> {
    if issued_to == client.id() {
        return Ok(());
    }
    Err(OAuthError::invalid_request("the token was not issued to this client"))
}

/// The mark comes first: a failure after it leaves less standing, never more.
async fn end(provider: &Provider, grant: GrantId, now: Timestamp) -> Result<(), OAuthError> {
    let lifetime = provider.lifetimes.access_token;
    revoke_access_tokens(&provider.kv, grant, lifetime).await?;
    let attempt = async || {
        let mut tx = provider.store.begin().await?;
        tx.grant_revoke(grant, "revoked_by_client", now).await?;
        tx.commit().await
    };
    Ok(retry(attempt).await?)
}
