//! The key-value store in this process's memory.
//!
//! It is bounded: when it is full of living keys it refuses new ones with `Error::Full`. Forgetting old keys instead
//! would let whoever sends many requests erase other people's sessions, replay markers and throttle counters.
//! Expired keys are removed in the order in which they expire, before each list of operations, so that removal costs
//! no more than insertion did and needs no background task. One lock is held for one list, and never across an await.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Backend, Error, Op, Reply, Result, When, whole_millis};
use crate::clock::{Clock, Timestamp};

/// The backend of `Kv::in_process`.
pub(super) struct InProcess {
    clock: Clock,
    max_entries: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<Arc<str>, Entry>,
    /// Every key of `by_key` once, by the time at which it ends.
    by_expiry: BTreeSet<(Timestamp, Arc<str>)>,
}

struct Entry {
    value: Vec<u8>,
    expires_at: Timestamp,
}

impl InProcess {
    pub(super) fn new(clock: Clock, max_entries: usize) -> Self {
        Self { clock, max_entries, entries: Mutex::default() }
    }
}

#[async_trait]
impl Backend for InProcess {
    async fn run(&self, ops: Vec<Op>) -> Result<Vec<Reply>> {
        let now = self.clock.now();
        // The maps are consistent after every statement that could panic, so a poisoned lock is still usable.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove_expired(now);
        // As in a Redis pipeline, a failing operation does not stop those behind it.
        let replies: Vec<Result<Reply>> = ops.into_iter().map(|op| entries.apply(op, now, self.max_entries)).collect();
        replies.into_iter().collect()
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

impl Entries {
    fn remove_expired(&mut self, now: Timestamp) {
        while self.by_expiry.first().is_some_and(|(expires_at, _)| *expires_at <= now) {
            if let Some((_, key)) = self.by_expiry.pop_first() {
                self.by_key.remove(&key);
            }
        }
    }

    fn apply(&mut self, op: Op, now: Timestamp, max_entries: usize) -> Result<Reply> {
        match op {
            Op::Get { key } => Ok(Reply::Value(self.by_key.get(key.as_str()).map(|entry| entry.value.clone()))),
            Op::Set { key, value, ttl, when } => {
                let wanted = match when {
                    When::Always => true,
                    When::Absent => !self.by_key.contains_key(key.as_str()),
                    When::Present => self.by_key.contains_key(key.as_str()),
                };
                if wanted {
                    self.put(&key, value, expiry(now, ttl), max_entries)?;
                }
                Ok(Reply::Done(wanted))
            }
            Op::Swap { key, value, ttl } => match self.by_key.contains_key(key.as_str()) {
                true => self.put(&key, value, expiry(now, ttl), max_entries).map(Reply::Value),
                false => Ok(Reply::Value(None)),
            },
            Op::Take { key } => Ok(Reply::Value(self.remove(&key))),
            Op::Delete { key } => Ok(Reply::Done(self.remove(&key).is_some())),
            Op::AddMember { key, member, ttl } => {
                let until = expiry(now, ttl);
                self.add_member(&key, member, until, now, max_entries).map(|()| Reply::Done(true))
            }
            Op::Members { key } => {
                let members = self.by_key.get(key.as_str()).map(|entry| members(&entry.value)).transpose()?;
                Ok(Reply::Members(members.unwrap_or_default().into_iter().map(|(member, _)| member).collect()))
            }
            Op::Increment { key, ttl } => self.increment(&key, expiry(now, ttl), max_entries).map(Reply::Count),
        }
    }

    /// Writes, and gives what was there.
    fn put(&mut self, key: &str, value: Vec<u8>, expires_at: Timestamp, max_entries: usize) -> Result<Option<Vec<u8>>> {
        let old = self.remove(key);
        if self.by_key.len() >= max_entries {
            return Err(Error::Full);
        }
        let key: Arc<str> = key.into();
        self.by_expiry.insert((expires_at, Arc::clone(&key)));
        self.by_key.insert(key, Entry { value, expires_at });
        Ok(old)
    }

    fn remove(&mut self, key: &str) -> Option<Vec<u8>> {
        let (key, entry) = self.by_key.remove_entry(key)?;
        self.by_expiry.remove(&(entry.expires_at, key));
        Some(entry.value)
    }

    fn add_member(
        &mut self,
        key: &str,
        member: String,
        until: Timestamp,
        now: Timestamp,
        max_entries: usize,
    ) -> Result<()> {
        let old = self.by_key.get(key).map(|entry| members(&entry.value)).transpose()?;
        let mut set = old.unwrap_or_default();
        set.retain(|(other, until)| *until > now && *other != member);
        set.push((member, until));
        let last = set.iter().map(|(_, until)| *until).max().unwrap_or(until);
        self.put(key, serde_json::to_vec(&set).map_err(Error::Form)?, last, max_entries).map(drop)
    }

    /// Counters are decimal text, as in Redis, so that `Get` answers the same from both.
    fn increment(&mut self, key: &str, expires_at: Timestamp, max_entries: usize) -> Result<u64> {
        let Some(entry) = self.by_key.get_mut(key) else {
            self.put(key, b"1".to_vec(), expires_at, max_entries)?;
            return Ok(1);
        };
        let count: u64 =
            std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok()).ok_or(Error::NotACounter)?;
        let count = count.checked_add(1).ok_or(Error::NotACounter)?;
        entry.value = count.to_string().into_bytes();
        Ok(count)
    }
}

/// A set as it is kept: each member with the end of its time.
fn members(value: &[u8]) -> Result<Vec<(String, Timestamp)>> {
    serde_json::from_slice(value).map_err(Error::Form)
}

fn expiry(now: Timestamp, ttl: Duration) -> Timestamp {
    now + Duration::from_millis(whole_millis(ttl))
}
