//! Work that a transaction decided and that cannot be part of it: ending sessions, giving tokens back to a provider.
//!
//! A task leaves in the transaction that decided it, so that neither a crash nor a provider that is down loses it. Whoever
//! queued it may do it at once; what fails or is left behind, any replica's job does by lease, waiting longer each time.
//! Doing one twice is harmless. A task is sealed under our key: it may hold a token. Why it is done is not known here.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::clock::{Clock, Timestamp, uuid_v7};
use crate::connector::{ConnectorError, Registry};
use crate::identity::upstream_tokens::Keeper;
use crate::ids::{CustomerId, LinkId, Sid};
use crate::kv::{self, Kv};
use crate::oidc::Provider;
use crate::secret::DerivedKey;
use crate::session;
use crate::store::{QueuedTask, Result, Store, Tx};

/// How long a replica has a task to itself: longer than a provider can take to answer.
pub const LEASE: Duration = Duration::from_secs(120);
/// How long a task is worth trying.
pub const LIFETIME: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How long whoever queued a task has to do it before a job does.
const HEAD_START: Duration = Duration::from_secs(5);
const BATCH: i64 = 10;
const POLL: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const MAX_BACKOFF: Duration = Duration::from_secs(60 * 60);
/// The `next_attempt_at` of a task that was given up: it stays in the table with its reason.
pub const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// End the sessions that a link began by a time (spec/identity.md rule 19).
    EndSessions { link: LinkId, until: Timestamp },
    /// End the sessions that these customers began by a time.
    EndSessionsOf { customers: Vec<CustomerId>, until: Timestamp },
    /// End the sessions that these customers began by a time, but one, and leave no mark for logins under way.
    EndOtherSessions { kept: Option<Sid>, customers: Vec<CustomerId>, until: Timestamp },
    /// End one session.
    EndSession { sid: Sid },
    /// Give a refresh token back to the provider that issued it, sealed as it was kept.
    Revoke { connector: String, subject: String, sealed: String },
}

/// Who is to do a task first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// Whoever queues it, right after the commit, by [`Worker::finish`].
    Caller,
    /// Any job.
    Job,
}

/// Queues a task within the caller's transaction.
///
/// # Errors
/// If the database refuses.
pub async fn queue(tx: &mut Tx, key: &DerivedKey, task: &Task, first: First, now: Timestamp) -> Result<Uuid> {
    let id = uuid_v7(now);
    // Strings and numbers always have a JSON form; an empty body would be given up, visibly.
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(task).unwrap_or_default());
    let due = if first == First::Caller { now + HEAD_START } else { now };
    tx.task_put(id, &key.seal(id.as_bytes(), &plain), due, now).await?;
    Ok(id)
}

/// Queues several. What a provider has to be asked for is left to the jobs: nobody waits for it.
///
/// # Errors
/// If the database refuses.
pub async fn queue_all(
    tx: &mut Tx,
    key: &DerivedKey,
    tasks: Vec<Task>,
    first: First,
    now: Timestamp,
) -> Result<Vec<(Uuid, Task)>> {
    let mut queued = Vec::new();
    for task in tasks {
        let asks_a_provider = matches!(task, Task::Revoke { .. });
        let first = if asks_a_provider { First::Job } else { first };
        let id = queue(tx, key, &task, first, now).await?;
        if first == First::Caller {
            queued.push((id, task));
        }
    }
    Ok(queued)
}

/// Why a task is not done.
#[derive(Debug, thiserror::Error)]
enum Undone {
    #[error("{0}")]
    Later(String),
    #[error("{0}")]
    Never(&'static str),
}

impl Undone {
    /// The key-value store did not answer.
    fn later(error: kv::Error) -> Self {
        Self::Later(error.to_string())
    }
}

/// Does tasks.
#[derive(Clone)]
pub struct Worker {
    store: Store,
    kv: Kv,
    connectors: Registry,
    keeper: Keeper,
    key: DerivedKey,
    clock: Clock,
}

impl Worker {
    /// A worker on the provider's stores. Its statements are not counted as requests'.
    pub fn new(provider: &Provider, key: DerivedKey, clock: Clock) -> Self {
        Self {
            store: provider.store.background(),
            kv: provider.kv.background(),
            connectors: provider.connectors.clone(),
            keeper: provider.keeper.clone(),
            key,
            clock,
        }
    }

    /// Does tasks that were just queued by [`queue_all`] and committed.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn finish_all(&self, queued: Vec<(Uuid, Task)>) -> Result<()> {
        for (id, task) in queued {
            self.finish(id, &task).await?;
        }
        Ok(())
    }

