//! What stewards decided, against what the model said: a correction of its probabilities, proposed and never applied
//! here (spec/duplicates.md). Whoever accepts one makes a new version of the model with [`Model::calibrated`].
//!
//! The correction is a straight line on log-odds, drawn towards "change nothing". Two numbers cannot be led astray by
//! a few hundred decisions, keep the order of pairs, and hold for pairs better and worse than any that were decided:
//! stewards see the queue alone, so a free curve would know nothing of the rest.

use serde::{Deserialize, Serialize};

use super::model::Model;
use super::score::Score;

/// Fewer decisions propose nothing.
pub const ENOUGH: usize = 500;
/// Of each answer there must be so many: where all said yes, nothing tells how sure the model may be.
const OF_EACH: usize = 20;
/// Probabilities are not taken for surer than this.
const SUREST: f64 = 1e-6;
/// How strongly the line is drawn to "change nothing": as so many decisions would.
const INERTIA: f64 = 10.0;
const ROUNDS: usize = 50;
const FOLDS: usize = 5;
/// What the correction must be worth on decisions it was not made from, in nats for each.
const WORTH: f64 = 0.002;
const BINS: usize = 10;

/// One pair that a person has decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// The probability that the model gave, before the decision.
    pub same: f64,
    /// Whether it was one person.
    pub is_same: bool,
}

/// A correction: `log-odds → offset + slope · log-odds`, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub offset: f64,
    pub slope: f64,
}

/// A correction with what speaks for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The version of the model that was judged.
    pub model: String,
    pub calibration: Calibration,
    pub decisions: usize,
    pub of_one_person: usize,
    /// The mean logarithmic loss of the model's probabilities, and of corrected ones on decisions that the correction
    /// was not made from.
    pub loss: f64,
    pub loss_corrected: f64,
    /// Tenths of probability with at least one decision.
    pub bins: Vec<Bin>,
}

/// The decisions in one tenth of probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Where it begins.
    pub from: f64,
    pub decisions: usize,
    pub of_one_person: usize,
    /// Means over the decisions of the bin.
    pub said: f64,
    pub corrected: f64,
}

/// Why nothing is proposed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoProposal {
    #[error("{0} decisions are too few; it takes {ENOUGH}")]
    Few(usize),
    #[error("nearly all decisions are the same")]
    OneSided,
    #[error("the probabilities hold as they are")]
    Fits,
}

impl Calibration {
    const NONE: Self = Self { offset: 0.0, slope: 1.0 };

    /// A corrected probability.
    pub fn apply(&self, same: f64) -> f64 {
        logistic(self.offset + self.slope * log_odds(same))
    }

    /// A score with its first probability corrected; the others share what is left as before.
    pub(super) fn correct(&self, score: Score) -> Score {
        let same = self.apply(score.same);
        let rest = score.household + score.unrelated;
        let scale = if rest > 0.0 { (1.0 - same) / rest } else { 0.0 };
        Score { same, household: score.household * scale, unrelated: score.unrelated * scale, ..score }
    }

    /// This after another, in one.
    pub(super) fn after(self, first: Self) -> Self {
        Self { offset: self.offset + self.slope * first.offset, slope: self.slope * first.slope }
    }

    /// Whether it keeps the order of pairs and is finite.
    pub(super) fn is_sound(&self) -> bool {
        self.offset.is_finite() && self.slope.is_finite() && self.slope > 0.0
    }

