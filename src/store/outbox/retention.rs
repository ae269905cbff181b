//! Removing events that nobody needs any more: from the front, in the order of their numbers.
//!
//! `removed` is the number up to which all are gone, but for those that were put aside for a receiver and may still be
//! delivered. One replica at a time removes, by a lease, and writes only while it is its own. What must be kept is read
//! under locks, so that nobody steps back behind what is being removed. Why something is kept is not known here.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::store::driver::{exec, fetch_all, fetch_one, from_row};
use crate::store::{Result, Tx};

/// Somebody who follows the events and needs what comes after a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFollower {
    pub id: String,
    pub cursor: i64,
}

from_row!(EventFollower { id, cursor });

/// How old an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aged {
    pub sequence: i64,
    pub created_at: Timestamp,
}

from_row!(Aged { sequence, created_at });

/// What has been removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    pub removed: i64,
    pub removed_at: Option<Timestamp>,
}

from_row!(Removed { removed, removed_at });

impl Tx {
    /// What has been removed, and when the last of it.
    pub async fn outbox_removed(&mut self) -> Result<Removed> {
        fetch_one!(self, Removed, "SELECT removed, removed_at FROM outbox_retention WHERE id = 1")
    }

    /// Takes the removing until `until`; `false` if somebody else has it.
    pub async fn outbox_retention_lease(&mut self, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool> {
        let leased = exec!(
            self,
            "UPDATE outbox_retention SET lease_holder = $1, lease_until = $3 WHERE id = 1 AND lease_until <= $2",
            holder,
            now,
            until,
        )?;
        Ok(leased == 1)
    }

    /// Keeps the lease until `until`, or gives it back if that has passed; `false` if it is somebody else's by now.
    pub async fn outbox_retention_keep(&mut self, holder: Uuid, until: Timestamp) -> Result<bool> {
        let kept = exec!(
            self,
            "UPDATE outbox_retention SET lease_until = $2 WHERE id = 1 AND lease_holder = $1",
            holder,
            until,
        )?;
        Ok(kept == 1)
    }

    /// Every receiver that is not stopped, and the event after which it goes on. Locks them: none goes further back before
    /// this transaction ends.
    pub async fn outbox_receivers_lock(&mut self) -> Result<Vec<EventFollower>> {
        fetch_all!(
            self,
            EventFollower,
            "UPDATE webhooks SET cursor = cursor WHERE stopped_at IS NULL \
             RETURNING id, CASE WHEN replay_from <= cursor THEN replay_from - 1 ELSE cursor END AS cursor",
        )
    }

    /// The event after which the search for duplicates goes on. Locks it in the same way.
    pub async fn outbox_weigher_lock(&mut self) -> Result<i64> {
        let (cursor, again_from, indexed_from): (i64, Option<i64>, Option<i64>) = fetch_one!(
            self,
            (i64, Option<i64>, Option<i64>),
            "UPDATE duplicate_follower SET cursor = cursor WHERE id = 1 \
             RETURNING cursor, again_from, CASE WHEN indexed_at IS NULL THEN indexed_from END",
        )?;
        Ok([again_from, indexed_from].into_iter().flatten().fold(cursor, i64::min))
    }

    /// The first numbered events behind one, with their ages; at most `limit`.
    pub async fn outbox_aged(&mut self, after: i64, limit: i64) -> Result<Vec<Aged>> {
        fetch_all!(
            self,
            Aged,
            "SELECT sequence, created_at FROM outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2",
            after,
            limit,
        )
    }

    /// Removes the events up to a number, and notes it; those that are put aside for a receiver stay. Answers how many.
    pub async fn outbox_remove(&mut self, to: i64, now: Timestamp) -> Result<u64> {
        let removed = exec!(
            self,
            "DELETE FROM outbox WHERE sequence <= $1 \
             AND NOT EXISTS (SELECT 1 FROM webhook_dead_letters d WHERE d.sequence = outbox.sequence)",
            to,
        )?;
        exec!(self, "UPDATE outbox_retention SET removed = $1, removed_at = $2 WHERE id = 1", to, now)?;
        Ok(removed)
    }

    /// Takes the search for duplicates past events that it will not find any more. Its index has to be made anew: who
    /// changed with them is not known.
    pub async fn duplicate_follower_skip(&mut self, to: i64) -> Result<()> {
        exec!(
            self,
            "UPDATE duplicate_follower SET cursor = $1, again_from = NULL, indexed_with = NULL, indexed_from = NULL, \
             indexed_to = NULL, indexed_at = NULL WHERE id = 1 AND cursor < $1",
            to,
        )?;
        Ok(())
    }
}
