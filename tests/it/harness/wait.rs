//! Waiting for what another process or task does: for the condition, never for a length of time.

use std::panic::Location;
use std::time::Duration;

/// What the test panics with when a request gets no answer.
#[derive(Debug)]
pub struct NoAnswer;

/// Fails the test because a request got no answer. Whoever cuts the power catches it, so it comes without a backtrace:
/// to print one takes seconds.
#[track_caller]
pub fn unanswered<T>(error: reqwest::Error) -> T {
    eprintln!("no answer, at {}: {error:?}", Location::caller());
    std::panic::resume_unwind(Box::new(NoAnswer))
}

/// Asks again every 10 ms until `condition` holds; a minute without it fails the test, naming `what` it waited for.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let mut again = tokio::time::interval(Duration::from_millis(10));
    let met = async {
        loop {
            again.tick().await;
            if condition().await {
                return;
            }
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), met).await;
    assert!(waited.is_ok(), "waited a minute in vain for {what}");
}
