//! `authorization_code` (RFC 6749 §4.1.3): a code becomes tokens once; a second use ends what the first one gave.

use std::collections::BTreeMap;

use super::refresh_token::RefreshToken;
use super::{Granted, revoke_access_tokens};
use crate::clock::Timestamp;
use crate::events;
use crate::ids::GrantId;
use crate::oidc::client::Client;
use crate::oidc::code::{self, CodeRecord, Redeemed};
use crate::oidc::{Provider, authorize, subject};
use crate::protocol::client_metadata::GrantType;
use crate::protocol::params::Params;
use crate::protocol::{ErrorCode, OAuthError};
use crate::store::retry::retry;
use crate::store::{CustomerState, Grant};

/// Redeems the code of a token request.
///
/// # Errors
/// `invalid_grant` for everything about the code, `invalid_target` for a resource that was not authorized.
pub async fn redeem(
    provider: &Provider,
    client: &Client,
    params: &Params,
    now: Timestamp,
) -> Result<Granted, OAuthError> {
    let presented = params.required("code")?;
    let record = match code::redeem(provider, presented, now).await? {
        Redeemed::Fresh(record) => record,
        Redeemed::Replayed(grant) => {
            end_grant(provider, grant, client, now).await?;
            return Err(OAuthError::invalid_grant(code::INVALID).detail("replayed"));
        }
        Redeemed::Unusable => {
            end_grant_of_old(provider, presented, client, now).await?;
            return Err(OAuthError::invalid_grant(code::INVALID));
        }
    };
    code::check(&record, client.id(), params.get("redirect_uri"), params.get("code_verifier"))?;
    let resources = authorize::narrowed_resources(params, client, &record.resources)?;
    let granted = grant(provider, client, &record, &resources, GrantId::of_code(presented), now).await;
    if granted.as_ref().is_err_and(|error| error.code == ErrorCode::TemporarilyUnavailable) {
        // Nobody got anything for it. If the grant was written all the same, the next try finds it and gives nothing.
        code::give_back(provider, presented, &record, now).await?;
    }
    granted
}

/// What a record grants: tokens for its customer, with a refresh-token family where the client may have one.
///
/// # Errors
/// `invalid_grant` if the customer may not log in, or the grant was voided before it was written.
pub(super) async fn grant(
    provider: &Provider,
    client: &Client,
    record: &CodeRecord,
    resources: &[String],
    id: GrantId,
    now: Timestamp,
) -> Result<Granted, OAuthError> {
    retry(|| grant_once(provider, client, record, resources, id, now)).await
}

async fn grant_once(
    provider: &Provider,
    client: &Client,
    record: &CodeRecord,
    resources: &[String],
    id: GrantId,
    now: Timestamp,
) -> Result<Granted, OAuthError> {
    let mut tx = provider.store.begin().await?;
    let view = subject::view(&mut tx, client.into(), record.customer, &provider.subject_key, now).await?;
    let Some((seen, sub)) = view.filter(|(view, _)| view.state == CustomerState::Active) else {
        return Err(OAuthError::invalid_grant(code::INVALID).detail("the customer is not active"));
    };
    let offline = record.scope.contains("offline_access");
    let mut refresh = None;
    if client.may_use(GrantType::RefreshToken) {
        let row = family(provider, client, record, &sub, id, now);
        let came_by = record.authentication.link;
        if !tx.grant_insert(&row, came_by).await? {
            // A replay came first and left a tombstone: what this use would give is already void. Or the account that the
            // customer logged in with was disconnected since, and whatever came in through it ends.
            return Err(OAuthError::invalid_grant(code::INVALID).detail("voided by a replay, or its link has ended"));
        }
        refresh = Some(RefreshToken { grant: id, generation: row.generation }.encode(&provider.refresh_key));
    }
    tx.commit().await?;
    Ok(Granted {
        merged_from: seen.retired_beside(&sub),
        subject: sub,
        scope: record.scope.clone(),
        resources: resources.to_vec(),
        grant: id,
        authentication: Some(record.authentication.clone().as_seen_by(&seen)),
        bound_to: (!offline).then(|| record.sid.clone()),
        sid: Some(record.sid.clone()),
        nonce: record.nonce.clone(),
        refresh_token: refresh,
        not_after: None,
    })
}

fn family(provider: &Provider, client: &Client, record: &CodeRecord, sub: &str, id: GrantId, now: Timestamp) -> Grant {
    let mut claims = serde_json::to_value(&record.authentication).unwrap_or_default();
    // What the tokens of this family call the customer, whatever others are told later on.
    if let Some(claims) = claims.as_object_mut() {
        claims.insert("sub".to_owned(), sub.into());
    }
    let offline = record.scope.contains("offline_access");
    let absolute = now + provider.lifetimes.refresh_absolute;
    Grant {
        id,
        client_id: client.id().to_owned(),
        customer: Some(record.customer),
        sid: Some(record.sid.clone()),
        scope: record.scope.to_string(),
        // RFC 8707 §2.2: all that was authorized; each refresh may ask for another part of it.
        audience: record.resources.clone(),
        offline,
        claims,
        generation: 0,
        rotated_at: now,
        created_at: now,
        last_used_at: now,
        idle_expires_at: now + provider.lifetimes.refresh_idle,
        expires_at: if offline { absolute } else { absolute.min(record.session_expires_at) },
        revoked_at: None,
        revoked_reason: None,
    }
}

/// A code that is no longer remembered may still have a grant, which then ends like any replayed code's.
async fn end_grant_of_old(provider: &Provider, code: &str, client: &Client, now: Timestamp) -> Result<(), OAuthError> {
    let id = GrantId::of_code(code);
    let mut tx = provider.store.begin_read().await?;
    let grant = tx.grant_find(id).await?;
    drop(tx);
    match grant {
        Some(grant) if grant.revoked_at.is_none() => end_grant(provider, id, client, now).await,
        _ => Ok(()),
    }
}

/// RFC 6749 §4.1.2: revoke all tokens issued from a code that is used twice. Commits even though the answer refuses.
async fn end_grant(provider: &Provider, grant: GrantId, client: &Client, now: Timestamp) -> Result<(), OAuthError> {
    let lifetime = provider.lifetimes.access_token.max(provider.lifetimes.refresh_grace);
    revoke_access_tokens(&provider.kv, grant, lifetime).await?;
    let attempt = async || {
        let mut tx = provider.store.begin().await?;
        let customer = tx.grant_void(grant, client.id(), "code_replayed", now).await?;
        if let Some(customer) = customer {
            let what = ("what", "authorization_code".to_owned());
            let detail = BTreeMap::from([("client_id", client.id().to_owned()), what]);
            events::record(&mut tx, customer, events::Actor::System, events::Event::TokenReuse { detail }, now).await?;
        }
        tx.commit().await
    };
    retry(attempt).await?;
    tracing::warn!(client.id = client.id(), "an authorization code was used twice; its tokens are revoked");
    Ok(())
}
