//! Carrying a plan out: one transaction from the locks to the event (spec/identity.md rules 22, 23, 29, 31).
//!
//! It plans again under the locks and does what that plan says, so that an execution equals its preview or is refused.
//! A merge writes pointers: the customers' own values, links and subjects stay as they are, beside a new root.

use serde_json::{Value, json};

use super::facts::Facts;
use super::proposal;
use super::{Executed, Outcome, Plan, PlanRequest, Terms, planning};
use crate::clock::Timestamp;
use crate::config::{MergeConfig, MergedSessions};
use crate::events::{self, Event};
use crate::ids::{CustomerId, MergeId, ProposalId};
use crate::store::retry::retry;
use crate::store::{self, Branch, Merge, MergeKind, Store, Tx};

/// What a merge would do. `Refused` carries a plan that cannot be executed, with the reasons.
///
/// # Errors
/// If the database fails.
pub async fn plan(
    store: &Store,
    config: &MergeConfig,
    request: &PlanRequest,
    now: Timestamp,
) -> Result<Outcome<Planned>, store::Error> {
    plan_in(&mut store.begin_read().await?, config, request, now).await
}

/// The same within a transaction of the caller's.
///
/// # Errors
/// If the database fails.
pub async fn plan_in(
    tx: &mut Tx,
    config: &MergeConfig,
    request: &PlanRequest,
    now: Timestamp,
) -> Result<Outcome<Planned>, store::Error> {
    let roots = match living(tx, request).await? {
        Ok(roots) => roots,
        Err(unknown) => return Ok(Outcome::Unknown(unknown)),
    };
    if roots.0 == roots.1 {
        return Ok(Outcome::Done(Planned::Already(already(tx, request, roots.0).await?)));
    }
    let facts = Facts::read(tx, roots.0, roots.1).await?;
    let plan = Box::new(planning::plan(config, request, &facts, now));
    Ok(if plan.is_clear() { Outcome::Done(Planned::New(plan)) } else { Outcome::Refused(plan) })
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Planned {
    New(Box<Plan>),
    /// They are one customer; the merge that made them so, if there is one.
    Already(Option<Executed>),
}

/// Merges two customers. Done twice it answers what the first one did.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn execute(
    store: &Store,
    config: &MergeConfig,
    request: &PlanRequest,
    terms: Terms<'_>,
    now: Timestamp,
) -> Result<Outcome<Executed>, store::Error> {
    let attempt = async || {
        let mut tx = store.begin().await?;
        let outcome = within(&mut tx, config, request, Bound { terms, proposal: None }, now).await?;
        if let Outcome::Done(_) = outcome {
            tx.commit().await?;
        }
        Ok(outcome)
    };
    retry(attempt).await
}

/// What an execution is bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'a> {
    pub terms: Terms<'a>,
    /// The proposal that was approved, if others had to.
    pub proposal: Option<ProposalId>,
}

/// The same within a transaction of the caller's, who commits it if the outcome is `Done`.
pub(super) async fn within(
    tx: &mut Tx,
    config: &MergeConfig,
    request: &PlanRequest,
    bound: Bound<'_>,
    now: Timestamp,
) -> Result<Outcome<Executed>, store::Error> {
    if let Some(key) = bound.terms.idempotency_key
        && let Some(merge) = tx.merge_by_key(key).await?
    {
        return Ok(Outcome::Done(repeated(&merge)));
    }
    let (survivor, absorbed) = match living(tx, request).await? {
        Ok(roots) => roots,
        Err(unknown) => return Ok(Outcome::Unknown(unknown)),
    };
    if survivor == absorbed {
        let before = already(tx, request, survivor).await?;
        // One and the same ID twice is nobody's merge.
        let unknown = || Outcome::Unknown(request.absorbed.to_string());
        return Ok(before.map_or_else(unknown, Outcome::Done));
    }
    lock(tx, request, (survivor, absorbed)).await?;
    let facts = Facts::read(tx, survivor, absorbed).await?;
    let plan = Box::new(planning::plan(config, request, &facts, now));
    if bound.terms.hash.is_some_and(|agreed| agreed != plan.hash()) {
        return Ok(Outcome::Stale(plan));
    }
    if !plan.is_clear() {
        return Ok(Outcome::Refused(plan));
    }
    if plan.needs_approval && bound.proposal.is_none() {
        return Ok(Outcome::NeedsApproval(plan));
    }
    Ok(Outcome::Done(apply(tx, request, &plan, bound, now).await?))
}

/// Locks the two that a request was found to mean, in the order of their IDs, and looks again.
///
/// # Errors
/// `Contention` if it means others by now.
pub(super) async fn lock(
    tx: &mut Tx,
    request: &PlanRequest,
    roots: (CustomerId, CustomerId),
) -> Result<(), store::Error> {
    lock_roots(tx, roots).await?;
    if living(tx, request).await? == Ok(roots) { Ok(()) } else { Err(store::Error::Contention) }
}

