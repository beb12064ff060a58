//! The only place that reads a clock.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
pub use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the process's wall clock is set wrong, milliseconds: always 0 but in tests.
static WRONG_BY_MS: AtomicI64 = AtomicI64::new(0);

/// Wall-clock time, milliseconds since 1970-01-01 UTC; 0 when the clock is set before that. What belongs to a shard asks
/// [`Clocks`](crate::link::Clocks), which know when this clock is wrong.
pub fn wall_ms() -> u64 {
    wall_us() / 1_000
}

/// A point in monotonic time, for durations.
#[allow(clippy::disallowed_methods)]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Wall-clock time, microseconds since 1970-01-01 UTC, for timers that fire on a millisecond's edge.
#[allow(clippy::disallowed_methods)]
pub fn wall_us() -> u64 {
    let us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_micros() as u64;
    us.saturating_add_signed(WRONG_BY_MS.load(Ordering::Relaxed).saturating_mul(1_000))
}

/// Where [`monotonic_us`] began to count.
static BEGAN: LazyLock<Instant> = LazyLock::new(monotonic);

/// Monotonic time, microseconds since the process first asked: for durations that are kept as numbers. The same on every thread.
pub fn monotonic_us() -> u64 {
    monotonic().duration_since(*BEGAN).as_micros() as u64
}

/// The clock is set to a time before 1970: nothing here can count with it, and it reads as 0.
pub fn is_before_1970() -> bool {
    wall_us() == 0
}

/// Sets the process's wall clock wrong by so many milliseconds. For tests of whole processes.
pub fn set_wrong_by(ms: i64) {
    WRONG_BY_MS.store(ms, Ordering::Relaxed);
}

/// The wall clock of one peer: the process's, and in tests with several peers in one process one that can be set wrong for each.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct WallClock(Arc<AtomicI64>);

impl WallClock {
    /// Microseconds since 1970-01-01 UTC.
    pub fn us(&self) -> u64 {
        wall_us().saturating_add_signed(self.0.load(Ordering::Relaxed).saturating_mul(1_000))
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub fn ms(&self) -> u64 {
        self.us() / 1_000
    }

    /// Sets this peer's clock forward or back by so many milliseconds. For tests.
    pub fn step(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}
