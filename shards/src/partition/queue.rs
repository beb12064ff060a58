//! The queue between apply and fjall, and the thread that empties it.
//!
//! fjall holds its journal's lock while it syncs (at every flush of a memtable and every rotation of the journal), and a commit that
//! comes meanwhile waits: 20 to 200 ms on a busy disk. So apply only seals a layer and queues it; reads look at the queued layers
//! before they look at fjall. What is in the queue when the process is killed is applied again from the raft log.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use z4_model::log::LogPosition;

use super::error::{PartitionError, Place};
use super::layer::Layer;
use super::tree::Tree;

/// How long a full set of memtables is left alone before it is looked at again: fjall tells nobody when a flush is done.
const FLUSH_POLL: Duration = Duration::from_millis(1);

/// The writer lets small layers gather for this long: each wake costs the cores that apply needs, and nobody waits for it.
const LINGER: Duration = Duration::from_millis(2);

/// But not when so much is there, bytes.
const LINGER_BYTES: usize = 64 << 10;

/// Layers that wait for fjall, shared by the partition, its writer thread, and its persisters.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Told of everything that happens to the state.
    changed: Condvar,
    bytes_max: usize,
}

/// What was queued at one moment.
pub(super) struct Look {
    /// Newest first.
    pub(super) layers: Vec<Arc<Layer>>,
    /// How many had ever been pushed.
    pushed: u64,
}

#[derive(Default)]
struct State {
    /// Oldest first. The first stays here while it is being written, so that readers see it in one place or the other.
    layers: VecDeque<Arc<Layer>>,
    bytes: usize,
    /// Layers pushed and layers written since the start.
    pushed: u64,
    written: u64,
    /// The last applied position, as of the last layer pushed.
    applied: Option<LogPosition>,
    failed: Option<PartitionError>,
    closing: bool,
    /// Layers up to this one, counted as `pushed` does, have gathered long enough.
    ripe: u64,
    /// The writer has nothing to do.
    idle: bool,
}

impl State {
    /// The writer should not wait for more.
    fn presses(&self) -> bool {
        self.bytes >= LINGER_BYTES || self.closing || self.written < self.ripe
    }
}

impl Queue {
    pub(super) fn new(bytes_max: usize, applied: Option<LogPosition>) -> Self {
        Queue { state: Mutex::new(State { applied, ..State::default() }), changed: Condvar::new(), bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked did not do so with the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
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
    }

    /// The first error becomes the answer to everything that follows.
    pub(super) fn fail(&self, error: PartitionError) {
        let mut state = self.lock();
        tracing::error!(error = %error, source = std::error::Error::source(&error).map(ToString::to_string), "partition failed");
        state.failed.get_or_insert(error);
        drop(state);
        self.changed.notify_all();
    }

    /// The oldest layer, once there is one and it had time to get company.
    fn first(&self) -> Option<Arc<Layer>> {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return None;
            }
            if state.layers.is_empty() {
                if state.closing {
                    return None;
                }
                state.idle = true;
                state = self.wait(state);
                state.idle = false;
                continue;
            }
            if !state.presses() {
                let (woken, waited) = self.changed.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
                state = woken;
                if waited.timed_out() {
                    state.ripe = state.pushed;
                }
                continue;
            }
            return state.layers.front().cloned();
        }
    }

    pub(super) fn written(&self, layer: &Layer) {
        let mut state = self.lock();
        state.layers.pop_front();
        state.bytes -= layer.bytes();
        state.written += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// The writer thread: writes layers until the queue is closed and empty, or something fails. `sealed` is called after memtables
    /// were sealed.
    pub(super) fn write_all(&self, tree: &Tree, place: &Place, sealed: impl Fn()) {
        while let Some(layer) = self.first() {
            if let Err(error) = tree.commit(&layer) {
                return self.fail(place.fjall(error));
            }
            self.written(&layer);
            drop(layer);
            if !tree.memtable_is_full() {
                continue;
            }
            if let Err(error) = self.await_flush(tree).and_then(|()| tree.seal_memtables()) {
                return self.fail(place.fjall(error));
            }
            sealed();
        }
    }

    /// Waits until another memtable may be sealed.
    fn await_flush(&self, tree: &Tree) -> fjall::Result<()> {
        while tree.flush_lags() {
            // Nobody would flush any more after the worker has failed.
            tree.check_worker()?;
            drop(self.changed.wait_timeout(self.lock(), FLUSH_POLL));
        }
        Ok(())
    }
}
