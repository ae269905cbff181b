//! Consent: what a customer allows a client (spec/identity.md rules 25, 27, 33).
//!
//! The whole customer's word goes to every row; one side of a merge speaks for itself alone. The customer is locked, so
//! that no merge comes between reading and writing.

use super::merge::side;
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::events::{self, Actor, Event};
use crate::ids::CustomerId;
use crate::protocol::scope::Scope;
use crate::store::{self, Consent, Tx};

/// Remembers that a customer allows a client this scope; one given before is widened, never narrowed.
///
/// # Errors
/// If the database fails.
pub async fn grant(
    tx: &mut Tx,
    config: &MergeConfig,
    customer: CustomerId,
    (client_id, scope): (&str, &Scope),
    now: Timestamp,
) -> Result<(), store::Error> {
    let root = tx.customer_lock(customer).await?.ok_or(store::Error::Missing)?.id;
    let rows = tx.members_consenting(customer, client_id).await?;
    let view = side::see_consent(&rows, customer, config, now).ok_or(store::Error::Missing)?;
    let before = view.scope.as_deref().map(Scope::parse).unwrap_or_default();
    if scope.is_within(&before) && !before.is_empty() {
        return Ok(());
    }
    let all = before.union(scope).to_string();
    if view.seen.is_whole() {
        tx.consent_put(root, client_id, &all, now).await?;
    } else {
        let consent = Consent {
            customer: view.seen.side,
            client_id: client_id.to_owned(),
            scope: all.clone(),
            granted_at: now,
            updated_at: now,
        };
        tx.consent_put_member(root, &consent).await?;
    }
    let event = Event::ConsentGranted { client_id: client_id.to_owned(), scope: all };
    events::record(tx, customer, Actor::Customer, event, now).await
}
