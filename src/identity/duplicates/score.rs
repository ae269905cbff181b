//! From a pattern to probabilities, and the reasons for them.
//!
//! Evidence is counted in bits: the binary logarithm of how much more often a level is seen in a class than among the
//! unrelated. Bits of fields add up; priors and the three classes turn the sums into probabilities.

use serde::{Deserialize, Serialize};

use super::bulk::ScoredPair;
use super::calibration::Calibration;
use super::compare::compare;
use super::field::{Field, MISSING, Pattern};
use super::model::{Model, RAREST};
use super::records::{Records, Row};

/// What two records are to each other. The three probabilities add up to one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// One person.
    pub same: f64,
    /// Two people of one household.
    pub household: f64,
    /// Nothing to do with each other.
    pub unrelated: f64,
    /// All evidence for one person against unrelated, the prior included.
    pub bits: f64,
    pub pattern: Pattern,
}

/// One field's part in a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub field: String,
    pub level: String,
    /// For one person, against unrelated.
    pub bits: f64,
    /// For one household, against unrelated.
    pub household_bits: f64,
}

/// A score with its reasons, in the order of the fields: bits add up to the score's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waterfall {
    pub model: String,
    pub prior_bits: f64,
    pub household_prior_bits: f64,
    pub steps: Vec<Step>,
    /// What was done to the probabilities after the bits were added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    pub same: f64,
    pub household: f64,
    pub unrelated: f64,
}

/// Bits for one person and for one household.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Bits {
    same: f64,
    household: f64,
}

impl Bits {
    fn plus(self, other: Self) -> Self {
        Self { same: self.same + other.same, household: self.household + other.household }
    }
}

/// Fields by what they tell together: names may stand in each other's place, a move is one.
const TOGETHER: [&[Field]; 11] = [
    &[Field::Given, Field::Family],
    &[Field::Generation],
    &[Field::Birth],
    &[Field::Gender],
    &[Field::Email],
    &[Field::Phone],
    &[Field::Street, Field::Place],
    &[Field::Other1],
    &[Field::Other2],
    &[Field::Other3],
    &[Field::Other4],
];

/// A model made ready for scoring many pairs.
#[derive(Debug)]
pub struct Scorer<'a> {
    model: &'a Model,
    prior: Bits,
    weights: [[Bits; 16]; Field::ALL.len()],
}

impl<'a> Scorer<'a> {
    /// Prepares a model.
    pub fn new(model: &'a Model) -> Self {
        let unrelated = 1.0 - model.prior_same - model.prior_household;
        let prior =
            Bits { same: (model.prior_same / unrelated).log2(), household: (model.prior_household / unrelated).log2() };
        let mut weights = [[Bits::default(); 16]; Field::ALL.len()];
        for (row, shares) in weights.iter_mut().zip(&model.fields) {
            for (cell, share) in row.iter_mut().skip(1).zip(&shares.levels) {
                cell.same = (share.same / share.unrelated).log2();
                cell.household = (share.household / share.unrelated).log2();
            }
        }
        Self { model, prior, weights }
    }

    /// The score of two records of a set. Exchanging them changes nothing.
    pub fn score(&self, records: &Records, a: u32, b: u32) -> Score {
        self.score_rows(records, &records.row(a), &records.row(b))
    }

    /// The score of two records as a scan keeps it.
    pub fn pair(&self, records: &Records, a: u32, b: u32) -> ScoredPair {
        let Score { same, household, bits, pattern, .. } = self.score(records, a, b);
        ScoredPair { a, b, same: same as f32, household: household as f32, bits: bits as f32, pattern }
    }

    pub(super) fn score_rows(&self, records: &Records, a: &Row, b: &Row) -> Score {
        self.score_pattern(records, compare(records, a, b), a, b)
    }

    pub(super) fn score_pattern(&self, records: &Records, pattern: Pattern, a: &Row, b: &Row) -> Score {
        self.weigh(pattern, |field| self.bits(records, pattern, field, a, b))
    }

    /// One new record against its candidates, best first.
    pub fn score_one(
        &self,
        records: &Records,
        new: u32,
        candidates: impl IntoIterator<Item = u32>,
    ) -> Vec<(u32, Score)> {
        let others = candidates.into_iter().filter(|other| *other != new);
        let mut scores: Vec<_> = others.map(|other| (other, self.score(records, new, other))).collect();
        scores.sort_by(|x, y| y.1.same.total_cmp(&x.1.same).then_with(|| records.key(x.0).cmp(&records.key(y.0))));
        scores
    }

    /// The scores of all pairs between two groups of records.
    pub(super) fn of_each(&self, records: &Records, a: &[u32], b: &[u32]) -> Vec<Score> {
        a.iter().flat_map(|x| b.iter().map(|y| self.score(records, *x, *y))).collect()
    }

