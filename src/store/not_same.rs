//! Pairs of customers of whom it is known that they are not the same person.
//!
//! Identity specification, rule 35: remembered until somebody lifts it, and looked up by both sides of a merge, so that
//! no chain joins them either. A pair is stored once, the lower ID first.

use serde_json::Value;

use super::driver::{exec, fetch_all, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

/// One pair.
#[derive(Clone, Debug, PartialEq)]
pub struct NotSame {
    pub a: CustomerId,
    pub b: CustomerId,
    pub actor: String,
    pub reason: Value,
    pub created_at: Timestamp,
}

from_row!(NotSame { a, b, actor, reason, created_at });

/// Each half finds the other side by an index.
pub(super) const NOT_SAME_BETWEEN: &str = "SELECT d.a, d.b, d.actor, d.reason, d.created_at FROM customers x \
     JOIN not_same d ON d.a = x.id JOIN customers y ON y.id = d.b WHERE x.canonical = $1 AND y.canonical = $2 \
     UNION ALL SELECT d.a, d.b, d.actor, d.reason, d.created_at FROM customers x \
     JOIN not_same d ON d.b = x.id JOIN customers y ON y.id = d.a WHERE x.canonical = $1 AND y.canonical = $2 \
     ORDER BY 1, 2 LIMIT 100";

impl Tx {
    /// Remembers a pair; `false` if it was known.
    pub async fn not_same_insert(&mut self, pair: &NotSame) -> Result<bool> {
        let (a, b) = ordered(pair.a, pair.b);
        let added = exec!(
            self,
            "INSERT INTO not_same (a, b, actor, reason, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            a,
            b,
            &pair.actor,
            &pair.reason,
            pair.created_at,
        )?;
        Ok(added == 1)
    }

    /// Forgets every pair between two roots, whichever of their rows it names; answers the pairs.
    pub async fn not_same_lift(&mut self, one: CustomerId, other: CustomerId) -> Result<Vec<NotSame>> {
        let pairs = self.not_same_between(one, other).await?;
        for pair in &pairs {
            exec!(self, "DELETE FROM not_same WHERE a = $1 AND b = $2", pair.a, pair.b)?;
        }
        Ok(pairs)
    }

    /// The pairs that a merge of two roots would join, at most 100.
    pub async fn not_same_between(&mut self, one: CustomerId, other: CustomerId) -> Result<Vec<NotSame>> {
        fetch_all!(self, NotSame, NOT_SAME_BETWEEN, one, other,)
    }
}

fn ordered(one: CustomerId, other: CustomerId) -> (CustomerId, CustomerId) {
    if one < other { (one, other) } else { (other, one) }
}