    /// Newton's method on the penalized likelihood, which has one maximum.
    fn fit<'a>(decisions: impl Iterator<Item = &'a Decision> + Clone) -> Self {
        let mut line = Self::NONE;
        for _ in 0..ROUNDS {
            let (mut by_offset, mut by_slope) = (-INERTIA * line.offset, -INERTIA * (line.slope - 1.0));
            let (mut offsets, mut both, mut slopes) = (INERTIA, 0.0, INERTIA);
            for decision in decisions.clone() {
                let x = log_odds(decision.same);
                let said = logistic(line.offset + line.slope * x);
                let (wrong, weight) = (f64::from(u8::from(decision.is_same)) - said, said * (1.0 - said));
                by_offset += wrong;
                by_slope += wrong * x;
                offsets += weight;
                both += weight * x;
                slopes += weight * x * x;
            }
            let determinant = offsets * slopes - both * both;
            let step = (
                (slopes * by_offset - both * by_slope) / determinant,
                (offsets * by_slope - both * by_offset) / determinant,
            );
            // A slope of zero or less would turn the order of pairs round.
            line = Self {
                offset: line.offset + step.0.clamp(-2.0, 2.0),
                slope: (line.slope + step.1.clamp(-0.5, 0.5)).max(0.05),
            };
            if step.0.abs() + step.1.abs() < 1e-9 {
                break;
            }
        }
        line
    }

    fn loss(&self, decision: &Decision) -> f64 {
        let said = self.apply(decision.same);
        -(if decision.is_same { said } else { 1.0 - said }).max(SUREST).ln()
    }
}

/// What the decisions on a model's pairs propose. The order of decisions changes nothing of weight.
///
/// # Errors
/// Why there is nothing to propose.
pub fn propose(model: &Model, decisions: &[Decision]) -> Result<Proposal, NoProposal> {
    let of_one_person = decisions.iter().filter(|decision| decision.is_same).count();
    if decisions.len() < ENOUGH {
        return Err(NoProposal::Few(decisions.len()));
    }
    if of_one_person.min(decisions.len() - of_one_person) < OF_EACH {
        return Err(NoProposal::OneSided);
    }
    let mut sorted = decisions.to_vec();
    // Each fold gets its part of every probability and answer, in whatever order decisions come.
    sorted.sort_by(|x, y| x.same.total_cmp(&y.same).then(x.is_same.cmp(&y.is_same)));
    let mean = |sum: f64| sum / decisions.len() as f64;
    let loss = mean(sorted.iter().map(|decision| Calibration::NONE.loss(decision)).sum());
    let of_fold = |fold: usize| {
        let numbered = sorted.iter().enumerate();
        let others = numbered.clone().filter(move |(at, _)| at % FOLDS != fold).map(|(_, decision)| decision);
        let line = Calibration::fit(others);
        numbered.filter(|(at, _)| at % FOLDS == fold).map(|(_, decision)| line.loss(decision)).sum::<f64>()
    };
    let loss_corrected = mean((0..FOLDS).map(of_fold).sum());
    if loss - loss_corrected < WORTH {
        return Err(NoProposal::Fits);
    }
    let calibration = Calibration::fit(sorted.iter());
    let bins = bins(&sorted, calibration);
    Ok(Proposal {
        model: model.version.clone(),
        calibration,
        decisions: decisions.len(),
        of_one_person,
        loss,
        loss_corrected,
        bins,
    })
}

fn bins(decisions: &[Decision], calibration: Calibration) -> Vec<Bin> {
    let mut bins = [Bin::default(); BINS];
    for decision in decisions {
        let at = ((decision.same * BINS as f64) as usize).min(BINS - 1);
        if let Some(bin) = bins.get_mut(at) {
            bin.from = at as f64 / BINS as f64;
            bin.decisions += 1;
            bin.of_one_person += usize::from(decision.is_same);
            bin.said += decision.same;
            bin.corrected += calibration.apply(decision.same);
        }
    }
    let mean = |bin: Bin| {
        let count = bin.decisions as f64;
        Bin { said: bin.said / count, corrected: bin.corrected / count, ..bin }
    };
    bins.into_iter().filter(|bin| bin.decisions > 0).map(mean).collect()
}

fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(SUREST, 1.0 - SUREST);
    (probability / (1.0 - probability)).ln()
}

fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

#[cfg(test)]
mod tests;
