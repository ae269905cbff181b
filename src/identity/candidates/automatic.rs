//! Merging without asking, where that is switched on (spec/identity.md rule 39).
//!
//! A pair in the automatic band is weighed once more, as its customers are now, and then merged like by anybody: what
//! refuses a merge refuses this one, and what needs a second person waits for one. Either leaves the pair in the queue
//! with the reason, so that it is not tried again before one of the two changes.

use serde_json::json;

use super::{Follower, ScanError};
use crate::clock::Timestamp;
use crate::identity::merge::{self, Initiator, Outcome, PlanRequest, Terms};
use crate::store::{Candidate, CandidateState, Store};

/// Pairs looked at in one round.
const BATCH: i64 = 20;
/// The rule, as the audit log names it.
const RULE: &str = "duplicates";

/// Merges what is certain.
pub(super) async fn merge_certain(follower: &mut Follower) -> Result<(), ScanError> {
    let waiting = follower.parts().0.begin_read().await?.candidates_waiting("automatic", BATCH).await?;
    for pair in waiting {
        follower.weigh(pair.a).await?;
        let (store, rules, clock) = follower.parts();
        let still = store.begin_read().await?.candidate_find(pair.a, pair.b).await?.map(|line| line.candidate);
        let is_certain =
            |pair: &Candidate| pair.band == "automatic" && !pair.needs_review && pair.state == CandidateState::Open;
        if let Some(pair) = still.filter(is_certain) {
            let request = request(&pair);
            let now = clock.now();
            let outcome = merge::execute(store, &rules.merge, &request, Terms::default(), now).await?;
            settle(store, &pair, outcome, now).await?;
        }
    }
    Ok(())
}

/// Who came first lives on: more apps know them, and for longer.
fn request(pair: &Candidate) -> PlanRequest {
    PlanRequest {
        survivor: pair.a,
        absorbed: pair.b,
        by: Initiator::Rule { name: RULE.to_owned() },
        reason: format!("one person with a probability of {:.6} by model {}", pair.same, pair.model),
        choices: Default::default(),
        sessions: None,
    }
}

async fn settle<T>(store: &Store, pair: &Candidate, outcome: Outcome<T>, now: Timestamp) -> Result<(), ScanError> {
    let refused = match outcome {
        Outcome::Done(_) => None,
        Outcome::Refused(plan) if !plan.refusals.is_empty() => Some(json!(plan.refusals)),
        Outcome::Refused(plan) => Some(json!({ "questions": plan.questions })),
        Outcome::NeedsApproval(plan) => Some(json!({ "needs_approval": plan.risk })),
        Outcome::Stale(_) | Outcome::Unknown(_) => Some(json!("changed")),
    };
    let mut tx = store.begin().await?;
    match refused {
        // The merge has settled the pair itself, unless the two were one customer before.
        None => {
            tx.candidate_decide(pair.a, pair.b, CandidateState::Merged, now).await?;
        }
        Some(why) => {
            let mut reasons = pair.reasons.clone();
            if let Some(reasons) = reasons.as_object_mut() {
                reasons.insert("not_merged".to_owned(), why);
            }
            tx.candidate_move(pair.a, pair.b, "queue", &reasons, now).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
