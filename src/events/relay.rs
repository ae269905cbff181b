//! Events on their way out: numbers them in the order of their commits, and has each receiver told.
//!
//! Handoff specification, rules 17 to 19. Each receiver has a cursor of its own, so that one that is slow or dead costs
//! the others nothing, and no event costs a row per receiver. Any number of replicas may run this; a lease in the
//! database gives each receiver to one of them at a time. It must not know what receivers are told (`webhook`).

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::delivery::Round;
use super::webhook::{Selection, SigningKey};
use crate::clock::{Clock, Timestamp};
use crate::oidc::client::ClientRegistry;
use crate::outbound::Outbound;
use crate::store::{self, Store};

/// How often it is looked for events without a number, and for receivers that lack some.
const POLL: Duration = Duration::from_millis(250);
/// How many events one transaction numbers.
const BATCH: i64 = 1000;

/// Whose a receiver is, and so what it may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Inside the company: everything.
    Company,
    /// Apps that share subjects.
    Sector(String),
    /// The sector of a client, which may be in the database and known only later.
    Client(String),
}

/// A receiver of events.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Names what the database remembers of it.
    pub id: String,
    pub url: Url,
    pub whose: Whose,
    pub events: Selection,
    /// The first is the one in use; an older one may follow it.
    pub keys: Vec<SigningKey>,
    /// For one delivery.
    pub timeout: Duration,
}

/// Brings events to their receivers.
#[derive(Clone)]
pub struct Relay {
    pub(super) store: Store,
    pub(super) outbound: Outbound,
    pub(super) clients: ClientRegistry,
    pub(super) clock: Clock,
    receivers: Arc<Vec<Receiver>>,
}

impl Relay {
    /// Of these receivers. Its statements are not counted as requests'.
    pub fn new(
        store: &Store,
        outbound: Outbound,
        clients: ClientRegistry,
        clock: Clock,
        receivers: Vec<Receiver>,
    ) -> Self {
        Self { store: store.background(), outbound, clients, clock, receivers: Arc::new(receivers) }
    }

    /// The receiver of this ID.
    pub(super) fn receiver(&self, id: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.id == id)
    }

    /// The IDs of all receivers that are configured.
    pub fn receiver_ids(&self) -> impl Iterator<Item = &str> {
        self.receivers.iter().map(|receiver| receiver.id.as_str())
    }

    /// Whether there is anybody to be told.
    pub fn has_receivers(&self) -> bool {
        !self.receivers.is_empty()
    }

    /// Runs until `shutdown`; deliveries under way are finished.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let (stop, stopped) = watch::channel(false);
        let mut rounds = JoinSet::new();
        let mut busy = HashMap::new();
        let mut registered = false;
        loop {
            while let Some(ended) = rounds.try_join_next_with_id() {
                busy.remove(&match ended {
                    Ok((id, _)) => id,
                    Err(error) => error.id(),
                });
            }
            match self.due(&mut registered).await {
                Ok(due) => {
                    for receiver in due {
                        if !busy.values().any(|id| *id == receiver.id) {
                            let id = receiver.id.clone();
                            busy.insert(rounds.spawn(self.clone().round(receiver, stopped.clone())).id(), id);
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "events cannot be numbered"),
            }
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = tokio::time::sleep(POLL) => {}
            }
        }
        stop.send_replace(true);
        while rounds.join_next().await.is_some() {}
    }

    /// Numbers what has none and tells every receiver what is due to it now. Answers how many deliveries were taken.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn run_once(&self) -> Result<i64, store::Error> {
        let (_stop, stopped) = watch::channel(false);
        let mut rounds = JoinSet::new();
        for receiver in self.due(&mut false).await? {
            rounds.spawn(self.clone().round(receiver, stopped.clone()));
        }
        Ok(rounds.join_all().await.into_iter().sum())
    }

    /// The receivers that lack something.
    async fn due(&self, registered: &mut bool) -> Result<Vec<Receiver>, store::Error> {
        number(&self.store, usize::MAX).await?;
        let now = self.clock.now();
        if !*registered {
            // Only now: a new receiver begins behind what has a number.
            self.register(now).await?;
            *registered = true;
        }
        let due = self.store.begin_read().await?.webhooks_due(now).await?;
        Ok(self.receivers.iter().filter(|receiver| due.contains(&receiver.id)).cloned().collect())
    }

    async fn register(&self, now: Timestamp) -> Result<(), store::Error> {
        let mut tx = self.store.begin().await?;
        for receiver in self.receivers.iter() {
            tx.webhook_register(&receiver.id, now).await?;
        }
        tx.commit().await
    }

    async fn round(self, receiver: Receiver, stopped: watch::Receiver<bool>) -> i64 {
        match Round::run(&self, &receiver, stopped).await {
            Ok(delivered) => delivered,
            Err(error) => {
                tracing::warn!(webhook.id = receiver.id, %error, "what was delivered cannot be written down");
                0
            }
        }
    }
}

/// Gives numbers to events that have none, so many batches of them at most. Answers how far the numbering is.
/// Replicas that do it at once take turns.
///
/// # Errors
/// If the database does not answer.
pub async fn number(store: &Store, batches: usize) -> Result<i64, store::Error> {
    let before = store.begin_read().await?.outbox_numbering().await?;
    if !before.waiting {
        return Ok(before.last);
    }
    let mut last = before.last;
    for _ in 0..batches {
        let mut tx = store.begin().await?;
        let numbered = tx.outbox_number(BATCH).await?;
        last = tx.outbox_numbering().await?.last;
        tx.commit().await?;
        if numbered < BATCH {
            break;
        }
    }
    Ok(last)
}

/// What became of a wish to deliver events again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// It begins within a second, or as soon as who is delivering now has got to the end of a page.
    Begun,
    /// No receiver of this ID was ever configured.
    Unknown,
    /// There is no such event yet, or it is not kept any more.
    Beyond { first: i64, last: i64 },
}

/// Has a receiver told everything from an event on once more, or (`None`) go on where it stopped. Twice the same is once.
///
/// # Errors
/// If the database fails.
pub async fn replay(store: &Store, id: &str, from: Option<i64>, now: Timestamp) -> Result<Replay, store::Error> {
    let mut tx = store.begin().await?;
    let known = tx.webhook_replay(id, from, now).await?;
    // Looked up behind that: from then on nothing is removed that the receiver is to be told.
    let numbering = tx.outbox_numbering().await?;
    let (first, last) = (numbering.removed + 1, numbering.last);
    if from.is_some_and(|from| from < first || from > last + 1) {
        return Ok(Replay::Beyond { first, last });
    }
    tx.commit().await?;
    Ok(if known { Replay::Begun } else { Replay::Unknown })
}
