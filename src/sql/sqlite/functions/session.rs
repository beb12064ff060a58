//! What functions know of the statement that runs on this thread.

use std::cell::{Cell, RefCell};

use crate::sql::zones::Zone;

thread_local! {
    static NOW_US: Cell<i64> = const { Cell::new(0) };
    static ZONE: RefCell<Zone> = const { RefCell::new(Zone::UTC) };
}

pub(super) fn set(now_us: i64, zone: Zone) {
    NOW_US.set(now_us);
    ZONE.set(zone);
}

/// When the statement started, microseconds UTC.
pub(super) fn now_us() -> i64 {
    NOW_US.get()
}

/// The same as the session's calendar and clock show it, microseconds.
pub(super) fn wall_us() -> i64 {
    zone().wall(now_us())
}

/// The session's time zone.
pub(super) fn zone() -> Zone {
    ZONE.with_borrow(Clone::clone)
}
