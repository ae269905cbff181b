//! From pairs to people. A pair joins two clusters only if nobody in one objects to anybody in the other.
//!
//! A pair that is doubtful by itself joins where all members together leave no doubt: one record has the number in common
//! with it, another one the street. What is known of several is counted once, so that no evidence grows by repetition.
//!
//! Connected components alone turn one false pair into many: a shared mailbox chains a family, a father his sons. Pairs
//! are taken best first, equal ones by key, so that the result depends on neither order nor batches.

use serde::{Deserialize, Serialize};

use super::bulk::ScoredPair;
use super::hash::{Map, Set};
use super::records::Records;
use super::rules::{Limits, Veto};
use super::score::{Score, Scorer};

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
/// Less likely pairs are no reason to look whether their clusters are one person.
const DOUBTFUL: f32 = 0.3;
/// How often doubtful pairs are looked at again after some have been joined.
const ROUNDS: usize = 3;

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

/// Clusters as they grow.
#[derive(Default)]
struct Growing {
    of: Map<u32, usize>,
    members: Vec<Vec<u32>>,
}

impl Growing {
    /// The cluster of a record, its own where it is in none yet.
    fn place(&mut self, record: u32) -> usize {
        *self.of.entry(record).or_insert_with(|| {
            self.members.push(vec![record]);
            self.members.len() - 1
        })
    }

    fn of(&self, place: usize) -> &[u32] {
        self.members.get(place).map(Vec::as_slice).unwrap_or_default()
    }

    fn join(&mut self, a: usize, b: usize) {
        let (into, from) = if self.of(a).len() >= self.of(b).len() { (a, b) } else { (b, a) };
        let moved = self.members.get_mut(from).map(std::mem::take).unwrap_or_default();
        for member in &moved {
            self.of.insert(*member, into);
        }
        if let Some(all) = self.members.get_mut(into) {
            all.extend(moved);
        }
    }
}

impl Guard {
    /// Joins scored pairs: those above the threshold, and of those below, which `DOUBTFUL` leaves, the ones whose
    /// clusters are likely enough one person with all that is known of their members.
    pub fn join(&self, scorer: &Scorer<'_>, records: &Records, pairs: &[ScoredPair], limits: &Limits) -> Clusters {
        let least = self.threshold.min(DOUBTFUL);
        let mut pairs: Vec<&ScoredPair> = pairs.iter().filter(|pair| pair.same >= least).collect();
        let keys = |pair: &ScoredPair| {
            let (a, b) = (records.key(pair.a), records.key(pair.b));
            (a.min(b), a.max(b))
        };
        pairs.sort_by(|x, y| y.bits.total_cmp(&x.bits).then_with(|| keys(x).cmp(&keys(y))));
        let (sure, mut doubtful): (Vec<&ScoredPair>, Vec<&ScoredPair>) =
            pairs.into_iter().partition(|pair| pair.same >= self.threshold);
        let mut growing = Growing::default();
        let mut kept_apart = Vec::new();
        for pair in sure {
            let (a, b) = (growing.place(pair.a), growing.place(pair.b));
            if a == b {
                continue;
            }
            let pairs = scorer.of_each(records, growing.of(a), growing.of(b));
            match self.objection(records, (growing.of(a), growing.of(b)), &pairs, limits) {
                Some(objection) => kept_apart.push((pair.a, pair.b, objection)),
                None => growing.join(a, b),
            }
        }
        for _ in 0..ROUNDS {
            let before = doubtful.len();
            doubtful.retain(|pair| !self.join_doubtful(scorer, records, pair, &mut growing, limits));
            if doubtful.len() == before {
                break;
            }
        }
        self.finish(records, growing, kept_apart)
    }

