//! Weighs each customer who signs up or changes against those who share a key with it (spec/identity.md rule 38).
//!
//! It follows the events, so that no request waits for it and no change is missed: one replica at a time holds the
//! events by a lease, and writes down how far it is. Weighing somebody twice changes nothing. A customer is looked up by
//! its keys, compared in process, and what no longer holds is withdrawn.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::automatic;
use super::index::{keys, replace};
use super::judge::judge;
use super::read::Page;
use super::{Loaded, Rules, ScanError};
use crate::clock::{Clock, Timestamp, uuid_v7};
use crate::events::relay;
use crate::identity::duplicates::score::Scorer;
use crate::identity::duplicates::{Model, ScoredPair};
use crate::ids::CustomerId;
use crate::store::{self, Candidate, CustomerState, MOST_ASKED, Store, Touched};

/// How often it is looked for events.
const POLL: Duration = Duration::from_millis(500);
/// Events gone through before it is written down how far it is.
const PAGE: i64 = 100;
/// How long a page has.
const LEASE: Duration = Duration::from_secs(60);
/// A key that more customers share than this finds strangers.
const LARGEST_BLOCK: usize = 64;
/// Customers compared with one; those that share the most keys come first.
const MOST: usize = 400;
/// Events that change nothing that is compared.
const INDIFFERENT: &[&str] =
    &["consent.", "credential.", "session.", "merge.", "mail.", "token.", "conflict.", "provider."];

/// Follows the events of customers.
pub struct Follower {
    store: Store,
    rules: Rules,
    clock: Clock,
    /// The model in use, read again when there is another one.
    model: Option<Arc<Model>>,
}

impl Follower {
    /// On a database. Its statements are not counted as requests'.
    pub fn new(store: &Store, rules: Rules, clock: Clock) -> Self {
        Self { store: store.background(), rules, clock, model: None }
    }

