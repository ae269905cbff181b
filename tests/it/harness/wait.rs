//! Waiting for what another process or task does: for the condition, never for a length of time.

use std::time::Duration;

/// Asks again every 10 ms until `condition` holds; ten seconds without it fail the test, naming `what` it waited for.
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
    let waited = tokio::time::timeout(Duration::from_secs(10), met).await;
    assert!(waited.is_ok(), "waited ten seconds in vain for {what}");
}
