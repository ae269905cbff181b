//! Ending sessions from outside: one by its `sid`, or all of one customer, of one link or of one session at a provider.
//!
//! Whoever logs in lists the session, then writes it, then reads the mark of [`ended_since`]; whoever ends all of them
//! leaves that mark, then reads the list. So of a login and an ending at the same time either the ending finds the
//! session or the login finds the mark, and no session outlives what it came from (spec/identity.md rule 19,
//! spec/protocol.md rule 34).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{SidRecord, SsoSession, sid_key};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, LinkId, Sid};
use crate::kv::{self, Kv, Op, Reply, When};

/// How long the mark of an ending is kept: longer than any login can be on its last step.
const MARKED: Duration = Duration::from_secs(60 * 60);

/// Until when sessions end that came from something which never comes back, such as a link that was removed.
pub const FOR_EVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// What the sessions to be ended have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// The link that was proved.
    Link(LinkId),
    /// The provider's session, as [`super::upstream_session`] writes it.
    Upstream(String),
    /// The customer who logged in, as of then.
    Customer(CustomerId),
}

impl Of {
    fn list_key(&self) -> String {
        match self {
            Self::Link(link) => format!("sessions-of-link:{{{link}}}"),
            Self::Upstream(session) => format!("sessions-of-upstream:{{{session}}}"),
            Self::Customer(customer) => format!("sessions-of:{{{customer}}}"),
        }
    }

    fn mark_key(&self) -> String {
        match self {
            Self::Link(link) => format!("ended-link:{{{link}}}"),
            Self::Upstream(session) => format!("ended-upstream:{{{session}}}"),
            Self::Customer(customer) => format!("ended-customer:{{{customer}}}"),
        }
    }

    /// Whether a session, as it is now, is one of them and was begun by then: logging in again another way, or later,
    /// takes it out.
    fn holds(&self, record: &SidRecord, until: Timestamp) -> bool {
        let is_one = match self {
            Self::Link(link) => record.link == Some(*link),
            Self::Upstream(session) => record.upstream.as_ref() == Some(session),
            Self::Customer(customer) => record.customer == *customer,
        };
        is_one && record.auth_time.is_none_or(|at| at <= until)
    }

    /// Whose a session is, and what it came from.
    fn all(session: &SsoSession) -> impl Iterator<Item = Self> {
        let proved = &session.authentication;
        let upstream = proved.upstream.clone().map(Self::Upstream);
        std::iter::once(Self::Customer(session.customer)).chain(proved.link.map(Self::Link)).chain(upstream)
    }
}

/// The key of the set of the browser's records of one session. Logging in twice at once in one browser makes two, and
/// either may be the one whose cookie the browser keeps.
fn records_key(sid: &str) -> String {
    format!("records-of:{{{sid}}}")
}

/// The operations that list a session wherever it may be ended from. They go before those that write it.
pub fn listings(session: &SsoSession, session_key: &str, ttl: Duration) -> Vec<Op> {
    let add = |key: String, member: &str| Op::AddMember { key, member: member.to_owned(), ttl };
    let sid = session.sid.as_str();
    let mut ops = vec![add(records_key(sid), session_key)];
    ops.extend(Of::all(session).map(|of| add(of.list_key(), sid)));
    ops
}

/// The operations that read whether what a session came from was ended meanwhile. They go after those that write it.
pub fn ended_since(session: &SsoSession) -> Vec<Op> {
    Of::all(session).map(|of| Op::Get { key: of.mark_key() }).collect()
}

/// Whether one of the answers to [`ended_since`] ends a session that was begun at this time.
pub fn is_ended(replies: &[Reply], auth_time: Timestamp) -> bool {
    replies.iter().any(|reply| {
        let Reply::Value(Some(mark)) = reply else { return false };
        serde_json::from_slice::<Timestamp>(mark).is_ok_and(|until| auth_time <= until)
    })
}

