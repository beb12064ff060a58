//! The only place of this crate that reads a clock or sleeps on a thread.
#![allow(clippy::disallowed_methods)] // A load generator measures time: there is no executor here whose clock it could borrow.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time since a common start, in nanoseconds: cheap to store in an atomic or in a payload.
#[derive(Clone, Copy, Debug)]
pub struct Origin(Instant);

impl Origin {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start.
    pub fn nanos(self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Microseconds since 1970 by the wall clock, which is the one that due times are compared with.
pub fn wall_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}

/// Milliseconds since 1970 by the wall clock.
pub fn wall_millis() -> i64 {
    wall_micros() / 1_000
}

/// Blocks the calling thread: for pacing threads, never on the runtime.
pub fn sleep_thread(duration: Duration) {
    std::thread::sleep(duration);
}
