//! What waits for a person and is not a merge: pairs that may be one person, requests of customers, conflict cases.
//!
//! Identity specification, rules 13, 16, 35 and 39. Each is settled in the caller's transaction, once: of two admins at
//! once one does it, and the other is told that it is settled.

use serde_json::json;
use uuid::Uuid;

use super::notices::Notices;
use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::identity::linking;
use crate::ids::{CustomerId, EventId};
use crate::mail::templates;
use crate::store::{self, AuditEntry, MergeRequest, MergeRequestState, Tx};

/// Puts an open pair on watch: it leaves the queue until more speaks for it. `false` if it is not open.
///
/// # Errors
/// If the database fails.
pub async fn watch(
    tx: &mut Tx,
    (a, b): (CustomerId, CustomerId),
    (by, reason): (&Actor, &str),
    now: Timestamp,
) -> Result<bool, store::Error> {
    if !tx.candidate_watch(a, b, now).await? {
        return Ok(false);
    }
    // Nothing has changed about either of the two: it is on record as what an admin did, and is no event.
    let entry = AuditEntry {
        id: EventId::new(now),
        at: now,
        actor: by.as_text(),
        action: "admin.candidate_watched".to_owned(),
        customer: Some(a),
        detail: json!({ "other": b, "reason": reason }),
    };
    tx.audit_append(&entry).await?;
    Ok(true)
}

/// What became of settling something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// It was settled before.
    Already,
    Unknown,
}

/// Declines a request of a customer that two accounts become one, and tells both.
///
/// # Errors
/// If the database fails; `Contention` if somebody merges one of the two at this moment.
pub async fn decline(
    tx: &mut Tx,
    notices: &Notices<'_>,
    request: Uuid,
    (by, reason): (&Actor, &str),
    now: Timestamp,
) -> Result<Settled, store::Error> {
    let Some(MergeRequest { a, b, state, .. }) = tx.merge_request_find(request).await? else {
        return Ok(Settled::Unknown);
    };
    let roots = (tx.customer_living(a).await?, tx.customer_living(b).await?);
    let (Some(first), Some(second)) = roots else { return Ok(Settled::Unknown) };
    if state != MergeRequestState::Open || first.id == second.id {
        return Ok(Settled::Already);
    }
    // In the order in which everybody locks them.
    if tx.roots_lock(first.id, second.id).await?.len() != 2 {
        return Err(store::Error::Contention);
    }
    if !tx.merge_request_decline(request, now).await? {
        return Ok(Settled::Already);
    }
    for (customer, with) in [(a, b), (b, a)] {
        let event = Event::MergeRequestDeclined { request, with, reason: reason.to_owned() };
        events::record(tx, customer, by.clone(), event, now).await?;
        let addresses = linking::proved_addresses(tx, customer).await?;
        notices.tell(tx, &addresses, now, templates::merge_declined).await?;
    }
    Ok(Settled::Done)
}

/// Closes a conflict case: somebody has looked into it.
///
/// # Errors
/// If the database fails.
pub async fn close_conflict(
    tx: &mut Tx,
    conflict: Uuid,
    (by, reason): (&Actor, &str),
    now: Timestamp,
) -> Result<Settled, store::Error> {
    let Some(found) = tx.conflict_find(conflict).await? else { return Ok(Settled::Unknown) };
    if !tx.conflict_close(conflict, now).await? {
        return Ok(Settled::Already);
    }
    let event = Event::ConflictClosed { conflict, kind: found.kind.as_str().to_owned(), reason: reason.to_owned() };
    events::record(tx, found.customer, by.clone(), event, now).await?;
    Ok(Settled::Done)
}
