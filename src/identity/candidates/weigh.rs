//! Weighs customers against those who share a key with them, some at a time (spec/identity.md rule 38).
//!
//! What is read and written for them is read and written together. A customer's keys are written before anybody is found
//! by its keys, so that of two who are new at once one finds the other, whoever weighs them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::index::{Entry, keys, probes, replace};
use super::judge::judge;
use super::read::Page;
use super::{Loaded, Rules, ScanError};
use crate::clock::Timestamp;
use crate::identity::duplicates::score::Scorer;
use crate::identity::duplicates::{Caps, Model, ScoredPair};
use crate::ids::CustomerId;
use crate::store::{self, Candidate, Compared, Store};

/// Customers that one is compared with; those that share the most keys come first.
const MOST: i64 = 100;

/// What is gone by.
#[derive(Default)]
pub(super) struct Basis {
    /// The model in use; `None` before the first scan.
    model: Option<Arc<Model>>,
    /// How many customers may share a key that is followed.
    caps: Caps,
}

impl Basis {
    /// Reads it, as far as it is other than it was.
    pub(super) async fn refresh(&mut self, store: &Store) -> Result<(), ScanError> {
        let mut tx = store.begin_read().await?;
        let (version, caps) = tx.duplicate_basis().await?;
        let caps = caps.and_then(|caps| serde_json::from_value(caps).ok()).filter(Caps::fit);
        self.caps = caps.unwrap_or_default();
        if self.model.as_ref().map(|model| &model.version) != version.as_ref() {
            let parameters = tx.duplicate_model_latest().await?;
            let read = parameters.map(|parameters| Model::from_json(&parameters.to_string())).transpose()?;
            self.model = read.map(Arc::new);
        }
        Ok(())
    }
}

/// Weighs customers as they are at one time.
pub(super) struct Weigher<'a> {
    pub store: &'a Store,
    pub rules: &'a Rules,
    pub basis: &'a Basis,
    pub now: Timestamp,
}

/// A customer on its way.
struct Weighed {
    customer: CustomerId,
    /// It is the first record; the others are those it is compared with.
    loaded: Loaded,
    known_keys: Option<Vec<i64>>,
    keys: Vec<i64>,
    /// The open pairs of it.
    before: Vec<Candidate>,
    has_candidates: bool,
    pairs: Pairs,
}

impl Weigher<'_> {
    /// Weighs the living customers behind IDs. An ID that is no customer of its own by now leaves the index, with what
    /// was found of it.
    pub(super) async fn weigh(&self, ids: &[CustomerId]) -> Result<(), ScanError> {
        let mut left = ids.to_vec();
        while !left.is_empty() {
            left = self.weigh_once(&left).await?;
        }
        Ok(())
    }

    /// Answers whom somebody else has written since they were read here: they are read anew.
    async fn weigh_once(&self, ids: &[CustomerId]) -> Result<Vec<CustomerId>, ScanError> {
        let mut all = self.read(ids).await?;
        let lost = self.index(&all).await?;
        all.retain(|one| !lost.contains(&one.customer));
        if let Some(model) = &self.basis.model {
            self.compare(&mut all, model).await?;
            self.keep(&all, model).await?;
        }
        Ok(lost.into_iter().collect())
    }

    async fn read(&self, ids: &[CustomerId]) -> Result<Vec<Weighed>, ScanError> {
        let found = self.store.begin_read().await?.compared_find(ids).await?;
        let mut all: BTreeMap<CustomerId, Weighed> = BTreeMap::new();
        let mut gone = BTreeSet::new();
        for found in found {
            let Some(customer) = found.rows.first().map(|row| row.member.canonical) else { continue };
            if found.asked != customer {
                gone.insert(found.asked);
            }
            let mut loaded = Loaded::default();
            Page::new(found.rows).push_into(&mut loaded, &self.rules.merge, self.now)?;
            if loaded.records.is_empty() {
                gone.insert(customer);
                continue;
            }
            let weighed = Weighed {
                customer,
                keys: keys(&loaded.records, 0),
                loaded,
                known_keys: found.keys,
                before: Vec::new(),
                has_candidates: found.has_candidates,
                pairs: Pairs::default(),
            };
            all.insert(customer, weighed);
        }
        for customer in gone {
            let mut tx = self.store.begin().await?;
            tx.duplicate_indexed_remove(customer).await?;
            tx.candidates_forget(customer).await?;
            tx.commit().await?;
        }
        Ok(all.into_values().collect())
    }

    /// Writes their keys. Answers whose somebody else has written meanwhile.
    async fn index(&self, all: &[Weighed]) -> Result<BTreeSet<CustomerId>, ScanError> {
        if all.iter().all(|one| one.known_keys.as_ref() == Some(&one.keys)) {
            return Ok(BTreeSet::new());
        }
        let entries: Vec<Entry<'_>> = all
            .iter()
            .map(|one| Entry { customer: one.customer, known: one.known_keys.as_deref(), keys: &one.keys })
            .collect();
        let mut tx = self.store.begin().await?;
        let lost = replace(&mut tx, &entries).await?;
        tx.commit().await?;
        Ok(lost)
    }

    /// Compares each with those who share its keys and those it was found with before.
    async fn compare(&self, all: &mut [Weighed], model: &Model) -> Result<(), ScanError> {
        let mut tx = self.store.begin_read().await?;
        let (mut asked, mut known) = (Vec::new(), Vec::new());
        for one in all.iter_mut() {
            if one.has_candidates {
                one.before = tx.candidates_open_of(one.customer).await?;
            }
            let other = |pair: &Candidate| if pair.a == one.customer { pair.b } else { pair.a };
            known.extend(one.before.iter().map(|pair| (one.customer, other(pair))));
            asked.extend(probes(&one.loaded, &self.basis.caps));
        }
        let mut found: BTreeMap<CustomerId, Vec<Compared>> = BTreeMap::new();
        for (finder, other) in tx.compared_sharing(&asked, MOST, &known).await? {
            found.entry(finder).or_default().push(other);
        }
        for one in all.iter_mut() {
            let others = found.remove(&one.customer).unwrap_or_default();
            Page::new(others).push_into(&mut one.loaded, &self.rules.merge, self.now)?;
        }
        tokio::task::block_in_place(|| {
            let scorer = Scorer::new(model);
            for one in all.iter_mut() {
                one.pairs = Pairs::of_first(&scorer, &one.loaded, self.rules);
            }
        });
        let involved: BTreeSet<CustomerId> = all.iter().flat_map(Weighed::involved).collect();
        if involved.is_empty() {
            return Ok(());
        }
        let apart = tx.not_same_among(&involved.into_iter().collect::<Vec<_>>()).await?;
        for one in all.iter_mut() {
            one.loaded.keep_apart(&apart);
        }
        Ok(())
    }

    /// Writes what was found, and withdraws what was there and does not hold any more.
    async fn keep(&self, all: &[Weighed], model: &Model) -> Result<(), store::Error> {
        let scorer = Scorer::new(model);
        let found: Vec<Vec<Candidate>> = tokio::task::block_in_place(|| {
            let judged =
                |one: &Weighed| judge(&scorer, &one.loaded, &one.pairs.own, &one.pairs.around, self.rules, self.now);
            all.iter().map(judged).collect()
        });
        let changes: Vec<Changes<'_>> =
            all.iter().zip(&found).map(|(one, found)| Changes::new(&one.before, found)).collect();
        if changes.iter().all(|change| change.gone.is_empty() && change.new.is_empty()) {
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        for pair in changes.iter().flat_map(|change| &change.gone) {
            tx.candidate_withdraw(pair.a, pair.b).await?;
        }
        let new: Vec<&Candidate> = changes.iter().flat_map(|change| &change.new).copied().collect();
        tx.candidates_upsert(&new).await?;
        tx.commit().await
    }
}

