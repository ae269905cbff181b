//! How right pairs and clusters are, where it is known which records are one person.

use std::collections::HashMap;

use super::bulk::ScoredPair;
use super::cluster::Clusters;

/// Pairs of records, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub right: u64,
    pub wrong: u64,
    pub missed: u64,
}

impl Counts {
    /// The share of right ones among those that were said to be one person; 1 if nothing was said.
    pub fn precision(&self) -> f64 {
        share(self.right, self.right + self.wrong)
    }

    /// The share that was found; 1 if there was nothing to find.
    pub fn recall(&self) -> f64 {
        share(self.right, self.right + self.missed)
    }

    /// The harmonic mean of both.
    pub fn f1(&self) -> f64 {
        share(2 * self.right, 2 * self.right + self.wrong + self.missed)
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// Whose each record is, by its index; records without a label are left out of all counts.
#[derive(Clone, Copy, Debug)]
pub struct Truth<'a> {
    labels: &'a [Option<u32>],
    pairs: u64,
}

impl<'a> Truth<'a> {
    /// Counts the pairs there are to find.
    pub fn new(labels: &'a [Option<u32>]) -> Self {
        let mut sizes: HashMap<u32, u64> = HashMap::new();
        for label in labels.iter().flatten() {
            *sizes.entry(*label).or_default() += 1;
        }
        Self { labels, pairs: sizes.values().map(|size| size * (size - 1) / 2).sum() }
    }

    /// How many pairs there are to find.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// Whether two records are one person; `None` if one has no label.
    pub fn same(&self, a: u32, b: u32) -> Option<bool> {
        let label = |index: u32| self.labels.get(index as usize).copied().flatten();
        Some(label(a)? == label(b)?)
    }

    fn count(&self, pairs: impl Iterator<Item = (u32, u32)>) -> Counts {
        let mut counts = Counts { missed: self.pairs, ..Counts::default() };
        for (a, b) in pairs {
            counts.add(self.same(a, b));
        }
        counts
    }

    /// The pairs at and above a probability.
    pub fn at(&self, scored: &[ScoredPair], least: f32) -> Counts {
        self.count(scored.iter().filter(|pair| pair.same >= least).map(|pair| (pair.a, pair.b)))
    }

    /// The pairs within clusters.
    pub fn of_clusters(&self, clusters: &Clusters) -> Counts {
        self.count(clusters.clusters.iter().flat_map(|cluster| {
            let members = &cluster.members;
            members.iter().enumerate().flat_map(|(place, a)| members.iter().skip(place + 1).map(|b| (*a, *b)))
        }))
    }

    /// The counts as the threshold falls from pair to pair, the likeliest first.
    pub fn curve(&self, scored: &[ScoredPair]) -> impl Iterator<Item = Counts> {
        let mut sorted: Vec<&ScoredPair> = scored.iter().collect();
        sorted.sort_by(|x, y| y.same.total_cmp(&x.same).then(y.bits.total_cmp(&x.bits)));
        let mut counts = Counts { missed: self.pairs, ..Counts::default() };
        sorted.into_iter().map(move |pair| {
            counts.add(self.same(pair.a, pair.b));
            counts
        })
    }

    /// The counts at the threshold with the best F1. It takes the labels to choose it, so it is a limit, no promise.
    pub fn best(&self, scored: &[ScoredPair]) -> Counts {
        let none = Counts { missed: self.pairs, ..Counts::default() };
        self.curve(scored).fold(none, |best, counts| if counts.f1() > best.f1() { counts } else { best })
    }
}

impl Counts {
    fn add(&mut self, same: Option<bool>) {
        match same {
            Some(true) => {
                self.right += 1;
                self.missed = self.missed.saturating_sub(1);
            }
            Some(false) => self.wrong += 1,
            None => {}
        }
    }
}
