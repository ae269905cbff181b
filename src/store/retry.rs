//! Does a transaction again that others stood in the way of (spec/identity.md rule 29).
//!
//! Postgres keeps a row locked that turned out, once the wait for it was over, to be the wrong one: whoever looks for the
//! living customer while others are merged may hold two in any order, and then the database gives one of them up. All
//! that helps is to begin anew, with no lock in hand.

use std::time::Duration;

use super::Error;
use crate::clock;

/// How often a transaction is tried.
const TRIES: u32 = 12;

/// An error that may say that others stood in the way: nothing was done, and the whole may be done again.
pub trait Contended {
    /// Whether it says that.
    fn is_contention(&self) -> bool;
}

impl Contended for Error {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Contention)
    }
}

/// Does one transaction, from its beginning to its commit, until nobody stands in its way any more; at most
/// twelve times.
///
/// # Errors
/// With whatever else than contention a try ends with, and with that if the last one does.
pub async fn retry<T, E, W>(mut attempt: impl FnMut() -> W) -> Result<T, E>
where
    E: Contended,
    W: Future<Output = Result<T, E>>,
{
    for number in 1..TRIES {
        match attempt().await {
            Err(error) if error.is_contention() => tokio::time::sleep(pause(number - 1)).await,
            settled => return settled,
        }
    }
    attempt().await
}

/// A random part of a time that doubles from try to try: two who met do not meet again.
fn pause(attempt: u32) -> Duration {
    let longest = 2_u64 << attempt.min(7);
    let [byte] = clock::random::<1>();
    Duration::from_millis(longest * u64::from(byte) / 255 + 1)
}
