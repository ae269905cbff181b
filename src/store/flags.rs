//! Flags: customers an admin should look at, because a provider speaks against one of their accounts.
//!
//! The same trouble with the same account is one flag however often it is told. A flag keeps the customer it was raised
//! for; who that is today is found by `canonical`.

use uuid::Uuid;

use super::driver::{exec, fetch_all, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, LinkId};

/// One flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    pub id: Uuid,
    pub customer: CustomerId,
    /// The account the trouble is with.
    pub link: LinkId,
    /// What the trouble is, in the words of `identity::receive`.
    pub kind: String,
    pub raised_at: Timestamp,
    pub cleared_at: Option<Timestamp>,
}

from_row!(Flag { id, customer, link, kind, raised_at, cleared_at });

impl Tx {
    /// Raises a flag; `false` if it flies already.
    pub async fn flag_raise(&mut self, flag: &Flag) -> Result<bool> {
        let raised = exec!(
            self,
            "INSERT INTO flags (id, customer, link, kind, raised_at, cleared_at) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (link, kind) WHERE cleared_at IS NULL DO NOTHING",
            flag.id,
            flag.customer,
            flag.link,
            &flag.kind,
            flag.raised_at,
            flag.cleared_at,
        )?;
        Ok(raised == 1)
    }

    /// Takes down every flag that one account raised; answers how many.
    pub async fn flags_clear(&mut self, link: LinkId, now: Timestamp) -> Result<u64> {
        exec!(self, "UPDATE flags SET cleared_at = $2 WHERE link = $1 AND cleared_at IS NULL", link, now)
    }

    /// The flags that fly for a root, oldest first; at most 100.
    pub async fn flags_of(&mut self, root: CustomerId) -> Result<Vec<Flag>> {
        fetch_all!(
            self,
            Flag,
            "SELECT id, customer, link, kind, raised_at, cleared_at FROM flags \
             WHERE customer IN (SELECT id FROM customers WHERE canonical = $1) AND cleared_at IS NULL \
             ORDER BY raised_at, id LIMIT 100",
            root,
        )
    }
}
