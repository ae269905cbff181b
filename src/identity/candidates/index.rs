//! The index by which one customer finds those worth comparing with (spec/identity.md rule 38).
//!
//! Keys are the engine's blocking keys, so that following and scanning look at the same pairs. Each change of a customer
//! replaces its keys; [`index()`] makes those of all customers that exist, a page at a time, and goes on where it was
//! stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use uuid::Uuid;

use super::read::Page;
use super::{Loaded, Rules, ScanError};
use crate::clock::Clock;
use crate::identity::duplicates::blocking::keys_of;
use crate::identity::duplicates::{Caps, Claim, Person, Records};
use crate::ids::CustomerId;
use crate::store::{self, FollowerState, KeysOf, Probe, Store, Tx};

/// Customers in one transaction.
const PAGE: i64 = 500;

/// The keys of a record, in ascending order.
pub(super) fn keys(records: &Records, index: u32) -> Vec<i64> {
    let keys: BTreeSet<i64> = keys_of(records, index).into_iter().map(told_apart).collect();
    keys.into_iter().collect()
}

/// The same of a customer that is the first record, each with how many customers may have it.
pub(super) fn probes(loaded: &Loaded, caps: &Caps) -> Vec<Probe> {
    let customer = loaded.customer(0);
    let keys: BTreeMap<i64, usize> =
        keys_of(&loaded.records, 0).into_iter().map(|key| (told_apart(key), caps.of(key.0))).collect();
    keys.into_iter().map(|(key, most)| Probe { customer, key, most }).collect()
}

/// A hash of one kind of key never meets one of another.
fn told_apart((kind, hash): (u8, u64)) -> i64 {
    (hash ^ u64::from(kind).wrapping_mul(0x9e37_79b9_7f4a_7c15)).cast_signed()
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

/// What the index is to have of a customer.
pub(super) struct Entry<'a> {
    pub customer: CustomerId,
    /// What it had when the customer was read; `None` if it was not in it.
    pub known: Option<&'a [i64]>,
    pub keys: &'a [i64],
}

/// Brings entries up to date. Answers whose were not as they are known, and are left alone: somebody else has written
/// them, who may know the customer better.
pub(super) async fn replace(tx: &mut Tx, entries: &[Entry<'_>]) -> Result<BTreeSet<CustomerId>, store::Error> {
    let (mut gone, mut added) = (KeysOf::new(), KeysOf::new());
    let new: KeysOf = entries
        .iter()
        .filter(|entry| entry.known.is_none())
        .map(|entry| (entry.customer, entry.keys.to_vec()))
        .collect();
    let changed: BTreeMap<CustomerId, (&[i64], &[i64])> = entries
        .iter()
        .filter_map(|entry| Some((entry.customer, (entry.known?, entry.keys))))
        .filter(|(_, (known, keys))| known != keys)
        .collect();
    let mut lost: BTreeSet<CustomerId> = new.keys().chain(changed.keys()).copied().collect();
    if !new.is_empty() {
        for customer in tx.duplicate_indexed_insert(&new).await? {
            lost.remove(&customer);
            added.extend(new.get_key_value(&customer).map(|(customer, keys)| (*customer, keys.clone())));
        }
    }
    if !changed.is_empty() {
        let without = |from: &[i64], these: &[i64]| -> Vec<i64> {
            from.iter().copied().filter(|key| these.binary_search(key).is_err()).collect()
        };
        for customer in tx.duplicate_indexed_swap(&changed).await? {
            lost.remove(&customer);
            let Some((known, keys)) = changed.get(&customer) else { continue };
            gone.insert(customer, without(known, keys));
            added.insert(customer, without(keys, known));
        }
    }
    if !gone.is_empty() {
        tx.duplicate_keys_remove(&gone).await?;
    }
    if !added.is_empty() {
        tx.duplicate_keys_add(&added).await?;
    }
    Ok(lost)
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
    let known = tx.duplicate_keys_between(after, last).await?;
    let living: KeysOf = (0..u32::try_from(loaded.records.len()).unwrap_or(u32::MAX))
        .map(|at| (loaded.customer(at), keys(&loaded.records, at)))
        .collect();
    let entries: Vec<Entry<'_>> = living
        .iter()
        .map(|(customer, keys)| Entry { customer: *customer, known: known.get(customer).map(Vec::as_slice), keys })
        .collect();
    // Somebody who follows may be quicker, and knows the customer better.
    replace(tx, &entries).await?;
    // Whoever else has keys lives no more, or not as a customer of their own.
    for customer in known.keys().filter(|customer| !living.contains_key(customer)) {
        tx.duplicate_indexed_remove(*customer).await?;
    }
    Ok(())
}
