//! Consents: what a customer allowed a client.
//!
//! Identity specification, rules 27 and 33: after a merge a root may hold one row of each side for a client; the
//! effective consent is the most restrictive, and consent given while merged goes to both.

use super::driver::{exec, fetch_all, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

pub(super) const CONSENT_FIND: &str =
    "SELECT scope FROM consents WHERE root = $1 AND client_id = $2 ORDER BY granted_at, customer";

/// What one row allowed a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    pub customer: CustomerId,
    pub client_id: String,
    /// Space-separated.
    pub scope: String,
    pub granted_at: Timestamp,
    pub updated_at: Timestamp,
}

from_row!(Consent { customer, client_id, scope, granted_at, updated_at });

impl Tx {
    /// The consents of every row of a root.
    pub async fn consents_of(&mut self, root: CustomerId) -> Result<Vec<Consent>> {
        fetch_all!(
            self,
            Consent,
            "SELECT customer, client_id, scope, granted_at, updated_at FROM consents WHERE root = $1 \
             ORDER BY client_id, customer LIMIT 10000",
            root,
        )
    }

    /// Stores what one row, absorbed or not, allows a client, in place of what it allowed before.
    pub async fn consent_put_member(&mut self, root: CustomerId, consent: &Consent) -> Result<()> {
        exec!(
            self,
            "INSERT INTO consents (customer, root, client_id, scope, granted_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (customer, client_id) \
             DO UPDATE SET scope = excluded.scope, updated_at = excluded.updated_at",
            consent.customer,
            root,
            &consent.client_id,
            &consent.scope,
            consent.granted_at,
            consent.updated_at,
        )?;
        Ok(())
    }

    /// The scope a root allowed a client: space-separated, what every side of a merge allowed. `None` if none ever did.
    pub async fn consent_find(&mut self, root: CustomerId, client_id: &str) -> Result<Option<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, (String,), CONSENT_FIND, root, client_id,)?;
        Ok(most_restrictive(rows.into_iter().map(|(scope,)| scope)))
    }

    /// Stores the scope a root allows a client, in place of what any of its rows allowed before: it is the whole
    /// customer's word, and the root's own row says so.
    pub async fn consent_put(&mut self, root: CustomerId, client_id: &str, scope: &str, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE consents SET scope = $3, updated_at = $4 WHERE root = $1 AND client_id = $2",
            root,
            client_id,
            scope,
            now,
        )?;
        // Two consents at once: the second waits for the first and then overwrites it.
        exec!(
            self,
            "INSERT INTO consents (customer, root, client_id, scope, granted_at, updated_at) \
             VALUES ($1, $1, $2, $3, $4, $4) ON CONFLICT (customer, client_id) \
             DO UPDATE SET scope = excluded.scope, updated_at = excluded.updated_at",
            root,
            client_id,
            scope,
            now,
        )?;
        Ok(())
    }
}

/// What all of these scopes have in common.
pub fn most_restrictive(scopes: impl Iterator<Item = String>) -> Option<String> {
    scopes.reduce(|all, one| {
        let both = all.split(' ').filter(|word| one.split(' ').any(|other| other == *word));
        both.collect::<Vec<_>>().join(" ")
    })
}
