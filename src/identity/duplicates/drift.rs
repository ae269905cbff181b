//! Whether the data still looks as it did when the model was fitted. A frozen model on other data is silently wrong; an
//! alarm asks for a refit, nothing retrains by itself (spec/duplicates.md).
//!
//! Compared is how often each level of each field, "missing" included, occurs among the candidate pairs, and among the
//! likely duplicates of them. The measure is the population stability index, Σ (now − then) · ln(now / then): below 0.1
//! nothing moved, above 0.25 the data is another.

use serde::{Deserialize, Serialize};

use super::blocking::Blocks;
use super::compare::compare;
use super::field::{Field, Pattern};
use super::model::Model;
use super::records::Records;
use super::score::Scorer;

/// From here on the data is another.
pub const ALARM: f64 = 0.25;
/// Pairs looked at at most.
const PAIRS: u64 = 200_000;
/// Fewer pairs, or likely duplicates, tell nothing.
const ENOUGH: f64 = 300.0;
/// Each level counts as if this share of pairs had it at least: what is hardly ever seen raises no alarm.
const LEAST: f64 = 0.001;
/// Levels of a field, and "missing".
const LEVELS: usize = 11;

/// How often each level of each field occurs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    candidates: Shares,
    duplicates: Shares,
}

/// Of how many pairs, and what part of them has each level, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Shares {
    pairs: f64,
    levels: Vec<[f64; LEVELS]>,
}

/// Which pairs a shift was seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    Candidates,
    Duplicates,
}

/// How far one field has moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    pub field: Field,
    pub of: Of,
    /// The population stability index.
    pub index: f64,
}

/// How far the data has moved from the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The furthest first. Empty where nothing can be said: too few pairs, or a model that keeps no profile.
    pub shifts: Vec<Shift>,
}

impl Drift {
    /// Compares records with what a model was fitted on.
    pub fn measure(model: &Model, records: &Records, blocks: &Blocks) -> Self {
        let Some(then) = &model.profile else { return Self::default() };
        let now = Profile::of(model, patterns(records, blocks));
        let mut shifts = now.candidates.shifts(&then.candidates, Of::Candidates);
        shifts.extend(now.duplicates.shifts(&then.duplicates, Of::Duplicates));
        shifts.sort_by(|x, y| y.index.total_cmp(&x.index));
        Self { shifts }
    }

    /// Whether the model should be fitted anew.
    pub fn is_alarm(&self) -> bool {
        self.shifts.first().is_some_and(|shift| shift.index >= ALARM)
    }
}

impl Profile {
    /// From patterns and how many pairs have them.
    pub(super) fn of(model: &Model, patterns: impl IntoIterator<Item = (Pattern, f64)>) -> Self {
        let scorer = Scorer::new(model);
        let mut profile = Self::default();
        for (pattern, count) in patterns {
            profile.candidates.add(pattern, count);
            profile.duplicates.add(pattern, count * scorer.of_pattern(pattern).same);
        }
        profile.candidates.close();
        profile.duplicates.close();
        profile
    }

    pub(super) fn is_sound(&self) -> bool {
        [&self.candidates, &self.duplicates].into_iter().all(|shares| {
            let valid = shares.levels.iter().flatten().all(|share| (0.0..=1.0).contains(share));
            valid && shares.levels.len() == Field::ALL.len() && shares.pairs >= 0.0
        })
    }
}

impl Shares {
    fn add(&mut self, pattern: Pattern, count: f64) {
        self.pairs += count;
        self.levels.resize(Field::ALL.len(), [0.0; LEVELS]);
        for (field, levels) in Field::ALL.into_iter().zip(&mut self.levels) {
            if let Some(level) = levels.get_mut(usize::from(pattern.level(field))) {
                *level += count;
            }
        }
    }

    fn close(&mut self) {
        self.levels.resize(Field::ALL.len(), [0.0; LEVELS]);
        self.pairs = self.pairs.round();
        for share in self.levels.iter_mut().flatten() {
            // Five digits survive being written and read.
            *share = ((*share / self.pairs.max(1.0) * 1e5).round() / 1e5).clamp(0.0, 1.0);
        }
    }

    fn shifts(&self, then: &Self, of: Of) -> Vec<Shift> {
        if self.pairs < ENOUGH || then.pairs < ENOUGH {
            return Vec::new();
        }
        let fields = Field::ALL.into_iter().zip(self.levels.iter().zip(&then.levels));
        let index = |(field, (now, then)): (Field, (&[f64; LEVELS], &[f64; LEVELS]))| {
            let terms = now.iter().zip(then).map(|(now, then)| {
                let (now, then) = (now.max(LEAST), then.max(LEAST));
                (now - then) * (now / then).ln()
            });
            Shift { field, of, index: terms.sum() }
        };
        fields.map(index).collect()
    }
}

fn patterns(records: &Records, blocks: &Blocks) -> Vec<(Pattern, f64)> {
    let all: u64 = blocks.units(u64::MAX).iter().map(|unit| unit.pairs).sum();
    let part = all.div_ceil(PAIRS).max(1);
    let rows = records.rows();
    let mut found = Vec::new();
    for unit in blocks.shares(part) {
        blocks.pairs(&unit, |a, b| {
            if let (Some(a), Some(b)) = (rows.get(a as usize), rows.get(b as usize)) {
                found.push((compare(records, a, b), part as f64));
            }
        });
    }
    found
}
