//! Customers: one row for every customer ID ever issued. Rows stay; `canonical` says who lives on.
//!
//! Identity specification, rules 22 and 41: `canonical` points directly at a living root, so nothing walks a chain.

use serde_json::Value;

use super::driver::{exec, fetch_optional, from_row, per_driver};
use super::values::word_enum;
use super::{Error, Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

/// How often a customer is looked for again who was absorbed while we waited.
const LOCK_TRIES: usize = 8;

word_enum! {
    /// What became of a customer.
    pub enum CustomerState {
        Active = "active",
        /// Absorbed by another one, who is `canonical`.
        Merged = "merged",
        /// May not log in.
        Blocked = "blocked",
        /// Personal data is gone; the ID stays taken.
        Erased = "erased",
    }
}

/// One customer row.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    pub id: CustomerId,
    /// The living customer this one is today: itself unless merged.
    pub canonical: CustomerId,
    pub state: CustomerState,
    /// Rises with every visible change.
    pub version: i64,
    /// The number of the last event of this root: numbers have no gaps.
    pub event_seq: i64,
    /// The row's own values. A merge never writes them.
    pub profile: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Customer {
    /// A new living customer, with nothing recorded of them yet.
    pub fn new(id: CustomerId, profile: Value, now: Timestamp) -> Self {
        Self {
            id,
            canonical: id,
            state: CustomerState::Active,
            version: 0,
            event_seq: 0,
            profile,
            created_at: now,
            updated_at: now,
        }
    }
}

from_row!(Customer { id, canonical, state, version, event_seq, profile, created_at, updated_at });

pub(super) const CUSTOMER_LIVING: &str = "SELECT r.id, r.canonical, r.state, r.version, r.event_seq, r.profile, r.created_at, r.updated_at \
     FROM customers c JOIN customers r ON r.id = c.canonical WHERE c.id = $1";

impl Tx {
    /// Adds a customer.
    ///
    /// # Errors
    /// `Unique` if the ID was ever issued.
    pub async fn customer_insert(&mut self, customer: &Customer) -> Result<()> {
        exec!(
            self,
            "INSERT INTO customers (id, canonical, state, version, event_seq, profile, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            customer.id,
            customer.canonical,
            customer.state,
            customer.version,
            customer.event_seq,
            &customer.profile,
            customer.created_at,
            customer.updated_at,
        )?;
        Ok(())
    }

    /// The row of that very ID, be it merged or erased.
    pub async fn customer_find(&mut self, id: CustomerId) -> Result<Option<Customer>> {
        fetch_optional!(
            self,
            Customer,
            "SELECT id, canonical, state, version, event_seq, profile, created_at, updated_at \
             FROM customers WHERE id = $1",
            id,
        )
    }

    /// The customer whom any ID ever issued means today (rule 24).
    pub async fn customer_living(&mut self, id: CustomerId) -> Result<Option<Customer>> {
        fetch_optional!(self, Customer, CUSTOMER_LIVING, id,)
    }

    /// The living customer behind any ID, locked until the transaction ends: whoever else wants to change who they are
    /// waits. `None` if the ID was never issued.
    ///
    /// # Errors
    /// `Contention` if merge after merge takes the customer away.
    pub async fn customer_lock(&mut self, id: CustomerId) -> Result<Option<Customer>> {
        // A writing transaction on SQLite has the whole database to itself, and no words for a lock on a row.
        let sql = per_driver!(
            self,
            postgres: "SELECT id, canonical, state, version, event_seq, profile, created_at, updated_at \
                       FROM customers WHERE id = $1 AND canonical = id FOR NO KEY UPDATE",
            sqlite: "SELECT id, canonical, state, version, event_seq, profile, created_at, updated_at \
                     FROM customers WHERE id = $1 AND canonical = id",
        );
        for _ in 0..LOCK_TRIES {
            let Some(living) = self.customer_living(id).await? else { return Ok(None) };
            // Absorbed while we waited, or restored from a merge: whoever did it has committed, and the next look
            // finds who it is now.
            if let Some(locked) = fetch_optional!(&mut *self, Customer, sql, living.id)?
                && (locked.id == id || self.customer_living(id).await?.is_some_and(|still| still.id == locked.id))
            {
                return Ok(Some(locked));
            }
        }
        Err(Error::Contention)
    }

    /// Replaces the profile of a root. Follow it by `customer_advance`: it is a visible change.
    pub async fn customer_profile_set(&mut self, root: CustomerId, profile: &Value, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE customers SET profile = $2, updated_at = $3 WHERE id = $1 AND canonical = id",
            root,
            profile,
            now,
        )?;
        Ok(())
    }

    /// Sets the state of a root. `Merged` is not for here: the table refuses it.
    pub async fn customer_state_set(&mut self, root: CustomerId, state: CustomerState, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE customers SET state = $2, updated_at = $3 WHERE id = $1 AND canonical = id",
            root,
            state,
            now,
        )?;
        Ok(())
    }

    /// Takes the next `events` event numbers of a root and raises its version as much; answers the last number taken.
    ///
    /// It locks the root until the transaction ends, so that its events commit in their order (rule 45). `None` if
    /// there is no such root, or it was absorbed meanwhile.
    pub async fn customer_advance(&mut self, root: CustomerId, events: i64, now: Timestamp) -> Result<Option<i64>> {
        let taken: Option<(i64,)> = fetch_optional!(
            self,
            (i64,),
            "UPDATE customers SET version = version + $2, event_seq = event_seq + $2, updated_at = $3 \
             WHERE id = $1 AND canonical = id RETURNING event_seq",
            root,
            events,
            now,
        )?;
        Ok(taken.map(|(event_seq,)| event_seq))
    }
}