/// Locks two customers in the order of their IDs.
///
/// # Errors
/// `Contention` if one of them is no root by now: the transaction is given up with its locks, so that nobody waits out of
/// order.
pub(super) async fn lock_roots(tx: &mut Tx, (one, other): (CustomerId, CustomerId)) -> Result<(), store::Error> {
    let roots = tx.roots_lock(one, other).await?;
    if roots.contains(&one) && roots.contains(&other) { Ok(()) } else { Err(store::Error::Contention) }
}

/// The living customers of a request, or the ID that nobody ever had.
pub(super) async fn living(
    tx: &mut Tx,
    request: &PlanRequest,
) -> Result<Result<(CustomerId, CustomerId), String>, store::Error> {
    let Some(survivor) = tx.customer_living(request.survivor).await? else {
        return Ok(Err(request.survivor.to_string()));
    };
    let Some(absorbed) = tx.customer_living(request.absorbed).await? else {
        return Ok(Err(request.absorbed.to_string()));
    };
    Ok(Ok((survivor.id, absorbed.id)))
}

/// The open merge by which two IDs came to mean one customer.
pub(super) async fn already(
    tx: &mut Tx,
    request: &PlanRequest,
    root: CustomerId,
) -> Result<Option<Executed>, store::Error> {
    for id in [request.absorbed, request.survivor] {
        if id != root
            && let Some(merge) = tx.merge_of(id).await?
        {
            return Ok(Some(repeated(&merge)));
        }
    }
    Ok(None)
}

fn repeated(merge: &Merge) -> Executed {
    Executed {
        merge: merge.id,
        survivor: merge.survivor,
        absorbed: merge.absorbed,
        kind: merge.kind,
        merged_at: merge.merged_at,
        repeated: true,
    }
}

/// Writes it all.
///
/// # Errors
/// `Contention` if a request with the same idempotency key was first: the next try answers what it did.
async fn apply(
    tx: &mut Tx,
    request: &PlanRequest,
    plan: &Plan,
    bound: Bound<'_>,
    now: Timestamp,
) -> Result<Executed, store::Error> {
    let (id, actor) = (MergeId::new(now), request.by.actor());
    let (survivor, absorbed, kind) = (plan.survivor, plan.absorbed, plan.kind);
    // The last word of the absorbed customer comes before the merge: from then on events are the survivor's.
    events::record(tx, absorbed, actor.clone(), Event::CustomerAbsorbed { merge: id, survivor }, now).await?;
    // Whoever has seen the absorbed customer's version must not take the survivor's for an older one.
    tx.member_version_raise(survivor, plan.versions.1 + 1).await?;
    let audiences = plan.sectors.iter().filter_map(super::SectorLine::audience).collect();
    let moved = plan.moves.customers.clone();
    let merged = Event::CustomerMerged { merge: id, absorbed, kind, moved: moved.clone(), audiences };
    let seq = events::record_numbered(tx, survivor, &actor, &merged, now).await?;
    let merge = Merge {
        id,
        survivor,
        absorbed,
        kind,
        actor: actor.as_text(),
        reason: json!({ "text": request.reason }),
        moved,
        seq,
        keys_joined_at: (kind == MergeKind::Full).then_some(now),
        plan: serde_json::to_value(plan).ok(),
        plan_hash: Some(plan.hash()),
        idempotency_key: bound.terms.idempotency_key.map(str::to_owned),
        merged_at: now,
        undone_at: None,
        undone_by: None,
    };
    if !tx.merge_insert(&merge).await? {
        return Err(store::Error::Contention);
    }
    // The rows are the absorbed customer's still.
    if plan.sessions != MergedSessions::Keep {
        tx.members_end_sessions(absorbed, now).await?;
    }
    if plan.sessions == MergedSessions::End {
        tx.grants_revoke_customer(absorbed, "merged", now).await?;
    }
    repoint(tx, &merge, request, now).await?;
    proposal::lapse(tx, absorbed, bound.proposal, (survivor, &actor), now).await?;
    Ok(Executed { merge: id, survivor, absorbed, kind, merged_at: now, repeated: false })
}

async fn repoint(tx: &mut Tx, merge: &Merge, request: &PlanRequest, now: Timestamp) -> Result<(), store::Error> {
    let choices: Option<Value> = match serde_json::to_value(&request.choices) {
        Ok(choices) if !request.choices.is_empty() => Some(choices),
        _ => None,
    };
    let branch = Branch {
        top: merge.absorbed,
        under: merge.survivor,
        seq: merge.seq,
        keys_joined: merge.keys_joined_at.is_some(),
        choices: choices.as_ref(),
    };
    tx.subjects_retire(merge.absorbed, merge.survivor, now).await?;
    tx.members_absorb(&branch, now).await?;
    tx.belongings_follow(merge.absorbed, merge.survivor).await?;
    // What asked for this merge, or for one that it makes needless, has its answer.
    tx.merge_requests_settle(merge.survivor, now).await?;
    tx.candidates_settle(merge.survivor, now).await?;
    Ok(())
}
