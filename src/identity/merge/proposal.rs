//! A second person before a risky merge (spec/identity.md rule 30).
//!
//! A proposal holds the plan as it was and its hash. The proposer cannot approve, two approvals by one person are one,
//! a proposal lapses, and a plan that would be another by now voids it, as does the end of one of the two, however it came.
//! Its end is on record of both. The last approval executes, in its transaction. What somebody has seen is compared under the proposal's lock.

use serde::Serialize;

use super::execute::{Bound, living, lock, lock_roots, within};
use super::{Executed, Outcome, Plan, PlanRequest, Planned, Terms, plan_in};
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, ProposalId};
use crate::store::retry::retry;
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
    pub closed_at: Option<Timestamp>,
}

/// How a proposal stands, in the words of whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Open,
    Executed,
    /// The plan had changed, or the two are no two any more.
    Void,
    /// Its time was over before enough had approved.
    Lapsed,
    Withdrawn,
}

impl Standing {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Executed => "executed",
            Self::Void => "void",
            Self::Lapsed => "lapsed",
            Self::Withdrawn => "withdrawn",
        }
    }

    fn of(state: ProposalState, expires_at: Timestamp, at: Timestamp) -> Self {
        match state {
            ProposalState::Open | ProposalState::Void if at >= expires_at => Self::Lapsed,
            ProposalState::Open => Self::Open,
            ProposalState::Void => Self::Void,
            ProposalState::Executed => Self::Executed,
            ProposalState::Withdrawn => Self::Withdrawn,
        }
    }
}

impl Proposal {
    /// How it stands at `now`: nobody may have closed it yet when its time is over.
    pub fn standing(&self, now: Timestamp) -> Standing {
        Standing::of(self.state, self.expires_at, self.closed_at.unwrap_or(now))
    }
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
    /// It is not in the version that was seen.
    Changed,
    /// Its time was over, or the plan would be another by now: it is void.
    Voided,
}

/// Who decides about a proposal, and what they have seen of it.
#[derive(Clone, Copy)]
pub struct Decision<'a> {
    pub by: &'a Actor,
    /// Whether they have seen it in this [`version`]. Asked once nothing can come between the answer and the decision.
    pub has_seen: &'a (dyn Fn(&str) -> bool + Sync),
}

impl<'a> From<&'a Actor> for Decision<'a> {
    /// Of whoever decides about it as it is.
    fn from(by: &'a Actor) -> Self {
        Self { by, has_seen: &|_| true }
    }
}

/// Each approval makes another version of a proposal, and so does its end.
pub fn version(state: ProposalState, approvals: usize) -> String {
    format!("{}.{approvals}", state.as_str())
}

/// What became of the wish to take a proposal back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    Done,
    Unknown,
    /// It was executed, withdrawn or voided before.
    Closed(ProposalState),
    /// It is not in the version that was seen.
    Changed,
}

/// Proposes a merge, as `terms` agree to it. `NeedsApproval` is never the answer: that is what this is for. Made twice with
/// one key it is the one proposal.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn propose(
    store: &Store,
    config: &MergeConfig,
    request: &PlanRequest,
    terms: Terms<'_>,
    now: Timestamp,
) -> Result<Outcome<Proposal>, store::Error> {
    retry(|| propose_once(store, config, request, terms, now)).await
}

