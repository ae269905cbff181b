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
use crate::ids::CustomerId;
use crate::oidc::subject::{self, Sector};
use crate::secret::DerivedKey;
use crate::store::{self, CustomerState, Store, SubjectView};

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
    key: DerivedKey,
    recent: Arc<Cache<(String, CustomerId), Entry>>,
}

impl KnownCustomers {
    /// `key` makes pairwise subjects at first issue.
    pub fn new(key: DerivedKey) -> Self {
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
        let view = match store.begin_read().await?.subject_view(sector.name, customer).await? {
            Some(view) if view.sub.is_some() => view.sub.clone().map(|sub| (view, sub)),
            _ => self.introduce(store, sector, customer, now).await?,
        };
        let Some((view, sub)) = view.filter(|(view, _)| view.state == CustomerState::Active) else {
            self.recent.remove(&key);
            return Ok(None);
        };
        let known = Known { sub, version: view.version };
        self.recent.insert(key, Entry { known: known.clone(), root: view.root, read_at: now });
        Ok(Some(known))
    }

    /// The first meeting of this sector and this customer: the subject is issued.
    async fn introduce(
        &self,
        store: &Store,
        sector: Sector<'_>,
        customer: CustomerId,
        now: Timestamp,
    ) -> Result<Option<(SubjectView, String)>, store::Error> {
        let mut tx = store.begin().await?;
        let view = subject::view(&mut tx, sector, customer, &self.key, now).await?;
        tx.commit().await?;
        Ok(view)
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
