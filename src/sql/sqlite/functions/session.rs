//! What functions know of the statement that runs on this thread.

use std::cell::Cell;

thread_local! {
    static NOW_US: Cell<i64> = const { Cell::new(0) };
    static ZONE_SECONDS: Cell<i32> = const { Cell::new(0) };
}

pub(super) fn set(now_us: i64, zone_seconds: i32) {
    NOW_US.set(now_us);
    ZONE_SECONDS.set(zone_seconds);
}

/// When the statement started, microseconds UTC.
pub(super) fn now_us() -> i64 {
    NOW_US.get()
}

/// Seconds east of UTC.
pub(super) fn zone() -> i32 {
    ZONE_SECONDS.get()
}
