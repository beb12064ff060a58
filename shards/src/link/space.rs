//! Whether a peer's disks have room: its own, and the others' as they say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// This peer's own disks. Written by who measures them, read by everybody. Cheap to clone; a new one has room.
#[derive(Clone, Debug, Default)]
pub struct Space(Arc<Measured>);

#[derive(Debug, Default)]
struct Measured {
    short_of: AtomicU64,
    free_bytes: AtomicU64,
}

impl Space {
    /// What the fullest disk has left, bytes; 0: nobody has measured it.
    pub fn free_bytes(&self) -> u64 {
        self.0.free_bytes.load(Ordering::Relaxed)
    }

    /// Says so.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.0.free_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Less than the reserve is free: how much that is, in bytes.
    pub fn short_of(&self) -> Option<u64> {
        match self.0.short_of.load(Ordering::Relaxed) {
            0 => None,
            reserve => Some(reserve),
        }
    }

    /// Says so, or that there is room again.
    pub fn set_short_of(&self, reserve_bytes: Option<u64>) {
        self.0.short_of.store(reserve_bytes.unwrap_or(0), Ordering::Relaxed);
    }
}
