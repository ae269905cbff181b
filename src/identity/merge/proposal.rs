//! A second person before a risky merge (spec/identity.md rule 30).
//!
//! A proposal holds the plan as it was and its hash. The proposer cannot approve, two approvals by one person are one,
//! a proposal lapses, and a plan that would be another by now voids it. The last approval executes, in its transaction.

use serde::Serialize;

use super::execute::{Bound, within};
use super::retry::{self, Try};
use super::{Executed, Outcome, Plan, PlanRequest, Planned, Terms, plan_in};
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, ProposalId};
use crate::store::{self, MergeProposal, ProposalState, Store, Tx};

/// A proposal as people see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proposal {
    pub id: ProposalId,
    pub request: PlanRequest,
    pub plan: Plan,
    pub plan_hash: String,
    pub proposed_by: String,
    pub state: ProposalState,
    pub approvals_needed: i64,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// What an approval did.
#[derive(Clone, Debug, PartialEq)]
pub enum Approved {
    /// It was the last one needed: the merge is made.
    Executed(Executed),
    /// So many are still needed.
    Waiting {
        missing: i64,
    },
    Unknown,
    /// Nobody approves what they proposed themselves.
    ByProposer,
    /// The proposal was executed, withdrawn or voided before.
    Closed(ProposalState),
    /// Its time was over, or the plan would be another by now: it is void.
    Voided,
}

/// Proposes a merge, as `terms` agree to it. `NeedsApproval` is never the answer: that is what this is for. Made twice with
/// one key it is the one proposal.
///
/// # Errors
/// If the database fails.
pub async fn propose(
    store: &Store,
    config: &MergeConfig,
    request: &PlanRequest,
    terms: Terms<'_>,
    now: Timestamp,
) -> Result<Outcome<Proposal>, store::Error> {
    let mut tx = store.begin().await?;
    if let Some(before) = made_before(&mut tx, terms).await? {
        return Ok(Outcome::Done(before));
    }
    let plan = match plan_in(&mut tx, config, request, now).await? {
        Outcome::Done(Planned::New(plan)) => plan,
        Outcome::Done(Planned::Already(_)) => return Ok(Outcome::Unknown(request.absorbed.to_string())),
        Outcome::Unknown(id) => return Ok(Outcome::Unknown(id)),
        Outcome::Refused(plan) => return Ok(Outcome::Refused(plan)),
        Outcome::Stale(plan) => return Ok(Outcome::Stale(plan)),
        Outcome::NeedsApproval(plan) => return Ok(Outcome::NeedsApproval(plan)),
    };
    if terms.hash.is_some_and(|agreed| agreed != plan.hash()) {
        return Ok(Outcome::Stale(plan));
    }
    let actor = request.by.actor();
    let row = row_of(config, request, terms, &plan, now);
    if !tx.proposal_insert(&row).await? {
        // The same was asked at the same moment: that one has committed.
        let before = made_before(&mut tx, terms).await?;
        return before.map(Outcome::Done).ok_or(store::Error::Contention);
    }
    let event = Event::MergeProposed { proposal: row.id, absorbed: row.absorbed };
    events::record(&mut tx, row.survivor, actor, event, now).await?;
    tx.commit().await?;
    Ok(read(row).map_or_else(|| Outcome::Unknown(request.absorbed.to_string()), Outcome::Done))
}

async fn made_before(tx: &mut Tx, terms: Terms<'_>) -> Result<Option<Proposal>, store::Error> {
    let Some(key) = terms.idempotency_key else { return Ok(None) };
    Ok(tx.proposal_by_key(key).await?.and_then(read))
}

