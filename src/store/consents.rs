//! Consents: what a customer allowed a client.
//!
//! Identity specification, rules 27 and 33: after a merge a root may hold one row of each side for a client; the
//! effective consent is the most restrictive, and consent given while merged goes to both.

use super::driver::{exec, fetch_all};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

pub(super) const CONSENT_FIND: &str =
    "SELECT scope FROM consents WHERE root = $1 AND client_id = $2 ORDER BY granted_at, customer";

impl Tx {
    /// The scope a root allowed a client: space-separated, what every side of a merge allowed. `None` if none ever did.
    pub async fn consent_find(&mut self, root: CustomerId, client_id: &str) -> Result<Option<String>> {
        let rows: Vec<(String,)> = fetch_all!(self, (String,), CONSENT_FIND, root, client_id,)?;
        Ok(rows.into_iter().map(|(scope,)| scope).reduce(|all, one| {
            let both = all.split(' ').filter(|word| one.split(' ').any(|other| other == *word));
            both.collect::<Vec<_>>().join(" ")
        }))
    }

    /// Stores the scope a root allows a client, in place of what it allowed before.
    pub async fn consent_put(&mut self, root: CustomerId, client_id: &str, scope: &str, now: Timestamp) -> Result<()> {
        let updated = exec!(
            self,
            "UPDATE consents SET scope = $3, updated_at = $4 WHERE root = $1 AND client_id = $2",
            root,
            client_id,
            scope,
            now,
        )?;
        if updated == 0 {
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
        }
        Ok(())
    }
}
