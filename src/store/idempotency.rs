//! Idempotency keys: what was answered to a changing request, so that its repetition gets the same answer.
//!
//! The row is written by the transaction that has the effect: either both are there or neither. The primary key decides
//! between two at once; the second waits for the first. An effect in transactions of its own claims the key before and
//! is answered for after.

use serde_json::Value;

use super::driver::{exec, fetch_optional, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;

/// What a key stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Idempotent {
    /// SHA-256 of the request that used it.
    pub request_hash: Vec<u8>,
    /// The answer; `None` while the effect is on its way.
    pub answer: Option<Value>,
}

from_row!(Idempotent { request_hash, answer });

impl Tx {
    /// Takes a key of an actor; `false` if a committed request has used it.
    pub async fn idempotency_claim(&mut self, actor: &str, key: &str, hash: &[u8], now: Timestamp) -> Result<bool> {
        let claimed = exec!(
            self,
            "INSERT INTO idempotency_keys (actor, key, request_hash, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (actor, key) DO NOTHING",
            actor,
            key,
            hash,
            now,
        )?;
        Ok(claimed == 1)
    }

    /// What an actor's key stands for.
    pub async fn idempotency_find(&mut self, actor: &str, key: &str) -> Result<Option<Idempotent>> {
        fetch_optional!(
            self,
            Idempotent,
            "SELECT request_hash, answer FROM idempotency_keys WHERE actor = $1 AND key = $2",
            actor,
            key,
        )
    }

    /// Keeps the answer to the request that claimed a key; `false` if there is one, which stays.
    pub async fn idempotency_settle(&mut self, actor: &str, key: &str, answer: &Value) -> Result<bool> {
        let settled = exec!(
            self,
            "UPDATE idempotency_keys SET answer = $3 WHERE actor = $1 AND key = $2 AND answer IS NULL",
            actor,
            key,
            answer,
        )?;
        Ok(settled == 1)
    }

    /// Gives a key back that was claimed and never answered for.
    pub async fn idempotency_release(&mut self, actor: &str, key: &str) -> Result<()> {
        exec!(self, "DELETE FROM idempotency_keys WHERE actor = $1 AND key = $2 AND answer IS NULL", actor, key)?;
        Ok(())
    }

    /// Forgets keys used before a time, at most `limit`; answers how many.
    pub async fn idempotency_purge(&mut self, before: Timestamp, limit: i64) -> Result<u64> {
        exec!(
            self,
            "DELETE FROM idempotency_keys WHERE (actor, key) IN \
             (SELECT actor, key FROM idempotency_keys WHERE created_at < $1 LIMIT $2)",
            before,
            limit,
        )
    }
}
