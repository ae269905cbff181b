//! The mail queue: messages leave in the transaction that decided them, and are delivered after it.
//!
//! A message is one row, sealed under our key: who copies the database reads neither codes nor addresses. Jobs on any
//! number of replicas take rows by lease; a job that dies leaves its rows to the next one when the lease ends, so a
//! message is delivered at least once, under one Message-ID. Failures wait longer each time. A message that can no
//! longer be delivered stays in the table with its reason, as `MailState::GivenUp`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{MailError, Mailer, Message};
use crate::clock::{Clock, Timestamp, uuid_v7};
use crate::secret::DerivedKey;
use crate::store::{QueuedMail, Result, Store, Tx};

/// How long a message is worth delivering, unless it says otherwise.
pub const MAIL_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long one job keeps a message to itself: longer than a delivery can take.
pub const LEASE: Duration = Duration::from_secs(120);
/// The `next_attempt_at` of a message that will not be tried again: no clock ever gets there.
pub const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// How many messages one round takes.
const BATCH: i64 = 10;
/// How often the queue is looked at without being told to: for second tries, and for rows of replicas that died.
const POLL: Duration = Duration::from_secs(1);
/// How long the job rests when the database does not answer.
const REST: Duration = Duration::from_secs(5);
/// The wait after each failure; the last one repeats.
const BACKOFF: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
];

/// Where a queued message stands. A delivered one is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// It will be tried (again) at this time.
    Waiting { next_attempt_at: Timestamp },
    /// It will not be tried again; `last_error` says why.
    GivenUp,
}

impl MailState {
    /// The state that a row is in.
    pub fn of(next_attempt_at: Timestamp) -> Self {
        if next_attempt_at == NEVER { Self::GivenUp } else { Self::Waiting { next_attempt_at } }
    }
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    message: Message,
    useful_until: Timestamp,
}

/// Queues a message within the caller's transaction. Wake the job after the commit.
///
/// # Errors
/// If the database refuses.
pub async fn queue(tx: &mut Tx, key: &DerivedKey, message: &Message, now: Timestamp) -> Result<Uuid> {
    queue_until(tx, key, message, now + MAIL_LIFETIME, now).await
}

/// Queues a message that is worth nothing after a time, such as a code. It is not delivered later than that. A message to
/// an address that nothing may be sent to, because its provider said so, is not queued; nobody can tell from outside.
///
/// # Errors
/// If the database refuses.
pub async fn queue_until(
    tx: &mut Tx,
    key: &DerivedKey,
    message: &Message,
    useful_until: Timestamp,
    now: Timestamp,
) -> Result<Uuid> {
    let id = uuid_v7(now);
    if tx.mail_is_stopped(message.to.normalized()).await? {
        tracing::info!(mail.id = %id, "a mail is not sent: mail to its address is stopped");
        return Ok(id);
    }
    let content = Sealed { message: message.clone(), useful_until };
    // Strings and a number always have a JSON form; an empty body would be given up, visibly.
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(&content).unwrap_or_default());
    tx.mail_put(id, &key.seal(id.as_bytes(), &plain), now).await?;
    Ok(id)
}

/// Delivers what is queued.
#[derive(Clone, Debug)]
pub struct MailJob {
    store: Store,
    mailer: Mailer,
    key: DerivedKey,
    clock: Clock,
}

impl MailJob {
    /// A job on this store. Its statements are not counted as requests'.
    pub fn new(store: &Store, mailer: Mailer, key: DerivedKey, clock: Clock) -> Self {
        Self { store: store.background(), mailer, key, clock }
    }

    /// Takes what is due, at most ten messages, delivers them side by side, and records what became of each. Answers
    /// how many it took.
    ///
    /// # Errors
    /// If the database does not answer; what was taken is free again when its lease ends.
    pub async fn run_once(store: &Store, mailer: &Mailer, key: &DerivedKey, now: Timestamp) -> Result<usize> {
        let mut tx = store.begin().await?;
        let leased = tx.mail_lease(now, now + LEASE, BATCH).await?;
        tx.commit().await?;
        let taken = leased.len();
        // Side by side, so that one slow server does not hold up the codes that others wait for.
        let mut deliveries = JoinSet::new();
        for mail in leased {
            let (mailer, key) = (mailer.clone(), key.clone());
            deliveries.spawn(async move {
                let end = attempt(&mailer, &key, &mail, now).await;
                (mail, end)
            });
        }
        while let Some(delivery) = deliveries.join_next().await {
            match delivery {
                Ok((mail, end)) => record(store, &mail, end, now).await?,
                Err(error) => tracing::error!(%error, "a mail delivery ended without an answer"),
            }
        }
        Ok(taken)
    }