/// Ends a session everywhere it is looked up. Ending one that has ended is no error.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn end(kv: &Kv, sid: &Sid) -> kv::Result<()> {
    // The entry goes first: a login that keeps this `sid` has listed its record before it looks for the entry.
    let (entry, records) = (sid_key(sid.as_str()), records_key(sid.as_str()));
    let ops = vec![Op::Take { key: entry }, Op::Members { key: records.clone() }];
    let mut keys = vec![records];
    for reply in kv.run(ops).await? {
        match reply {
            Reply::Value(value) => keys.extend(kv::from_json::<SidRecord>(value)?.map(|record| record.session_key)),
            Reply::Members(members) => keys.extend(members),
            Reply::Done(_) | Reply::Count(_) => {}
        }
    }
    kv.run(keys.into_iter().map(|key| Op::Delete { key }).collect()).await.map(drop)
}

/// The live sessions of this kind that were begun by `until`, and whose they are.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn sids_of(kv: &Kv, of: &Of, until: Timestamp) -> kv::Result<Vec<(Sid, CustomerId)>> {
    let sids = kv.members(&of.list_key()).await?;
    let replies = kv.run(sids.iter().map(|sid| Op::Get { key: sid_key(sid) }).collect()).await?;
    let mut live = Vec::new();
    for (sid, reply) in sids.into_iter().zip(replies) {
        let Reply::Value(value) = reply else { continue };
        let record = kv::from_json::<SidRecord>(value)?;
        if let Some(record) = record.filter(|record| of.holds(record, until)) {
            live.push((Sid::from(sid), record.customer));
        }
    }
    Ok(live)
}

/// The live sessions of these rows, each once. A login from before the time beside its row counts no more, though its
/// session is still there (spec/identity.md rules 26 and 34).
///
/// # Errors
/// If the key-value store does not answer.
pub async fn live_of(
    kv: &Kv,
    rows: &[(CustomerId, Option<Timestamp>)],
    now: Timestamp,
) -> kv::Result<Vec<(Sid, SidRecord)>> {
    let lists = rows.iter().map(|(row, _)| Op::Members { key: Of::Customer(*row).list_key() }).collect();
    // Logging in twice lists a session once more; it is one.
    let mut sids = BTreeSet::new();
    for reply in kv.run(lists).await? {
        if let Reply::Members(members) = reply {
            sids.extend(members);
        }
    }
    let entries = kv.run(sids.iter().map(|sid| Op::Get { key: sid_key(sid) }).collect()).await?;
    let still_counts = |record: &SidRecord| {
        let row = rows.iter().find(|(row, _)| *row == record.customer);
        row.is_some_and(|(_, from)| from.is_none_or(|from| record.auth_time.is_some_and(|at| at >= from)))
    };
    let live = sids.into_iter().zip(entries).filter_map(|(sid, reply)| {
        let Reply::Value(value) = reply else { return None };
        let record = super::live_record(value.as_deref(), now).filter(still_counts)?;
        Some((Sid::from(sid), record))
    });
    Ok(live.collect())
}

/// How many of them each row has.
///
/// # Errors
/// As [`live_of`].
pub async fn count_live(
    kv: &Kv,
    rows: &[(CustomerId, Option<Timestamp>)],
    now: Timestamp,
) -> kv::Result<BTreeMap<CustomerId, u64>> {
    let mut counts = BTreeMap::new();
    for (_, record) in live_of(kv, rows, now).await? {
        *counts.entry(record.customer).or_default() += 1;
    }
    Ok(counts)
}

/// Ends every session of this kind that was begun by `until`, those of logins under way too.
///
/// # Errors
/// If the key-value store does not answer; ending them again is no error.
pub async fn end_all(kv: &Kv, of: &Of, until: Timestamp) -> kv::Result<()> {
    let mark = Op::Set { key: of.mark_key(), value: kv::to_json(&until)?, ttl: MARKED, when: When::Always };
    kv.run(vec![mark]).await?;
    for (sid, _) in sids_of(kv, of, until).await? {
        end(kv, &sid).await?;
    }
    Ok(())
}

/// Ends every session of a customer that was begun by `until`, but one (spec/identity.md rule 9).
///
/// # Errors
/// If the key-value store does not answer; ending them again is no error.
pub async fn end_all_but(kv: &Kv, customer: CustomerId, kept: Option<&Sid>, until: Timestamp) -> kv::Result<()> {
    for (sid, _) in sids_of(kv, &Of::Customer(customer), until).await? {
        if kept != Some(&sid) {
            end(kv, &sid).await?;
        }
    }
    Ok(())
}
