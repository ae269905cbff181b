//! Merges that somebody proposed, and who approved them.
//!
//! Identity specification, rule 30: the key of an approval is (proposal, approver), so that two by one person are one.

use serde_json::Value;

use super::driver::{exec, fetch_all, fetch_optional, from_row, per_driver};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, MergeId, ProposalId};

word_enum! {
    /// What became of a proposal.
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum ProposalState {
        Open = "open",
        Executed = "executed",
        /// The plan had changed, the time was over, or the two are one by another way.
        Void = "void",
        Withdrawn = "withdrawn",
    }
}

/// One proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeProposal {
    pub id: ProposalId,
    pub survivor: CustomerId,
    pub absorbed: CustomerId,
    pub request: Value,
    pub plan: Value,
    pub plan_hash: String,
    pub approvals_needed: i64,
    pub proposed_by: String,
    pub state: ProposalState,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub merge: Option<MergeId>,
    /// Given twice, it is the same proposal.
    pub idempotency_key: Option<String>,
}

from_row!(MergeProposal {
    id,
    survivor,
    absorbed,
    request,
    plan,
    plan_hash,
    approvals_needed,
    proposed_by,
    state,
    created_at,
    expires_at,
    closed_at,
    merge,
    idempotency_key,
});

macro_rules! proposal_columns {
    () => {
        "id, survivor, absorbed, request, plan, plan_hash, approvals_needed, proposed_by, state, created_at, \
         expires_at, closed_at, merge, idempotency_key"
    };
}

pub(super) const PROPOSALS_LAPSED: &str =
    "SELECT id FROM merge_proposals WHERE state = 'open' AND expires_at <= $1 ORDER BY expires_at LIMIT $2";

impl Tx {
    /// Adds a proposal; `false` if there is one of its idempotency key.
    pub async fn proposal_insert(&mut self, proposal: &MergeProposal) -> Result<bool> {
        let added = exec!(
            self,
            concat!(
                "INSERT INTO merge_proposals (",
                proposal_columns!(),
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
                 ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
            ),
            proposal.id,
            proposal.survivor,
            proposal.absorbed,
            &proposal.request,
            &proposal.plan,
            &proposal.plan_hash,
            proposal.approvals_needed,
            &proposal.proposed_by,
            proposal.state,
            proposal.created_at,
            proposal.expires_at,
            proposal.closed_at,
            proposal.merge,
            &proposal.idempotency_key,
        )?;
        Ok(added == 1)
    }

    /// The proposal that was made with this key.
    pub async fn proposal_by_key(&mut self, key: &str) -> Result<Option<MergeProposal>> {
        let sql = concat!("SELECT ", proposal_columns!(), " FROM merge_proposals WHERE idempotency_key = $1");
        fetch_optional!(self, MergeProposal, sql, key)
    }

    /// The proposal of this ID.
    pub async fn proposal_find(&mut self, id: ProposalId) -> Result<Option<MergeProposal>> {
        let sql = concat!("SELECT ", proposal_columns!(), " FROM merge_proposals WHERE id = $1");
        fetch_optional!(self, MergeProposal, sql, id)
    }

    /// The same, locked until the transaction ends: approvals are counted one after the other.
    pub async fn proposal_lock(&mut self, id: ProposalId) -> Result<Option<MergeProposal>> {
        let sql = per_driver!(
            self,
            postgres: concat!("SELECT ", proposal_columns!(), " FROM merge_proposals WHERE id = $1 FOR UPDATE"),
            // SQLite has one writer and no words for a lock on a row.
            sqlite: concat!("SELECT ", proposal_columns!(), " FROM merge_proposals WHERE id = $1"),
        );
        fetch_optional!(self, MergeProposal, sql, id)
    }

    /// The proposals that wait at `now`, oldest first.
    pub async fn proposals_open(&mut self, now: Timestamp, limit: i64) -> Result<Vec<MergeProposal>> {
        fetch_all!(
            self,
            MergeProposal,
            concat!(
                "SELECT ",
                proposal_columns!(),
                " FROM merge_proposals WHERE state = 'open' AND expires_at > $1 ORDER BY created_at, id LIMIT $2"
            ),
            now,
            limit,
        )
    }

    /// The open proposals whose time is over at `now`, at most `limit`.
    pub async fn proposals_lapsed(&mut self, now: Timestamp, limit: i64) -> Result<Vec<ProposalId>> {
        let lapsed: Vec<(ProposalId,)> = fetch_all!(self, (ProposalId,), PROPOSALS_LAPSED, now, limit)?;
        Ok(lapsed.into_iter().map(|(id,)| id).collect())
    }

    /// Closes an open proposal; `false` if it was closed.
    pub async fn proposal_close(
        &mut self,
        id: ProposalId,
        state: ProposalState,
        merge: Option<MergeId>,
        now: Timestamp,
    ) -> Result<bool> {
        let closed = exec!(
            self,
            "UPDATE merge_proposals SET state = $2, merge = $3, closed_at = $4 WHERE id = $1 AND state = 'open'",
            id,
            state,
            merge,
            now,
        )?;
        Ok(closed == 1)
    }

    /// Voids the open proposals that name a customer, but for one, and answers which those were, with their two.
    pub async fn proposals_void(
        &mut self,
        customer: CustomerId,
        except: Option<ProposalId>,
        now: Timestamp,
    ) -> Result<Vec<(ProposalId, CustomerId, CustomerId)>> {
        fetch_all!(
            self,
            (ProposalId, CustomerId, CustomerId),
            "UPDATE merge_proposals SET state = 'void', closed_at = $3 \
             WHERE state = 'open' AND (survivor = $1 OR absorbed = $1) AND id IS DISTINCT FROM $2 \
             RETURNING id, survivor, absorbed",
            customer,
            except,
            now,
        )
    }

    /// Notes an approval; `false` if this person had approved.
    pub async fn approval_insert(&mut self, id: ProposalId, approver: &str, now: Timestamp) -> Result<bool> {
        let added = exec!(
            self,
            "INSERT INTO merge_approvals (proposal, approver, approved_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            id,
            approver,
            now,
        )?;
        Ok(added == 1)
    }

    /// Who has approved a proposal.
    pub async fn approvals_of(&mut self, id: ProposalId) -> Result<Vec<String>> {
        let sql = "SELECT approver FROM merge_approvals WHERE proposal = $1 ORDER BY approved_at, approver LIMIT 100";
        let rows: Vec<(String,)> = fetch_all!(self, (String,), sql, id)?;
        Ok(rows.into_iter().map(|(approver,)| approver).collect())
    }
}