    /// Runs until `shutdown`, finishing the page it is in.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            let again = match self.run_once().await {
                Ok(events) => events > 0,
                Err(error) => {
                    tracing::warn!(%error, "customers cannot be weighed against each other");
                    false
                }
            };
            let rest = if again { Duration::ZERO } else { POLL };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Goes through the next events, and merges what is certain if that is switched on. Answers how many events that
    /// were; 0 if another replica is at it.
    ///
    /// # Errors
    /// The database. The same events are gone through again.
    pub async fn run_once(&mut self) -> Result<usize, ScanError> {
        relay::number(&self.store, usize::MAX).await?;
        let now = self.clock.now();
        if !self.store.begin_read().await?.duplicate_follower_is_due(now).await? {
            return Ok(0);
        }
        let holder = uuid_v7(now);
        let mut tx = self.store.begin().await?;
        let leased = tx.duplicate_follower_lease(holder, now, now + LEASE).await?;
        tx.commit().await?;
        let Some(cursor) = leased else { return Ok(0) };
        let events = self.store.begin_read().await?.outbox_touched(cursor, PAGE).await?;
        let weighed = self.weigh_all(&events).await;
        // Whatever became of them, the lease is given back.
        let reached = if weighed.is_ok() { events.last().map_or(cursor, |event| event.sequence) } else { cursor };
        let mut tx = self.store.begin().await?;
        tx.duplicate_follower_save(holder, reached, self.clock.now()).await?;
        tx.commit().await?;
        weighed?;
        if self.rules.policy.automatic {
            automatic::merge_certain(self).await?;
        }
        Ok(events.len())
    }

    async fn weigh_all(&mut self, events: &[Touched]) -> Result<(), ScanError> {
        let matters = |event: &&Touched| !INDIFFERENT.iter().any(|family| event.event_type.starts_with(family));
        let touched: BTreeSet<CustomerId> = events.iter().filter(matters).map(|event| event.root).collect();
        for customer in touched {
            self.weigh(customer).await?;
        }
        Ok(())
    }

    pub(super) const fn parts(&self) -> (&Store, &Rules, &Clock) {
        (&self.store, &self.rules, &self.clock)
    }

    /// Weighs the living customer behind an ID against all others. An ID that is no customer of its own by now leaves
    /// the index, with what was found of it.
    ///
    /// # Errors
    /// The database, or a stored model of another version of this program.
    pub async fn weigh(&mut self, id: CustomerId) -> Result<(), ScanError> {
        let now = self.clock.now();
        let mut tx = self.store.begin_read().await?;
        let members = tx.members_of(id).await?;
        let Some(root) = members.iter().find(|row| row.id == row.canonical).map(|row| (row.id, row.state)) else {
            return Ok(());
        };
        let identifiers = tx.identifiers_between(root.0, root.0).await?;
        drop(tx);
        if id != root.0 {
            self.forget(id).await?;
        }
        if root.1 != CustomerState::Active {
            return self.forget(root.0).await;
        }
        let own = Page::new(members, identifiers);
        let mut loaded = Loaded::default();
        own.push_into(&mut loaded, &self.rules.merge, now)?;
        let keys = keys(&loaded.records, 0);
        let mut tx = self.store.begin().await?;
        replace(&mut tx, root.0, &keys).await?;
        tx.commit().await?;
        let Some(model) = self.model().await? else { return Ok(()) };
        self.compare(root.0, &keys, &mut loaded, &model, now).await
    }

    async fn compare(
        &self,
        customer: CustomerId,
        keys: &[i64],
        loaded: &mut Loaded,
        model: &Model,
        now: Timestamp,
    ) -> Result<(), ScanError> {
        let mut tx = self.store.begin_read().await?;
        let before = tx.candidates_open_of(customer).await?;
        let others = partners(customer, tx.duplicate_keys_probe(keys, LARGEST_BLOCK as i64 + 2).await?, &before);
        let page = Page::new(tx.members_of_each(&others).await?, tx.identifiers_of_each(&others).await?);
        let all: Vec<CustomerId> = others.iter().copied().chain([customer]).collect();
        let apart = tx.not_same_among(&all).await?;
        drop(tx);
        page.push_into(loaded, &self.rules.merge, now)?;
        loaded.keep_apart(&apart);
        let found = tokio::task::block_in_place(|| pairs_of_first(loaded, model, &self.rules, now));
        self.keep(&before, &found).await?;
        Ok(())
    }

    /// Writes what was found, and withdraws what was there and does not hold any more.
    async fn keep(&self, before: &[Candidate], found: &[Candidate]) -> Result<(), store::Error> {
        let is_found = |known: &&Candidate| found.iter().any(|pair| (pair.a, pair.b) == (known.a, known.b));
        let is_ours = |known: &&Candidate| known.model != super::exchange::IMPORTED;
        let mut tx = self.store.begin().await?;
        for gone in before.iter().filter(|known| is_ours(known) && !is_found(known)) {
            tx.candidate_withdraw(gone.a, gone.b).await?;
        }
        for pair in found {
            let is_same = |known: &&Candidate| {
                Candidate { created_at: pair.created_at, updated_at: pair.updated_at, ..(*known).clone() } == *pair
            };
            if !before.iter().any(|known| is_same(&known)) {
                tx.candidate_upsert(pair).await?;
            }
        }
        tx.commit().await
    }

    async fn forget(&self, customer: CustomerId) -> Result<(), ScanError> {
        let mut tx = self.store.begin().await?;
        tx.duplicate_indexed_remove(customer).await?;
        tx.candidates_forget(customer).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The model in use; `None` before the first scan.
    async fn model(&mut self) -> Result<Option<Arc<Model>>, ScanError> {
        let mut tx = self.store.begin_read().await?;
        let version = tx.duplicate_model_version().await?;
        if self.model.as_ref().map(|model| &model.version) != version.as_ref() {
            let parameters = tx.duplicate_model_latest().await?;
            let read = parameters.map(|parameters| Model::from_json(&parameters.to_string())).transpose()?;
            self.model = read.map(Arc::new);
        }
        Ok(self.model.clone())
    }
}

/// With whom to compare: who shares keys that are not everybody's, the most first, and who was found before.
fn partners(customer: CustomerId, found: Vec<(i64, Vec<CustomerId>)>, before: &[Candidate]) -> Vec<CustomerId> {
    let known = before.iter().map(|pair| if pair.a == customer { pair.b } else { pair.a });
    let mut shared: BTreeMap<CustomerId, usize> = known.map(|other| (other, usize::MAX)).collect();
    for (_, block) in found.into_iter().filter(|(_, block)| block.len() <= LARGEST_BLOCK + 1) {
        for other in block.into_iter().filter(|other| *other != customer) {
            let count = shared.entry(other).or_default();
            *count = count.saturating_add(1);
        }
    }
    let mut ranked: Vec<(CustomerId, usize)> = shared.into_iter().collect();
    ranked.sort_by_key(|(other, count)| (std::cmp::Reverse(*count), *other));
    ranked.truncate(MOST.min(MOST_ASKED));
    ranked.into_iter().map(|(other, _)| other).collect()
}

/// The pairs of the first record. Those among the others are weighed where they decide whether all are one person.
fn pairs_of_first(loaded: &Loaded, model: &Model, rules: &Rules, now: Timestamp) -> Vec<Candidate> {
    let scorer = Scorer::new(model);
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
    judge(&scorer, loaded, &own, &around, rules, now)
}