impl Weighed {
    /// Who is in pairs with it, and itself; nobody if there are none.
    fn involved(&self) -> Vec<CustomerId> {
        let others = self.pairs.own.iter().map(|pair| self.loaded.customer(pair.b));
        others.chain((!self.pairs.own.is_empty()).then_some(self.customer)).collect()
    }
}

/// Pairs to judge.
#[derive(Default)]
struct Pairs {
    /// Those of the first record.
    own: Vec<ScoredPair>,
    /// Those among the others, where they decide whether all are one person.
    around: Vec<ScoredPair>,
}

impl Pairs {
    fn of_first(scorer: &Scorer<'_>, loaded: &Loaded, rules: &Rules) -> Self {
        let others = 1..u32::try_from(loaded.records.len()).unwrap_or(u32::MAX);
        let likely = scorer.score_one(&loaded.records, 0, others);
        let own: Vec<ScoredPair> = likely
            .iter()
            .filter(|(_, score)| score.same >= rules.policy.watch)
            .map(|(other, _)| scorer.pair(&loaded.records, 0, *other))
            .collect();
        let near: Vec<u32> =
            own.iter().filter(|pair| f64::from(pair.same) >= rules.policy.queue).map(|pair| pair.b).collect();
        let mut around = Vec::new();
        for (at, a) in near.iter().enumerate() {
            let pairs = near.iter().skip(at + 1).map(|b| scorer.pair(&loaded.records, *a, *b));
            around.extend(pairs.filter(|pair| f64::from(pair.same) >= rules.policy.queue));
        }
        Self { own, around }
    }
}

/// What becomes of a customer's pairs.
struct Changes<'a> {
    /// They were found by a model, and do not hold any more.
    gone: Vec<&'a Candidate>,
    /// They were not there, or not so.
    new: Vec<&'a Candidate>,
}

impl<'a> Changes<'a> {
    fn new(before: &'a [Candidate], found: &'a [Candidate]) -> Self {
        let is_found = |known: &Candidate| found.iter().any(|pair| (pair.a, pair.b) == (known.a, known.b));
        let is_ours = |known: &Candidate| known.model != super::exchange::IMPORTED;
        let is_same = |known: &Candidate, pair: &Candidate| {
            Candidate { created_at: pair.created_at, updated_at: pair.updated_at, ..known.clone() } == *pair
        };
        Self {
            gone: before.iter().filter(|known| is_ours(known) && !is_found(known)).collect(),
            new: found.iter().filter(|pair| !before.iter().any(|known| is_same(known, pair))).collect(),
        }
    }
}
