//! Scoring everything: unit by unit, on at most two threads, with memory bounded by the unit. A run that was stopped
//! goes on at the unit it had reached: the same records give the same units.

use serde::{Deserialize, Serialize};

use super::blocking::{Blocks, Unit};
use super::compare::compare;
use super::field::Pattern;
use super::hash::Map;
use super::model::Model;
use super::records::Records;
use super::score::Scorer;

/// Pairs in one unit of work.
const UNIT: u64 = 100_000;
const THREADS: usize = 2;

/// A pair that scored high enough to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredPair {
    pub a: u32,
    pub b: u32,
    pub same: f32,
    pub household: f32,
    /// The evidence for one person, by which pairs of one probability are still told apart.
    pub bits: f32,
    pub pattern: Pattern,
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units done: where to go on.
    pub units: usize,
    pub of_units: usize,
    /// Pairs compared so far in this run.
    pub pairs: u64,
    /// Pairs kept so far in this run.
    pub kept: u64,
}

/// A scan of all candidate pairs.
#[derive(Debug)]
pub struct Scan<'a> {
    scorer: Scorer<'a>,
    records: &'a Records,
    blocks: &'a Blocks,
    units: Vec<Unit>,
    least: f64,
    threads: usize,
}

impl<'a> Scan<'a> {
    /// Prepares a scan that keeps pairs with a probability of at least `least`.
    pub fn new(model: &'a Model, records: &'a Records, blocks: &'a Blocks, least: f64) -> Self {
        Self { scorer: Scorer::new(model), records, blocks, units: blocks.units(UNIT), least, threads: THREADS }
    }

    /// On one thread instead of two.
    #[must_use]
    pub fn single_threaded(self) -> Self {
        Self { threads: 1, ..self }
    }

    /// In units of another number of pairs. A run can only be taken up with the size it was begun with.
    #[must_use]
    pub fn in_units_of(self, pairs: u64) -> Self {
        Self { units: self.blocks.units(pairs), ..self }
    }

    /// How many units there are.
    pub fn units(&self) -> usize {
        self.units.len()
    }

    /// Scores from a unit on. `keep` takes the pairs of finished units and the progress with them, and answers whether
    /// to go on; what it was given is complete up to `Progress::units`.
    pub fn run(&self, from: usize, mut keep: impl FnMut(Progress, Vec<ScoredPair>) -> bool) {
        let mut sum = Progress { units: from, of_units: self.units.len(), ..Progress::default() };
        while sum.units < sum.of_units {
            let (step, kept) = self.step(sum.units);
            sum = Progress { pairs: sum.pairs + step.pairs, kept: sum.kept + step.kept, ..step };
            if !keep(sum, kept) {
                return;
            }
        }
    }

    /// Scores one stretch of units, from one on; the progress counts this stretch alone.
    pub fn step(&self, from: usize) -> (Progress, Vec<ScoredPair>) {
        // Each thread takes its share of a stretch, so that a stretch is long against starting threads.
        let rest = self.units.get(from..).unwrap_or_default();
        let stretch = rest.get(..8 * self.threads).unwrap_or(rest);
        let mut progress = Progress { units: from + stretch.len(), of_units: self.units.len(), ..Progress::default() };
        let (first, second) = stretch.split_at(stretch.len().div_ceil(self.threads));
        let done = std::thread::scope(|scope| {
            let other = (!second.is_empty()).then(|| scope.spawn(|| self.score_units(second)));
            let mut done = vec![self.score_units(first)];
            // A thread that panicked is a bug; its panic goes on in the caller.
            done.extend(other.map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))));
            done
        });
        let mut kept = Vec::new();
        for (pairs, part) in done {
            progress.pairs += pairs;
            progress.kept += part.len() as u64;
            kept.extend(part);
        }
        (progress, kept)
    }

    fn score_units(&self, units: &[Unit]) -> (u64, Vec<ScoredPair>) {
        let rows = self.records.rows();
        let mut hopeful: Map<u64, bool> = Map::default();
        let (mut pairs, mut kept) = (0, Vec::new());
        for unit in units {
            self.blocks.pairs(unit, |a, b| {
                let (Some(row_a), Some(row_b)) = (rows.get(a as usize), rows.get(b as usize)) else { return };
                pairs += 1;
                let pattern = compare(self.records, row_a, row_b);
                let worth = hopeful.entry(pattern.bits());
                if !*worth.or_insert_with(|| self.scorer.at_best(pattern) >= self.least) {
                    return;
                }
                let score = self.scorer.score_pattern(self.records, pattern, row_a, row_b);
                if score.same >= self.least {
                    kept.push(ScoredPair {
                        a,
                        b,
                        same: score.same as f32,
                        household: score.household as f32,
                        bits: score.bits as f32,
                        pattern,
                    });
                }
            });
        }
        (pairs, kept)
    }
}
