//! The audit log as admins read it: newest first, about whom, by whom and of what kind they want, and whether its chains
//! are whole.
//!
//! Identity specification, rule 45. The API, the desk and the command line ask here; who may is asked before.

use crate::clock::Timestamp;
use crate::ids::CustomerId;
use crate::store::{self, AuditCheck, AuditPlace, AuditQuery, AuditRow, Store, Tx};

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// About all who are this customer today, whom any ID ever issued may name.
    pub customer: Option<CustomerId>,
    /// By whom, as it stands on record: `customer`, `system`, `admin:…`.
    pub actor: Option<String>,
    /// Of which kind, such as `link.added`.
    pub action: Option<String>,
    /// Those too that say no more than that an admin looked. They come with their own kind anyway.
    pub looks: bool,
    /// Of this time and later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

/// Some of the entries, and where to go on.
#[derive(Clone, Debug)]
pub struct Entries {
    pub rows: Vec<AuditRow>,
    pub next: Option<AuditPlace>,
}

/// A page of at most `limit` entries behind a place; `None` if nobody ever had the customer's ID.
///
/// # Errors
/// If the database fails.
pub async fn page(
    tx: &mut Tx,
    filter: &Filter,
    place: Option<AuditPlace>,
    limit: usize,
) -> Result<Option<Entries>, store::Error> {
    let root = match filter.customer {
        None => None,
        Some(id) => match tx.customer_living(id).await? {
            Some(living) => Some(living.id),
            None => return Ok(None),
        },
    };
    let wanted = AuditQuery {
        root,
        actor: filter.actor.clone(),
        action: filter.action.clone(),
        looks: filter.looks,
        since: filter.since.unwrap_or(Timestamp::from_micros(0)),
        before: place.unwrap_or(AuditPlace::before(filter.until.unwrap_or(Timestamp::from_micros(i64::MAX)))),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
    };
    let rows = tx.audit_page(&wanted).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(AuditPlace::from);
    Ok(Some(Entries { rows, next }))
}

/// Recomputes every chain from its first entry: what each came to, in their order.
///
/// # Errors
/// If the database fails.
pub async fn verify(store: &Store) -> Result<Vec<AuditCheck>, store::Error> {
    let mut checks = Vec::new();
    for chain in 0..AuditCheck::CHAINS {
        // Each by itself: none holds a connection for as long as all take.
        checks.push(store.begin_read().await?.audit_verify(chain).await?);
    }
    Ok(checks)
}
