//! From pairs to people. A pair joins two clusters only if nobody in one objects to anybody in the other.
//!
//! Connected components alone turn one false pair into many: a shared mailbox chains a family, a father his sons. Pairs
//! are taken best first, equal ones by key, so that the result depends on neither order nor batches.

use super::bulk::ScoredPair;
use super::hash::Map;
use super::records::Records;
use super::rules::{Limits, Veto};
use super::score::Scorer;

/// The rules of joining.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Pairs below are not joined.
    pub threshold: f32,
    /// Clusters never grow beyond; what would is left for review.
    pub largest: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self { threshold: 0.95, largest: 12 }
    }
}

/// Two members less likely one person than this know nothing of each other.
const STRANGERS: f64 = 0.01;

/// Records taken for one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// In the order of their keys.
    pub members: Vec<u32>,
}

/// Why a pair was not joined although it scored well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    Veto(Veto),
    /// Two members are rather of one household than one person.
    Household,
    /// Most of the one side are strangers to most of the other.
    Different,
    /// The cluster would be too large to believe without a look.
    Large,
}

/// All clusters of two and more, and the pairs that the guard kept apart.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    pub clusters: Vec<Cluster>,
    pub kept_apart: Vec<(u32, u32, Objection)>,
}

impl Guard {
    /// Joins scored pairs.
    pub fn join(&self, scorer: &Scorer<'_>, records: &Records, pairs: &[ScoredPair], limits: &Limits) -> Clusters {
        let mut pairs: Vec<&ScoredPair> = pairs.iter().filter(|pair| pair.same >= self.threshold).collect();
        let keys = |pair: &ScoredPair| {
            let (a, b) = (records.key(pair.a), records.key(pair.b));
            (a.min(b), a.max(b))
        };
        pairs.sort_by(|x, y| y.bits.total_cmp(&x.bits).then_with(|| keys(x).cmp(&keys(y))));
        let mut cluster_of: Map<u32, usize> = Map::default();
        let mut members: Vec<Vec<u32>> = Vec::new();
        let mut kept_apart = Vec::new();
        for pair in pairs {
            let mut place = |index: u32| {
                *cluster_of.entry(index).or_insert_with(|| {
                    members.push(vec![index]);
                    members.len() - 1
                })
            };
            let (a, b) = (place(pair.a), place(pair.b));
            if a == b {
                continue;
            }
            let (Some(of_a), Some(of_b)) = (members.get(a), members.get(b)) else { continue };
            if let Some(objection) = self.objection(scorer, records, (of_a, of_b), limits) {
                kept_apart.push((pair.a, pair.b, objection));
                continue;
            }
            let (into, from) = if of_a.len() >= of_b.len() { (a, b) } else { (b, a) };
            let moved = members.get_mut(from).map(std::mem::take).unwrap_or_default();
            for member in &moved {
                cluster_of.insert(*member, into);
            }
            if let Some(all) = members.get_mut(into) {
                all.extend(moved);
            }
        }
        let mut clusters: Vec<Cluster> =
            members.into_iter().filter(|members| members.len() > 1).map(|members| Cluster { members }).collect();
        for cluster in &mut clusters {
            cluster.members.sort_unstable_by_key(|member| records.key(*member));
        }
        clusters.sort_by_key(|cluster| cluster.members.first().map(|first| records.key(*first)));
        Clusters { clusters, kept_apart }
    }

    fn objection(
        &self,
        scorer: &Scorer<'_>,
        records: &Records,
        (a, b): (&[u32], &[u32]),
        limits: &Limits,
    ) -> Option<Objection> {
        let all: Vec<u32> = a.iter().chain(b).copied().collect();
        if let Some(veto) = limits.veto(records, &all) {
            return Some(Objection::Veto(veto));
        }
        let mut strangers = 0;
        for x in a {
            for y in b {
                let score = scorer.score(records, *x, *y);
                if score.household > score.same {
                    return Some(Objection::Household);
                }
                strangers += usize::from(score.same < STRANGERS);
            }
        }
        // Somebody who moved and married may be a stranger to her oldest record; most of the others know her.
        if 2 * strangers > a.len() * b.len() {
            return Some(Objection::Different);
        }
        (all.len() > self.largest).then_some(Objection::Large)
    }
}