fn row_of(config: &MergeConfig, request: &PlanRequest, terms: Terms<'_>, plan: &Plan, now: Timestamp) -> MergeProposal {
    MergeProposal {
        id: ProposalId::new(now),
        survivor: plan.survivor,
        absorbed: plan.absorbed,
        request: serde_json::to_value(request).unwrap_or_default(),
        plan: serde_json::to_value(plan).unwrap_or_default(),
        plan_hash: plan.hash(),
        approvals_needed: i64::from(config.approvals),
        proposed_by: request.by.actor().as_text(),
        state: ProposalState::Open,
        created_at: now,
        expires_at: now + config.proposal_lifetime,
        closed_at: None,
        merge: None,
        idempotency_key: terms.idempotency_key.map(str::to_owned),
    }
}

/// One proposal; `None` if there is none of this ID.
///
/// # Errors
/// If the database fails.
pub async fn proposal(store: &Store, id: ProposalId) -> Result<Option<Proposal>, store::Error> {
    Ok(store.begin_read().await?.proposal_find(id).await?.and_then(read))
}

/// The proposals that wait, oldest first.
///
/// # Errors
/// If the database fails.
pub async fn proposals(store: &Store, limit: i64) -> Result<Vec<Proposal>, store::Error> {
    Ok(store.begin_read().await?.proposals_open(limit).await?.into_iter().filter_map(read).collect())
}

/// The proposals that wait of which one side is this customer today, oldest first.
///
/// # Errors
/// If the database fails.
pub async fn proposals_of(tx: &mut Tx, root: CustomerId, limit: i64) -> Result<Vec<Proposal>, store::Error> {
    Ok(tx.proposals_of_root(root, limit).await?.into_iter().filter_map(read).collect())
}

/// A page of the proposals that wait, oldest first, and the place where it ended if there may be more.
///
/// # Errors
/// If the database fails.
pub async fn proposals_page(
    store: &Store,
    after: Option<(Timestamp, ProposalId)>,
    limit: i64,
) -> Result<(Vec<Proposal>, Option<(Timestamp, ProposalId)>), store::Error> {
    let rows = store.begin_read().await?.proposals_page(after, limit).await?;
    let full = i64::try_from(rows.len()) == Ok(limit);
    let next = rows.last().filter(|_| full).map(|last| (last.created_at, last.id));
    Ok((rows.into_iter().filter_map(read).collect(), next))
}

/// Who has approved a proposal so far.
///
/// # Errors
/// If the database fails.
pub async fn approvers(store: &Store, id: ProposalId) -> Result<Vec<String>, store::Error> {
    store.begin_read().await?.approvals_of(id).await
}

/// Approves a proposal in the name of `approver`; the last approval needed makes the merge.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn approve(
    store: &Store,
    config: &MergeConfig,
    id: ProposalId,
    approver: &Actor,
    now: Timestamp,
) -> Result<Approved, store::Error> {
    for attempt in retry::attempts() {
        let outcome = once(store, config, id, approver, now).await;
        if let Some(settled) = retry::settled(outcome, attempt).await {
            return settled;
        }
    }
    Err(store::Error::Contention)
}

async fn once(
    store: &Store,
    config: &MergeConfig,
    id: ProposalId,
    approver: &Actor,
    now: Timestamp,
) -> Result<Try<Approved>, store::Error> {
    let mut tx = store.begin().await?;
    let Some(row) = tx.proposal_lock(id).await? else { return Ok(Try::Done(Approved::Unknown)) };
    if row.state != ProposalState::Open {
        let executed = repeat(&mut tx, &row).await?;
        return Ok(Try::Done(executed.map_or(Approved::Closed(row.state), Approved::Executed)));
    }
    if row.proposed_by == approver.as_text() {
        return Ok(Try::Done(Approved::ByProposer));
    }
    let Some(proposal) = read(row).filter(|proposal| now < proposal.expires_at) else {
        return void(tx, id, approver, now).await;
    };
    let survivor = proposal.plan.survivor;
    if tx.approval_insert(id, &approver.as_text(), now).await? {
        events::record(&mut tx, survivor, approver.clone(), Event::MergeApproved { proposal: id }, now).await?;
    }
    let given = i64::try_from(tx.approvals_of(id).await?.len()).unwrap_or(i64::MAX);
    if given < proposal.approvals_needed {
        tx.commit().await?;
        return Ok(Try::Done(Approved::Waiting { missing: proposal.approvals_needed - given }));
    }
    complete(tx, config, &proposal, approver, now).await
}

