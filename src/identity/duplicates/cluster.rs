//! From pairs to people. A pair joins two clusters only if nobody in one objects to anybody in the other.
//!
//! Connected components alone turn one false pair into many: a shared mailbox chains a family, a father his sons. Pairs
//! are taken best first, equal ones by key, so that the result depends on neither order nor batches.

use serde::{Deserialize, Serialize};

use super::bulk::ScoredPair;
use super::hash::{Map, Set};
use super::records::Records;
use super::rules::{Limits, Veto};
use super::score::Scorer;

/// The rules of joining.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// Pairs below are not joined.
    pub threshold: f32,
    /// Larger clusters are believed only where nobody is a stranger to anybody; others are left for review.
    pub largest: usize,
    /// Clusters never grow beyond.
    pub most: usize,
    /// A cluster with more members is for a person to look at as a whole.
    pub unquestioned: usize,
}

impl Default for Guard {
    fn default() -> Self {
        Self { threshold: 0.95, largest: 12, most: 60, unquestioned: 5 }
    }
}

/// Two members less likely one person than this know nothing of each other.
const STRANGERS: f64 = 0.01;

/// Records taken for one person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// In the order of their keys.
    pub members: Vec<u32>,
    /// It is larger than most people's, or was kept from growing further: somebody should look at it as a whole.
    pub needs_review: bool,
}

/// Why a pair was not joined although it scored well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// What the guard says of two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are in one cluster.
    Together { needs_review: bool },
    /// They scored well, but somebody objected.
    Apart(Objection),
    /// They are in different clusters, or in none, for want of evidence.
    Unjoined,
}

/// Clusters made ready for asking about pairs.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// The number of a record's cluster, and whether that needs review.
    cluster_of: Map<u32, (u32, bool)>,
    apart: Map<(u32, u32), Objection>,
}

impl Clusters {
    /// For asking about pairs.
    pub fn verdicts(&self) -> Verdicts {
        let numbered = (0_u32..).zip(&self.clusters);
        let members = numbered.flat_map(|(number, cluster)| {
            cluster.members.iter().map(move |member| (*member, (number, cluster.needs_review)))
        });
        let apart = self.kept_apart.iter().map(|(a, b, objection)| ((*a.min(b), *a.max(b)), *objection));
        Verdicts { cluster_of: members.collect(), apart: apart.collect() }
    }
}

impl Verdicts {
    /// What became of two records, in either order.
    pub fn of(&self, a: u32, b: u32) -> Verdict {
        match (self.cluster_of.get(&a), self.cluster_of.get(&b)) {
            (Some(x), Some(y)) if x.0 == y.0 => Verdict::Together { needs_review: x.1 },
            _ => {
                self.apart.get(&(a.min(b), a.max(b))).map_or(Verdict::Unjoined, |objection| Verdict::Apart(*objection))
            }
        }
    }

    /// The number of a record's cluster, if it is in one.
    pub fn cluster(&self, record: u32) -> Option<u32> {
        self.cluster_of.get(&record).map(|(number, _)| *number)
    }
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
        let stopped = kept_apart.iter().filter(|(_, _, objection)| *objection == Objection::Large);
        let stopped: Set<usize> =
            stopped.flat_map(|(a, b, _)| [a, b]).filter_map(|member| cluster_of.get(member).copied()).collect();
        let clusters = members.into_iter().enumerate().filter(|(_, members)| members.len() > 1);
        let clusters = clusters.map(|(number, members)| {
            let needs_review = members.len() > self.unquestioned || stopped.contains(&number);
            Cluster { members, needs_review }
        });
        let mut clusters: Vec<Cluster> = clusters.collect();
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
        let doubtful = all.len() > self.largest && strangers > 0;
        (doubtful || all.len() > self.most).then_some(Objection::Large)
    }
}
