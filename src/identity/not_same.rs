//! "Not the same person": what somebody found out about two customers, remembered (spec/identity.md rule 35).
//!
//! Marking locks both roots, as a merge does, so that of the two at once one comes first: no pair is ever of one
//! customer.

use serde_json::json;

use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::ids::CustomerId;
use crate::store::retry::retry;
use crate::store::{self, CandidateState, NotSame, Store, Tx};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    Done,
    /// It was so before: nothing happened.
    Already,
    /// They are one customer: the merge must be undone first.
    Merged,
    /// Nobody ever had one of these IDs.
    Unknown,
}

/// Remembers that two customers are not the same person. Whoever waits for a decision on the pair has it.
///
/// # Errors
/// If the database fails.
pub async fn mark(
    store: &Store,
    one: CustomerId,
    other: CustomerId,
    by: Actor,
    reason: &str,
    now: Timestamp,
) -> Result<Marked, store::Error> {
    let attempt = async || {
        let mut tx = store.begin().await?;
        let marked = mark_within(&mut tx, (one, other), by.clone(), reason, now).await?;
        tx.commit().await?;
        Ok(marked)
    };
    retry(attempt).await
}

/// The same within the caller's transaction. Whatever proposed the two as one person is answered by it.
///
/// # Errors
/// If the database fails; `Contention` if somebody merges one of them at this moment.
pub async fn mark_within(
    tx: &mut Tx,
    (one, other): (CustomerId, CustomerId),
    by: Actor,
    reason: &str,
    now: Timestamp,
) -> Result<Marked, store::Error> {
    let (Some(a), Some(b)) = (tx.customer_living(one).await?, tx.customer_living(other).await?) else {
        return Ok(Marked::Unknown);
    };
    if a.id == b.id {
        return Ok(Marked::Merged);
    }
    let locked = tx.roots_lock(a.id, b.id).await?.len() == 2;
    if !locked || !is_still(tx, one, a.id).await? || !is_still(tx, other, b.id).await? {
        return Err(store::Error::Contention);
    }
    for (a, b) in [(one, other), (a.id, b.id)] {
        tx.candidate_decide(a.min(b), a.max(b), CandidateState::Dismissed, now).await?;
    }
    let actor = by.as_text();
    let pair = NotSame { a: one, b: other, actor, reason: json!({ "text": reason }), created_at: now };
    if !tx.not_same_insert(&pair).await? {
        return Ok(Marked::Already);
    }
    events::record(tx, one, by, Event::NotSameMarked { other }, now).await?;
    Ok(Marked::Done)
}

/// Forgets it again, for all rows of the two. They may be proposed anew.
///
/// # Errors
/// If the database fails.
pub async fn lift(
    store: &Store,
    one: CustomerId,
    other: CustomerId,
    by: Actor,
    now: Timestamp,
) -> Result<Marked, store::Error> {
    retry(|| lift_once(store, one, other, by.clone(), now)).await
}

async fn lift_once(
    store: &Store,
    one: CustomerId,
    other: CustomerId,
    by: Actor,
    now: Timestamp,
) -> Result<Marked, store::Error> {
    let mut tx = store.begin().await?;
    let (Some(a), Some(b)) = (tx.customer_living(one).await?, tx.customer_living(other).await?) else {
        return Ok(Marked::Unknown);
    };
    if tx.not_same_lift(a.id, b.id).await?.is_empty() {
        return Ok(Marked::Already);
    }
    for (a, b) in [(one, other), (a.id, b.id)] {
        tx.candidate_undismiss(a.min(b), a.max(b)).await?;
    }
    events::record(&mut tx, one, by, Event::NotSameLifted { other }, now).await?;
    tx.commit().await?;
    Ok(Marked::Done)
}

/// Whether an ID means this root, now that it is locked.
async fn is_still(tx: &mut Tx, id: CustomerId, root: CustomerId) -> Result<bool, store::Error> {
    Ok(tx.customer_living(id).await?.is_some_and(|living| living.id == root))
}
