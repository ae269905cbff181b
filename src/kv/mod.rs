//! The key-value store: everything shared and short-lived (sessions, flows, codes, counters, replay markers).
//!
//! It owns the operations and what they promise: each is atomic, each names one key (so that it works on a Redis
//! Cluster slot by slot), and a list of them is one round trip, answered in order. The list as a whole is not a
//! transaction. Values are bytes; what they mean is the caller's matter. Two backends keep the same promises:
//! `redis` for every shared installation, `in_process` for trying and single-node use.

mod in_process;
mod redis;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;

/// The longest key, prefix included, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// The longest value in bytes. Larger things belong in the database.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;

/// The condition under which `Op::Set` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Whatever is there.
    Always,
    /// Only if the key is not there.
    Absent,
    /// Only if the key is there.
    Present,
}

/// One atomic operation on one key. A `ttl` is rounded up to milliseconds and is at least one.
#[derive(Clone, Debug)]
pub enum Op {
    /// Reads. Answers `Value`.
    Get { key: String },
    /// Writes when the condition holds. Answers `Done`: whether it wrote.
    Set { key: String, value: Vec<u8>, ttl: Duration, when: When },
    /// Replaces a present value and answers the old one; an absent key stays absent. Answers `Value`.
    Swap { key: String, value: Vec<u8>, ttl: Duration },
    /// Removes and answers what was there. Answers `Value`.
    Take { key: String },
    /// Removes. Answers `Done`: whether the key was there.
    Delete { key: String },
    /// Adds a member to a set; it leaves the set by itself after `ttl`, which adding it again extends. Answers `Done`.
    AddMember { key: String, member: String, ttl: Duration },
    /// The members of a set, in any order; a few whose time is up may be among them. Answers `Members`.
    Members { key: String },
    /// Adds one. `ttl` counts from the first increment and is not extended by later ones. Answers `Count`.
    Increment { key: String, ttl: Duration },
}

impl Op {
    fn key(&self) -> &str {
        match self {
            Self::Get { key }
            | Self::Set { key, .. }
            | Self::Swap { key, .. }
            | Self::Take { key }
            | Self::Delete { key }
            | Self::AddMember { key, .. }
            | Self::Members { key }
            | Self::Increment { key, .. } => key,
        }
    }

    fn key_mut(&mut self) -> &mut String {
        match self {
            Self::Get { key }
            | Self::Set { key, .. }
            | Self::Swap { key, .. }
            | Self::Take { key }
            | Self::Delete { key }
            | Self::AddMember { key, .. }
            | Self::Members { key }
            | Self::Increment { key, .. } => key,
        }
    }

    fn value(&self) -> &[u8] {
        match self {
            Self::Set { value, .. } | Self::Swap { value, .. } => value,
            Self::AddMember { member, .. } => member.as_bytes(),
            Self::Get { .. }
            | Self::Take { .. }
            | Self::Delete { .. }
            | Self::Members { .. }
            | Self::Increment { .. } => &[],
        }
    }
}

/// What an operation answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The value, or `None` if there was none.
    Value(Option<Vec<u8>>),
    /// Whether something changed.
    Done(bool),
    /// The counter after the increment.
    Count(u64),
    /// The members of a set.
    Members(Vec<String>),
}

/// Why the store did not answer. No message carries a key or a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is not one of a key-value store.
    #[error("the key-value store's URL is not usable: {0}")]
    Url(String),
    /// No answer. The operations may or may not have been carried out.
    #[error("the key-value store does not answer: {0}")]
    Unavailable(String),
    /// The server answered, but refused.
    #[error("the key-value store refused: {0}")]
    Refused(String),
    /// The in-process store holds as many keys as it may; it refuses new ones rather than forget old ones.
    #[error("the in-process key-value store is full")]
    Full,
    /// A key or a value is longer than `MAX_KEY_BYTES` or `MAX_VALUE_BYTES`.
    #[error("the key or value is too long for the key-value store")]
    TooLong,
    /// `Increment` met a value that is not a counter.
    #[error("the value is not a counter")]
    NotACounter,
    /// A typed value could not be written or read as JSON.
    #[error("the value does not have the expected form")]
    Form(#[source] serde_json::Error),
    /// The backend answered something else than the operation promises.
    #[error("the key-value store gave an answer of an unexpected kind")]
    Answer,
}

