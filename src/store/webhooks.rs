//! How far each receiver of events has got: one row for each, whatever the number of events.
//!
//! Handoff specification, rule 17. A round of deliveries holds the row by a lease and may write only while the lease is
//! its own, so that two replicas do not deliver the same event at once. Knows nothing of URLs, signatures and answers.

use uuid::Uuid;

use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::EventId;

/// A receiver as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookState {
    pub id: String,
    /// Every event up to this number is done with.
    pub cursor: i64,
    /// Where a replay that was asked for is to begin.
    pub replay_from: Option<i64>,
    /// Failures in a row.
    pub attempts: i64,
    pub failing_since: Option<Timestamp>,
    pub next_attempt_at: Timestamp,
    pub last_error: Option<String>,
    /// Nothing is delivered any more until somebody says so.
    pub stopped_at: Option<Timestamp>,
    pub lease_until: Timestamp,
    /// How many deliveries were taken so far.
    pub delivered: i64,
    pub delivered_at: Option<Timestamp>,
    /// How many events were put aside.
    pub dead_letters: i64,
}

from_row!(WebhookState {
    id,
    cursor,
    replay_from,
    attempts,
    failing_since,
    next_attempt_at,
    last_error,
    stopped_at,
    lease_until,
    delivered,
    delivered_at,
    dead_letters,
});

/// What a round of deliveries begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebhookLease {
    pub cursor: i64,
    pub attempts: i64,
    pub refusals: i64,
    pub aside_in_row: i64,
    pub failing_since: Option<Timestamp>,
}

from_row!(WebhookLease { cursor, attempts, refusals, aside_in_row, failing_since });

/// What a round leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookProgress {
    pub cursor: i64,
    pub attempts: i64,
    pub refusals: i64,
    pub aside_in_row: i64,
    pub failing_since: Option<Timestamp>,
    pub next_attempt_at: Timestamp,
    pub last_error: Option<String>,
    pub stopped_at: Option<Timestamp>,
    /// Until when the round goes on; a time that has passed gives the lease back.
    pub lease_until: Timestamp,
    /// How many deliveries were taken since the last time.
    pub delivered: i64,
    pub delivered_at: Option<Timestamp>,
}

/// An event that a receiver would not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub sequence: i64,
    pub event: EventId,
    pub reason: String,
    pub put_aside_at: Timestamp,
}

from_row!(DeadLetter { sequence, event, reason, put_aside_at });

const STATES: &str = "SELECT id, cursor, replay_from, attempts, failing_since, next_attempt_at, last_error, stopped_at, \
     lease_until, delivered, delivered_at, \
     (SELECT COUNT(*) FROM webhook_dead_letters d WHERE d.webhook = webhooks.id) AS dead_letters \
     FROM webhooks ORDER BY id";

