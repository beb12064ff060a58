//! Where a peer is in its life, for probes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A stage of a peer's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// It recovers or waits for its groups.
    Starting,
    /// It takes requests.
    Serving,
    /// It finishes what is in flight.
    Stopping,
}

/// The stage, shared by all threads. A new one is [`Stage::Starting`].
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<AtomicU8>);

impl Health {
    /// Enters a stage.
    pub fn enter(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Release);
    }

    /// The stage now.
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Acquire) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Stopping,
        }
    }
}