    /// Answers whether there is nothing left to decide about a pair.
    fn join_doubtful(
        &self,
        scorer: &Scorer<'_>,
        records: &Records,
        pair: &ScoredPair,
        growing: &mut Growing,
        limits: &Limits,
    ) -> bool {
        let (a, b) = (growing.place(pair.a), growing.place(pair.b));
        let (of_a, of_b) = (growing.of(a), growing.of(b));
        if a == b {
            return true;
        }
        // Of two records alone nothing is known beyond what the pair has said.
        if of_a.len() + of_b.len() == 2 {
            return false;
        }
        let (same, pairs) = scorer.of_groups(records, of_a, of_b);
        if same < f64::from(self.threshold) || self.objection(records, (of_a, of_b), &pairs, limits).is_some() {
            return false;
        }
        growing.join(a, b);
        true
    }

    fn finish(&self, records: &Records, growing: Growing, kept_apart: Vec<(u32, u32, Objection)>) -> Clusters {
        let stopped = kept_apart.iter().filter(|(_, _, objection)| *objection == Objection::Large);
        let stopped: Set<usize> =
            stopped.flat_map(|(a, b, _)| [a, b]).filter_map(|member| growing.of.get(member).copied()).collect();
        let clusters = growing.members.into_iter().enumerate().filter(|(_, members)| members.len() > 1);
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
        records: &Records,
        (a, b): (&[u32], &[u32]),
        pairs: &[Score],
        limits: &Limits,
    ) -> Option<Objection> {
        let all: Vec<u32> = a.iter().chain(b).copied().collect();
        if let Some(veto) = limits.veto(records, &all) {
            return Some(Objection::Veto(veto));
        }
        if pairs.iter().any(|pair| pair.household > pair.same) {
            return Some(Objection::Household);
        }
        // Somebody who moved and married may be a stranger to her oldest record; most of the others know her.
        let strangers = pairs.iter().filter(|pair| pair.same < STRANGERS).count();
        if 2 * strangers > pairs.len() {
            return Some(Objection::Different);
        }
        let doubtful = all.len() > self.largest && strangers > 0;
        (doubtful || all.len() > self.most).then_some(Objection::Large)
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::{Claim, Person};
    use super::super::{Guard, Model, Records, ScoredPair};
    use super::*;

    fn push(records: &mut Records, (email, phone): (&str, &str), birth: &str, postcode: &str) -> u32 {
        let (emails, phones) = ([Claim { value: email, proved: false }], [Claim { value: phone, proved: false }]);
        let (given, family) = ("Mary", "Smith");
        let key = records.len() as u128;
        let person =
            Person { key, given, family, birth, postcode, emails: &emails, phones: &phones, ..Person::default() };
        records.push(&person).unwrap()
    }

    #[test]
    fn what_is_doubtful_alone_joins_by_what_all_members_know() {
        let model = Model { prior_same: 1e-7, prior_household: 1e-7, ..Model::unfitted() };
        let mut records = Records::new();
        let old = push(&mut records, ("", "+447700900123"), "", "10044");
        let new = push(&mut records, ("marysmith84@example.org", "+447700900123"), "", "");
        let other = push(&mut records, ("", ""), "1984-05-06", "10044");
        let scorer = Scorer::new(&model);
        let pair = |a, b| scorer.pair(&records, a, b);
        let clusters = |pairs: &[ScoredPair]| {
            let found = Guard::default().join(&scorer, &records, pairs, &Limits::default());
            found.clusters.into_iter().map(|cluster| cluster.members).collect::<Vec<_>>()
        };
        let (sure, doubtful, little) = (pair(old, new), pair(old, other), pair(new, other));
        assert!(
            sure.same > 0.95 && (0.3..0.95).contains(&doubtful.same) && little.same < 0.95,
            "{doubtful:?} {little:?}"
        );
        assert_eq!(clusters(&[sure, doubtful, little]), [vec![old, new, other]]);
        assert_eq!(
            clusters(&[doubtful, little]),
            Vec::<Vec<u32>>::new(),
            "two records alone know no more than their pair"
        );
        // Repeating a record is no further evidence.
        let again = push(&mut records, ("", "+447700900123"), "", "10044");
        let scorer = Scorer::new(&model);
        let (alone, repeated) =
            (scorer.of_groups(&records, &[old], &[other]).0, scorer.of_groups(&records, &[old, again], &[other]).0);
        assert!((alone - repeated).abs() < 1e-9, "{alone} {repeated}");
    }
}