impl Tx {
    /// Makes a receiver known that is new: its first event is the next one to be numbered.
    pub async fn webhook_register(&mut self, id: &str, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "INSERT INTO webhooks (id, cursor, attempts, refusals, aside_in_row, next_attempt_at, lease_until, \
             delivered, created_at) SELECT $1, last, 0, 0, 0, $2, 0, 0, $2 FROM outbox_counter WHERE id = 1 \
             ON CONFLICT (id) DO NOTHING",
            id,
            now,
        )?;
        Ok(())
    }

    /// Every receiver that was ever configured.
    pub async fn webhooks_all(&mut self) -> Result<Vec<WebhookState>> {
        fetch_all!(self, WebhookState, STATES)
    }

    /// The receivers for which something is to be done now.
    pub async fn webhooks_due(&mut self, now: Timestamp) -> Result<Vec<String>> {
        let due: Vec<(String,)> = fetch_all!(
            self,
            (String,),
            "SELECT id FROM webhooks WHERE stopped_at IS NULL AND next_attempt_at <= $1 AND lease_until <= $1 \
             AND (replay_from IS NOT NULL OR cursor < (SELECT last FROM outbox_counter WHERE id = 1)) ORDER BY id",
            now,
        )?;
        Ok(due.into_iter().map(|(id,)| id).collect())
    }

    /// Takes a receiver until `lease_until`, unless somebody else holds it, it is stopped, or its time has not come. A
    /// replay that was asked for begins here.
    pub async fn webhook_lease(
        &mut self,
        id: &str,
        holder: Uuid,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<WebhookLease>> {
        fetch_optional!(
            self,
            WebhookLease,
            "UPDATE webhooks SET lease_holder = $2, lease_until = $4, \
             cursor = CASE WHEN replay_from IS NULL THEN cursor ELSE replay_from - 1 END, replay_from = NULL \
             WHERE id = $1 AND stopped_at IS NULL AND next_attempt_at <= $3 AND lease_until <= $3 \
             RETURNING cursor, attempts, refusals, aside_in_row, failing_since",
            id,
            holder,
            now,
            lease_until,
        )
    }

    /// Writes down how far a round has got, and answers where to go on: elsewhere if a replay was asked for meanwhile.
    /// `None` if the lease is no longer this round's: nothing was written, and it must deliver nothing more.
    pub async fn webhook_save(&mut self, id: &str, holder: Uuid, progress: &WebhookProgress) -> Result<Option<i64>> {
        let saved: Option<(i64,)> = fetch_optional!(
            self,
            (i64,),
            "UPDATE webhooks SET cursor = CASE WHEN replay_from IS NULL THEN $3 ELSE replay_from - 1 END, \
             replay_from = NULL, attempts = $4, refusals = $5, aside_in_row = $6, failing_since = $7, \
             next_attempt_at = $8, last_error = $9, stopped_at = $10, lease_until = $11, \
             delivered = delivered + $12, delivered_at = COALESCE($13, delivered_at) \
             WHERE id = $1 AND lease_holder = $2 RETURNING cursor",
            id,
            holder,
            progress.cursor,
            progress.attempts,
            progress.refusals,
            progress.aside_in_row,
            progress.failing_since,
            progress.next_attempt_at,
            progress.last_error.as_deref(),
            progress.stopped_at,
            progress.lease_until,
            progress.delivered,
            progress.delivered_at,
        )?;
        Ok(saved.map(|(cursor,)| cursor))
    }

    /// Puts an event aside for a receiver.
    pub async fn webhook_put_aside(&mut self, id: &str, letter: &DeadLetter) -> Result<()> {
        exec!(
            self,
            "INSERT INTO webhook_dead_letters (webhook, sequence, event, reason, put_aside_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (webhook, sequence) \
             DO UPDATE SET reason = excluded.reason, put_aside_at = excluded.put_aside_at",
            id,
            letter.sequence,
            letter.event,
            &letter.reason,
            letter.put_aside_at,
        )?;
        Ok(())
    }

    /// The events put aside for a receiver, oldest first.
    pub async fn webhook_dead_letters(&mut self, id: &str, limit: i64) -> Result<Vec<DeadLetter>> {
        fetch_all!(
            self,
            DeadLetter,
            "SELECT sequence, event, reason, put_aside_at FROM webhook_dead_letters WHERE webhook = $1 \
             ORDER BY sequence LIMIT $2",
            id,
            limit,
        )
    }

    /// The events put aside for a receiver behind one, oldest first; at most `limit`.
    pub async fn webhook_dead_letters_page(&mut self, id: &str, after: i64, limit: i64) -> Result<Vec<DeadLetter>> {
        fetch_all!(
            self,
            DeadLetter,
            "SELECT sequence, event, reason, put_aside_at FROM webhook_dead_letters \
             WHERE webhook = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
            id,
            after,
            limit,
        )
    }

    /// An event that was put aside for a receiver.
    pub async fn webhook_dead_letter(&mut self, id: &str, sequence: i64) -> Result<Option<DeadLetter>> {
        fetch_optional!(
            self,
            DeadLetter,
            "SELECT sequence, event, reason, put_aside_at FROM webhook_dead_letters WHERE webhook = $1 AND sequence = $2",
            id,
            sequence,
        )
    }

    /// Takes an event back that was put aside: it was delivered after all.
    pub async fn webhook_dead_letter_delete(&mut self, id: &str, sequence: i64) -> Result<()> {
        exec!(self, "DELETE FROM webhook_dead_letters WHERE webhook = $1 AND sequence = $2", id, sequence)?;
        Ok(())
    }

    /// Lets a receiver begin anew at once, from an event on, or (`None`) where it stands. What was put aside from there
    /// on is delivered again. `false` if there is no such receiver.
    pub async fn webhook_replay(&mut self, id: &str, from: Option<i64>, now: Timestamp) -> Result<bool> {
        let known = exec!(
            self,
            "UPDATE webhooks SET replay_from = COALESCE($2, replay_from), attempts = 0, refusals = 0, \
             aside_in_row = 0, failing_since = NULL, next_attempt_at = $3, stopped_at = NULL WHERE id = $1",
            id,
            from,
            now,
        )?;
        if let Some(from) = from {
            exec!(self, "DELETE FROM webhook_dead_letters WHERE webhook = $1 AND sequence >= $2", id, from)?;
        }
        Ok(known == 1)
    }
}
