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
        let write = Op::Set { key: key.clone(), value, ttl, when };
        let Some(sso) = sso_session(record) else {
            let replies = self.kv.run(vec![write]).await.map_err(backend)?;
            return Ok(matches!(replies.first(), Some(Reply::Done(true))));
        };
        // One round trip, in the order that `session::ending` relies on.
        let index = SidRecord::of(&sso, key.clone(), expires_at);
        let value = kv::to_json(&index).map_err(backend)?;
        // Only a new session makes its entry by `sid`: one that has ended is not brought back, not even by logging in
        // again at the same moment.
        let is_new = when == When::Absent && sso.created_at == sso.authentication.auth_time;
        let index_when = if is_new { When::Always } else { When::Present };
        let mut ops = session::listings(&sso, &key, ttl);
        let listings = ops.len();
        ops.push(write);
        ops.push(Op::Set { key: session::sid_key(sso.sid.as_str()), value, ttl, when: index_when });
        ops.extend(session::ended_since(&sso));
        let replies = self.kv.run(ops).await.map_err(backend)?;
        let (written, indexed) = (replies.get(listings), replies.get(listings + 1));
        if written != Some(&Reply::Done(true)) {
            return Ok(false);
        }
        let marks = replies.get(listings + 2..).unwrap_or_default();
        if session::is_ended(marks, sso.authentication.auth_time) {
            session::end(&self.kv, &sso.sid).await.map_err(backend)?;
        } else if indexed != Some(&Reply::Done(true)) {
            self.kv.delete(&key).await.map_err(backend)?;
        }
        Ok(true)
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
    let entry = SidRecord::of(&session, key.to_owned(), stored.expires_at);
    kv.run(session::listings(&session, key, ttl)).await?;
    let before = kv::from_json::<SidRecord>(kv.swap(&index, kv::to_json(&entry)?, ttl).await?)?;
    // Logging in again meanwhile has moved the session to another record: the entry is that one's.
    if let Some(before) = before.filter(|before| before.session_key != key) {
        kv.replace(&index, kv::to_json(&before)?, before.expires_at.since(now)).await?;
    }
    Ok(())
}

fn timestamp(date: OffsetDateTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(date.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX))
}

fn backend(error: kv::Error) -> Error {
    Error::Backend(error.to_string())
}
