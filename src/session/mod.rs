//! The SSO session: one browser's authenticated session, and the index by `sid` that lets it be ended from anywhere.
//!
//! The browser's record (carried by the session layer) holds the facts; `sid:{…}` says that the session lives. Both are
//! written in one round trip and both are deleted when the session ends (`ending`). Lifetimes are checked against the
//! clock as well as by the store's expiry.

mod browser;
mod ending;
pub mod flow;
pub mod pending;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::identity::merge::side::Seen;
use crate::identity::merge_request::Proved;
use crate::ids::{CustomerId, LinkId, Sid};
use crate::kv::{self, Kv, Op, When};
use crate::secret;

pub use browser::called as browser_called;
pub use ending::{
    FOR_EVER, Of, count_live, end, end_all, end_all_but, ended_since, is_ended, listings, live_of, sids_of,
};

/// The share of the idle time after which a session in use is written again.
pub const TOUCH_AFTER: u32 = 10;

/// How old a login may be for changes to how one logs in (spec/identity.md rule 15).
pub const RECENT: Duration = Duration::from_secs(10 * 60);

/// The name under which the session layer's record holds the [`SsoSession`].
pub const RECORD_FIELD: &str = "sso";

/// What stands before the key of the record that a session without a browser does not have.
const WITHOUT_BROWSER: &str = "no-browser:";

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
    /// The session at the provider that it came from, as [`upstream_session`] writes it (OpenID Connect Back-Channel
    /// Logout §2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
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
    /// Which browser it is in, in our words; absent where nothing tells, or where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
}

impl SsoSession {
    /// Whether it still counts at `now`.
    pub fn is_live(&self, now: Timestamp, idle: Duration) -> bool {
        now < self.expires_at && now < self.last_seen + idle
    }

    /// Its login, as a proof of who its customer is.
    pub fn proof(&self) -> Proved {
        Proved {
            customer: self.customer,
            via: self.authentication.via.clone(),
            link: self.authentication.link,
            amr: self.authentication.amr.clone(),
            at: self.authentication.auth_time,
        }
    }

    /// Whether its customer has logged in lately enough to change how they log in.
    pub fn is_recent(&self, now: Timestamp) -> bool {
        now.since(self.authentication.auth_time) <= RECENT
    }
}

/// What the index by `sid` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidRecord {
    pub customer: CustomerId,
    /// The key of the browser's record.
    pub session_key: String,
    pub expires_at: Timestamp,
    /// When the customer last proved who they are, and by what.
    #[serde(default)]
    pub auth_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// What else people are told of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

/// What a session tells people who ask whose it may be; an entry of an earlier version has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub began_at: Timestamp,
    pub last_seen: Timestamp,
    /// The namespace of what was proved, and by which methods (RFC 8176).
    pub via: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
}

impl SidRecord {
    /// The entry of a session whose record is under this key.
    pub fn of(session: &SsoSession, session_key: String, expires_at: Timestamp) -> Self {
        let proved = &session.authentication;
        Self {
            customer: session.customer,
            session_key,
            expires_at,
            auth_time: Some(proved.auth_time),
            link: proved.link,
            upstream: proved.upstream.clone(),
            told: Some(Told {
                began_at: session.created_at,
                last_seen: session.last_seen,
                via: proved.via.clone(),
                amr: proved.amr.clone(),
                acr: proved.acr.clone(),
                browser: session.browser.clone(),
            }),
        }
    }

    /// Whether it is an app's own, without a browser.
    pub fn is_without_browser(&self) -> bool {
        self.session_key.starts_with(WITHOUT_BROWSER)
    }

    /// Whether a session in use is to be kept from idling out now. `absolute` is when it ends in any case.
    pub fn is_due(&self, idle: Duration, absolute: Timestamp, now: Timestamp) -> bool {
        self.expires_at < absolute && self.expires_at < now + (idle - idle / TOUCH_AFTER)
    }
}

/// The key of the index entry. The braces are a Redis Cluster hash tag.
pub fn sid_key(sid: &str) -> String {
    format!("sid:{{{sid}}}")
}

/// The key that marks a session as suspect: its next sensitive act needs step-up.
pub fn suspect_key(sid: &str) -> String {
    format!("suspect:{{{sid}}}")
}

/// Begins a session without a browser: an app has signed its customer in by itself. It does not idle out, because nothing
/// tells us whether the app is in use; it ends at `expires_at`, and whenever a session may be ended. `false` if what it
/// came from has ended meanwhile. One round trip.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn begin_without_browser(kv: &Kv, session: &SsoSession, now: Timestamp) -> kv::Result<bool> {
    let (ttl, sid) = (session.expires_at.since(now), session.sid.as_str());
    // Nothing is ever written under this key.
    let session_key = format!("{WITHOUT_BROWSER}{{{sid}}}");
    let mut ops = listings(session, &session_key, ttl);
    let entry = SidRecord::of(session, session_key, session.expires_at);
    ops.push(Op::Set { key: sid_key(sid), value: kv::to_json(&entry)?, ttl, when: When::Absent });
    let written = ops.len();
    ops.extend(ended_since(session));
    let replies = kv.run(ops).await?;
    if !is_ended(replies.get(written..).unwrap_or_default(), session.authentication.auth_time) {
        return Ok(true);
    }
    end(kv, &session.sid).await?;
    Ok(false)
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

/// How a provider's own session is known here: by connector and the provider's `sid`, of whatever length and letters.
pub fn upstream_session(connector: &str, sid: &str) -> String {
    secret::base64url(&secret::sha256(&[b"upstream-session", connector.as_bytes(), sid.as_bytes()]))
}
