//! Fitting without labels: expectation and maximization over distinct patterns of agreement.
//!
//! The mixture is that of **all** pairs, not of the blocked ones: what unrelated records do comes from pairs drawn at
//! random, and every pair outside the blocks counts as unrelated. So the priors are honest and the probabilities near
//! calibrated. A million records make a few thousand patterns; a round of it costs nothing.

use super::blocking::Blocks;
use super::compare::compare;
use super::drift::Profile;
use super::field::{EXACT, Field, LevelIndex, MISSING, Pattern, birth, given};
use super::hash::{Draw, Map};
use super::model::{FEW, Frequencies, LEAST, Model, RAREST, Share, frequency_key, stable, values};
use super::records::Records;
use super::score::Scorer;

/// Pairs drawn at random: so many for each record, within bounds.
const RANDOM_PAIRS_EACH: u64 = 40;
const RANDOM_PAIRS: std::ops::RangeInclusive<u64> = 20_000..=400_000;
/// Blocked pairs looked at at most; of more a share of the blocks of each kind is taken.
const BLOCKED_PAIRS: u64 = 1_000_000;
const ROUNDS: usize = 100;
/// Fitting ends when the expected number of matches changes by less than this part.
const CONVERGED: f64 = 1e-5;
/// As many imagined pairs of each class agree as the defaults say: a level hardly seen stays near its default.
const IMAGINED: f64 = 20.0;
/// Imagined pairs of relatives, for how many are namesakes or twins.
const IMAGINED_RELATIVES: f64 = 300.0;
/// The imagined part of the random pairs.
const IMAGINED_RANDOM: f64 = 0.01;
/// The most frequent values of one field that are kept.
const KEPT_VALUES: usize = 50_000;
/// Records whose values are counted at most; of more every so manieth.
const COUNTED: usize = 400_000;

/// How the patterns of the candidate pairs and of the random ones are spread.
struct Patterns {
    blocked: Vec<(Pattern, f64)>,
    random: Vec<(Pattern, f64)>,
    /// All pairs there are.
    total: f64,
}

impl Model {
    /// Fits a model to records, with the blocks they fall into.
    pub fn fit(records: &Records, blocks: &Blocks) -> Self {
        let patterns = Patterns::count(records, blocks);
        let defaults = Self::unfitted();
        let mut model = defaults.clone();
        model.records = records.len() as u64;
        let expected = 0.1 * records.len() as f64 / patterns.total.max(1.0);
        model.prior_same = expected.clamp(1e-12, 0.1);
        model.prior_household = expected.clamp(1e-12, 0.1);
        let random = patterns.levels_of_random();
        model.set_unrelated(&random, &defaults);
        let mut before = 0.0;
        for _ in 0..ROUNDS {
            let matches = model.round(&patterns, &random, &defaults);
            if (matches - before).abs() < CONVERGED * matches {
                break;
            }
            before = matches;
        }
        model.profile = Some(Profile::of(&model, patterns.blocked.iter().copied()));
        model.frequencies = frequencies(records, &model);
        model.freeze()
    }

