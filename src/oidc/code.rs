//! Authorization codes: made at the end of a login, redeemed once (RFC 6749 §4.1.2, RFC 9700 §4.5).
//!
//! A code is `<random>.<sid>`: the session part lets one round trip both redeem the code and see that the session still
//! lives. Redeeming swaps the record for a marker, so that a second use is told apart from an unknown code.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Provider;
use super::client::Client;
use crate::clock::Timestamp;
use crate::ids::{CustomerId, GrantId, Sid};
use crate::kv::{self, Op, Reply, When};
use crate::protocol::OAuthError;
use crate::protocol::authorization::AuthorizationRequest;
use crate::protocol::pkce::{CodeChallenge, CodeVerifier};
use crate::protocol::scope::Scope;
use crate::secret;
use crate::session::{self, Authentication, SsoSession};

/// How long a used code is remembered here, at least. Where it gave a refresh token, its grant remembers it for life.
const REMEMBERED: Duration = Duration::from_secs(3600);
const USED: &[u8] = b"used";
const MAX_CODE: usize = 128;

/// What a code stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CodeRecord {
    pub client_id: String,
    pub redirect_uri_sent: Option<String>,
    pub code_challenge: Option<CodeChallenge>,
    pub customer: CustomerId,
    pub sid: Sid,
    pub authentication: Authentication,
    pub session_expires_at: Timestamp,
    pub scope: Scope,
    pub nonce: Option<String>,
    pub resources: Vec<String>,
    pub expires_at: Timestamp,
}

impl CodeRecord {
    /// What a session without a browser gives, redeemed at once.
    pub fn of_session(
        client: &Client,
        session: SsoSession,
        scope: Scope,
        resources: Vec<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            client_id: client.id().to_owned(),
            redirect_uri_sent: None,
            code_challenge: None,
            customer: session.customer,
            sid: session.sid,
            authentication: session.authentication,
            session_expires_at: session.expires_at,
            scope,
            nonce: None,
            resources,
            expires_at: now,
        }
    }
}

/// Makes a code for a request that may be answered. The operation must have run before the code leaves the house.
///
/// # Errors
/// If the record cannot be written down.
pub fn issue(
    request: &AuthorizationRequest,
    session: &SsoSession,
    lifetime: Duration,
    now: Timestamp,
) -> Result<(String, Op), serde_json::Error> {
    let code = format!("{}.{}", secret::random_token(), session.sid);
    let record = CodeRecord {
        client_id: request.client_id.clone(),
        redirect_uri_sent: request.redirect_uri_sent.clone(),
        code_challenge: request.code_challenge.clone(),
        customer: session.customer,
        sid: session.sid.clone(),
        authentication: session.authentication.clone(),
        session_expires_at: session.expires_at,
        scope: request.scope.clone(),
        nonce: request.nonce.clone(),
        resources: request.resources.clone(),
        expires_at: now + lifetime,
    };
    let value = serde_json::to_vec(&record)?;
    Ok((code.clone(), Op::Set { key: key(&code), value, ttl: lifetime, when: When::Absent }))
}

/// What presenting a code met.
#[derive(Debug)]
pub enum Redeemed {
    /// First use, session alive.
    Fresh(Box<CodeRecord>),
    /// A second use: what the first one produced must end.
    Replayed(GrantId),
    /// Never issued, expired, used long ago, or the session it belongs to has ended.
    Unusable,
}

/// Redeems a code: burned from here on, whatever the checks that follow say.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn redeem(provider: &Provider, code: &str, now: Timestamp) -> Result<Redeemed, kv::Error> {
    let Some((_, sid)) = code.split_once('.').filter(|_| code.len() <= MAX_CODE) else {
        return Ok(Redeemed::Unusable);
    };
    let remembered = REMEMBERED.max(provider.lifetimes.access_token);
    let swap = Op::Swap { key: key(code), value: USED.to_vec(), ttl: remembered };
    let live = Op::Get { key: session::sid_key(sid) };
    let replies = provider.kv.run(vec![swap, live]).await?;
    let [Reply::Value(Some(old)), Reply::Value(session)] = replies.as_slice() else {
        return Ok(Redeemed::Unusable);
    };
    if old == USED {
        return Ok(Redeemed::Replayed(GrantId::of_code(code)));
    }
    match serde_json::from_slice::<CodeRecord>(old) {
        Ok(record) if now < record.expires_at && session::is_live_record(session.as_deref(), now) => {
            Ok(Redeemed::Fresh(Box::new(record)))
        }
        _ => Ok(Redeemed::Unusable),
    }
}

/// Makes a redeemed code good again that could not be made anything of, for the rest of its time. Whoever came with it
/// meanwhile has voided its grant, and that stays so.
///
/// # Errors
/// If the key-value store does not answer: then the customer has to begin anew.
pub async fn give_back(provider: &Provider, code: &str, record: &CodeRecord, now: Timestamp) -> Result<(), kv::Error> {
    let (key, value, ttl) = (key(code), kv::to_json(record)?, record.expires_at.since(now));
    provider.kv.run(vec![Op::Set { key, value, ttl, when: When::Present }]).await.map(drop)
}

/// Checks that the token request is the one the code was made for (RFC 6749 §4.1.3, RFC 7636 §4.6).
///
/// # Errors
/// `invalid_grant`.
pub fn check(
    record: &CodeRecord,
    client_id: &str,
    redirect_uri: Option<&str>,
    code_verifier: Option<&str>,
) -> Result<(), OAuthError> {
    if record.client_id != client_id {
        return Err(OAuthError::invalid_grant(INVALID).detail("the code belongs to another client"));
    }
    // RFC 6749 §4.1.3: must be identical to the one in the authorization request, if it was sent there.
    if record.redirect_uri_sent.is_some() && record.redirect_uri_sent.as_deref() != redirect_uri {
        return Err(OAuthError::invalid_grant("redirect_uri is not the one of the authorization request"));
    }
    match (&record.code_challenge, code_verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => {
            // RFC 9700 §2.1.1: a verifier without a challenge is a downgrade attack.
            Err(OAuthError::invalid_grant("code_verifier was sent but the authorization request had no code_challenge"))
        }
        (Some(_), None) => Err(OAuthError::invalid_grant("code_verifier is missing")),
        (Some(challenge), Some(verifier)) if matches(challenge, verifier) => Ok(()),
        (Some(_), Some(_)) => Err(OAuthError::invalid_grant("code_verifier does not match the code_challenge")),
    }
}

/// The one wording for a code that cannot be redeemed.
pub const INVALID: &str = "the authorization code is invalid, expired or already used";

fn matches(challenge: &CodeChallenge, verifier: &str) -> bool {
    CodeVerifier::parse(verifier).is_some_and(|verifier| {
        let digest = secret::base64url(&secret::sha256(&[verifier.as_str().as_bytes()]));
        secret::constant_time_eq(digest.as_bytes(), challenge.as_str().as_bytes())
    })
}

fn key(code: &str) -> String {
    format!("code:{}", secret::token_hash(code))
}