/// The result of a key-value operation.
pub type Result<T> = std::result::Result<T, Error>;

/// What a backend does. The operations carry their full keys.
#[async_trait]
trait Backend: Send + Sync {
    /// Carries out the operations in order, in one round trip. If one fails the others may have been carried out.
    async fn run(&self, ops: Vec<Op>) -> Result<Vec<Reply>>;
    async fn ping(&self) -> Result<()>;
}

/// A handle on the store. Clones share the backend, the prefix and the counter of round trips.
#[derive(Clone)]
pub struct Kv {
    backend: Arc<dyn Backend>,
    prefix: Arc<str>,
    round_trips: Arc<AtomicU64>,
    /// Whether what is stored ends with this process.
    in_process: bool,
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv").field("prefix", &self.prefix).field("in_process", &self.in_process).finish_non_exhaustive()
    }
}

impl Kv {
    /// Connects to Redis 6.2 or newer, or to a server that speaks its protocol. `redis://` or `rediss://`. The user
    /// needs GET, SET, GETDEL, DEL, INCR, PEXPIRE, PTTL, ZADD, ZRANGE, ZREMRANGEBYSCORE and EVAL on keys with the prefix,
    /// PING and TIME.
    ///
    /// # Errors
    /// `Url` if the URL cannot be read, `Unavailable` if no connection comes about.
    pub async fn connect(url: &str, prefix: &str) -> Result<Self> {
        let backend = redis::Redis::connect(url).await?;
        Ok(Self::over(Arc::new(backend), prefix, false))
    }

    /// A store in this process's memory that holds at most `max_entries` keys.
    pub fn in_process(clock: Clock, max_entries: usize) -> Self {
        Self::over(Arc::new(in_process::InProcess::new(clock, max_entries)), "", true)
    }

    fn over(backend: Arc<dyn Backend>, prefix: &str, in_process: bool) -> Self {
        Self { backend, prefix: prefix.into(), round_trips: Arc::default(), in_process }
    }

    /// The same store under a longer prefix, with the same counter of round trips.
    pub fn scoped(&self, prefix: &str) -> Self {
        Self { prefix: format!("{}{prefix}", self.prefix).into(), ..self.clone() }
    }

    /// The same store with a counter of its own, for jobs, so that they do not count as a request's round trips.
    pub fn background(&self) -> Self {
        Self { round_trips: Arc::default(), ..self.clone() }
    }

    /// Whether what is stored ends with this process, and is unknown to other replicas.
    pub fn is_in_process(&self) -> bool {
        self.in_process
    }

    /// Round trips made so far through this handle and its clones.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// `Unavailable` if it is not.
    pub async fn ping(&self) -> Result<()> {
        self.backend.ping().await
    }

    /// Carries out the operations in order, in one round trip, and answers each. No operations, no round trip.
    ///
    /// # Errors
    /// Any failure of any operation; the others may have been carried out nevertheless.
    pub async fn run(&self, mut ops: Vec<Op>) -> Result<Vec<Reply>> {
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        for op in &mut ops {
            op.key_mut().insert_str(0, &self.prefix);
            if op.key().len() > MAX_KEY_BYTES || op.value().len() > MAX_VALUE_BYTES {
                return Err(Error::TooLong);
            }
        }
        let expected = ops.len();
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let replies = self.backend.run(ops).await?;
        if replies.len() == expected { Ok(replies) } else { Err(Error::Answer) }
    }

