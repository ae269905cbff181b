//! Lists for people who look after customers, a page at a time: what waits for a decision, and what is a customer's.
//!
//! Experience specification, rule 9. A page begins behind a place, which is the key of the last row before it, not a
//! number of rows: nothing is shown twice or left out when rows come and go. Each list is read along an index.

use serde_json::Value;
use uuid::Uuid;

use super::admin_roles::AdminRow;
use super::candidates::Candidate;
use super::conflicts::Conflict;
use super::driver::{fetch_all, fetch_optional, from_row};
use super::links::Link;
use super::merge_requests::MergeRequest;
use super::merges::Merge;
use super::not_same::NotSame;
use super::proposals::MergeProposal;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, LinkId, MergeId, ProposalId};

/// A pair with what its two rows say of themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateLine {
    pub candidate: Candidate,
    pub a_profile: Value,
    pub b_profile: Value,
    /// Somebody put it on watch.
    pub watched: bool,
}

from_row!(CandidateLine { candidate: flatten, a_profile, b_profile, watched });

macro_rules! candidate_lines {
    ($where:literal) => {
        concat!(
            "SELECT c.a, c.b, c.same, c.household, c.reasons, c.model, c.band, c.cluster, c.needs_review, \
             c.state, c.created_at, c.updated_at, x.profile AS a_profile, y.profile AS b_profile, c.watched_same IS NOT NULL AS watched \
             FROM candidates c JOIN customers x ON x.id = c.a JOIN customers y ON y.id = c.b WHERE ",
            $where
        )
    };
}

pub(super) const CANDIDATES_PAGE: &str = candidate_lines!(
    "c.state = 'open' AND c.band = $1 AND (c.same, c.a, c.b) < ($2, $3, $4) \
     ORDER BY c.same DESC, c.a DESC, c.b DESC LIMIT $5"
);

/// Each half finds its side by an index.
pub(super) const CANDIDATES_OF: &str = concat!(
    candidate_lines!(
        "c.state = 'open' AND c.a IN (SELECT id FROM customers WHERE canonical = $1) \
         AND (c.same, c.a, c.b) < ($2, $3, $4)"
    ),
    " UNION ALL ",
    candidate_lines!(
        "c.state = 'open' AND c.b IN (SELECT id FROM customers WHERE canonical = $1) \
         AND c.a NOT IN (SELECT id FROM customers WHERE canonical = $1) AND (c.same, c.a, c.b) < ($2, $3, $4)"
    ),
    " ORDER BY 3 DESC, 1 DESC, 2 DESC LIMIT $5"
);

/// Rows of a table that are about two customers of which one is this root today. Each half finds its side by an index.
macro_rules! of_either {
    ($columns:literal, $table:literal, $one:literal, $other:literal, $open:literal, $order:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM ",
            $table,
            " WHERE ",
            $open,
            " AND ",
            $one,
            " IN (SELECT id FROM customers WHERE canonical = $1) UNION ALL SELECT ",
            $columns,
            " FROM ",
            $table,
            " WHERE ",
            $open,
            " AND ",
            $other,
            " IN (SELECT id FROM customers WHERE canonical = $1) AND ",
            $one,
            " NOT IN (SELECT id FROM customers WHERE canonical = $1) ORDER BY ",
            $order,
            " LIMIT $2"
        )
    };
}

pub(super) const MERGE_REQUESTS_OF: &str = of_either!(
    "id, a, b, proofs, opened_at, state, closed_at, declined",
    "merge_requests",
    "a",
    "b",
    "state = 'open'",
    "opened_at, id"
);

pub(super) const PROPOSALS_OF: &str = of_either!(
    "id, survivor, absorbed, request, plan, plan_hash, approvals_needed, proposed_by, state, created_at, expires_at, \
     closed_at, merge, idempotency_key",
    "merge_proposals",
    "survivor",
    "absorbed",
    "state = 'open' AND expires_at > $3",
    "created_at, id"
);

pub(super) const CONFLICTS_OF: &str = of_either!(
    "id, kind, customer, other, detail, created_at, closed_at",
    "conflicts",
    "customer",
    "other",
    "closed_at IS NULL",
    "created_at, id"
);

