//! Locks two customers, and tries again what others stood in the way of (spec/identity.md rule 29).
//!
//! Roots are locked in the order of their IDs and looked at again once the locks are held. What turns out to have
//! changed is given up with its locks before the next try, so that nobody waits out of order.

use crate::ids::CustomerId;
use crate::store::retry::{TRIES, pause};
use crate::store::{self, Tx};

/// What one try came to.
pub(super) enum Try<T> {
    Done(T),
    /// Somebody else was first: look again.
    Again,
}

/// Numbers the tries.
pub(super) fn attempts() -> std::ops::Range<u32> {
    0..TRIES
}

/// What a try settles; `None`, after a pause, if it is to be tried again.
pub(super) async fn settled<T>(outcome: Result<Try<T>, store::Error>, attempt: u32) -> Option<Result<T, store::Error>> {
    match outcome {
        Ok(Try::Done(done)) => Some(Ok(done)),
        Err(error) if !matches!(error, store::Error::Contention) => Some(Err(error)),
        _ if attempt + 1 == TRIES => Some(Err(store::Error::Contention)),
        _ => {
            tokio::time::sleep(pause(attempt)).await;
            None
        }
    }
}

/// Locks two customers; `false` if one of them is no root by now: the transaction is to be dropped.
pub(super) async fn lock(tx: &mut Tx, one: CustomerId, other: CustomerId) -> Result<bool, store::Error> {
    let roots = tx.roots_lock(one, other).await?;
    Ok(roots.contains(&one) && roots.contains(&other))
}