    /// How likely two groups of records are one person, each taken for one, and the scores of all pairs between them.
    /// Every value of the one is held against every value of the other: what agrees with one of several counts for its
    /// part, and what several have in common counts once.
    pub(super) fn of_groups(&self, records: &Records, a: &[u32], b: &[u32]) -> (f64, Vec<Score>) {
        let pairs = self.of_each(records, a, b);
        let rows = a.iter().flat_map(|x| b.iter().map(|y| (records.row(*x), records.row(*y))));
        let mut sums = [(Bits::default(), 0.0_f64); TOGETHER.len()];
        for (pair, (x, y)) in pairs.iter().zip(rows) {
            for (fields, (sum, known)) in TOGETHER.iter().zip(&mut sums) {
                if fields.iter().all(|field| pair.pattern.level(*field) == MISSING) {
                    continue;
                }
                let bits = fields.iter().map(|field| self.bits(records, pair.pattern, *field, &x, &y));
                let all = bits.fold(Bits::default(), Bits::plus);
                sum.same += all.same.exp2();
                sum.household += all.household.exp2();
                *known += 1.0;
            }
        }
        let known = sums.iter().filter(|(_, known)| *known > 0.0);
        let mean = |(sum, known): &(Bits, f64)| Bits {
            same: (sum.same / known).log2(),
            household: (sum.household / known).log2(),
        };
        (self.classes(known.map(mean).fold(self.prior, Bits::plus), Pattern::default()).same, pairs)
    }

    /// The score of a pattern alone: every shared value counts as one of average frequency.
    pub(super) fn of_pattern(&self, pattern: Pattern) -> Score {
        self.weigh(pattern, |field| self.weight(pattern, field))
    }

    /// The most that a pattern can reach, were all shared values of the rarest.
    pub(super) fn at_best(&self, pattern: Pattern) -> f64 {
        self.weigh(pattern, |field| {
            let mut bits = self.weight(pattern, field);
            if field.is_same_value(pattern.level(field)) && field.has_frequencies() {
                bits.same += RAREST.log2();
            }
            bits
        })
        .same
    }

    /// The reasons for a score.
    pub fn explain(&self, records: &Records, a: u32, b: u32) -> Waterfall {
        let (row_a, row_b) = (records.row(a), records.row(b));
        let score = self.score_rows(records, &row_a, &row_b);
        let steps = Field::ALL.into_iter().filter(|field| score.pattern.level(*field) != MISSING);
        let steps = steps.map(|field| {
            let bits = self.bits(records, score.pattern, field, &row_a, &row_b);
            Step {
                field: field.name().to_owned(),
                level: field.level_name(score.pattern.level(field)).to_owned(),
                bits: bits.same,
                household_bits: bits.household,
            }
        });
        Waterfall {
            model: self.model.version.clone(),
            prior_bits: self.prior.same,
            household_prior_bits: self.prior.household,
            steps: steps.collect(),
            calibration: self.model.calibration,
            same: score.same,
            household: score.household,
            unrelated: score.unrelated,
        }
    }

    fn weigh(&self, pattern: Pattern, bits_of: impl Fn(Field) -> Bits) -> Score {
        self.classes(Field::ALL.into_iter().map(bits_of).fold(self.prior, Bits::plus), pattern)
    }

    fn classes(&self, sum: Bits, pattern: Pattern) -> Score {
        // Relative to the largest, so that no power overflows.
        let top = sum.same.max(sum.household).max(0.0);
        let [same, household, unrelated] = [sum.same - top, sum.household - top, -top].map(f64::exp2);
        let all = same + household + unrelated;
        let score =
            Score { same: same / all, household: household / all, unrelated: unrelated / all, bits: sum.same, pattern };
        self.model.calibration.map_or(score, |calibration| calibration.correct(score))
    }

    fn weight(&self, pattern: Pattern, field: Field) -> Bits {
        let row = self.weights.get(field as usize);
        row.and_then(|row| row.get(usize::from(pattern.level(field)))).copied().unwrap_or_default()
    }

    fn bits(&self, records: &Records, pattern: Pattern, field: Field, a: &Row, b: &Row) -> Bits {
        let mut bits = self.weight(pattern, field);
        if field.is_same_value(pattern.level(field)) && field.has_frequencies() {
            let rareness = self.model.rareness(records, field, a, b);
            bits.same -= rareness.log2();
            bits.household = match (field.is_personal(), self.model.share(field, pattern.level(field))) {
                (true, Some(share)) => {
                    let (related, unrelated) = (self.model.related(field), share.unrelated * rareness);
                    ((related * share.same + (1.0 - related) * unrelated) / unrelated).log2()
                }
                _ => bits.household - rareness.log2(),
            };
        }
        bits
    }
}
