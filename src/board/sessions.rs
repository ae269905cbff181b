//! Where a customer is signed in, as an admin sees it, and how it is ended: all of it, or one session.
//!
//! A session keeps the row that logged in, so those of a customer are those of all who are this customer today. An
//! admin's ending takes along every refresh token that came from it, `offline_access` too: whoever else got in is out.
//! The database decides in the caller's transaction; the sessions themselves end by a task, in logins under way too
//! (identity specification, rule 19).

use std::cmp::Reverse;

use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, Sid};
use crate::jobs::Task;
use crate::kv::{self, Kv};
use crate::session::{self, SidRecord};
use crate::store::{self, CustomerState, Member, Tx};

/// The longest `sid`.
const MAX_SID: usize = 64;
/// More pairs of session and app than anybody reads.
const MOST_APPS: i64 = 1000;

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// As apps know it. It lets nobody in.
    pub sid: Sid,
    pub record: SidRecord,
}

impl Session {
    /// When it began, as far as that is known.
    pub fn began(&self) -> Option<Timestamp> {
        self.record.told.as_ref().map(|told| told.began_at).or(self.record.auth_time)
    }

    /// By which they are ordered: the newest first, each in a place of its own.
    pub fn order(&self) -> (Reverse<Option<Timestamp>>, &str) {
        (Reverse(self.began()), self.sid.as_str())
    }
}

/// The sessions of a customer that are live and still count, the newest first. `members` are all who are this customer.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn live(kv: &Kv, members: &[Member], now: Timestamp) -> Result<Vec<Session>, kv::Error> {
    let rows: Vec<_> = members.iter().map(|member| (member.id, member.sessions_from)).collect();
    let found = session::live_of(kv, &rows, now).await?;
    let mut sessions: Vec<Session> = found.into_iter().map(|(sid, record)| Session { sid, record }).collect();
    sessions.sort_by(|one, other| one.order().cmp(&other.order()));
    Ok(sessions)
}

/// The clients that each session has signed in to, by their IDs: those with a refresh token that still stands.
#[derive(Clone, Debug, Default)]
pub struct Apps(Vec<(Sid, String)>);

impl Apps {
    /// Those of a living customer's sessions.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn of(tx: &mut Tx, root: CustomerId, now: Timestamp) -> Result<Self, store::Error> {
        Ok(Self(tx.grants_of_sessions(root, now, MOST_APPS).await?))
    }

    /// Those of one session.
    pub fn of_session(&self, sid: &Sid) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(of, _)| of == sid).map(|(_, client)| client.as_str())
    }
}

/// Which sessions are ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    One(Sid),
}

impl Which {
    /// One, by the text that somebody gave; `None` if it can be no `sid`.
    pub fn one(text: &str) -> Option<Self> {
        let sound = (1..=MAX_SID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        sound.then(|| Self::One(Sid::from(text.to_owned())))
    }

    fn holds(&self, session: &Session) -> bool {
        match self {
            Self::All => true,
            Self::One(sid) => session.sid == *sid,
        }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// What is left to do, and what ends by it.
    Done {
        customer: CustomerId,
        /// How many sessions, where they can be seen.
        sessions: Option<usize>,
        refresh_tokens: u64,
        task: Task,
    },
    /// There was nothing to end: the customer is signed in nowhere, or has no such session.
    Already {
        customer: CustomerId,
    },
    Erased {
        customer: CustomerId,
    },
    /// Nobody ever had this ID.
    Unknown,
}

/// Ends sessions of the living customer behind an ID. `seen` are the live ones, read just before; `None` where they cannot
/// be seen, and then all there may be are ended. The caller commits, and has the task done.
///
/// # Errors
/// If the database fails.
pub async fn end(
    tx: &mut Tx,
    id: CustomerId,
    which: &Which,
    seen: Option<&[Session]>,
    (by, reason): (Actor, &str),
    now: Timestamp,
) -> Result<Ended, store::Error> {
    let Some(root) = tx.customer_lock(id).await? else { return Ok(Ended::Unknown) };
    let customer = root.id;
    if root.state == CustomerState::Erased {
        return Ok(Ended::Erased { customer });
    }
    let rows: Vec<CustomerId> = tx.members_of(customer).await?.iter().map(|member| member.id).collect();
    // Those of a row that parted since are another customer's.
    let is_theirs = |session: &&Session| rows.contains(&session.record.customer) && which.holds(session);
    let sessions = seen.map(|seen| seen.iter().filter(is_theirs).count());
    let (refresh_tokens, task) = match which {
        Which::All => (
            tx.grants_revoke_customer(customer, "sessions_ended", now).await?,
            Task::EndSessionsOf { customers: rows, until: now },
        ),
        Which::One(sid) => (
            tx.grants_revoke_session(customer, sid, "session_ended", now).await?,
            Task::EndSession { sid: sid.clone() },
        ),
    };
    if sessions == Some(0) && refresh_tokens == 0 {
        return Ok(Ended::Already { customer });
    }
    let sid = match which {
        Which::All => None,
        Which::One(sid) => Some(sid.clone()),
    };
    let event = Event::SessionsEnded { sid, sessions, refresh_tokens, reason: reason.to_owned() };
    events::record(tx, customer, by, event, now).await?;
    Ok(Ended::Done { customer, sessions, refresh_tokens, task })
}
