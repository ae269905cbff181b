//! Who a customer is to a destination: the subject and the version, as they are today, without asking the database for
//! every page.
//!
//! What was read is believed until an event of that customer turns up in the outbox, which every replica follows, and
//! half a minute at most. An act that changes who somebody is (a merge) must therefore leave an event of each customer
//! it changes. Knows nothing of sessions (spec/handoff.md rules 12 and 19).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;

use super::Destination;
use crate::clock::Timestamp;
use crate::identity::merge::side::{self, Seen};
use crate::ids::CustomerId;
use crate::oidc::subject::{self, Sector, SubjectKey};
use crate::store::retry::retry;
use crate::store::{self, CustomerState, Store};

/// How long an entry is believed if no event speaks against it.
const BELIEVED: Duration = Duration::from_secs(30);
/// A position may become visible after a higher one: events this young are read again.
const OVERLAP: Duration = Duration::from_secs(2);
const PAGE: i64 = 1000;
const MOST: usize = 20_000;

/// A living customer as one destination knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub sub: String,
    pub version: i64,
    /// Whether it is the whole customer, and not one side of a merge that has not been proved.
    pub whole: bool,
    /// Subjects retired here lately by merges.
    pub merged_from: Vec<String>,
    /// Logins before this time no longer count.
    pub sessions_from: Option<Timestamp>,
}

impl Known {
    /// Whether a login at this time still counts.
    pub fn counts(&self, auth_time: Timestamp) -> bool {
        self.sessions_from.is_none_or(|from| auth_time >= from)
    }
}

#[derive(Clone)]
struct Entry {
    known: Known,
    root: CustomerId,
    read_at: Timestamp,
}

/// What was read recently, by sector and customer.
#[derive(Clone)]
pub struct KnownCustomers {
    key: SubjectKey,
    recent: Arc<Cache<(String, CustomerId), Entry>>,
}

impl KnownCustomers {
    /// `key` makes and chooses subjects.
    pub fn new(key: SubjectKey) -> Self {
        Self { key, recent: Arc::new(Cache::new(MOST)) }
    }

    /// Who `customer` is to a destination; `None` if nobody may be vouched for: unknown, blocked or erased.
    ///
    /// # Errors
    /// If the database does not answer and nothing recent is known.
    pub async fn find(
        &self,
        store: &Store,
        destination: &Destination,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<Option<Known>, store::Error> {
        let key = (destination.sector.clone(), customer);
        if let Some(entry) = self.recent.get(&key)
            && now >= entry.read_at
            && now.since(entry.read_at) < BELIEVED
        {
            return Ok(Some(entry.known));
        }
        let sector = Sector { name: &destination.sector, pairwise: destination.pairwise };
        let rows = store.begin_read().await?.members_seen(sector.name, customer).await?;
        let seen = match side::see(&rows, customer, &self.key.merge, now) {
            Some(seen) if seen.sub.is_some() => seen.sub.clone().map(|sub| (seen, sub)),
            _ => self.introduce(store, sector, customer, now).await?,
        };
        let Some((seen, sub)) = seen.filter(|(seen, _)| seen.state == CustomerState::Active) else {
            self.recent.remove(&key);
            return Ok(None);
        };
        let whole = seen.is_whole();
        let (root, merged_from, sessions_from) = (seen.root, seen.merged_from, seen.sessions_from);
        let known = Known { sub, version: seen.version, whole, merged_from, sessions_from };
        self.recent.insert(key, Entry { known: known.clone(), root, read_at: now });
        Ok(Some(known))
    }

    /// The first meeting of this sector and this customer: the subject is issued.
    async fn introduce(
        &self,
        store: &Store,
        sector: Sector<'_>,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<Option<(Seen, String)>, store::Error> {
        let attempt = async || {
            let mut tx = store.begin().await?;
            let view = subject::view(&mut tx, sector, customer, &self.key, now).await?;
            tx.commit().await?;
            Ok(view)
        };
        retry(attempt).await
    }

    fn forget(&self, customers: &HashSet<CustomerId>) {
        if !customers.is_empty() {
            let unchanged = |customer: &CustomerId| !customers.contains(customer);
            self.recent.retain(|(_, customer), entry| unchanged(customer) && unchanged(&entry.root));
        }
    }
}

/// Follows the outbox on behalf of [`KnownCustomers`].
#[derive(Debug, Default)]
pub struct Follower {
    /// Everything up to this position has been seen; `None` before the first look.
    seen: Option<i64>,
}

impl Follower {
    /// Forgets the customers of whom something new has been recorded.
    ///
    /// # Errors
    /// If the database does not answer; the next call makes up for it.
    pub async fn catch_up(
        &mut self,
        store: &Store,
        known: &KnownCustomers,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        let mut tx = store.begin_read().await?;
        let Some(mut seen) = self.seen else {
            // What was read before this is not followed; what is about to become visible has a position not far below.
            self.seen = Some(tx.outbox_end().await?.saturating_sub(PAGE));
            known.recent.clear();
            return Ok(());
        };
        let young = now - OVERLAP;
        let mut all_settled = true;
        let mut from = seen;
        loop {
            let changes = tx.outbox_changes(from, PAGE).await?;
            known.forget(&changes.iter().map(|change| change.root).collect());
            for change in &changes {
                all_settled = all_settled && change.created_at < young;
                seen = if all_settled { change.position } else { seen };
            }
            match changes.last() {
                Some(last) if i64::try_from(changes.len()) == Ok(PAGE) => from = last.position,
                _ => break,
            }
        }
        self.seen = Some(seen);
        Ok(())
    }
}