pub(super) const LINKS_PAGE: &str = "SELECT id, namespace, external_id, exclusive, customer, root, state, source, proof, \
     verified_at, display, profile, first_seen, last_seen, ended_at, disabled_reason, disabled_at, mail_stopped_at \
     FROM links WHERE root = $1 AND (first_seen, id) > ($2, $3) ORDER BY first_seen, id LIMIT $4";

/// The end of a list in falling order, where its first page begins: no ID is greater.
const LAST: Uuid = Uuid::max();

impl Tx {
    /// Open pairs of a band, the likeliest first, behind one; at most `limit`.
    pub async fn candidates_page(
        &mut self,
        band: &str,
        after: Option<(f64, CustomerId, CustomerId)>,
        limit: i64,
    ) -> Result<Vec<CandidateLine>> {
        // Probabilities end at one.
        let (same, a, b) = after.unwrap_or((2.0, CustomerId(LAST), CustomerId(LAST)));
        fetch_all!(self, CandidateLine, CANDIDATES_PAGE, band, same, a, b, limit)
    }

    /// Open pairs of which one is this root today, the likeliest first, behind one; at most `limit`.
    pub async fn candidates_of(
        &mut self,
        root: CustomerId,
        after: Option<(f64, CustomerId, CustomerId)>,
        limit: i64,
    ) -> Result<Vec<CandidateLine>> {
        let (same, a, b) = after.unwrap_or((2.0, CustomerId(LAST), CustomerId(LAST)));
        fetch_all!(self, CandidateLine, CANDIDATES_OF, root, same, a, b, limit)
    }

    /// One pair, in whichever order.
    pub async fn candidate_find(&mut self, one: CustomerId, other: CustomerId) -> Result<Option<CandidateLine>> {
        let sql = candidate_lines!("c.a = $1 AND c.b = $2");
        fetch_optional!(self, CandidateLine, sql, one.min(other), one.max(other))
    }

    /// The links of a root, ended ones too, in the order in which they were made, behind one; at most `limit`.
    pub async fn links_page(
        &mut self,
        root: CustomerId,
        after: Option<(Timestamp, LinkId)>,
        limit: i64,
    ) -> Result<Vec<Link>> {
        let (at, id) = after.unwrap_or((Timestamp::from_micros(i64::MIN), LinkId(Uuid::nil())));
        fetch_all!(self, Link, LINKS_PAGE, root, at, id, limit)
    }

    /// The link of this ID, live or ended.
    pub async fn link_find(&mut self, id: LinkId) -> Result<Option<Link>> {
        let sql = "SELECT id, namespace, external_id, exclusive, customer, root, state, source, proof, verified_at, \
                   display, profile, first_seen, last_seen, ended_at, disabled_reason, disabled_at, mail_stopped_at \
                   FROM links WHERE id = $1";
        fetch_optional!(self, Link, sql, id)
    }

    /// The requests that wait, oldest first, behind one; at most `limit`.
    pub async fn merge_requests_page(
        &mut self,
        after: Option<(Timestamp, Uuid)>,
        limit: i64,
    ) -> Result<Vec<MergeRequest>> {
        let (at, id) = after.unwrap_or((Timestamp::from_micros(i64::MIN), Uuid::nil()));
        fetch_all!(
            self,
            MergeRequest,
            "SELECT id, a, b, proofs, opened_at, state, closed_at, declined FROM merge_requests \
             WHERE state = 'open' AND (opened_at, id) > ($1, $2) ORDER BY opened_at, id LIMIT $3",
            at,
            id,
            limit,
        )
    }

    /// The requests that wait of which one side is this root today, oldest first; at most `limit`.
    pub async fn merge_requests_of_root(&mut self, root: CustomerId, limit: i64) -> Result<Vec<MergeRequest>> {
        fetch_all!(self, MergeRequest, MERGE_REQUESTS_OF, root, limit)
    }

