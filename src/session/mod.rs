//! The SSO session: one browser's authenticated session, and the index by `sid` that lets it be ended from anywhere.
//!
//! The browser's record (carried by the session layer) holds the facts; `sid:{…}` names that record. Both are written
//! in one round trip and both are deleted when the session ends. Lifetimes are checked against the clock as well as by
//! the store's expiry.

pub mod flow;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::merge::side::Seen;
use crate::ids::{CustomerId, LinkId, Sid};
use crate::kv::{self, Kv, Op, When};

/// The share of the idle time after which a session in use is written again.
pub const TOUCH_AFTER: u32 = 10;

/// The name under which the session layer's record holds the [`SsoSession`].
pub const RECORD_FIELD: &str = "sso";

/// How and when a customer proved who they are (OpenID Connect Core §2, RFC 8176).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    pub auth_time: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The namespace of the link that was proved, such as `social:google` or `email`.
    pub via: String,
    /// That link itself: unlinking it ends what came from it (spec/identity.md rule 19).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkId>,
}

impl Authentication {
    /// As tokens tell of it: who sees one side of a merge only has proved no level of the whole customer.
    #[must_use]
    pub fn as_seen_by(mut self, seen: &Seen) -> Self {
        if !seen.is_whole() {
            self.acr = None;
        }
        self
    }
}

/// One browser's authenticated session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SsoSession {
    pub sid: Sid,
    pub customer: CustomerId,
    pub authentication: Authentication,
    pub created_at: Timestamp,
    pub last_seen: Timestamp,
    /// The absolute end; the session layer ends it earlier when it idles.
    pub expires_at: Timestamp,
}

impl SsoSession {
    /// Whether it still counts at `now`.
    pub fn is_live(&self, now: Timestamp, idle: Duration) -> bool {
        now < self.expires_at && now < self.last_seen + idle
    }
}

/// What the index by `sid` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidRecord {
    pub customer: CustomerId,
    /// The key of the browser's record.
    pub session_key: String,
    pub expires_at: Timestamp,
    /// The link that began the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkId>,
}

impl SidRecord {
    /// Whether a session in use is to be kept from idling out now. `absolute` is when it ends in any case.
    pub fn is_due(&self, idle: Duration, absolute: Timestamp, now: Timestamp) -> bool {
        self.expires_at < absolute && self.expires_at < now + (idle - idle / TOUCH_AFTER)
    }
}

/// The key of the index entry. The braces are a Redis Cluster hash tag.
pub fn sid_key(sid: &str) -> String {
    format!("sid:{{{sid}}}")
}

/// The key of the set of a customer's sessions, by `sid`.
pub fn sessions_key(customer: CustomerId) -> String {
    format!("sessions-of:{{{customer}}}")
}

/// The key that marks a session as suspect: its next sensitive act needs step-up.
pub fn suspect_key(sid: &str) -> String {
    format!("suspect:{{{sid}}}")
}

/// The operations that begin a session without a browser: an app has signed its customer in by itself. It does not idle
/// out, because nothing tells us whether the app is in use; it ends at `expires_at`, and whenever a session may be ended.
///
/// # Errors
/// If it cannot be written down.
pub fn begin_without_browser(
    sid: &Sid,
    customer: CustomerId,
    link: LinkId,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<Vec<Op>, kv::Error> {
    let (ttl, sid) = (expires_at.since(now), sid.as_str());
    // Nothing is ever written under this key.
    let session_key = format!("no-browser:{{{sid}}}");
    let record = SidRecord { customer, session_key, expires_at, link: Some(link) };
    Ok(vec![
        Op::Set { key: sid_key(sid), value: kv::to_json(&record)?, ttl, when: When::Absent },
        Op::AddMember { key: sessions_key(customer), member: sid.to_owned(), ttl },
    ])
}

/// Reads the answer to a `Get` of [`sid_key`]: the session's entry, if it is live.
pub fn live_record(value: Option<&[u8]>, now: Timestamp) -> Option<SidRecord> {
    let record: SidRecord = serde_json::from_slice(value?).ok()?;
    (now < record.expires_at).then_some(record)
}

/// Whether that session is live.
pub fn is_live_record(value: Option<&[u8]>, now: Timestamp) -> bool {
    live_record(value, now).is_some()
}

/// Ends a session everywhere it is looked up. Ending one that has ended is no error.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn end(kv: &Kv, sid: &Sid) -> Result<(), kv::Error> {
    if let Some(record) = kv.take_json::<SidRecord>(&sid_key(sid.as_str())).await? {
        kv.run(vec![Op::Delete { key: record.session_key }]).await?;
    }
    Ok(())
}

/// Ends every session of a customer that a link began (spec/identity.md rule 19).
///
/// # Errors
/// If the key-value store does not answer; ending them again is no error.
pub async fn end_all_of_link(kv: &Kv, customer: CustomerId, link: LinkId) -> Result<(), kv::Error> {
    let sids = kv.members(&sessions_key(customer)).await?;
    let keys: Vec<String> = sids.iter().map(|sid| sid_key(sid)).collect();
    let replies = kv.run(keys.iter().map(|key| Op::Get { key: key.clone() }).collect()).await?;
    let mut ops = Vec::new();
    for (key, reply) in keys.into_iter().zip(replies) {
        let kv::Reply::Value(value) = reply else { continue };
        if let Some(record) = kv::from_json::<SidRecord>(value)?
            && record.link == Some(link)
        {
            ops.push(Op::Delete { key: record.session_key });
            ops.push(Op::Delete { key });
        }
    }
    kv.run(ops).await.map(drop)
}
