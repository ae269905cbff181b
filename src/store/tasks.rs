//! Work that a transaction decided and that is done after it, sealed. Done at least once: a lease that runs out is given
//! again.
//!
//! Knows nothing of what a task is; the job that does them seals and opens them.

use uuid::Uuid;

use super::driver::{exec, fetch_all, from_row, per_driver};
use super::{Result, Tx};
use crate::clock::Timestamp;

/// One task, leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedTask {
    pub id: Uuid,
    pub sealed: Vec<u8>,
    /// How often it was leased, this time included.
    pub attempts: i64,
    pub created_at: Timestamp,
}

from_row!(QueuedTask { id, sealed, attempts, created_at });

impl Tx {
    /// Adds a task, due at `due`.
    pub async fn task_put(&mut self, id: Uuid, sealed: &[u8], due: Timestamp, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "INSERT INTO tasks (id, sealed, attempts, next_attempt_at, created_at) VALUES ($1, $2, 0, $3, $4)",
            id,
            sealed,
            due,
            now,
        )?;
        Ok(())
    }

    /// Takes tasks that are due and nobody else holds, oldest first, until `lease_until`.
    pub async fn task_lease(&mut self, now: Timestamp, lease_until: Timestamp, limit: i64) -> Result<Vec<QueuedTask>> {
        let sql = per_driver!(
            self,
            postgres: "UPDATE tasks SET next_attempt_at = $2, attempts = attempts + 1 \
                       WHERE id IN (SELECT id FROM tasks WHERE next_attempt_at <= $1 \
                       ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
                       RETURNING id, sealed, attempts, created_at",
            sqlite: "UPDATE tasks SET next_attempt_at = $2, attempts = attempts + 1 \
                     WHERE id IN (SELECT id FROM tasks WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $3) \
                     RETURNING id, sealed, attempts, created_at",
        );
        let mut leased = fetch_all!(self, QueuedTask, sql, now, lease_until, limit)?;
        leased.sort_by_key(|task| (task.created_at, task.id));
        Ok(leased)
    }

    /// Removes a task that is done. Done twice is no error.
    pub async fn task_done(&mut self, id: Uuid) -> Result<()> {
        exec!(self, "DELETE FROM tasks WHERE id = $1", id)?;
        Ok(())
    }

    /// Puts a task back until its next attempt. The error must hold nothing of a customer.
    pub async fn task_failed(&mut self, id: Uuid, next_attempt_at: Timestamp, error: &str) -> Result<()> {
        exec!(
            self,
            "UPDATE tasks SET next_attempt_at = $2, last_error = $3 WHERE id = $1",
            id,
            next_attempt_at,
            error,
        )?;
        Ok(())
    }
}
