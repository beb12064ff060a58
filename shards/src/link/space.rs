//! Whether a peer's disks have room: its own, and the others' as they say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// This peer's own disks. Written by who measures them, read by everybody. Cheap to clone; a new one has room.
#[derive(Clone, Debug, Default)]
pub struct Space(Arc<AtomicU64>);

impl Space {
    /// Less than the reserve is free: how much that is, in bytes.
    pub fn short_of(&self) -> Option<u64> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            reserve => Some(reserve),
        }
    }

    /// Says so, or that there is room again.
    pub fn set_short_of(&self, reserve_bytes: Option<u64>) {
        self.0.store(reserve_bytes.unwrap_or(0), Ordering::Relaxed);
    }
}
