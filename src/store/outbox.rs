//! The outbox: every event, written by the transaction that made it so. Column names are those of Debezium's router.
//!
//! Identity specification, rules 31 and 45: numbered without gaps per root. `position` is given at insertion, so on
//! Postgres a lower one may become visible after a higher one. `sequence` is given afterwards, to events that everybody
//! can see: it has no gaps, and whoever has read up to a number has missed nothing. Events of one root have both in
//! the order of their `root_seq`, because the root is locked from the one to the commit.

mod retention;

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

/// A numbered event, with what one sector calls the customer it happened to.
#[derive(Clone, Debug, PartialEq)]
pub struct SequencedEvent {
    pub sequence: i64,
    pub id: EventId,
    pub event_type: String,
    pub payload: Value,
    pub root: CustomerId,
    pub root_seq: i64,
    pub created_at: Timestamp,
    /// `None` if the sector did not know the customer yet when it happened.
    pub sub: Option<String>,
}

from_row!(SequencedEvent { sequence, id, event_type, payload, root, root_seq, created_at, sub });

/// How far the numbering is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbering {
    /// The last number given; 0 before the first.
    pub last: i64,
    /// Whether there are events without one.
    pub waiting: bool,
    /// The events up to this number are not kept any more.
    pub removed: i64,
}

from_row!(Numbering { last, waiting, removed });

/// The subject is the one that was issued for the customer itself, even if a merge has retired it since: it is what the
/// sector knew when this happened. A survivor may be known by an absorbed customer's only (identity rule 23): then it is
/// that of the first row of the tree that has one, as the merges stood when this happened; a path of fixed-width numbers
/// sorts the tree from the top down, first absorbed first. So whoever is told again hears the same, whatever was merged
/// and undone since.
pub(super) const OUTBOX_SEQUENCED: &str = "SELECT o.sequence, o.id, o.type AS event_type, o.payload, o.root, \
     o.root_seq, o.created_at, COALESCE(\
     (SELECT s.sub FROM subjects s WHERE s.sector = $2 AND s.customer = o.root AND s.issued_at <= o.created_at \
     ORDER BY s.issued_at DESC LIMIT 1), \
     (WITH RECURSIVE branch (id, path) AS (\
     SELECT m.absorbed, CAST(1000000000000000000 + m.seq AS TEXT) FROM merges m \
     WHERE m.survivor = o.root AND m.seq < o.root_seq \
     AND (m.undone_at IS NULL OR m.undone_at > o.created_at) UNION ALL \
     SELECT m.absorbed, b.path || CAST(1000000000000000000 + m.seq AS TEXT) \
     FROM branch b CROSS JOIN merges m WHERE m.survivor = b.id \
     AND m.merged_at <= o.created_at AND (m.undone_at IS NULL OR m.undone_at > o.created_at)) \
     SELECT found.sub FROM (SELECT b.path, (SELECT s.sub FROM subjects s WHERE s.sector = $2 AND s.customer = b.id \
     AND s.issued_at <= o.created_at AND NOT s.own_side) AS sub FROM branch b) AS found \
     WHERE found.sub IS NOT NULL ORDER BY found.path LIMIT 1)) AS sub \
     FROM outbox o WHERE o.sequence > $1 ORDER BY o.sequence LIMIT $3";

pub(super) const OUTBOX_NUMBERING: &str = "SELECT c.last, EXISTS (SELECT 1 FROM outbox WHERE sequence IS NULL) AS waiting, \
     r.removed FROM outbox_counter c CROSS JOIN outbox_retention r WHERE c.id = 1 AND r.id = 1";

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

    /// How far the numbering is.
    pub async fn outbox_numbering(&mut self) -> Result<Numbering> {
        fetch_one!(self, Numbering, OUTBOX_NUMBERING)
    }

    /// Gives the next numbers to events that have none, in the order of their positions; at most `limit`. Answers how
    /// many that were. Replicas that do it at once take turns.
    pub async fn outbox_number(&mut self, limit: i64) -> Result<i64> {
        // Locks the counter. The next statement sees what the one who held it before has committed.
        let (last,): (i64,) =
            fetch_one!(self, (i64,), "UPDATE outbox_counter SET last = last WHERE id = 1 RETURNING last")?;
        let numbered = exec!(
            self,
            "UPDATE outbox SET sequence = $1 + pending.number FROM \
             (SELECT first.position, ROW_NUMBER() OVER (ORDER BY first.position) AS number FROM \
             (SELECT position FROM outbox WHERE sequence IS NULL ORDER BY position LIMIT $2) AS first) AS pending \
             WHERE outbox.position = pending.position",
            last,
            limit,
        )?;
        let numbered = i64::try_from(numbered).unwrap_or(i64::MAX);
        if numbered > 0 {
            exec!(self, "UPDATE outbox_counter SET last = last + $1 WHERE id = 1", numbered)?;
        }
        Ok(numbered)
    }

    /// The events after a number, in order, with the subjects of a sector; at most `limit`.
    pub async fn outbox_sequenced(&mut self, after: i64, sector: &str, limit: i64) -> Result<Vec<SequencedEvent>> {
        fetch_all!(self, SequencedEvent, OUTBOX_SEQUENCED, after, sector, limit)
    }
}
