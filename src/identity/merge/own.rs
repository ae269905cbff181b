//! "Both are mine", carried out: a customer who has proved two accounts within ten minutes sees what joining them would
//! do, and joins them (spec/identity.md rules 16, 25 and 28).
//!
//! The account that is signed in lives on, so that every app that knows it sees no change. Request, merge and mails are
//! one transaction, keyed by the request: a second click and a retry find what the first one did. What may not be is left
//! open for somebody to look at. Knows no flow and no page.

use super::execute::{self, Bound};
use super::{Executed, Initiator, Outcome, Plan, PlanRequest, Planned, Terms, side};
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::identity::address::EmailAddress;
use crate::identity::linking;
use crate::identity::merge_request::{self, Proved, Requested};
use crate::ids::CustomerId;
use crate::mail::{self, queue};
use crate::secret::DerivedKey;
use crate::store::retry::retry;
use crate::store::{self, Store, Tx};

/// For the record of the merge.
const REASON: &str = "the customer proved to be both";

/// Two proofs of one person.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    /// The login of the session: this account lives on.
    pub one: &'a Proved,
    pub other: &'a Proved,
}

impl Own<'_> {
    fn request(&self) -> PlanRequest {
        PlanRequest {
            survivor: self.one.customer,
            absorbed: self.other.customer,
            by: Initiator::Customer { proved: [self.one.at, self.other.at] },
            reason: REASON.to_owned(),
            choices: std::collections::BTreeMap::new(),
            sessions: None,
        }
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.one.is_fresh(now) && self.other.is_fresh(now)
    }
}

/// What is mailed to every proved address of both, in the transaction of what it tells.
#[derive(Clone, Copy)]
pub struct Letters<'a> {
    /// Seals the queue.
    pub key: &'a DerivedKey,
    pub write: &'a (dyn Fn(&EmailAddress) -> mail::Message + Sync),
}

impl Letters<'_> {
    pub(super) async fn queue(&self, tx: &mut Tx, customer: CustomerId, now: Timestamp) -> Result<(), store::Error> {
        for address in linking::proved_addresses(tx, customer).await? {
            queue::queue(tx, self.key, &(self.write)(&address), now).await?;
        }
        Ok(())
    }
}

/// What joining them would come to.
#[derive(Clone, Debug, PartialEq)]
pub enum Preview {
    Possible(Box<Plan>),
    /// Somebody has to look at it first.
    Refused(Box<Plan>),
    /// They are one customer by now.
    One,
    /// A proof is too old, or what it rests on is the customer's no more.
    Stale,
}

/// What joining them would do. Nothing of the other side is told unless its proof still holds.
///
/// # Errors
/// If the database fails.
pub async fn preview(
    store: &Store,
    config: &MergeConfig,
    own: Own<'_>,
    now: Timestamp,
) -> Result<Preview, store::Error> {
    if !own.is_fresh(now) || !hold(&mut store.begin_read().await?, own).await? {
        return Ok(Preview::Stale);
    }
    Ok(match execute::plan(store, config, &own.request(), now).await? {
        Outcome::Done(Planned::New(plan)) => Preview::Possible(plan),
        Outcome::Done(Planned::Already(_)) => Preview::One,
        Outcome::Refused(plan) | Outcome::Stale(plan) | Outcome::NeedsApproval(plan) => Preview::Refused(plan),
        Outcome::Unknown(_) => Preview::Stale,
    })
}

/// Whether both proofs still hold.
async fn hold(tx: &mut Tx, own: Own<'_>) -> Result<bool, store::Error> {
    for proved in [own.one, own.other] {
        let Some(living) = tx.customer_living(proved.customer).await? else { return Ok(false) };
        if !merge_request::still_holds(tx, living.id, proved).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks that somebody looks at it, and tells both by mail; a pair that waits already is told no more.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn ask(store: &Store, own: Own<'_>, letters: Letters<'_>, now: Timestamp) -> Result<Requested, store::Error> {
    retry(|| ask_once(store, own, letters, now)).await
}

async fn ask_once(
    store: &Store,
    own: Own<'_>,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<Requested, store::Error> {
    let mut tx = store.begin().await?;
    let requested = merge_request::open(&mut tx, own.one, own.other, now).await?;
    match requested {
        Requested::Opened { customers, .. } => {
            for customer in customers {
                letters.queue(&mut tx, customer, now).await?;
            }
            tx.commit().await?;
        }
        Requested::Already { .. } | Requested::SameCustomer | Requested::Stale | Requested::Refused => {}
    }
    Ok(requested)
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Joining {
    /// The two are one, by this merge.
    Done(Executed),
    /// Somebody else made them one, and the ways in of one do not open the other yet: `merge::join_keys`.
    One,
    /// It would not be what was agreed to.
    Changed,
    /// Somebody has to look at it first: [`ask`].
    Refused(Box<Plan>),
    Stale,
}

/// Joins them as agreed to: `hash` is that of the plan which was shown.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn join(
    store: &Store,
    config: &MergeConfig,
    own: Own<'_>,
    (hash, letters): (&str, Letters<'_>),
    now: Timestamp,
) -> Result<Joining, store::Error> {
    retry(|| join_once(store, config, own, (hash, letters), now)).await
}

async fn join_once(
    store: &Store,
    config: &MergeConfig,
    own: Own<'_>,
    (hash, letters): (&str, Letters<'_>),
    now: Timestamp,
) -> Result<Joining, store::Error> {
    let mut tx = store.begin().await?;
    let request = own.request();
    let opened = match merge_request::open(&mut tx, own.one, own.other, now).await? {
        Requested::Opened { request, .. } | Requested::Already { request } => request,
        Requested::SameCustomer => return one_already(&mut tx, &request).await,
        Requested::Stale => return Ok(Joining::Stale),
        Requested::Refused => {
            drop(tx);
            return match execute::plan(store, config, &request, now).await? {
                Outcome::Refused(plan) => Ok(Joining::Refused(plan)),
                _ => Err(store::Error::Contention),
            };
        }
    };
    let key = opened.to_string();
    let terms = Terms { hash: Some(hash), idempotency_key: Some(&key) };
    let bound = Bound { terms, proposal: None };
    let executed = match execute::within(&mut tx, config, &request, bound, now).await? {
        Outcome::Done(executed) => executed,
        Outcome::Stale(plan) if plan.is_clear() => return Ok(Joining::Changed),
        Outcome::Refused(plan) | Outcome::Stale(plan) | Outcome::NeedsApproval(plan) => {
            return Ok(Joining::Refused(plan));
        }
        Outcome::Unknown(_) => return Ok(Joining::Stale),
    };
    letters.queue(&mut tx, executed.survivor, now).await?;
    tx.commit().await?;
    Ok(Joining::Done(executed))
}

/// The merge that made them one before: by the first of two clicks, or by somebody else.
async fn one_already(tx: &mut Tx, request: &PlanRequest) -> Result<Joining, store::Error> {
    let rows = tx.members_of(request.survivor).await?;
    if !side::is_same(&rows, request.survivor, request.absorbed) {
        return Ok(Joining::One);
    }
    let root = rows.first().map_or(request.survivor, |row| row.canonical);
    Ok(execute::already(tx, request, root).await?.map_or(Joining::Stale, Joining::Done))
}
