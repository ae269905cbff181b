//! How many sessions a merge or its undoing touches, for whoever looks before (spec/identity.md rule 28).
//!
//! A count of now, beside a plan and never part of it: logins come and go, and a plan that changed with each would be
//! stale before it is executed. Sessions of apps behind forward-auth are not counted by themselves: they hang on the SSO
//! session that they came from.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ids::CustomerId;
use crate::kv::Kv;
use crate::session;
use crate::store::{self, Store};

/// The live sessions of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SessionCount {
    /// SSO sessions; `None` where they cannot be seen from here.
    pub sso: Option<u64>,
    /// Families of refresh tokens.
    pub refresh_tokens: u64,
}

/// The live sessions of one customer, by the row that logged in.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    sso: Option<BTreeMap<CustomerId, u64>>,
    refresh_tokens: BTreeMap<CustomerId, u64>,
}

impl Counts {
    /// Those of these rows.
    pub fn of(&self, rows: &[CustomerId]) -> SessionCount {
        self.sum(|row| rows.contains(row))
    }

    /// Those of all other rows.
    pub fn but(&self, rows: &[CustomerId]) -> SessionCount {
        self.sum(|row| !rows.contains(row))
    }

    fn sum(&self, wanted: impl Fn(&CustomerId) -> bool) -> SessionCount {
        let total = |counts: &BTreeMap<CustomerId, u64>| {
            counts.iter().filter(|(row, _)| wanted(row)).map(|(_, count)| *count).sum()
        };
        SessionCount { sso: self.sso.as_ref().map(total), refresh_tokens: total(&self.refresh_tokens) }
    }
}

/// Counts the live sessions of a living customer: those that a merge or an undoing has made worthless are none. `kv` is
/// where the sessions are, if it can be reached from here.
///
/// # Errors
/// If the database fails.
pub async fn count(store: &Store, kv: Option<&Kv>, root: CustomerId, now: Timestamp) -> Result<Counts, store::Error> {
    let mut tx = store.begin_read().await?;
    let rows: Vec<_> = tx.members_of(root).await?.iter().map(|row| (row.id, row.sessions_from)).collect();
    let grants = tx.grants_live_by_row(root, now).await?;
    drop(tx);
    let sso = match kv {
        None => None,
        // The dry run is worth something without it.
        Some(kv) => session::count_live(kv, &rows, now)
            .await
            .inspect_err(|error| {
                tracing::warn!(%error, "sessions could not be counted");
            })
            .ok(),
    };
    let unsigned = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(Counts { sso, refresh_tokens: grants.into_iter().map(|(row, count)| (row, unsigned(count))).collect() })
}
