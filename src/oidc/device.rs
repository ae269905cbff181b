//! The device authorization grant (RFC 8628): a device without a browser shows a code, a person types it in elsewhere.
//!
//! Three keys make one: the request of the device, the way to it from the code that the person types, and the person's
//! answer. The answer is written once and the request taken once, so of any number of clicks and questions one counts
//! (protocol specification, rule 18). The answer names the customer as of then: a merge in between changes nothing but
//! what they see (identity specification, rule 26), and it ends with the session that it was given in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Provider;
use super::client::Client;
use super::grants::available_scope;
use crate::clock::{self, Timestamp};
use crate::ids::{CustomerId, Sid};
use crate::kv::{self, Kv, Op, Reply, When};
use crate::oidc::authorize;
use crate::protocol::client_metadata::GrantType;
use crate::protocol::device::{DeviceAuthorization, USER_CODE_LETTERS, UserCode};
use crate::protocol::params::Params;
use crate::protocol::scope::Scope;
use crate::protocol::{ErrorCode, OAuthError};
use crate::secret;
use crate::session::{self, Authentication, SsoSession};

/// How long a person may take.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How long a device must wait between two questions.
const INTERVAL: Duration = Duration::from_secs(5);
/// How often another code is tried where one is taken.
const TRIES: usize = 4;

/// What a device asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceRequest {
    pub client_id: String,
    pub scope: Scope,
    pub resources: Vec<String>,
    pub user_code: UserCode,
    /// Where it was asked from: the device's network address, for the person to see.
    pub place: String,
    /// Names the request: the hash of its device code.
    pub id: String,
    pub expires_at: Timestamp,
}

/// What a person answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Allowed { customer: CustomerId, sid: Sid, authentication: Authentication },
    Denied,
}

impl Decision {
    /// The word of whoever is signed in.
    pub fn allowed(session: &SsoSession) -> Self {
        Self::Allowed {
            customer: session.customer,
            sid: session.sid.clone(),
            authentication: session.authentication.clone(),
        }
    }
}

/// Begins an authorization for an authenticated client. `place` is where the device asks from.
///
/// # Errors
/// `unauthorized_client`, `invalid_scope`, `invalid_target`, `server_error`.
pub async fn begin(
    provider: &Provider,
    client: &Client,
    params: &Params,
    place: String,
    now: Timestamp,
) -> Result<DeviceAuthorization, OAuthError> {
    if !client.may_use(GrantType::DeviceCode) {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "this client may not use this grant type"));
    }
    let (scope, resources) = (available_scope(params, client)?, authorize::resources(params, client)?);
    let device_code = secret::random_token();
    let id = secret::token_hash(&device_code);
    for _ in 0..TRIES {
        let user_code = new_user_code();
        let request = DeviceRequest {
            client_id: client.id().to_owned(),
            scope: scope.clone(),
            resources: resources.clone(),
            user_code: user_code.clone(),
            place: place.clone(),
            id: id.clone(),
            expires_at: now + LIFETIME,
        };
        if write(&provider.kv, &request).await? {
            let verification_uri = format!("{}/device", provider.issuer);
            return Ok(DeviceAuthorization {
                device_code,
                verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
                verification_uri,
                user_code: user_code.to_string(),
                expires_in: LIFETIME.as_secs(),
                interval: INTERVAL.as_secs(),
            });
        }
    }
    Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, "too many devices are being connected"))
}

/// `false` if the user code is another request's.
async fn write(kv: &Kv, request: &DeviceRequest) -> kv::Result<bool> {
    let ways = Op::Set {
        key: way_key(&request.user_code),
        value: request.id.clone().into_bytes(),
        ttl: LIFETIME,
        when: When::Absent,
    };
    if kv.run(vec![ways]).await? != [Reply::Done(true)] {
        return Ok(false);
    }
    let set = |key, value| Op::Set { key, value, ttl: LIFETIME, when: When::Always };
    kv.run(vec![
        set(request_key(&request.id), kv::to_json(request)?),
        // Nobody has asked yet.
        set(asked_key(&request.id), kv::to_json(&Timestamp::from_micros(0))?),
    ])
    .await?;
    Ok(true)
}

/// Numbers below the largest multiple of the letters, so that each letter is as likely as the others.
fn new_user_code() -> UserCode {
    let letters = USER_CODE_LETTERS.len();
    let fair = u8::try_from(256 / letters * letters).unwrap_or(u8::MAX);
    let mut numbers = [0; 8];
    for number in &mut numbers {
        *number = loop {
            let [byte] = clock::random::<1>();
            if byte < fair {
                break byte;
            }
        };
    }
    UserCode::of(numbers)
}

/// The request that a person's code leads to, if it is still open at `now`. Two round trips.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn find(kv: &Kv, user_code: &UserCode, now: Timestamp) -> kv::Result<Option<DeviceRequest>> {
    let Some(id) = kv.get(&way_key(user_code)).await? else { return Ok(None) };
    open_request(kv, &String::from_utf8_lossy(&id), now).await
}

