//! The clocks of a simulated world. Monotonic time is the same everywhere; each place has a wall clock of its own.

use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::world;

/// The wall clock's time when a world begins, milliseconds since 1970-01-01 UTC: 2026-01-01.
pub const BEGAN_MS: u64 = 1_767_225_600_000;

/// Monotonic time begins here, so that there is something before the world.
const BEGAN: Duration = Duration::from_secs(1_000_000);

/// A point in monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// Time since then.
    pub fn elapsed(&self) -> Duration {
        monotonic().saturating_duration_since(*self)
    }

    /// Time since an earlier point; zero if that is later.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// The same.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// Time since an earlier point; `None` if that is later.
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_sub(earlier.0)
    }

    /// A later point, if there is one.
    pub fn checked_add(&self, time: Duration) -> Option<Instant> {
        self.0.checked_add(time).map(Instant)
    }

    /// An earlier point, if there is one.
    pub fn checked_sub(&self, time: Duration) -> Option<Instant> {
        self.0.checked_sub(time).map(Instant)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, time: Duration) -> Instant {
        Instant(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        self.0 += time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, time: Duration) -> Instant {
        Instant(self.0 - time)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, time: Duration) {
        self.0 -= time;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Wall-clock time at the caller's place, milliseconds since 1970-01-01 UTC.
pub fn wall_ms() -> u64 {
    wall_us() / 1_000
}

/// A point in monotonic time, for durations.
pub fn monotonic() -> Instant {
    Instant(BEGAN + Duration::from_nanos(world::now_ns()))
}

/// Wall-clock time at the caller's place, microseconds since 1970-01-01 UTC.
pub fn wall_us() -> u64 {
    let ns = (world::now_ns() as i64).saturating_add(world::wall_ahead_ns());
    (BEGAN_MS * 1_000).saturating_add_signed(ns / 1_000)
}

/// Monotonic time, microseconds since the world began.
pub fn monotonic_us() -> u64 {
    world::now_ns() / 1_000
}

/// The clock is set to a time before 1970.
pub fn is_before_1970() -> bool {
    wall_us() == 0
}

/// Has no meaning here: each place has a clock that [`world::step_wall_clock`] sets.
pub fn set_wrong_by(_ms: i64) {}

/// The wall clock of one peer, which can be set wrong. Cheap to clone.
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

    /// Sets this peer's clock forward or back by so many milliseconds.
    pub fn step(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}
