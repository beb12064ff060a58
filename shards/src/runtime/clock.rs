//! The only place that reads a clock.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time, milliseconds since 1970-01-01 UTC; 0 when the clock is set before that.
#[allow(clippy::disallowed_methods)]
pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}

/// A point in monotonic time, for durations.
#[allow(clippy::disallowed_methods)]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Wall-clock time, microseconds since 1970-01-01 UTC, for timers that fire on a millisecond's edge.
#[allow(clippy::disallowed_methods)]
pub fn wall_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as u64
}

/// Where [`monotonic_us`] began to count.
static BEGAN: LazyLock<Instant> = LazyLock::new(monotonic);

/// Monotonic time, microseconds since the process first asked: for durations that are kept as numbers. The same on every thread.
pub fn monotonic_us() -> u64 {
    monotonic().duration_since(*BEGAN).as_micros() as u64
}
