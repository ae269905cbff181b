//! The outbox: every event, written by the transaction that made it so. Column names are those of Debezium's router.
//!
//! Identity specification, rules 31 and 45: numbered without gaps per root. `position` orders the whole; it is given at
//! insertion, so on Postgres a lower one may become visible after a higher one.

use serde_json::Value;

use super::driver::{exec, fetch_all, fetch_one, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, EventId};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxRow {
    pub id: EventId,
    /// What kind of thing it happened to, such as `customer`.
    pub aggregatetype: String,
    /// Which one of them; events of one are delivered in order.
    pub aggregateid: String,
    /// What happened, such as `customer.created`. The column is `type`.
    pub event_type: String,
    pub payload: Value,
    pub root: CustomerId,
    /// The number among the events of `root`, from `customer_advance`.
    pub root_seq: i64,
    /// Given by the database; of no meaning in `outbox_append`.
    pub position: i64,
    pub created_at: Timestamp,
}

/// That something happened to somebody, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub root: CustomerId,
    pub position: i64,
    pub created_at: Timestamp,
}

from_row!(Change { root, position, created_at });

from_row!(OutboxRow { id, aggregatetype, aggregateid, event_type, payload, root, root_seq, position, created_at });

impl Tx {
    /// Adds an event.
    ///
    /// # Errors
    /// `Unique` if the ID or the number within the root was used.
    pub async fn outbox_append(&mut self, event: &OutboxRow) -> Result<()> {
        exec!(
            self,
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, root, root_seq, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            event.id,
            &event.aggregatetype,
            &event.aggregateid,
            &event.event_type,
            &event.payload,
            event.root,
            event.root_seq,
            event.created_at,
        )?;
        Ok(())
    }

    /// The events after a position, in order; at most `limit`.
    ///
    /// For replay. Whoever follows the end must allow for positions that become visible late.
    pub async fn outbox_after(&mut self, position: i64, limit: i64) -> Result<Vec<OutboxRow>> {
        fetch_all!(
            self,
            OutboxRow,
            "SELECT id, aggregatetype, aggregateid, type AS event_type, payload, root, root_seq, position, created_at \
             FROM outbox WHERE position > $1 ORDER BY position LIMIT $2",
            position,
            limit,
        )
    }

    /// The position of the last event; 0 before the first.
    pub async fn outbox_end(&mut self) -> Result<i64> {
        let (end,): (i64,) = fetch_one!(self, (i64,), "SELECT COALESCE(MAX(position), 0) FROM outbox",)?;
        Ok(end)
    }

    /// To whom something happened after a position, in order; at most `limit`. The remark at `outbox_after` holds.
    pub async fn outbox_changes(&mut self, position: i64, limit: i64) -> Result<Vec<Change>> {
        fetch_all!(
            self,
            Change,
            "SELECT root, position, created_at FROM outbox WHERE position > $1 ORDER BY position LIMIT $2",
            position,
            limit,
        )
    }
}
