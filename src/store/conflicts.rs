//! Conflict cases: what the rules could not decide about two customers, left for a person.
//!
//! Identity specification, rule 13: nobody is let in by a doubtful identifier; the doubt is written down instead.

use serde_json::Value;
use uuid::Uuid;

use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

word_enum! {
    /// What is in doubt.
    pub enum ConflictKind {
        /// A provider gave an address that it had vouched for to another of its accounts.
        AddressReassigned = "address_reassigned",
        /// A customer restored from a merge had an address that is somebody else's by now.
        ValueTaken = "value_taken",
        /// A number whose proof had aged was proved by another customer.
        ProofAged = "proof_aged",
    }
}

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    pub id: Uuid,
    pub kind: ConflictKind,
    /// Who came later.
    pub customer: CustomerId,
    /// Who was there before.
    pub other: CustomerId,
    pub detail: Value,
    pub created_at: Timestamp,
    pub closed_at: Option<Timestamp>,
}

from_row!(Conflict { id, kind, customer, other, detail, created_at, closed_at });

impl Tx {
    /// Opens a case.
    pub async fn conflict_open(&mut self, conflict: &Conflict) -> Result<()> {
        exec!(
            self,
            "INSERT INTO conflicts (id, kind, customer, other, detail, created_at, closed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            conflict.id,
            conflict.kind,
            conflict.customer,
            conflict.other,
            &conflict.detail,
            conflict.created_at,
            conflict.closed_at,
        )?;
        Ok(())
    }

    /// The cases that wait, oldest first.
    pub async fn conflicts_open(&mut self, limit: i64) -> Result<Vec<Conflict>> {
        fetch_all!(
            self,
            Conflict,
            "SELECT id, kind, customer, other, detail, created_at, closed_at FROM conflicts \
             WHERE closed_at IS NULL ORDER BY created_at, id LIMIT $1",
            limit,
        )
    }

    /// The case of this ID.
    pub async fn conflict_find(&mut self, id: Uuid) -> Result<Option<Conflict>> {
        fetch_optional!(
            self,
            Conflict,
            "SELECT id, kind, customer, other, detail, created_at, closed_at FROM conflicts WHERE id = $1",
            id,
        )
    }

    /// Closes a case; `false` if it was closed before.
    pub async fn conflict_close(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let closed = exec!(self, "UPDATE conflicts SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL", id, now)?;
        Ok(closed == 1)
    }
}
