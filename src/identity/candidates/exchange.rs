//! Pairs that were scored elsewhere, such as by Splink on Spark (spec/identity.md rule 40).
//!
//! They have no waterfall and no proof of anything: they go before a person and are never merged by themselves.

use serde_json::json;

use super::{Rules, ScanError};
use crate::clock::Timestamp;
use crate::identity::duplicates::Pair;
use crate::ids::CustomerId;
use crate::store::{Candidate, CandidateState, CustomerState, Store};

/// What stands in place of a model.
pub(super) const IMPORTED: &str = "imported";

/// What became of imported pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub kept: u64,
    /// A person has decided on them.
    pub decided: u64,
    /// Below the bands.
    pub dropped: u64,
    /// Without two different living customers.
    pub unknown: u64,
}

impl std::ops::AddAssign for Imported {
    fn add_assign(&mut self, other: Self) {
        self.kept += other.kept;
        self.decided += other.decided;
        self.dropped += other.dropped;
        self.unknown += other.unknown;
    }
}

/// Keeps pairs that were scored elsewhere, all of them or none. What they name by retired IDs is who lives on.
///
/// # Errors
/// The database.
pub async fn import(store: &Store, pairs: &[Pair], rules: &Rules, now: Timestamp) -> Result<Imported, ScanError> {
    let mut counts = Imported::default();
    let mut tx = store.begin().await?;
    let not_same = tx.not_same_roots().await?;
    for pair in pairs {
        let mut roots = Vec::new();
        for id in [&pair.left, &pair.right] {
            let Ok(id) = id.parse::<CustomerId>() else { continue };
            roots.extend(tx.customer_living(id).await?.filter(|living| living.state == CustomerState::Active));
        }
        let [x, y] = roots.as_slice() else {
            counts.unknown += 1;
            continue;
        };
        let (a, b) = if x.id <= y.id { (x.id, y.id) } else { (y.id, x.id) };
        let band = if pair.probability >= rules.policy.queue { "queue" } else { "watch" };
        let apart = not_same.iter().any(|(p, q)| (*p, *q) == (a, b) || (*q, *p) == (a, b));
        if a == b || pair.probability < rules.policy.watch || apart {
            counts.dropped += 1;
            continue;
        }
        let candidate = Candidate {
            a,
            b,
            same: pair.probability,
            household: pair.household.unwrap_or_default(),
            reasons: json!({}),
            model: IMPORTED.to_owned(),
            band: band.to_owned(),
            cluster: None,
            needs_review: false,
            state: CandidateState::Open,
            created_at: now,
            updated_at: now,
        };
        *(if tx.candidate_upsert(&candidate).await? { &mut counts.kept } else { &mut counts.decided }) += 1;
    }
    tx.commit().await?;
    Ok(counts)
}
