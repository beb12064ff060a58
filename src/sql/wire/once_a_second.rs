//! A log line that anybody on the network can cause must not fill the disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use z4_shards::runtime::clock;

const INTERVAL: Duration = Duration::from_secs(1);

/// Lets one through per second, and counts the others.
#[derive(Debug, Default)]
pub(super) struct OnceASecond(Mutex<(Option<Instant>, u64)>);

impl OnceASecond {
    /// `Some`: log now, and so many were not logged since the last time.
    pub(super) fn admits(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::monotonic();
        if state.0.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            state.1 += 1;
            return None;
        }
        state.0 = Some(now);
        Some(std::mem::take(&mut state.1))
    }
}