async fn propose_once(
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
    let roots = match living(&mut tx, request).await? {
        Ok(roots) => roots,
        Err(unknown) => return Ok(Outcome::Unknown(unknown)),
    };
    // A merge that closes what is proposed of its two has been, and is seen, or comes after and finds this one.
    lock(&mut tx, request, roots).await?;
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
    let row = row_of(config, request, terms, &plan, now);
    if !tx.proposal_insert(&row).await? {
        // The same was asked at the same moment: that one has committed.
        return Err(store::Error::Contention);
    }
    let event = Event::MergeProposed { proposal: row.id, absorbed: row.absorbed };
    events::record(&mut tx, row.survivor, request.by.actor(), event, now).await?;
    tx.commit().await?;
    let unreadable = || Outcome::Unknown(request.absorbed.to_string());
    Ok(read(row).map_or_else(unreadable, Outcome::Done))
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
pub async fn proposals(store: &Store, limit: i64, now: Timestamp) -> Result<Vec<Proposal>, store::Error> {
    Ok(store.begin_read().await?.proposals_open(now, limit).await?.into_iter().filter_map(read).collect())
}

/// The proposals that wait of which one side is this customer today, oldest first.
///
/// # Errors
/// If the database fails.
pub async fn proposals_of(
    tx: &mut Tx,
    root: CustomerId,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<Proposal>, store::Error> {
    Ok(tx.proposals_of_root(root, now, limit).await?.into_iter().filter_map(read).collect())
}

/// A page of the proposals that wait, oldest first, and the place where it ended if there may be more.
///
/// # Errors
/// If the database fails.
pub async fn proposals_page(
    store: &Store,
    after: Option<(Timestamp, ProposalId)>,
    limit: i64,
    now: Timestamp,
) -> Result<(Vec<Proposal>, Option<(Timestamp, ProposalId)>), store::Error> {
    let rows = store.begin_read().await?.proposals_page(now, after, limit).await?;
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

/// Approves a proposal; the last approval needed makes the merge.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn approve(
    store: &Store,
    config: &MergeConfig,
    id: ProposalId,
    decision: impl Into<Decision<'_>>,
    now: Timestamp,
) -> Result<Approved, store::Error> {
    let decision = decision.into();
    retry(|| once(store, config, id, decision, now)).await
}

/// A proposal, locked behind the two it is about: in that order a merge of theirs takes them too.
async fn lock_proposal(tx: &mut Tx, row: &MergeProposal) -> Result<MergeProposal, store::Error> {
    let survivor = tx.customer_living(row.survivor).await?.ok_or(store::Error::Missing)?;
    let absorbed = tx.customer_living(row.absorbed).await?.ok_or(store::Error::Missing)?;
    lock_roots(tx, (survivor.id, absorbed.id)).await?;
    tx.proposal_lock(row.id).await?.ok_or(store::Error::Missing)
}

async fn once(
    store: &Store,
    config: &MergeConfig,
    id: ProposalId,
    decision: Decision<'_>,
    now: Timestamp,
) -> Result<Approved, store::Error> {
    let mut tx = store.begin().await?;
    let Some(row) = tx.proposal_find(id).await? else { return Ok(Approved::Unknown) };
    let row = lock_proposal(&mut tx, &row).await?;
    let (approver, approvers) = (decision.by, tx.approvals_of(id).await?);
    // RFC 9110 §13.1.1: whoever asks again for what they have done already is told that it is done.
    let is_repeated = approvers.contains(&approver.as_text());
    if !is_repeated && !(decision.has_seen)(&version(row.state, approvers.len())) {
        return Ok(Approved::Changed);
    }
    if row.state != ProposalState::Open {
        let executed = repeat(&mut tx, &row).await?;
        return Ok(executed.map_or(Approved::Closed(row.state), Approved::Executed));
    }
    if row.proposed_by == approver.as_text() {
        return Ok(Approved::ByProposer);
    }
    let Some(proposal) = read(row).filter(|proposal| now < proposal.expires_at) else {
        return void(tx, id, approver, now).await;
    };
    let survivor = proposal.plan.survivor;
    if !is_repeated && tx.approval_insert(id, &approver.as_text(), now).await? {
        events::record(&mut tx, survivor, approver.clone(), Event::MergeApproved { proposal: id }, now).await?;
    }
    let given = i64::try_from(approvers.len()).unwrap_or(i64::MAX).saturating_add(i64::from(!is_repeated));
    if given < proposal.approvals_needed {
        tx.commit().await?;
        return Ok(Approved::Waiting { missing: proposal.approvals_needed - given });
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
) -> Result<Approved, store::Error> {
    let terms = Terms { hash: Some(&proposal.plan_hash), idempotency_key: None };
    let bound = Bound { terms, proposal: Some(proposal.id) };
    match within(&mut tx, config, &proposal.request, bound, now).await? {
        Outcome::Done(executed) => {
            tx.proposal_close(proposal.id, ProposalState::Executed, Some(executed.merge), now).await?;
            let two = (proposal.plan.survivor, proposal.plan.absorbed);
            closed(&mut tx, two, (proposal.id, Standing::Executed), approver, now).await?;
            tx.commit().await?;
            Ok(Approved::Executed(executed))
        }
        _ => void(tx, proposal.id, approver, now).await,
    }
}

async fn void(mut tx: Tx, id: ProposalId, approver: &Actor, now: Timestamp) -> Result<Approved, store::Error> {
    let row = tx.proposal_find(id).await?.ok_or(store::Error::Missing)?;
    if tx.proposal_close(id, ProposalState::Void, None, now).await? {
        let standing = Standing::of(ProposalState::Void, row.expires_at, now);
        closed(&mut tx, (row.survivor, row.absorbed), (id, standing), approver, now).await?;
    }
    tx.commit().await?;
    Ok(Approved::Voided)
}

/// Closes the proposals whose time is over, at most `limit`, and answers how many there were. Each is a transaction of its
/// own; of several who do it at once, one closes each.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn close_lapsed(store: &Store, limit: i64, now: Timestamp) -> Result<usize, store::Error> {
    let lapsed = store.begin_read().await?.proposals_lapsed(now, limit).await?;
    for id in &lapsed {
        retry(|| close_one(store, *id, now)).await?;
    }
    Ok(lapsed.len())
}

async fn close_one(store: &Store, id: ProposalId, now: Timestamp) -> Result<(), store::Error> {
    let mut tx = store.begin().await?;
    let Some(row) = tx.proposal_find(id).await? else { return Ok(()) };
    let row = lock_proposal(&mut tx, &row).await?;
    if row.state == ProposalState::Open && now >= row.expires_at {
        tx.proposal_close(id, ProposalState::Void, None, now).await?;
        closed(&mut tx, (row.survivor, row.absorbed), (id, Standing::Lapsed), &Actor::System, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Takes an open proposal back.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn withdraw(
    store: &Store,
    id: ProposalId,
    decision: impl Into<Decision<'_>>,
    now: Timestamp,
) -> Result<Withdrawn, store::Error> {
    let decision = decision.into();
    retry(|| withdraw_once(store, id, decision, now)).await
}

async fn withdraw_once(
    store: &Store,
    id: ProposalId,
    decision: Decision<'_>,
    now: Timestamp,
) -> Result<Withdrawn, store::Error> {
    let mut tx = store.begin().await?;
    let Some(row) = tx.proposal_find(id).await? else { return Ok(Withdrawn::Unknown) };
    let row = lock_proposal(&mut tx, &row).await?;
    let approvals = tx.approvals_of(id).await?.len();
    if !(decision.has_seen)(&version(row.state, approvals)) {
        return Ok(Withdrawn::Changed);
    }
    if !tx.proposal_close(id, ProposalState::Withdrawn, None, now).await? {
        return Ok(Withdrawn::Closed(row.state));
    }
    closed(&mut tx, (row.survivor, row.absorbed), (id, Standing::Withdrawn), decision.by, now).await?;
    tx.commit().await?;
    Ok(Withdrawn::Done)
}

/// Closes the open proposals, but for one, that name a customer who is none of their own any more: absorbed, or erased.
/// It is told under `root`, which is locked, and on record of the other one, who would have to be locked out of order.
///
/// # Errors
/// If the database fails.
pub(in crate::identity) async fn lapse(
    tx: &mut Tx,
    gone: CustomerId,
    except: Option<ProposalId>,
    (root, by): (CustomerId, &Actor),
    now: Timestamp,
) -> Result<(), store::Error> {
    for (proposal, survivor, absorbed) in tx.proposals_void(gone, except, now).await? {
        let other = if survivor == gone { absorbed } else { survivor };
        let event = ended((proposal, Standing::Void), (survivor, absorbed));
        events::record_of_both(tx, (root, other), by, &event, now).await?;
    }
    Ok(())
}

async fn closed(
    tx: &mut Tx,
    (survivor, absorbed): (CustomerId, CustomerId),
    how: (ProposalId, Standing),
    by: &Actor,
    now: Timestamp,
) -> Result<(), store::Error> {
    let event = ended(how, (survivor, absorbed));
    events::record_of_both(tx, (survivor, absorbed), by, &event, now).await
}

fn ended((proposal, standing): (ProposalId, Standing), (survivor, absorbed): (CustomerId, CustomerId)) -> Event {
    Event::MergeProposalClosed { proposal, state: standing.as_str().to_owned(), survivor, absorbed }
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
        closed_at: row.closed_at,
    })
}