/// The last approval is there.
async fn complete(
    mut tx: Tx,
    config: &MergeConfig,
    proposal: &Proposal,
    approver: &Actor,
    now: Timestamp,
) -> Result<Try<Approved>, store::Error> {
    let terms = Terms { hash: Some(&proposal.plan_hash), idempotency_key: None };
    let bound = Bound { terms, proposal: Some(proposal.id) };
    match within(&mut tx, config, &proposal.request, bound, now).await? {
        Try::Again => Ok(Try::Again),
        Try::Done(Outcome::Done(executed)) => {
            tx.proposal_close(proposal.id, ProposalState::Executed, Some(executed.merge), now).await?;
            closed(&mut tx, executed.survivor, proposal.id, ProposalState::Executed, approver, now).await?;
            tx.commit().await?;
            Ok(Try::Done(Approved::Executed(executed)))
        }
        Try::Done(_) => void(tx, proposal.id, approver, now).await,
    }
}

async fn void(mut tx: Tx, id: ProposalId, approver: &Actor, now: Timestamp) -> Result<Try<Approved>, store::Error> {
    let survivor = tx.proposal_find(id).await?.map(|row| row.survivor);
    if tx.proposal_close(id, ProposalState::Void, None, now).await?
        && let Some(survivor) = survivor
    {
        closed(&mut tx, survivor, id, ProposalState::Void, approver, now).await?;
    }
    tx.commit().await?;
    Ok(Try::Done(Approved::Voided))
}

/// Takes an open proposal back; `false` if it is not open.
///
/// # Errors
/// If the database fails.
pub async fn withdraw(store: &Store, id: ProposalId, by: &Actor, now: Timestamp) -> Result<bool, store::Error> {
    let mut tx = store.begin().await?;
    let Some(row) = tx.proposal_lock(id).await? else { return Ok(false) };
    if !tx.proposal_close(id, ProposalState::Withdrawn, None, now).await? {
        return Ok(false);
    }
    closed(&mut tx, row.survivor, id, ProposalState::Withdrawn, by, now).await?;
    tx.commit().await?;
    Ok(true)
}

async fn closed(
    tx: &mut Tx,
    survivor: CustomerId,
    proposal: ProposalId,
    state: ProposalState,
    by: &Actor,
    now: Timestamp,
) -> Result<(), store::Error> {
    let event = Event::MergeProposalClosed { proposal, state: state.as_str().to_owned() };
    events::record(tx, survivor, by.clone(), event, now).await
}

/// What an approval made that comes again after a lost reply.
async fn repeat(tx: &mut Tx, row: &MergeProposal) -> Result<Option<Executed>, store::Error> {
    let Some(merge) = row.merge else { return Ok(None) };
    Ok(tx.merge_find(merge).await?.map(|merge| Executed {
        merge: merge.id,
        survivor: merge.survivor,
        absorbed: merge.absorbed,
        kind: merge.kind,
        merged_at: merge.merged_at,
        repeated: true,
    }))
}

/// `None` for a plan that this version cannot read: it is void.
fn read(row: MergeProposal) -> Option<Proposal> {
    Some(Proposal {
        id: row.id,
        request: serde_json::from_value(row.request).ok()?,
        plan: serde_json::from_value(row.plan).ok()?,
        plan_hash: row.plan_hash,
        proposed_by: row.proposed_by,
        state: row.state,
        approvals_needed: row.approvals_needed,
        created_at: row.created_at,
        expires_at: row.expires_at,
    })
}
