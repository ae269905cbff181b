//! Mail waiting to be sent, sealed. Delivery is at least once: a lease that runs out is given again.
//!
//! Knows nothing of what a mail says or to whom it goes; the queue of the mail module seals and sends it.

use uuid::Uuid;

use super::driver::{exec, fetch_all, from_row, per_driver};
use super::{Result, Tx};
use crate::clock::Timestamp;

/// One mail, leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMail {
    pub id: Uuid,
    pub sealed: Vec<u8>,
    /// How often it was leased, this time included.
    pub attempts: i64,
    pub created_at: Timestamp,
    pub last_error: Option<String>,
}

from_row!(QueuedMail { id, sealed, attempts, created_at, last_error });

impl Tx {
    /// Adds a mail, due at once.
    pub async fn mail_put(&mut self, id: Uuid, sealed: &[u8], now: Timestamp) -> Result<()> {
        exec!(
            self,
            "INSERT INTO mail_queue (id, sealed, attempts, next_attempt_at, created_at) VALUES ($1, $2, 0, $3, $3)",
            id,
            sealed,
            now,
        )?;
        Ok(())
    }

    /// Takes mails that are due and nobody else holds, oldest first, until `lease_until`.
    pub async fn mail_lease(&mut self, now: Timestamp, lease_until: Timestamp, limit: i64) -> Result<Vec<QueuedMail>> {
        // Replicas on Postgres step over each other's rows; SQLite has one writer, and no such words. The lease moves
        // the next attempt too, so that the index alone tells what is due.
        let sql = per_driver!(
            self,
            postgres: "UPDATE mail_queue SET lease_until = $2, next_attempt_at = $2, attempts = attempts + 1 \
                       WHERE id IN (SELECT id FROM mail_queue WHERE next_attempt_at <= $1 \
                       ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
                       RETURNING id, sealed, attempts, created_at, last_error",
            sqlite: "UPDATE mail_queue SET lease_until = $2, next_attempt_at = $2, attempts = attempts + 1 \
                     WHERE id IN (SELECT id FROM mail_queue WHERE next_attempt_at <= $1 \
                     ORDER BY next_attempt_at LIMIT $3) \
                     RETURNING id, sealed, attempts, created_at, last_error",
        );
        let mut leased = fetch_all!(self, QueuedMail, sql, now, lease_until, limit)?;
        leased.sort_by_key(|mail| (mail.created_at, mail.id));
        Ok(leased)
    }

    /// Removes a mail: it was sent, or given up.
    pub async fn mail_done(&mut self, id: Uuid) -> Result<()> {
        exec!(self, "DELETE FROM mail_queue WHERE id = $1", id)?;
        Ok(())
    }

    /// Puts a mail back until its next attempt. The error must name no address.
    pub async fn mail_failed(&mut self, id: Uuid, next_attempt_at: Timestamp, error: &str) -> Result<()> {
        exec!(
            self,
            "UPDATE mail_queue SET next_attempt_at = $2, lease_until = NULL, last_error = $3 WHERE id = $1",
            id,
            next_attempt_at,
            error,
        )?;
        Ok(())
    }
}