/// The request of this ID, if nobody has answered it and its time is not up.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn open_request(kv: &Kv, id: &str, now: Timestamp) -> kv::Result<Option<DeviceRequest>> {
    let replies = kv.run(vec![Op::Get { key: request_key(id) }, Op::Get { key: answer_key(id) }]).await?;
    let [Reply::Value(request), Reply::Value(None)] = replies.as_slice() else { return Ok(None) };
    let request: Option<DeviceRequest> = kv::from_json(request.clone())?;
    Ok(request.filter(|request| now < request.expires_at))
}

/// Writes the person's answer; `false` if there was one, which stays.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn decide(kv: &Kv, request: &DeviceRequest, decision: &Decision) -> kv::Result<bool> {
    let (key, value) = (answer_key(&request.id), kv::to_json(decision)?);
    let replies = kv.run(vec![Op::Set { key, value, ttl: LIFETIME, when: When::Absent }]).await?;
    Ok(replies == [Reply::Done(true)])
}

/// A request that was allowed, taken out of the store.
#[derive(Debug)]
pub struct Redeemed {
    pub request: DeviceRequest,
    pub customer: CustomerId,
    pub authentication: Authentication,
}

/// Asks for a device how far the person is. The first to ask after an answer takes it: one round trip, then two.
///
/// # Errors
/// Those of RFC 8628 §3.5; `invalid_grant` for a code that is not this client's, or was used before.
pub async fn redeem(
    provider: &Provider,
    client: &Client,
    device_code: &str,
    now: Timestamp,
) -> Result<Redeemed, OAuthError> {
    let (kv, id) = (&provider.kv, secret::token_hash(device_code));
    let ask = Op::Swap { key: asked_key(&id), value: kv::to_json(&now)?, ttl: LIFETIME };
    let ops = vec![Op::Get { key: request_key(&id) }, ask, Op::Get { key: answer_key(&id) }];
    let replies = kv.run(ops).await?;
    let [Reply::Value(request), Reply::Value(asked), Reply::Value(answer)] = replies.as_slice() else {
        return Err(invalid("not there"));
    };
    let request: Option<DeviceRequest> = kv::from_json(request.clone())?;
    let asked: Option<Timestamp> = kv::from_json(asked.clone())?;
    let decision: Option<Decision> = kv::from_json(answer.clone())?;
    let request = request.ok_or_else(|| OAuthError::new(ErrorCode::ExpiredToken, EXPIRED).detail("not there"))?;
    if request.client_id != client.id() {
        return Err(invalid("another client's"));
    }
    if now >= request.expires_at {
        return Err(OAuthError::new(ErrorCode::ExpiredToken, EXPIRED));
    }
    if asked.is_some_and(|asked| now.since(asked) < INTERVAL) {
        return Err(OAuthError::new(ErrorCode::SlowDown, "asked again too soon: wait five seconds longer each time"));
    }
    match decision {
        None => Err(OAuthError::new(ErrorCode::AuthorizationPending, "nobody has answered yet")),
        Some(Decision::Denied) => {
            take(kv, &request, None).await?;
            Err(OAuthError::new(ErrorCode::AccessDenied, "the end-user did not consent"))
        }
        Some(Decision::Allowed { customer, sid, authentication }) => {
            let taken = take(kv, &request, Some((&sid, now))).await?;
            if !taken {
                return Err(invalid("used before, or the session it was allowed in has ended"));
            }
            Ok(Redeemed { request, customer, authentication })
        }
    }
}

/// Makes a device code good again that could not be made anything of; what was answered stands still.
///
/// # Errors
/// If the key-value store does not answer: then the device has to begin anew.
pub async fn give_back(kv: &Kv, request: &DeviceRequest, now: Timestamp) -> kv::Result<()> {
    let ttl = request.expires_at.since(now);
    let set = |key, value| Op::Set { key, value, ttl, when: When::Absent };
    let ops =
        vec![set(request_key(&request.id), kv::to_json(request)?), set(asked_key(&request.id), kv::to_json(&now)?)];
    kv.run(ops).await.map(drop)
}

const EXPIRED: &str = "the device code has expired: begin again";

fn invalid(detail: &str) -> OAuthError {
    OAuthError::invalid_grant("the device code is invalid or already used").detail(detail)
}

/// Takes the request; `true` to the first who does, while the session that answered it lives.
async fn take(kv: &Kv, request: &DeviceRequest, session: Option<(&Sid, Timestamp)>) -> kv::Result<bool> {
    let mut ops = vec![
        Op::Take { key: request_key(&request.id) },
        Op::Delete { key: way_key(&request.user_code) },
        Op::Delete { key: asked_key(&request.id) },
    ];
    ops.extend(session.map(|(sid, _)| Op::Get { key: session::sid_key(sid.as_str()) }));
    let replies = kv.run(ops).await?;
    let first = matches!(replies.first(), Some(Reply::Value(Some(_))));
    let lives = session.is_none_or(|(_, now)| match replies.last() {
        Some(Reply::Value(record)) => session::is_live_record(record.as_deref(), now),
        _ => false,
    });
    Ok(first && lives)
}

fn request_key(id: &str) -> String {
    format!("device:{{{id}}}")
}

fn asked_key(id: &str) -> String {
    format!("device-asked:{{{id}}}")
}

fn answer_key(id: &str) -> String {
    format!("device-answer:{{{id}}}")
}

/// A hash, so that no code that works stands in the store.
fn way_key(user_code: &UserCode) -> String {
    format!("device-code:{}", secret::token_hash(user_code.as_str()))
}
