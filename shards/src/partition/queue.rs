//! The queue between apply and fjall; `writer` empties it.
//!
//! fjall holds its journal's lock while it syncs (at every flush of a memtable and every rotation of the journal), and a commit that
//! comes meanwhile waits: 20 to 200 ms on a busy disk. So apply only seals a layer and queues it; reads look at the queued layers
//! before they look at fjall. What is in the queue when the process is killed is applied again from the raft log.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::error::PartitionError;
use super::layer::Layer;
use z4_model::log::LogPosition;

/// The writer lets small layers gather, but not when so much is there, bytes.
const LINGER_BYTES: usize = 64 << 10;

/// Layers that wait for fjall, shared by the partition, its writer thread, and its persisters.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Told of everything that happens to the state.
    pub(super) changed: Condvar,
    bytes_max: usize,
    /// Where it is emptied to.
    #[cfg(z4_sim)]
    pub(super) target: super::simulated::Target,
}

/// What was queued at one moment.
pub(super) struct Look {
    /// Newest first.
    pub(super) layers: Vec<Arc<Layer>>,
    /// How many had ever been pushed.
    pushed: u64,
}

#[derive(Default)]
pub(super) struct State {
    /// Oldest first. The first stays here while it is being written, so that readers see it in one place or the other.
    pub(super) layers: VecDeque<Arc<Layer>>,
    pub(super) bytes: usize,
    /// Layers pushed and layers written since the start.
    pub(super) pushed: u64,
    pub(super) written: u64,
    /// The last applied position, as of the last layer pushed.
    pub(super) applied: Option<LogPosition>,
    pub(super) failed: Option<PartitionError>,
    pub(super) closing: bool,
    /// Layers up to this one, counted as `pushed` does, have gathered long enough.
    pub(super) ripe: u64,
    /// The writer has nothing to do.
    pub(super) idle: bool,
}

impl State {
    /// The writer should not wait for more.
    pub(super) fn presses(&self) -> bool {
        self.bytes >= LINGER_BYTES || self.closing || self.written < self.ripe
    }
}

impl Queue {
    pub(super) fn new(bytes_max: usize, applied: Option<LogPosition>) -> Self {
        Queue {
            state: Mutex::new(State { applied, ..State::default() }),
            changed: Condvar::new(),
            bytes_max,
            #[cfg(z4_sim)]
            target: super::simulated::Target::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked did not do so with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a layer; waits while the queue is full.
    pub(super) fn push(&self, layer: Layer, applied: Option<LogPosition>) -> Result<(), PartitionError> {
        let mut state = self.lock();
        // A layer that is larger than the bound goes in alone.
        while state.failed.is_none() && state.bytes > 0 && state.bytes + layer.bytes() > self.bytes_max {
            state = self.wait(state);
        }
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        state.applied = applied;
        state.bytes += layer.bytes();
        state.pushed += 1;
        state.layers.push_back(Arc::new(layer));
        let wake = state.idle || state.presses();
        drop(state);
        if wake {
            self.changed.notify_all();
        }
        self.pushed();
        Ok(())
    }

    /// The layers that fjall may not have yet. Take them before the fjall snapshot: a layer that was written between the two is then
    /// seen twice, which changes nothing, and never missed. Afterwards ask whether they [stand](Queue::stands).
    pub(super) fn look(&self) -> Look {
        let state = self.lock();
        Look { layers: state.layers.iter().rev().cloned().collect(), pushed: state.pushed }
    }

    /// Layers and a snapshot that was taken after them belong together: no layer that was pushed after the look was being written
    /// to fjall when the snapshot was taken. Its rows would hide below older layers, or show without the rest of their run. Where pushes
    /// happen, on the storage thread, that cannot be.
    pub(super) fn stands(&self, look: &Look) -> bool {
        let state = self.lock();
        // Layers are written in their order, and the next one begins when this counter says that the one before is done.
        state.pushed == look.pushed || state.written < look.pushed
    }

    #[cfg(test)]
    pub(super) fn layers(&self) -> Vec<Arc<Layer>> {
        self.look().layers
    }

    /// Waits until everything queued by now is in fjall; returns the position that is there.
    pub(super) fn drained(&self) -> Result<Option<LogPosition>, PartitionError> {
        let mut state = self.lock();
        let (target, applied) = (state.pushed, state.applied);
        state.ripe = target;
        self.changed.notify_all();
        while state.failed.is_none() && state.written < target {
            state = self.wait(state);
        }
        match &state.failed {
            Some(error) => Err(error.clone()),
            None => Ok(applied),
        }
    }

    /// Ends the writer once it has written what is queued.
    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
        self.closed();
    }

    /// The first error becomes the answer to everything that follows.
    pub(super) fn fail(&self, error: PartitionError) {
        let mut state = self.lock();
        tracing::error!(error = %error, source = std::error::Error::source(&error).map(ToString::to_string), "partition failed");
        state.failed.get_or_insert(error);
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn written(&self, layer: &Layer) {
        let mut state = self.lock();
        state.layers.pop_front();
        state.bytes -= layer.bytes();
        state.written += 1;
        drop(state);
        self.changed.notify_all();
    }
}
