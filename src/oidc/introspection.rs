//! Introspection (RFC 7662): what a token is worth at this moment.
//!
//! Entitled to know are the client that it was issued to and the resource server that it is for, which is the client
//! whose ID stands in the token's audience. To everybody else it is inactive, like a token that never was (protocol
//! specification, rule 29). The customer is named as the client knows them today, with what a merge retired beside it
//! (identity specification, rule 24).

use super::client::Client;
use super::grants::refresh_token::RefreshToken;
use super::{Provider, access_token, userinfo};
use crate::clock::Timestamp;
use crate::identity::merge::side::{self, Seen};
use crate::keys::{Expect, Expiry};
use crate::protocol::client_metadata::TokenEndpointAuthMethod;
use crate::protocol::introspection::Introspection;
use crate::protocol::params::Params;
use crate::protocol::scope::Scope;
use crate::protocol::token::{AccessTokenClaims, TokenType};
use crate::protocol::{ErrorCode, OAuthError};
use crate::session::Authentication;
use crate::store::{CustomerState, Grant};

/// Answers an introspection request of an authenticated client. A `token_type_hint` is not needed: our tokens tell.
///
/// # Errors
/// `invalid_client` for one without a secret (RFC 7662 §2.1), `invalid_request` without a token, `server_error`.
pub async fn answer(
    provider: &Provider,
    client: &Client,
    params: &Params,
    now: Timestamp,
) -> Result<Introspection, OAuthError> {
    if client.metadata.token_endpoint_auth_method == TokenEndpointAuthMethod::None {
        return Err(OAuthError::invalid_client("a public client may not introspect"));
    }
    let token = params.required("token")?;
    let told = match RefreshToken::decode(token, &provider.refresh_key) {
        Some(presented) => refresh_token(provider, client, presented, now).await?,
        None => access_token(provider, client, token, now).await?,
    };
    Ok(told.unwrap_or_default())
}

async fn access_token(
    provider: &Provider,
    client: &Client,
    token: &str,
    now: Timestamp,
) -> Result<Option<Introspection>, OAuthError> {
    let expect = Expect { typ: &["at+jwt"], issuer: &provider.issuer, audience: None, now, expiry: Expiry::Checked };
    let Ok(claims) = provider.keys.verify::<AccessTokenClaims>(token, &expect) else { return Ok(None) };
    // Looked at before anything else depends on who asks, so that the time tells nobody what it is worth to others.
    let live = match access_token::check_live(provider, &claims, now).await {
        Ok(live) => live,
        Err(error) if error.code == ErrorCode::InvalidToken => return Ok(None),
        Err(error) => return Err(error),
    };
    let is_entitled = claims.client_id == client.id() || claims.aud.contains(client.id());
    let Some(issued_to) = provider.clients.find(&claims.client_id).filter(|_| is_entitled) else { return Ok(None) };
    let mut told = Introspection {
        active: true,
        scope: claims.scope,
        client_id: Some(claims.client_id),
        token_type: Some(TokenType::Bearer),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        sub: Some(claims.sub),
        aud: Some(claims.aud),
        iss: Some(claims.iss),
        jti: Some(claims.jti),
        auth_time: claims.auth_time,
        acr: claims.acr,
        amr: claims.amr,
        sid: claims.sid,
        merged_from: Vec::new(),
    };
    // A client's own token is about no customer.
    let Some(sub) = told.sub.clone().filter(|sub| sub != issued_to.id()) else { return Ok(Some(told)) };
    let mut tx = provider.store.begin_read().await?;
    let seen = userinfo::seen(provider, &mut tx, &issued_to.sector, &sub, &live, now).await;
    Ok(seen?.map(|seen| {
        name(&mut told, &seen, sub);
        told
    }))
}

/// A refresh token is its own client's matter.
async fn refresh_token(
    provider: &Provider,
    client: &Client,
    presented: RefreshToken,
    now: Timestamp,
) -> Result<Option<Introspection>, OAuthError> {
    let mut tx = provider.store.begin_read().await?;
    let family = tx.grant_find(presented.grant).await?;
    let Some(family) = family.filter(|family| is_good(family, client, presented, now)) else { return Ok(None) };
    let Some(customer) = family.customer else { return Ok(None) };
    let rows = tx.members_seen(&client.sector, customer).await?;
    let seen = side::see(&rows, customer, &provider.subject_key.merge, now);
    let sub = family.claims.get("sub").and_then(|sub| sub.as_str()).unwrap_or_default().to_owned();
    let theirs = |seen: &Seen| seen.state == CustomerState::Active && seen.subs.contains(&sub);
    let Some(seen) = seen.filter(theirs) else { return Ok(None) };
    let authentication: Option<Authentication> = serde_json::from_value(family.claims).ok();
    let authentication = authentication.map(|authentication| authentication.as_seen_by(&seen));
    let mut told = Introspection {
        active: true,
        scope: Scope::parse(&family.scope),
        client_id: Some(family.client_id),
        exp: Some(family.expires_at.min(family.idle_expires_at).seconds()),
        iat: Some(family.rotated_at.seconds()),
        iss: Some(provider.issuer.clone()),
        auth_time: authentication.as_ref().map(|authentication| authentication.auth_time.seconds()),
        acr: authentication.as_ref().and_then(|authentication| authentication.acr.clone()),
        amr: authentication.map(|authentication| authentication.amr).unwrap_or_default(),
        sid: family.sid.map(|sid| sid.as_str().to_owned()),
        ..Introspection::default()
    };
    name(&mut told, &seen, sub);
    Ok(Some(told))
}

fn is_good(family: &Grant, client: &Client, presented: RefreshToken, now: Timestamp) -> bool {
    family.client_id == client.id()
        && family.generation == presented.generation
        && family.revoked_at.is_none()
        && now < family.expires_at
        && now < family.idle_expires_at
}

/// Names the customer as the sector knows them today; the token may have been issued under a subject retired since.
fn name(told: &mut Introspection, seen: &Seen, issued: String) {
    let current = seen.sub.clone().unwrap_or_else(|| issued.clone());
    told.merged_from = seen.retired_beside(&current);
    if issued != current && !told.merged_from.contains(&issued) {
        told.merged_from.push(issued);
    }
    told.sub = Some(current);
}