    /// Does a task that was just queued and committed. What fails is left to the jobs.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn finish(&self, id: Uuid, task: &Task) -> Result<()> {
        if let Err(error) = self.perform(task).await {
            tracing::warn!(task.id = %id, %error, "a task is left to the jobs");
            return Ok(());
        }
        let mut tx = self.store.begin().await?;
        tx.task_done(id).await?;
        tx.commit().await
    }

    /// Takes what is due, does it, and records what became of each. Answers how many it took.
    ///
    /// # Errors
    /// If the database does not answer; what was taken is free again when its lease ends.
    pub async fn run_once(&self) -> Result<usize> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let leased = tx.task_lease(now, now + LEASE, BATCH).await?;
        tx.commit().await?;
        for queued in &leased {
            let outcome = self.attempt(queued).await;
            self.record(queued, outcome).await?;
        }
        Ok(leased.len())
    }

    /// Runs until `shutdown`, finishing the round it is in. `notify` wakes it.
    pub async fn run(self, shutdown: impl Future<Output = ()>, notify: Arc<Notify>) {
        tokio::pin!(shutdown);
        loop {
            let rest = match self.run_once().await {
                Ok(0) => POLL,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::error!(%error, "the tasks cannot be read");
                    REST
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = notify.notified(), if rest == POLL => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    async fn attempt(&self, queued: &QueuedTask) -> std::result::Result<(), Undone> {
        let plain = self.key.open(queued.id.as_bytes(), &queued.sealed);
        match plain.and_then(|plain| serde_json::from_slice::<Task>(&plain).ok()) {
            Some(task) => self.perform(&task).await,
            None => Err(Undone::Never("the task cannot be opened with this installation's key")),
        }
    }

    async fn perform(&self, task: &Task) -> std::result::Result<(), Undone> {
        match task {
            Task::EndSessions { link, until } => {
                session::end_all(&self.kv, &session::Of::Link(*link), *until).await.map_err(Undone::later)
            }
            Task::EndSessionsOf { customers, until } => {
                for customer in customers {
                    let of = session::Of::Customer(*customer);
                    session::end_all(&self.kv, &of, *until).await.map_err(Undone::later)?;
                }
                Ok(())
            }
            Task::EndOtherSessions { kept, customers, until } => {
                for customer in customers {
                    session::end_all_but(&self.kv, *customer, kept.as_ref(), *until).await.map_err(Undone::later)?;
                }
                Ok(())
            }
            Task::EndSession { sid } => session::end(&self.kv, sid).await.map_err(Undone::later),
            Task::Revoke { connector, subject, sealed } => {
                let Some(connector) = self.connectors.get(connector) else {
                    return Err(Undone::Never("the connector is no longer configured"));
                };
                let revoked = self.keeper.give_back(connector.as_ref(), subject, sealed, self.clock.now()).await;
                revoked.map_err(|error| match error {
                    ConnectorError::Unavailable { reason } => Undone::Later(reason),
                    _ => Undone::Never("the provider refuses to take the token back, or it cannot be opened"),
                })
            }
        }
    }

    async fn record(&self, queued: &QueuedTask, outcome: std::result::Result<(), Undone>) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        match outcome {
            Ok(()) => tx.task_done(queued.id).await?,
            Err(error) => {
                let next = match &error {
                    Undone::Later(_) => next_attempt(queued, now),
                    Undone::Never(_) => NEVER,
                };
                let reason = error.to_string();
                tracing::warn!(task.id = %queued.id, task.attempts = queued.attempts, reason, "a task failed");
                tx.task_failed(queued.id, next, &reason).await?;
            }
        }
        tx.commit().await
    }
}

/// Twice as long each time, up to an hour; not at all when the task has been tried for its lifetime.
fn next_attempt(queued: &QueuedTask, now: Timestamp) -> Timestamp {
    let doublings = u32::try_from(queued.attempts.saturating_sub(1).clamp(0, 16)).unwrap_or(0);
    let next = now + (FIRST_BACKOFF * (1 << doublings)).min(MAX_BACKOFF);
    if next < queued.created_at + LIFETIME { next } else { NEVER }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_waits_longer_each_time_and_is_given_up_after_its_lifetime() {
        let noon = Timestamp::from_seconds(1_800_014_400);
        let queued = |attempts| QueuedTask { id: Uuid::nil(), sealed: vec![], attempts, created_at: noon };
        for (attempts, seconds) in [(0, 5), (1, 5), (2, 10), (5, 80), (11, 3600), (i64::MAX, 3600)] {
            assert_eq!(next_attempt(&queued(attempts), noon), noon + Duration::from_secs(seconds), "{attempts}");
        }
        assert_eq!(next_attempt(&queued(3), noon + LIFETIME), NEVER);
    }
}
