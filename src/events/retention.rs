//! How long events are kept: removes those that are older than configured and that nobody needs any more.
//!
//! Identity specification, rule 45: where nothing is configured, all are kept, because a replay from empty needs them all.
//! Where something is, only a beginning goes: never more than the slowest receiver that is still tried has been told, than
//! the search for duplicates has gone through, and never the last event. An app's own cursor nobody knows: an older one is
//! told where to begin again (`stream`). The audit log is not touched. A batch is one short transaction; one replica at a
//! time removes, by a lease.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use super::relay;
use crate::clock::{Clock, Timestamp, uuid_v7};
use crate::config::Config;
use crate::store::{self, Store, Tx};

/// How often it is looked for old events.
const PAUSE: Duration = Duration::from_secs(10 * 60);
/// After a round that did not come to the end.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// How long a replica has the removing to itself without a sign of life.
const LEASE: Duration = Duration::from_secs(60);
/// How many events one transaction removes.
const BATCH: i64 = 1000;
/// How many transactions one round is.
const BATCHES: usize = 50;

/// Removes old events.
#[derive(Clone, Debug)]
pub struct Retention {
    store: Store,
    clock: Clock,
    keep: Duration,
    needs: Needs,
}

/// Who needs events, by the configuration.
#[derive(Clone, Debug)]
pub struct Needs {
    receivers: Vec<String>,
    /// Whether somebody follows on behalf of the search for duplicates.
    weigher: bool,
}

/// Who is the furthest behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slowest {
    /// The ID of a webhook, or `duplicates`.
    pub who: String,
    /// It needs what comes after this event.
    pub cursor: i64,
}

impl Needs {
    /// What a configuration says.
    pub fn of(config: &Config) -> Self {
        let receivers = config.webhooks.iter().map(|webhook| webhook.id.clone()).collect();
        Self { receivers, weigher: config.duplicates.follow }
    }

    /// Who is the furthest behind, if anybody follows at all. Until the transaction ends nobody steps back behind that.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn slowest(&self, tx: &mut Tx) -> Result<Option<Slowest>, store::Error> {
        let receivers = tx.outbox_receivers_lock().await?.into_iter();
        // Who is not configured any more is told nothing, and who was given up as gone is not waited for.
        let receivers = receivers.filter(|receiver| self.receivers.contains(&receiver.id));
        let mut all: Vec<Slowest> =
            receivers.map(|receiver| Slowest { who: receiver.id, cursor: receiver.cursor }).collect();
        if self.weigher {
            all.push(Slowest { who: "duplicates".to_owned(), cursor: tx.outbox_weigher_lock().await? });
        }
        Ok(all.into_iter().min_by_key(|one| one.cursor))
    }
}

/// What one transaction did.
enum Batch {
    Removed(u64),
    /// Nothing that is left may go.
    Nothing,
    /// Another replica has taken over.
    Lost,
}

impl Retention {
    /// As configured; `None` if everything is kept.
    pub fn of(config: &Config, store: &Store, clock: Clock) -> Option<Self> {
        Some(Self { store: store.background(), clock, keep: config.events.keep?, needs: Needs::of(config) })
    }

    /// Runs until `shutdown`, finishing the round it is in.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            let pause = match self.run_once().await {
                Ok(removed) if removed > 0 => {
                    tracing::info!(events = removed, "old events were removed");
                    SHORT_PAUSE
                }
                Ok(_) => PAUSE,
                Err(error) => {
                    tracing::warn!(%error, "old events cannot be removed");
                    PAUSE
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One round; answers how many events were removed. 0 if another replica is at it.
    ///
    /// # Errors
    /// If the database does not answer. What was removed stays removed.
    pub async fn run_once(&self) -> Result<u64, store::Error> {
        relay::number(&self.store, usize::MAX).await?;
        let now = self.clock.now();
        let holder = uuid_v7(now);
        let mut tx = self.store.begin().await?;
        let leased = tx.outbox_retention_lease(holder, now, now + LEASE).await?;
        tx.commit().await?;
        if !leased {
            return Ok(0);
        }
        let mut removed = 0_u64;
        for _ in 0..BATCHES {
            match self.batch(holder).await? {
                Batch::Removed(more) => removed = removed.saturating_add(more),
                Batch::Nothing => break,
                Batch::Lost => return Ok(removed),
            }
        }
        let mut tx = self.store.begin().await?;
        tx.outbox_retention_keep(holder, self.clock.now()).await?;
        tx.commit().await?;
        Ok(removed)
    }

    async fn batch(&self, holder: Uuid) -> Result<Batch, store::Error> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        if !tx.outbox_retention_keep(holder, now + LEASE).await? {
            return Ok(Batch::Lost);
        }
        let slowest = self.needs.slowest(&mut tx).await?;
        let numbering = tx.outbox_numbering().await?;
        // The last one stays: whoever follows positions finds the end where it was.
        let end = slowest.map_or(i64::MAX, |slowest| slowest.cursor).min(numbering.last - 1);
        let Some(to) = self.oldest(&mut tx, numbering.removed, end, now).await? else { return Ok(Batch::Nothing) };
        let removed = tx.outbox_remove(to, now).await?;
        if !self.needs.weigher {
            tx.duplicate_follower_skip(to).await?;
        }
        tx.commit().await?;
        Ok(Batch::Removed(removed))
    }

    /// The last of the next events that are all old enough, and not after `end`.
    async fn oldest(&self, tx: &mut Tx, removed: i64, end: i64, now: Timestamp) -> Result<Option<i64>, store::Error> {
        let aged = tx.outbox_aged(removed, BATCH).await?;
        let may_go = aged.iter().take_while(|event| event.sequence <= end && event.created_at < now - self.keep);
        Ok(may_go.last().map(|event| event.sequence))
    }
}