    /// The proposals that wait at `now` of which one side is this root today, oldest first; at most `limit`.
    pub async fn proposals_of_root(
        &mut self,
        root: CustomerId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<MergeProposal>> {
        fetch_all!(self, MergeProposal, PROPOSALS_OF, root, limit, now)
    }

    /// The conflict cases that wait of which one side is this root today, oldest first; at most `limit`.
    pub async fn conflicts_of_root(&mut self, root: CustomerId, limit: i64) -> Result<Vec<Conflict>> {
        fetch_all!(self, Conflict, CONFLICTS_OF, root, limit)
    }

    /// The conflict cases that wait, oldest first, behind one; at most `limit`.
    pub async fn conflicts_page(&mut self, after: Option<(Timestamp, Uuid)>, limit: i64) -> Result<Vec<Conflict>> {
        let (at, id) = after.unwrap_or((Timestamp::from_micros(i64::MIN), Uuid::nil()));
        fetch_all!(
            self,
            Conflict,
            "SELECT id, kind, customer, other, detail, created_at, closed_at FROM conflicts \
             WHERE closed_at IS NULL AND (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3",
            at,
            id,
            limit,
        )
    }

    /// The proposals that wait at `now`, oldest first, behind one; at most `limit`.
    pub async fn proposals_page(
        &mut self,
        now: Timestamp,
        after: Option<(Timestamp, ProposalId)>,
        limit: i64,
    ) -> Result<Vec<MergeProposal>> {
        let (at, id) = after.unwrap_or((Timestamp::from_micros(i64::MIN), ProposalId(Uuid::nil())));
        fetch_all!(
            self,
            MergeProposal,
            "SELECT id, survivor, absorbed, request, plan, plan_hash, approvals_needed, proposed_by, state, \
             created_at, expires_at, closed_at, merge, idempotency_key FROM merge_proposals \
             WHERE state = 'open' AND expires_at > $4 AND (created_at, id) > ($1, $2) \
             ORDER BY created_at, id LIMIT $3",
            at,
            id,
            limit,
            now,
        )
    }

    /// The open merges that made a root what it is, oldest first, behind one; at most `limit`.
    pub async fn merges_page(
        &mut self,
        root: CustomerId,
        after: Option<(Timestamp, MergeId)>,
        limit: i64,
    ) -> Result<Vec<Merge>> {
        let (at, id) = after.unwrap_or((Timestamp::from_micros(i64::MIN), MergeId(Uuid::nil())));
        fetch_all!(
            self,
            Merge,
            "SELECT id, survivor, absorbed, kind, actor, reason, moved, seq, keys_joined_at, plan, plan_hash, \
             idempotency_key, merged_at, undone_at, undone_by FROM merges \
             WHERE absorbed IN (SELECT id FROM customers WHERE canonical = $1) AND undone_at IS NULL \
             AND (merged_at, id) > ($2, $3) ORDER BY merged_at, id LIMIT $4",
            root,
            at,
            id,
            limit,
        )
    }

    /// The pairs of two people of which one is this root today, the newest first, behind one; at most `limit`.
    pub async fn not_same_page(
        &mut self,
        root: CustomerId,
        after: Option<(Timestamp, CustomerId, CustomerId)>,
        limit: i64,
    ) -> Result<Vec<NotSame>> {
        let last = (Timestamp::from_micros(i64::MAX), CustomerId(LAST), CustomerId(LAST));
        let (at, a, b) = after.unwrap_or(last);
        fetch_all!(
            self,
            NotSame,
            "SELECT a, b, actor, reason, created_at FROM ( \
             SELECT d.a, d.b, d.actor, d.reason, d.created_at FROM customers c JOIN not_same d ON d.a = c.id \
             WHERE c.canonical = $1 \
             UNION ALL SELECT d.a, d.b, d.actor, d.reason, d.created_at FROM customers c JOIN not_same d ON d.b = c.id \
             WHERE c.canonical = $1) AS pairs WHERE (created_at, a, b) < ($2, $3, $4) \
             ORDER BY created_at DESC, a DESC, b DESC LIMIT $5",
            root,
            at,
            a,
            b,
            limit,
        )
    }

    /// Everybody with a role, in the order in which they got it, behind one; at most `limit`.
    pub async fn admins_page(&mut self, after: Option<(Timestamp, CustomerId)>, limit: i64) -> Result<Vec<AdminRow>> {
        let (at, id) = after.unwrap_or((Timestamp::from_micros(i64::MIN), CustomerId(Uuid::nil())));
        fetch_all!(
            self,
            AdminRow,
            "SELECT customer, role, granted_by, granted_at FROM admin_roles \
             WHERE (granted_at, customer) > ($1, $2) ORDER BY granted_at, customer LIMIT $3",
            at,
            id,
            limit,
        )
    }
}
