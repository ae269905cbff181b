//! `refresh_token` (RFC 6749 §6): rotation without forks.
//!
//! A family is one row however often it rotates. A token carries family, generation and a MAC, so its successor is
//! derived, not stored: whoever lost a reply asks again within the grace time and gets the identical successor, until
//! that successor is used. Any other reuse ends the family (spec/protocol.md rule 17).

use std::collections::BTreeMap;

use super::{Granted, revoked_key};
use crate::clock::Timestamp;
use crate::events;
use crate::ids::GrantId;
use crate::kv::{Op, When};
use crate::oidc::client::Client;
use crate::oidc::subject::{self, Sector};
use crate::oidc::{Provider, authorize};
use crate::protocol::OAuthError;
use crate::protocol::params::Params;
use crate::protocol::scope::Scope;
use crate::secret::{self, DerivedKey};
use crate::session::{self, Authentication};
use crate::store::retry::retry;
use crate::store::{CustomerState, Grant, Tx};

const INVALID: &str = "the refresh token is invalid, expired or revoked";
const LENGTH: usize = 16 + 8 + 32;

/// A refresh token's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    pub grant: GrantId,
    pub generation: i64,
}

impl RefreshToken {
    /// The token as the client gets it.
    pub fn encode(self, key: &DerivedKey) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend_from_slice(self.grant.0.as_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        let mac = key.mac(&[&bytes]);
        bytes.extend_from_slice(&mac);
        secret::base64url(&bytes)
    }

    /// Reads a presented token; `None` unless we made it.
    pub fn decode(text: &str, key: &DerivedKey) -> Option<Self> {
        let bytes = (text.len() <= 2 * LENGTH).then(|| secret::from_base64url(text)).flatten()?;
        let (content, mac) = bytes.split_at_checked(24).filter(|_| bytes.len() == LENGTH)?;
        if !secret::constant_time_eq(mac, &key.mac(&[content])) {
            return None;
        }
        let (grant, generation) = content.split_first_chunk::<16>()?;
        let grant = GrantId(uuid::Uuid::from_bytes(*grant));
        Some(Self { grant, generation: i64::from_be_bytes(*generation.first_chunk()?) })
    }

    fn successor(self) -> Self {
        Self { generation: self.generation + 1, ..self }
    }
}

/// Rotates the refresh token of a token request.
///
/// # Errors
/// `invalid_grant` for everything about the token, `invalid_scope` for a wider scope, `invalid_target` for a resource
/// that was not authorized. Neither of the two uses the token up.
pub async fn rotate(
    provider: &Provider,
    client: &Client,
    params: &Params,
    now: Timestamp,
) -> Result<Granted, OAuthError> {
    let presented = RefreshToken::decode(params.required("refresh_token")?, &provider.refresh_key)
        .ok_or_else(|| OAuthError::invalid_grant(INVALID).detail("not one of ours"))?;
    retry(|| rotate_once(provider, client, params, presented, now)).await
}

async fn rotate_once(
    provider: &Provider,
    client: &Client,
    params: &Params,
    presented: RefreshToken,
    now: Timestamp,
) -> Result<Granted, OAuthError> {
    let mut tx = provider.store.begin().await?;
    let idle = now + provider.lifetimes.refresh_idle;
    let rotated = tx.grant_rotate(presented.grant, client.id(), presented.generation, now, idle).await?;
    let family = match rotated {
        Some(family) => family,
        None => {
            let family = tx.grant_find(presented.grant).await?;
            let family = family.ok_or_else(|| OAuthError::invalid_grant(INVALID).detail("no such family"))?;
            match judge(&family, client.id(), presented.generation, provider.lifetimes.refresh_grace, now) {
                Stale::Retry => family,
                Stale::Dead => {
                    return Err(OAuthError::invalid_grant(INVALID).detail("expired, revoked or of another client"));
                }
                Stale::Reuse => {
                    drop(tx);
                    end_family(provider, client, &family, now).await?;
                    return Err(OAuthError::invalid_grant(INVALID).detail("reuse"));
                }
            }
        }
    };
    let granted = granted(provider, &mut tx, client, params, &family, presented).await?;
    tx.commit().await?;
    Ok(granted)
}

/// What a token that is not of the current generation means.
#[derive(Debug, PartialEq, Eq)]
enum Stale {
    /// The last rotation's reply was lost, or several tabs refresh at once: give the same successor again.
    Retry,
    /// Expired, revoked, or another client's: nothing more to end.
    Dead,
    Reuse,
}

fn judge(family: &Grant, client_id: &str, generation: i64, grace: std::time::Duration, now: Timestamp) -> Stale {
    let dead = family.revoked_at.is_some() || now >= family.expires_at || now >= family.idle_expires_at;
    if dead || family.client_id != client_id {
        return Stale::Dead;
    }
    let unused_successor = family.generation == generation + 1;
    // The window counts from the rotation itself, so that asking again never extends it.
    if unused_successor && now <= family.rotated_at + grace { Stale::Retry } else { Stale::Reuse }
}