    /// Reads a value.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.value(Op::Get { key: key.to_owned() }).await
    }

    /// Writes a value, whatever was there.
    pub async fn set(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<()> {
        self.done(Op::Set { key: key.to_owned(), value, ttl, when: When::Always }).await.map(drop)
    }

    /// Writes a value if the key is not there yet; says whether it wrote.
    pub async fn set_new(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<bool> {
        self.done(Op::Set { key: key.to_owned(), value, ttl, when: When::Absent }).await
    }

    /// Writes a value if the key is there; says whether it wrote.
    pub async fn replace(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<bool> {
        self.done(Op::Set { key: key.to_owned(), value, ttl, when: When::Present }).await
    }

    /// Replaces a present value and gives the old one; an absent key stays absent.
    pub async fn swap(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<Option<Vec<u8>>> {
        self.value(Op::Swap { key: key.to_owned(), value, ttl }).await
    }

    /// Removes a value and gives it.
    pub async fn take(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.value(Op::Take { key: key.to_owned() }).await
    }

    /// Removes a value; says whether it was there.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        self.done(Op::Delete { key: key.to_owned() }).await
    }

    /// Adds one to a counter that ends `ttl` after its first increment; gives the new count.
    pub async fn increment(&self, key: &str, ttl: Duration) -> Result<u64> {
        match self.one(Op::Increment { key: key.to_owned(), ttl }).await? {
            Reply::Count(count) => Ok(count),
            Reply::Value(_) | Reply::Done(_) | Reply::Members(_) => Err(Error::Answer),
        }
    }

    /// The members of a set.
    pub async fn members(&self, key: &str) -> Result<Vec<String>> {
        match self.one(Op::Members { key: key.to_owned() }).await? {
            Reply::Members(members) => Ok(members),
            Reply::Value(_) | Reply::Done(_) | Reply::Count(_) => Err(Error::Answer),
        }
    }

    /// Reads a value written as JSON.
    ///
    /// # Errors
    /// `Form` if it is not a `T`.
    pub async fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        from_json(self.get(key).await?)
    }

    /// Writes a value as JSON, whatever was there.
    pub async fn set_json<T: Serialize + Sync>(&self, key: &str, value: &T, ttl: Duration) -> Result<()> {
        self.set(key, to_json(value)?, ttl).await
    }

    /// Removes a value written as JSON and gives it.
    ///
    /// # Errors
    /// `Form` if it is not a `T`; it is gone nevertheless.
    pub async fn take_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        from_json(self.take(key).await?)
    }

    async fn one(&self, op: Op) -> Result<Reply> {
        self.run(vec![op]).await?.pop().ok_or(Error::Answer)
    }

    async fn value(&self, op: Op) -> Result<Option<Vec<u8>>> {
        match self.one(op).await? {
            Reply::Value(value) => Ok(value),
            Reply::Done(_) | Reply::Count(_) | Reply::Members(_) => Err(Error::Answer),
        }
    }

    async fn done(&self, op: Op) -> Result<bool> {
        match self.one(op).await? {
            Reply::Done(done) => Ok(done),
            Reply::Value(_) | Reply::Count(_) | Reply::Members(_) => Err(Error::Answer),
        }
    }
}

/// A value as `set_json` writes it, for an operation in a list.
///
/// # Errors
/// `Form` if it has no JSON form.
pub fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Error::Form)
}

/// What `to_json` wrote, from a `Reply::Value`.
///
/// # Errors
/// `Form` if it is not a `T`.
pub fn from_json<T: DeserializeOwned>(value: Option<Vec<u8>>) -> Result<Option<T>> {
    value.map(|bytes| serde_json::from_slice(&bytes).map_err(Error::Form)).transpose()
}

/// Lifetimes are whole milliseconds in Redis, so they are in both backends; ten years stand for ever.
fn whole_millis(ttl: Duration) -> u64 {
    const TEN_YEARS: u128 = 10 * 365 * 24 * 60 * 60 * 1000;
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000).clamp(1, TEN_YEARS)).unwrap_or(1)
}