    /// One round; answers the expected number of matches.
    fn round(&mut self, patterns: &Patterns, random: &Levels, defaults: &Self) -> f64 {
        let scorer = Scorer::new(self);
        let (mut same, mut household, mut unrelated) = (Levels::default(), Levels::default(), random.clone());
        let (mut matches, mut households) = (0.0, 0.0);
        let mut relatives = [Relatives::default(); 2];
        for (pattern, count) in &patterns.blocked {
            let score = scorer.of_pattern(*pattern);
            matches += count * score.same;
            households += count * score.household;
            same.add(*pattern, count * score.same);
            household.add(*pattern, count * score.household);
            let [namesakes, twins] = &mut relatives;
            if matches!(pattern.level(Field::Birth), birth::YEAR | birth::DIFFERENT) {
                namesakes.add(pattern.level(Field::Given), count * score.household);
            }
            if pattern.level(Field::Given) == given::DIFFERENT {
                twins.add(pattern.level(Field::Birth), count * score.household);
            }
            unrelated.add(*pattern, count * (1.0 - score.same - score.household).max(0.0));
        }
        self.prior_same = (matches / patterns.total).clamp(1e-12, 0.3);
        self.prior_household = (households / patterns.total).clamp(1e-12, 0.3);
        self.set_unrelated(&unrelated, defaults);
        for (shares, imagined) in self.fields.iter_mut().zip(&defaults.fields) {
            let field = shares.field;
            let (of_same, of_household) = (same.total(field), household.total(field));
            for ((level, share), imagined) in (1_u8..).zip(&mut shares.levels).zip(&imagined.levels) {
                let smooth = |seen: f64, total: f64, imagined: f64| {
                    ((seen + IMAGINED * imagined) / (total + IMAGINED)).max(LEAST)
                };
                share.same = smooth(same.get(field, level), of_same, imagined.same);
                share.household = smooth(household.get(field, level), of_household, imagined.household);
            }
        }
        self.set_personal(defaults, relatives);
        matches
    }

    fn set_personal(&mut self, defaults: &Self, relatives: [Relatives; 2]) {
        // No person is both senior and junior: what the records of one show is not learned from doubtful pairs.
        let generation = Field::Generation as usize;
        if let (Some(shares), Some(imagined)) = (self.fields.get_mut(generation), defaults.fields.get(generation)) {
            for (share, imagined) in shares.levels.iter_mut().zip(&imagined.levels) {
                share.same = imagined.same;
            }
        }
        for (field, relatives) in [Field::Given, Field::Birth].into_iter().zip(relatives) {
            let (exact, imagined) = (self.share(field, EXACT), defaults.related(field));
            if let (Some(shares), Some(exact)) = (self.fields.get_mut(field as usize), exact) {
                shares.related = relatives.part(field, exact, imagined);
            }
        }
        self.fix_personal();
    }

    fn set_unrelated(&mut self, seen: &Levels, defaults: &Self) {
        for (shares, imagined) in self.fields.iter_mut().zip(&defaults.fields) {
            let total = seen.total(shares.field);
            let weight = (total * IMAGINED_RANDOM).max(1000.0);
            for ((level, share), imagined) in (1_u8..).zip(&mut shares.levels).zip(&imagined.levels) {
                let count = seen.get(shares.field, level) + weight * imagined.unrelated;
                share.unrelated = (count / (total + weight)).max(LEAST);
            }
        }
        self.fix_personal();
    }
}

/// Pairs of one household that something else than a personal field shows to be two people.
#[derive(Clone, Copy, Debug, Default)]
struct Relatives {
    exact: f64,
    all: f64,
}

impl Relatives {
    fn add(&mut self, level: LevelIndex, count: f64) {
        if level != MISSING {
            self.exact += if level == EXACT { count } else { 0.0 };
            self.all += count;
        }
    }

    /// The part of them that agrees for a reason. Twins are never taken for rarer than they are among people: where they
    /// pass for one person whose name was changed, they cannot be counted.
    fn part(&self, field: Field, exact: Share, imagined: f64) -> f64 {
        let by_chance = self.all * exact.unrelated;
        let seen = (self.exact - by_chance).max(0.0) / exact.same;
        let part = (seen + IMAGINED_RELATIVES * imagined) / (self.all + IMAGINED_RELATIVES);
        part.clamp(if field == Field::Birth { imagined } else { imagined / 10.0 }, imagined * 5.0)
    }
}

