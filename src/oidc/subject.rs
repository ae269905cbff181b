//! Subjects (`sub`): stored per sector at first issue and never recomputed (spec/identity.md rule 23).
//!
//! What an ID sees, the whole customer or its own side of a merge, decides which subject is its own (rule 25).

use std::sync::Arc;

use super::client::Client;
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::identity::merge::side::{self, Seen};
use crate::ids::CustomerId;
use crate::secret::{self, DerivedKey};
use crate::store::{self, Tx};

/// How a sector's subjects are made at first issue.
#[derive(Clone, Copy, Debug)]
pub struct Sector<'a> {
    pub name: &'a str,
    pub pairwise: bool,
}

impl<'a> From<&'a Client> for Sector<'a> {
    fn from(client: &'a Client) -> Self {
        Self { name: &client.sector, pairwise: client.is_pairwise() }
    }
}

/// What subjects are made and chosen by.
#[derive(Clone)]
pub struct SubjectKey {
    /// Makes pairwise ones.
    key: DerivedKey,
    /// Which values of a merged customer count.
    pub merge: Arc<MergeConfig>,
}

impl SubjectKey {
    /// `key` makes pairwise subjects at first issue.
    pub const fn new(key: DerivedKey, merge: Arc<MergeConfig>) -> Self {
        Self { key, merge }
    }
}

/// What `customer` sees, and what this sector calls it; a first meeting issues the subject. `None` if the ID was never
/// issued.
///
/// # Errors
/// If the database fails; `Contention` if a merge came between the look and the issue.
pub async fn view(
    tx: &mut Tx,
    sector: Sector<'_>,
    customer: CustomerId,
    key: &SubjectKey,
    now: Timestamp,
) -> Result<Option<(Seen, String)>, store::Error> {
    let rows = tx.members_seen(sector.name, customer).await?;
    let Some(seen) = side::see(&rows, customer, &key.merge, now) else { return Ok(None) };
    let sub = match &seen.sub {
        Some(sub) => sub.clone(),
        None => issue(tx, sector, &seen, key, now).await?,
    };
    Ok(Some((seen, sub)))
}

async fn issue(
    tx: &mut Tx,
    sector: Sector<'_>,
    seen: &Seen,
    key: &SubjectKey,
    now: Timestamp,
) -> Result<String, store::Error> {
    let sub = first(sector, seen.side, &key.key);
    if seen.is_whole() {
        tx.subject_issue(sector.name, seen.root, &sub, now).await
    } else {
        // The survivor is never given what a login by the absorbed side alone has used.
        tx.subject_issue_own_side(sector.name, seen.side, seen.root, &sub, now).await
    }
}

/// OpenID Connect Core §8.1: a pairwise subject cannot be reversed or joined without the key.
fn first(sector: Sector<'_>, root: CustomerId, key: &DerivedKey) -> String {
    if sector.pairwise {
        secret::base64url(&key.mac(&[sector.name.as_bytes(), root.0.as_bytes()]))
    } else {
        root.to_string()
    }
}
