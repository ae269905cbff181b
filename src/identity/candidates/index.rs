//! The index by which one customer finds those worth comparing with (spec/identity.md rule 38).
//!
//! Keys are the engine's blocking keys, so that following and scanning look at the same pairs. Each change of a customer
//! replaces its keys; [`index()`] makes those of all customers that exist, a page at a time, and goes on where it was
//! stopped.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use uuid::Uuid;

use super::read::Page;
use super::{Loaded, Rules, ScanError};
use crate::clock::Clock;
use crate::identity::duplicates::blocking::keys_of;
use crate::identity::duplicates::{Claim, Person, Records};
use crate::ids::CustomerId;
use crate::store::{self, FollowerState, KeysOf, Store, Tx};

/// Customers in one transaction.
const PAGE: i64 = 500;

/// The keys of a record, in ascending order. A hash of one kind of key never meets one of another.
pub(super) fn keys(records: &Records, index: u32) -> Vec<i64> {
    let told_apart =
        |(kind, hash): (u8, u64)| (hash ^ u64::from(kind).wrapping_mul(0x9e37_79b9_7f4a_7c15)).cast_signed();
    let keys: BTreeSet<i64> = keys_of(records, index).into_iter().map(told_apart).collect();
    keys.into_iter().collect()
}

/// Names the way in which keys are made: those of a made-up customer. Another version of this program may make others.
pub(super) fn scheme() -> i64 {
    static SCHEME: OnceLock<i64> = OnceLock::new();
    *SCHEME.get_or_init(|| {
        let mut records = Records::new();
        let person = Person {
            given: "Marie-Claire",
            family: "van den Berg",
            birth: "1984-03-12",
            emails: &[Claim { value: "m.c.vdb84+x@example.com", proved: true }],
            phones: &[Claim { value: "+32 2 555 01 23", proved: true }],
            street: "Grote Markt 12 b",
            locality: "Brussel",
            postcode: "1000",
            region: "BRU",
            country: "BE",
            others: ["one", "two", "three", "four"],
            ..Person::default()
        };
        let made = records.push(&person).map(|index| keys(&records, index)).unwrap_or_default();
        made.iter().fold(1, |all, key| all.wrapping_mul(0x0100_0000_01b3) ^ key)
    })
}

/// Replaces the keys of a customer. Answers whether that changed anything.
pub(super) async fn replace(tx: &mut Tx, customer: CustomerId, keys: &[i64]) -> Result<bool, store::Error> {
    let known = tx.duplicate_keys_of(customer).await?;
    if known.as_deref() == Some(keys) {
        return Ok(false);
    }
    let known = known.unwrap_or_default();
    let without = |from: &[i64], these: &[i64]| -> Vec<i64> {
        from.iter().copied().filter(|key| these.binary_search(key).is_err()).collect()
    };
    let (gone, new) = (without(&known, keys), without(keys, &known));
    if !gone.is_empty() {
        tx.duplicate_keys_remove(customer, &gone).await?;
    }
    if !new.is_empty() {
        tx.duplicate_keys_add(&KeysOf::from([(customer, new)])).await?;
    }
    tx.duplicate_indexed_put(&KeysOf::from([(customer, keys.to_vec())])).await?;
    Ok(true)
}

/// How far the index of all customers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexState {
    Whole,
    /// Not begun, stopped on the way, or made by another version of this program.
    Partial,
}

impl IndexState {
    /// As it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Partial => "not whole: samesake duplicates index",
        }
    }
}

/// How far the index of all customers is.
///
/// # Errors
/// If the database does not answer.
pub async fn index_state(store: &Store) -> Result<IndexState, store::Error> {
    let state = store.begin_read().await?.duplicate_follower().await?;
    let is_whole = state.indexed_at.is_some() && state.indexed_with == Some(scheme());
    Ok(if is_whole { IndexState::Whole } else { IndexState::Partial })
}

/// Makes the index of all living customers whole, unless it is; `progress` hears how many were gone through in this run.
///
/// # Errors
/// The database. What was done stays, and the next run goes on there.
pub async fn index(
    store: &Store,
    rules: &Rules,
    clock: &Clock,
    mut progress: impl FnMut(usize),
) -> Result<usize, ScanError> {
    let mut state = store.begin_read().await?.duplicate_follower().await?;
    if state.indexed_with != Some(scheme()) {
        state = FollowerState { indexed_with: Some(scheme()), indexed_from: None, indexed_to: None, ..state };
        state.indexed_at = None;
    }
    if state.indexed_at.is_some() {
        return Ok(0);
    }
    // Whoever changes from here on may be gone through too early; they are weighed again at the end.
    let from = *state.indexed_from.get_or_insert(state.last);
    let mut done = 0;
    loop {
        let after = CustomerId(state.indexed_to.unwrap_or(Uuid::nil()));
        let page = Page::read(store, after, PAGE).await?;
        let last = page.as_ref().map_or(CustomerId(Uuid::max()), |page| page.last);
        let mut loaded = Loaded::default();
        if let Some(page) = &page {
            page.push_into(&mut loaded, &rules.merge, clock.now())?;
        }
        let mut tx = store.begin().await?;
        replace_between(&mut tx, &loaded, after, last).await?;
        state.indexed_to = Some(last.0);
        if page.is_none() {
            state.indexed_at = Some(clock.now());
            tx.duplicate_follow_again(from).await?;
        }
        tx.duplicate_index_advance(&state).await?;
        tx.commit().await?;
        done += loaded.records.len();
        progress(done);
        if page.is_none() {
            return Ok(done);
        }
    }
}

/// Replaces the keys of all customers after one, up to another one, by those of the loaded.
async fn replace_between(
    tx: &mut Tx,
    loaded: &Loaded,
    after: CustomerId,
    last: CustomerId,
) -> Result<(), store::Error> {
    let mut known = tx.duplicate_keys_between(after, last).await?;
    let mut new = KeysOf::new();
    for at in 0..u32::try_from(loaded.records.len()).unwrap_or(u32::MAX) {
        let (customer, keys) = (loaded.customer(at), keys(&loaded.records, at));
        match known.remove(&customer) {
            Some(same) if same == keys => {}
            Some(_) => {
                replace(tx, customer, &keys).await?;
            }
            None => {
                new.insert(customer, keys);
            }
        }
    }
    if !new.is_empty() {
        tx.duplicate_keys_add(&new).await?;
        tx.duplicate_indexed_put(&new).await?;
    }
    // Whoever is left lives no more, or not as a customer of their own.
    for customer in known.keys() {
        tx.duplicate_indexed_remove(*customer).await?;
    }
    Ok(())
}
