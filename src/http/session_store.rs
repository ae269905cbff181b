//! Where browser sessions are kept: tower-sessions' storage face over the key-value store.
//!
//! A session's ID is a bearer secret, so it is neither the key (its hash is) nor part of the stored value. Creating
//! writes only where nothing is, saving only where something is: a request in flight cannot undo a logout. Expiry is
//! checked against our clock, so whoever sets a session's expiry must take it from there too
//! (`Expiry::AtDateTime`), not from tower-sessions' own reading of the system clock.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result};

use crate::clock::{self, Clock, Timestamp};
use crate::kv::{self, Kv, Op, Reply, When};
use crate::secret;
use crate::session::{self, SidRecord, SsoSession};

/// IDs are 128 random bits; if even the second try collides, something else is wrong.
const CREATE_TRIES: usize = 3;

/// Browser sessions in the key-value store.
#[derive(Clone)]
pub struct KvSessionStore {
    kv: Kv,
    clock: Clock,
}

/// What is stored under a session's key.
#[derive(Serialize, Deserialize)]
struct Stored {
    data: HashMap<String, serde_json::Value>,
    expires_at: Timestamp,
}

impl KvSessionStore {
    /// Sessions in `kv`, which end by `clock`.
    pub fn new(kv: Kv, clock: Clock) -> Self {
        Self { kv, clock }
    }

    /// Writes the record under the condition; says whether it was written.
    async fn put(&self, record: &Record, when: When) -> Result<bool> {
        let expires_at = timestamp(record.expiry_date);
        let ttl = expires_at.since(self.clock.now());
        if ttl == Duration::ZERO {
            // Expired before it was written: nothing may be left of it.
            self.kv.delete(&session_key(&record.id)).await.map_err(backend)?;
            return Ok(true);
        }
        let stored = Stored { data: record.data.clone(), expires_at };
        let value = serde_json::to_vec(&stored).map_err(|e| Error::Encode(e.to_string()))?;
        let key = session_key(&record.id);
        let mut ops = vec![Op::Set { key: key.clone(), value, ttl, when }];
        // The index by `sid` is written in the same round trip; it is never brought back once the session has ended.
        if let Some(sso) = sso_session(record) {
            let link = sso.authentication.link;
            let index = SidRecord { customer: sso.customer, session_key: key, expires_at, link };
            let value = kv::to_json(&index).map_err(backend)?;
            let when = if when == When::Absent { When::Always } else { when };
            ops.push(Op::Set { key: session::sid_key(sso.sid.as_str()), value, ttl, when });
            ops.push(listed(&sso, ttl));
        }
        let replies = self.kv.run(ops).await.map_err(backend)?;
        Ok(matches!(replies.first(), Some(Reply::Done(true))))
    }
}

impl fmt::Debug for KvSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KvSessionStore")
    }
}

#[async_trait]
impl SessionStore for KvSessionStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        for _ in 0..CREATE_TRIES {
            record.id = Id(i128::from_le_bytes(clock::random()));
            if self.put(record, When::Absent).await? {
                return Ok(());
            }
        }
        Err(Error::Backend("no free session ID was found".to_owned()))
    }

    /// A session that is gone stays gone, and that is no error: the browser was logged out meanwhile.
    async fn save(&self, record: &Record) -> Result<()> {
        self.put(record, When::Present).await.map(drop)
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        load_record(&self.kv, id, self.clock.now()).await
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.kv.delete(&session_key(id)).await.map(drop).map_err(backend)
    }
}

/// The SSO session a record carries, if any.
pub fn sso_session(record: &Record) -> Option<SsoSession> {
    record.data.get(session::RECORD_FIELD).and_then(|value| serde_json::from_value(value.clone()).ok())
}

/// The session ID in a session cookie's value; `None` if it cannot be one of ours.
pub fn session_id(cookie_value: &str) -> Option<Id> {
    cookie_value.parse().ok()
}

/// The key of a session: a hash of its ID, in braces, so that what belongs to one session may share its cluster slot.
pub fn session_key(id: &Id) -> String {
    format!("session:{{{}}}", secret::base64url(&secret::sha256(&[&id.0.to_le_bytes()])))
}

/// The operation that reads a session, for a caller that has more to read in the same round trip.
pub fn load_op(id: &Id) -> Op {
    Op::Get { key: session_key(id) }
}

/// The session in what `load_op` was answered; `None` if there is none or it has expired.
///
/// # Errors
/// `Decode` if the value is not a session.
pub fn decode_record(id: &Id, value: Option<Vec<u8>>, now: Timestamp) -> Result<Option<Record>> {
    let Some(value) = value else { return Ok(None) };
    let stored: Stored = serde_json::from_slice(&value).map_err(|e| Error::Decode(e.to_string()))?;
    if stored.expires_at <= now {
        return Ok(None);
    }
    let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(i128::from(stored.expires_at.micros()) * 1000)
        .map_err(|e| Error::Decode(e.to_string()))?;
    Ok(Some(Record { id: *id, data: stored.data, expiry_date }))
}

/// Reads a session without the session layer, as forward-auth does. One round trip.
///
/// # Errors
/// `Backend` if the store does not answer, `Decode` if the value is not a session.
pub async fn load_record(kv: &Kv, id: &Id, now: Timestamp) -> Result<Option<Record>> {
    let value = kv.get(&session_key(id)).await.map_err(backend)?;
    decode_record(id, value, now)
}

/// Keeps a session from idling out whose browser uses apps behind forward-auth only. One that has ended stays ended.
///
/// # Errors
/// If the store does not answer, or holds something else.
pub async fn touch(kv: &Kv, key: &str, idle: Duration, now: Timestamp) -> kv::Result<()> {
    let Some(mut stored) = kv.get_json::<Stored>(key).await? else { return Ok(()) };
    let session = stored.data.get(session::RECORD_FIELD).cloned();
    let session: Option<SsoSession> = session.and_then(|value| serde_json::from_value(value).ok());
    let Some(mut session) = session.filter(|session| session.is_live(now, idle)) else { return Ok(()) };
    session.last_seen = now;
    stored.expires_at = (now + idle).min(session.expires_at);
    let value = serde_json::to_value(&session).map_err(kv::Error::Form)?;
    stored.data.insert(session::RECORD_FIELD.to_owned(), value);
    let ttl = stored.expires_at.since(now);
    if !kv.replace(key, kv::to_json(&stored)?, ttl).await? {
        return Ok(());
    }
    let index = session::sid_key(session.sid.as_str());
    let entry = SidRecord {
        customer: session.customer,
        session_key: key.to_owned(),
        expires_at: stored.expires_at,
        link: session.authentication.link,
    };
    kv.run(vec![listed(&session, ttl)]).await?;
    let before = kv::from_json::<SidRecord>(kv.swap(&index, kv::to_json(&entry)?, ttl).await?)?;
    // Logging in again meanwhile has moved the session to another record: the entry is that one's.
    if let Some(before) = before.filter(|before| before.session_key != key) {
        kv.replace(&index, kv::to_json(&before)?, before.expires_at.since(now)).await?;
    }
    Ok(())
}

/// Lists a session among its customer's, for as long as it may live.
fn listed(sso: &SsoSession, ttl: Duration) -> Op {
    Op::AddMember { key: session::sessions_key(sso.customer), member: sso.sid.as_str().to_owned(), ttl }
}

fn timestamp(date: OffsetDateTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(date.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX))
}

fn backend(error: kv::Error) -> Error {
    Error::Backend(error.to_string())
}