impl Patterns {
    fn count(records: &Records, blocks: &Blocks) -> Self {
        let rows = records.len() as u64;
        let total = rows as f64 * (rows.saturating_sub(1)) as f64 / 2.0;
        let rows_of = records.rows();
        let mut blocked: Map<u64, f64> = Map::default();
        let units = blocks.units(u64::MAX);
        let all: u64 = units.iter().map(|unit| unit.pairs).sum();
        let part = all.div_ceil(BLOCKED_PAIRS).max(1);
        for unit in blocks.shares(part) {
            blocks.pairs(&unit, |a, b| {
                if let (Some(a), Some(b)) = (rows_of.get(a as usize), rows_of.get(b as usize)) {
                    *blocked.entry(compare(records, a, b).bits()).or_default() += part as f64;
                }
            });
        }
        let candidates: f64 = blocked.values().sum();
        let mut random: Map<u64, f64> = Map::default();
        let mut draw = Draw(rows);
        let mut drawn = 0.0_f64;
        let draws = (rows * RANDOM_PAIRS_EACH).clamp(*RANDOM_PAIRS.start(), *RANDOM_PAIRS.end());
        for _ in 0..if rows > 1 { draws } else { 0 } {
            let (a, b) = (draw.below(rows) as u32, draw.below(rows) as u32);
            if a == b || blocks.is_candidate(a, b) {
                continue;
            }
            if let (Some(a), Some(b)) = (rows_of.get(a as usize), rows_of.get(b as usize)) {
                *random.entry(compare(records, a, b).bits()).or_default() += 1.0;
                drawn += 1.0;
            }
        }
        let scale = (total - candidates).max(0.0) / drawn.max(1.0);
        Self { blocked: sorted(blocked, 1.0), random: sorted(random, scale), total }
    }

    fn levels_of_random(&self) -> Levels {
        let mut levels = Levels::default();
        for (pattern, count) in &self.random {
            levels.add(*pattern, *count);
        }
        levels
    }
}

/// In one order, so that sums do not depend on a map's.
fn sorted(counts: Map<u64, f64>, scale: f64) -> Vec<(Pattern, f64)> {
    let mut list: Vec<_> = counts.into_iter().map(|(bits, count)| (Pattern::from_bits(bits), count * scale)).collect();
    list.sort_unstable_by_key(|(pattern, _)| *pattern);
    list
}

/// Expected numbers of pairs by field and level.
#[derive(Clone, Debug, Default)]
struct Levels([[f64; 16]; Field::ALL.len()]);

impl Levels {
    fn add(&mut self, pattern: Pattern, count: f64) {
        for (field, counts) in Field::ALL.into_iter().zip(&mut self.0) {
            if let Some(cell) = counts.get_mut(usize::from(pattern.level(field))) {
                *cell += count;
            }
        }
    }

    fn get(&self, field: Field, level: u8) -> f64 {
        self.0.get(field as usize).and_then(|counts| counts.get(usize::from(level))).copied().unwrap_or_default()
    }

    /// Of all levels but the missing one.
    fn total(&self, field: Field) -> f64 {
        self.0.get(field as usize).map(|counts| counts.iter().skip(1).sum()).unwrap_or_default()
    }
}

/// The values that are frequent enough to be told from rare ones.
fn frequencies(records: &Records, model: &Model) -> Frequencies {
    let mut kept = Map::default();
    let step = records.len().div_ceil(COUNTED).max(1);
    for field in Field::ALL.into_iter().filter(|field| field.has_frequencies()) {
        let mut known = 0_u64;
        let mut counts: Map<u64, u32> = Map::default();
        for row in records.rows().iter().step_by(step) {
            let values = values(field, row);
            known += u64::from(values[0] != 0);
            for value in values.into_iter().filter(|value| *value != 0) {
                *counts.entry(value).or_default() += 1;
            }
        }
        let least = model.unrelated(field) / RAREST * known as f64;
        let mut frequent: Vec<(u64, u32)> =
            counts.into_iter().filter(|(_, count)| *count > FEW && f64::from(*count) > least).collect();
        frequent.sort_unstable_by_key(|(value, count)| (std::cmp::Reverse(*count), *value));
        for (value, count) in frequent.into_iter().take(KEPT_VALUES) {
            let share = f64::from(count) / known as f64;
            let of_one = f64::from(count) <= model.of_one_person() / step as f64;
            let share = if of_one { share.min(model.unrelated(field)) } else { share };
            kept.insert(frequency_key(field, stable(records, field, value)), share as f32);
        }
    }
    Frequencies(kept)
}