    /// Runs until `shutdown`, finishing the round it is in. `notify` wakes it: signal it after each commit that
    /// queued something.
    pub async fn run(self, shutdown: impl Future<Output = ()>, notify: Arc<Notify>) {
        tokio::pin!(shutdown);
        loop {
            let round = Self::run_once(&self.store, &self.mailer, &self.key, self.clock.now()).await;
            let rest = match round {
                Ok(0) => POLL,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::error!(%error, "the mail queue cannot be read");
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
}

/// What is to become of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Delivered,
    Again { at: Timestamp, error: String },
    GiveUp { error: String },
}

async fn attempt(mailer: &Mailer, key: &DerivedKey, mail: &QueuedMail, now: Timestamp) -> End {
    let content = key.open(mail.id.as_bytes(), &mail.sealed);
    let Some(content) = content.and_then(|plain| serde_json::from_slice::<Sealed>(&plain).ok()) else {
        return End::GiveUp { error: "the message cannot be opened with this installation's key".to_owned() };
    };
    if now >= content.useful_until {
        return End::GiveUp { error: "the time in which the message was of use has passed".to_owned() };
    }
    let delivered = mailer.deliver_as(&content.message, mail.id, mail.created_at).await;
    decide(delivered, mail.attempts, content.useful_until, now)
}

/// `attempts` counts this one too.
fn decide(
    delivered: std::result::Result<(), MailError>,
    attempts: i64,
    useful_until: Timestamp,
    now: Timestamp,
) -> End {
    match delivered {
        Ok(()) => End::Delivered,
        Err(MailError::Permanent(error)) => End::GiveUp { error },
        Err(MailError::Transient(error)) => {
            let at = now + backoff(attempts);
            if at < useful_until { End::Again { at, error } } else { End::GiveUp { error } }
        }
    }
}

fn backoff(attempts: i64) -> Duration {
    let failures = usize::try_from(attempts.saturating_sub(1)).unwrap_or(0);
    BACKOFF.get(failures).or(BACKOFF.last()).copied().unwrap_or(MAIL_LIFETIME)
}

async fn record(store: &Store, mail: &QueuedMail, end: End, now: Timestamp) -> Result<()> {
    let mut tx = store.begin().await?;
    match end {
        End::Delivered => tx.mail_done(mail.id).await?,
        End::Again { at, error } => {
            tracing::info!(mail.id = %mail.id, mail.attempts, reason = %error, "a mail waits for another try");
            tx.mail_failed(mail.id, at, &error).await?;
        }
        End::GiveUp { error } => {
            let age = now.since(mail.created_at).as_secs();
            tracing::warn!(mail.id = %mail.id, mail.attempts, mail.age = age, reason = %error, "a mail was given up");
            tx.mail_failed(mail.id, NEVER, &error).await?;
        }
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_800_014_400);

    #[test]
    fn failures_wait_longer_each_time() {
        let seconds: Vec<u64> = (1..=8).map(|attempts| backoff(attempts).as_secs()).collect();
        assert_eq!(seconds, [1, 5, 30, 120, 600, 3600, 3600, 3600]);
        assert_eq!(backoff(0), BACKOFF[0]);
        assert_eq!(backoff(i64::MAX), BACKOFF[5]);
    }

    #[test]
    fn a_message_is_tried_again_until_it_is_of_no_use() {
        let transient = || Err(MailError::Transient("busy".to_owned()));
        let permanent = || Err(MailError::Permanent("unknown".to_owned()));
        let until = NOON + Duration::from_secs(600);
        let again = |seconds| End::Again { at: NOON + Duration::from_secs(seconds), error: "busy".to_owned() };
        let given_up = |error: &str| End::GiveUp { error: error.to_owned() };
        for (delivered, attempts, expected) in [
            (Ok(()), 9, End::Delivered),
            (transient(), 1, again(1)),
            (transient(), 4, again(120)),
            (transient(), 5, given_up("busy")),
            (permanent(), 1, given_up("unknown")),
        ] {
            assert_eq!(decide(delivered, attempts, until, NOON), expected, "attempt {attempts}");
        }
    }

    #[test]
    fn a_day_of_failures_is_given_up_on_and_the_state_shows_it() {
        let (mut now, mut attempts) = (NOON, 1);
        let until = NOON + MAIL_LIFETIME;
        while let End::Again { at, .. } = decide(Err(MailError::Transient(String::new())), attempts, until, now) {
            assert_eq!(MailState::of(at), MailState::Waiting { next_attempt_at: at });
            (now, attempts) = (at, attempts + 1);
        }
        assert!(now.since(NOON) > Duration::from_secs(22 * 3600), "given up after {:?}", now.since(NOON));
        assert!((20..40).contains(&attempts), "{attempts} attempts");
        assert_eq!(MailState::of(NEVER), MailState::GivenUp);
    }
}
