//! Merges: which customer absorbed which, by whom, and whether that was undone.
//!
//! Identity specification, rules 22 and 44: one open merge absorbs a customer, and the open merges form a forest. The
//! row keeps the plan as it was executed, so that an undoing knows what was before.

use serde_json::Value;
use sqlx::types::Json;

use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, MergeId};

word_enum! {
    /// How much a merge joins (rule 25).
    #[derive(serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum MergeKind {
        /// Made by the customer, who proved both sides: the ways in are one.
        Full = "full",
        /// Made by an admin or a rule: the ways in of the absorbed side open that side only.
        Profile = "profile",
    }
}

/// One merge.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    pub id: MergeId,
    pub survivor: CustomerId,
    pub absorbed: CustomerId,
    pub kind: MergeKind,
    pub actor: String,
    pub reason: Value,
    /// Exactly the customers whose root changed.
    pub moved: Vec<CustomerId>,
    /// The survivor's event number: orders the merges of one survivor.
    pub seq: i64,
    /// Since when the ways in of the absorbed side open the survivor too.
    pub keys_joined_at: Option<Timestamp>,
    /// As it was executed; gone after an erasure.
    pub plan: Option<Value>,
    pub plan_hash: Option<String>,
    pub idempotency_key: Option<String>,
    pub merged_at: Timestamp,
    pub undone_at: Option<Timestamp>,
    pub undone_by: Option<String>,
}

from_row!(Merge {
    id,
    survivor,
    absorbed,
    kind,
    actor,
    reason,
    moved: json,
    seq,
    keys_joined_at,
    plan,
    plan_hash,
    idempotency_key,
    merged_at,
    undone_at,
    undone_by,
});

macro_rules! merge_columns {
    () => {
        "id, survivor, absorbed, kind, actor, reason, moved, seq, keys_joined_at, plan, plan_hash, idempotency_key, \
         merged_at, undone_at, undone_by"
    };
}

pub(super) const MERGES_OPEN: &str = concat!(
    "SELECT ",
    merge_columns!(),
    " FROM merges WHERE absorbed IN (SELECT id FROM customers WHERE canonical = $1) AND undone_at IS NULL \
     ORDER BY merged_at, id LIMIT 1001"
);

impl Tx {
    /// Records a merge; `false` if its idempotency key has one already.
    pub async fn merge_insert(&mut self, merge: &Merge) -> Result<bool> {
        let added = exec!(
            self,
            concat!(
                "INSERT INTO merges (",
                merge_columns!(),
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING"
            ),
            merge.id,
            merge.survivor,
            merge.absorbed,
            merge.kind,
            &merge.actor,
            &merge.reason,
            Json(&merge.moved),
            merge.seq,
            merge.keys_joined_at,
            &merge.plan,
            &merge.plan_hash,
            &merge.idempotency_key,
            merge.merged_at,
            merge.undone_at,
            &merge.undone_by,
        )?;
        Ok(added == 1)
    }

    /// The merge of this ID.
    pub async fn merge_find(&mut self, id: MergeId) -> Result<Option<Merge>> {
        fetch_optional!(self, Merge, concat!("SELECT ", merge_columns!(), " FROM merges WHERE id = $1"), id)
    }

    /// The merge that a request with this idempotency key made.
    pub async fn merge_by_key(&mut self, key: &str) -> Result<Option<Merge>> {
        let sql = concat!("SELECT ", merge_columns!(), " FROM merges WHERE idempotency_key = $1");
        fetch_optional!(self, Merge, sql, key)
    }

    /// The open merge that absorbed this customer.
    pub async fn merge_of(&mut self, absorbed: CustomerId) -> Result<Option<Merge>> {
        let sql = concat!("SELECT ", merge_columns!(), " FROM merges WHERE absorbed = $1 AND undone_at IS NULL");
        fetch_optional!(self, Merge, sql, absorbed)
    }

    /// The open merges that made a root what it is, oldest first.
    pub async fn merges_open(&mut self, root: CustomerId) -> Result<Vec<Merge>> {
        fetch_all!(self, Merge, MERGES_OPEN, root,)
    }

    /// Marks an open merge as undone; `false` if it was.
    pub async fn merge_undone(&mut self, id: MergeId, by: &str, now: Timestamp) -> Result<bool> {
        let undone = exec!(
            self,
            "UPDATE merges SET undone_at = $2, undone_by = $3 WHERE id = $1 AND undone_at IS NULL",
            id,
            now,
            by,
        )?;
        Ok(undone == 1)
    }

    /// Notes since when the keys of both sides are one.
    pub async fn merge_keys_joined(&mut self, id: MergeId, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE merges SET keys_joined_at = $2 WHERE id = $1 AND undone_at IS NULL AND keys_joined_at IS NULL",
            id,
            now,
        )?;
        Ok(())
    }
}
