//! What waits for a decision about one customer: pairs, requests, proposals and conflicts, whichever side they are on.
//!
//! Identity specification, rules 13, 16, 30 and 36. It reads and never decides.

use crate::clock::Timestamp;
use crate::identity::merge::{self, Proposal};
use crate::ids::CustomerId;
use crate::store::{self, CandidateLine, Conflict, Member, MergeRequest, Tx};

/// How much of each kind is shown at most; the queue has the rest.
const SHOWN: i64 = 20;

/// What waits.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// With whom they may be one person, the likeliest first.
    pub candidates: Vec<CandidateLine>,
    /// What customers asked for themselves.
    pub requests: Vec<MergeRequest>,
    pub proposals: Vec<Proposal>,
    pub conflicts: Vec<Conflict>,
}

/// Everything that waits about a living customer.
///
/// # Errors
/// If the database fails.
pub async fn of(tx: &mut Tx, root: CustomerId, now: Timestamp) -> Result<Waiting, store::Error> {
    Ok(Waiting {
        candidates: tx.candidates_of(root, None, SHOWN).await?,
        requests: tx.merge_requests_of_root(root, SHOWN).await?,
        proposals: merge::proposals_of(tx, root, SHOWN, now).await?,
        conflicts: tx.conflicts_of_root(root, SHOWN).await?,
    })
}

/// Which of two IDs is not among these rows: the other side of a pair.
pub fn other_of(members: &[Member], (one, other): (CustomerId, CustomerId)) -> CustomerId {
    if members.iter().any(|member| member.id == one) { other } else { one }
}
