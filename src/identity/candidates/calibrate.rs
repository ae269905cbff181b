//! What was decided about pairs, against what the model said of them: a correction, proposed and never applied by itself
//! (spec/duplicates.md). Applied, it is a model of its own version, and the next scan uses it.

use super::{ScanError, keep_model};
use crate::clock::Timestamp;
use crate::identity::duplicates::calibration::{self, NoProposal};
use crate::identity::duplicates::{Decision, Model, Proposal};
use crate::store::{CandidateState, Store};

/// The latest decisions that count.
const MOST: i64 = 100_000;

/// What became of a wish to correct the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Calibration {
    /// There is no model yet.
    NoModel,
    None(NoProposal),
    Proposed(Box<Proposal>),
}

/// What the decisions on the pairs of the model in use propose.
///
/// # Errors
/// The database, or a stored model of another version of this program.
pub async fn proposal(store: &Store) -> Result<Calibration, ScanError> {
    Ok(read(store).await?.map_or(Calibration::NoModel, |(_, proposed)| proposed))
}

/// Puts what is proposed into force: answers it with the version of the new model. `None` if nothing is proposed, or
/// it is not for the model that whoever asks has seen.
///
/// # Errors
/// As [`proposal`].
pub async fn apply(store: &Store, seen: &str, now: Timestamp) -> Result<Option<(Box<Proposal>, String)>, ScanError> {
    let Some((model, Calibration::Proposed(proposal))) = read(store).await? else { return Ok(None) };
    if proposal.model != seen {
        return Ok(None);
    }
    let corrected = model.calibrated(proposal.calibration)?;
    keep_model(store, &corrected, now).await?;
    Ok(Some((proposal, corrected.version)))
}

async fn read(store: &Store) -> Result<Option<(Model, Calibration)>, ScanError> {
    let mut tx = store.begin_read().await?;
    let Some(parameters) = tx.duplicate_model_latest().await? else { return Ok(None) };
    let model = Model::from_json(&parameters.to_string())?;
    let decided = tx.candidates_decided(&model.version, MOST).await?;
    let decision = |decided: &crate::store::Decision| Decision {
        same: decided.same,
        is_same: decided.state == CandidateState::Merged,
    };
    let decisions: Vec<Decision> = decided.iter().map(decision).collect();
    let proposed = match calibration::propose(&model, &decisions) {
        Ok(proposal) => Calibration::Proposed(Box::new(proposal)),
        Err(none) => Calibration::None(none),
    };
    Ok(Some((model, proposed)))
}