/// RFC 9700 §4.14.2: ends the family with its access tokens, marks the session as suspect and says so. Nothing of it is
/// done by halves for good: a failure leaves the family as it was, and the next reuse ends it.
async fn end_family(provider: &Provider, client: &Client, family: &Grant, now: Timestamp) -> Result<(), OAuthError> {
    let mark = |key: String, ttl| Op::Set { key, value: b"1".to_vec(), ttl, when: When::Always };
    let mut ops = vec![mark(revoked_key(family.id), provider.lifetimes.access_token)];
    if let Some(sid) = &family.sid {
        ops.push(mark(session::suspect_key(sid.as_str()), provider.lifetimes.refresh_absolute));
    }
    provider.kv.run(ops).await?;
    let mut tx = provider.store.begin().await?;
    let ended = tx.grant_revoke(family.id, "refresh_token_reuse", now).await?;
    // Of several at once, one says so.
    if let Some(customer) = family.customer.filter(|_| ended) {
        let detail = BTreeMap::from([("client_id", client.id().to_owned()), ("what", "refresh_token".to_owned())]);
        events::record(&mut tx, customer, events::Actor::System, events::Event::TokenReuse { detail }, now).await?;
    }
    tx.commit().await?;
    tracing::warn!(client.id = client.id(), "a rotated refresh token was used again; its family is revoked");
    Ok(())
}

async fn granted(
    provider: &Provider,
    tx: &mut Tx,
    client: &Client,
    params: &Params,
    family: &Grant,
    presented: RefreshToken,
) -> Result<Granted, OAuthError> {
    let scope = narrowed_scope(params, &Scope::parse(&family.scope))?;
    let invalid = |detail: &str| OAuthError::invalid_grant(INVALID).detail(detail);
    let customer = family.customer.ok_or_else(|| invalid("no customer"))?;
    let sector = Sector::from(client);
    let view = subject::view(tx, sector, customer, &provider.subject_key, family.last_used_at).await?;
    let (seen, current) = view.ok_or_else(|| invalid("no such customer"))?;
    if seen.state != CustomerState::Active {
        return Err(invalid("the customer is not active"));
    }
    // OpenID Connect Core §12.2: the same `sub` as ever. Where a merge was undone it may be somebody else's by now.
    let subject = match family.claims.get("sub").and_then(|sub| sub.as_str()) {
        Some(sub) if seen.subs.iter().any(|known| known == sub) => sub.to_owned(),
        Some(_) => return Err(invalid("the subject is another customer's")),
        None => current,
    };
    Ok(Granted {
        merged_from: seen.retired_beside(&subject),
        subject,
        scope,
        resources: authorize::narrowed_resources(params, client, &family.audience)?,
        grant: family.id,
        authentication: authentication(family).map(|authentication| authentication.as_seen_by(&seen)),
        bound_to: family.sid.clone().filter(|_| !family.offline),
        sid: family.sid.clone(),
        nonce: None,
        refresh_token: Some(presented.successor().encode(&provider.refresh_key)),
        not_after: Some(family.expires_at),
    })
}

/// RFC 6749 §6: the scope can narrow, never widen.
fn narrowed_scope(params: &Params, granted: &Scope) -> Result<Scope, OAuthError> {
    let Some(asked) = params.get("scope").map(Scope::parse) else { return Ok(granted.clone()) };
    if !asked.is_empty() && asked.is_within(granted) {
        return Ok(asked);
    }
    Err(OAuthError::new(crate::protocol::ErrorCode::InvalidScope, "scope exceeds what was granted"))
}

fn authentication(family: &Grant) -> Option<Authentication> {
    serde_json::from_value(family.claims.clone()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::secret::MasterKey;

    #[test]
    fn a_token_reads_back_only_with_its_own_key() {
        let key = MasterKey::generate().derive("refresh");
        let token = RefreshToken { grant: GrantId::of_code("code"), generation: 7 };
        let text = token.encode(&key);
        assert_eq!(RefreshToken::decode(&text, &key), Some(token));
        assert_eq!(RefreshToken::decode(&text, &MasterKey::generate().derive("refresh")), None);
        for bad in ["", "x", &text[1..], &format!("{text}A"), &text.replace(&text[..4], "AAAA"), &"A".repeat(5000)] {
            assert_eq!(RefreshToken::decode(bad, &key), None, "{bad:.20}");
        }
    }

    #[test]
    fn only_the_unused_successor_within_the_window_is_a_retry() {
        let at = Timestamp::from_seconds(1000);
        let family = Grant {
            id: GrantId::of_code("c"),
            client_id: "shop".into(),
            customer: None,
            sid: None,
            scope: String::new(),
            audience: vec![],
            offline: true,
            claims: serde_json::Value::Null,
            generation: 5,
            rotated_at: at,
            created_at: at,
            last_used_at: at,
            idle_expires_at: at + Duration::from_secs(500),
            expires_at: at + Duration::from_secs(900),
            revoked_at: None,
            revoked_reason: None,
        };
        let grace = Duration::from_secs(30);
        let judge_at = |client: &str, generation, seconds| {
            judge(&family, client, generation, grace, at + Duration::from_secs(seconds))
        };
        assert_eq!(judge_at("shop", 4, 30), Stale::Retry);
        assert_eq!(judge_at("shop", 4, 31), Stale::Reuse);
        assert_eq!(judge_at("shop", 3, 1), Stale::Reuse);
        assert_eq!(judge_at("other", 4, 1), Stale::Dead);
        assert_eq!(judge_at("shop", 4, 500), Stale::Dead);
    }
}
