//! Waiting for conditions.

use std::future::Future;
use std::time::Duration;

/// How long a condition may take before a test gives up. Generous, because debug builds run beside each other on few cores, and beside others
/// that write to the same disk: a peer's start alone has taken a minute. No test is faster or slower for it.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Between two looks at a condition that nobody announces.
const INTERVAL: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer; panics with `what` when there is none in [`PATIENCE`].
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    within(what, asking).await
}

/// Waits for a future; panics with `what` when it is not done in [`PATIENCE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}
