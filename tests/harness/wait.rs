//! Waiting for conditions.

use std::future::Future;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// How long a condition may take before a test gives up. Generous, because debug builds run beside each other on few cores, and beside others
/// that write to the same disk: a thousand acks one by one take more than a minute there. No test is faster or slower for it.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// How long a peer's start may take. It takes seconds also on a busy machine; one that takes longer than this hangs.
pub const START_MAX: Duration = Duration::from_secs(60);

/// Between two looks at a condition that nobody announces.
const INTERVAL: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer; panics with `what` when there is none in [`PATIENCE`].
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    found(PATIENCE, what, timeout(PATIENCE, ask(probe)).await)
}

/// The same of what has to do with a peer's start, in [`START_MAX`].
pub async fn until_started<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    found(START_MAX, what, timeout(START_MAX, ask(probe)).await)
}

/// Waits for a future; panics with `what` when it is not done in [`PATIENCE`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    found(PATIENCE, what, timeout(PATIENCE, future).await)
}

async fn ask<T>(mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn found<T>(patience: Duration, what: &str, found: Result<T, Elapsed>) -> T {
    found.unwrap_or_else(|_| panic!("waited {patience:?} in vain: {what}"))
}
