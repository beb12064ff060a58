//! What time it is, by both clocks, as inputs of the engine.

/// Two readings that were taken together. Due times are moments of the calendar and count by the wall clock, which may be set forward
/// or back; a lease is a duration, and counts by the monotonic one, which only ever goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, milliseconds since 1970-01-01 UTC.
    pub wall_ms: u64,
    /// The monotonic clock, milliseconds since some moment of this process.
    pub mono_ms: u64,
}

/// When the engine is to run next: as soon as either clock says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// By the wall clock; `u64::MAX`: not for its sake.
    pub wall_ms: u64,
    /// By the monotonic clock; `u64::MAX`: not for its sake.
    pub mono_ms: u64,
}

impl Wake {
    /// There is something to do already.
    pub const AT_ONCE: Wake = Wake { wall_ms: 0, mono_ms: 0 };
}
