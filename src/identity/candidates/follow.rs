//! Weighs each customer who signs up or changes against those who share a key with it (spec/identity.md rule 38).
//!
//! It follows the events, so that no request waits for it and no change is missed: one replica at a time holds the
//! events by a lease, and writes down how far it is. Weighing somebody twice changes nothing. A customer is looked up by
//! its keys, compared in process, and what no longer holds is withdrawn.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use super::automatic;
use super::weigh::{Basis, Weigher};
use super::{Rules, ScanError};
use crate::clock::{Clock, uuid_v7};
use crate::events::relay;
use crate::ids::CustomerId;
use crate::store::{Store, Touched};

/// How often it is looked for events.
const POLL: Duration = Duration::from_millis(500);
/// Events gone through before it is written down how far it is.
const PAGE: i64 = 100;
/// How long a page has.
const LEASE: Duration = Duration::from_secs(60);
/// Customers weighed together.
const TOGETHER: usize = 20;
/// Events that change nothing that is compared.
const INDIFFERENT: &[&str] =
    &["consent.", "credential.", "session.", "merge.", "mail.", "token.", "conflict.", "provider."];

/// Follows the events of customers.
pub struct Follower {
    store: Store,
    rules: Rules,
    clock: Clock,
    basis: Basis,
}

impl Follower {
    /// On a database. Its statements are not counted as requests'.
    pub fn new(store: &Store, rules: Rules, clock: Clock) -> Self {
        Self { store: store.background(), rules, clock, basis: Basis::default() }
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
        let touched: Vec<CustomerId> = touched.into_iter().collect();
        for some in touched.chunks(TOGETHER) {
            self.weigher().await?.weigh(some).await?;
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
        self.weigher().await?.weigh(&[id]).await
    }

    /// Reads what is gone by, and answers it.
    async fn weigher(&mut self) -> Result<Weigher<'_>, ScanError> {
        self.basis.refresh(&self.store).await?;
        Ok(Weigher { store: &self.store, rules: &self.rules, basis: &self.basis, now: self.clock.now() })
    }
}
