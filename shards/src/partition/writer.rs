//! The thread that empties a partition's queue into fjall, and the one that merges.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::engine::{self, Tree};
use super::error::{PartitionError, Place};
use super::layer::Layer;
use super::queue::{Queue, State};
use super::upkeep::Upkeep;

/// How long a full set of memtables is left alone before it is looked at again: fjall tells nobody when a flush is done.
const FLUSH_POLL: Duration = Duration::from_millis(1);

/// The writer lets small layers gather for this long: each wake costs the cores that apply needs, and nobody waits for it.
const LINGER: Duration = Duration::from_millis(2);

/// The threads of a partition.
#[derive(Default)]
pub(super) struct Threads {
    upkeep: Arc<Upkeep>,
    running: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts them.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn start(tree: &Tree, queue: &Arc<Queue>, place: &Place) -> Result<Self, PartitionError> {
        let mut threads = Threads::default();
        let parts = || (tree.clone(), Arc::clone(queue), Arc::clone(&threads.upkeep), place.clone());
        let (writes, merges) = (parts(), parts());
        let write = start(("write", queue, place), move || {
            let (tree, queue, upkeep, place) = writes;
            queue.write_all(&tree, &place, || upkeep.wake());
        })?;
        threads.running.push(write);
        let merge = start(("merge", queue, place), move || {
            let (tree, queue, upkeep, place) = merges;
            upkeep.run(&tree, &place, &queue);
        })?;
        threads.running.push(merge);
        Ok(threads)
    }

    /// Waits until they have ended; the queue is closed.
    pub(super) fn end(&mut self, place: &Place) {
        self.upkeep.close();
        for thread in self.running.drain(..) {
            if thread.join().is_err() {
                tracing::error!(group = %place.group, "a thread of the partition panicked");
            }
        }
    }
}

fn start(
    (does, queue, place): (&'static str, &Arc<Queue>, &Place),
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, PartitionError> {
    let name = format!("z4-{does}-{}", place.group);
    let (fails, found) = (Arc::clone(queue), place.clone());
    let body = move || {
        // fjall asserts what it holds for impossible; whoever waits for this thread must hear of it.
        if std::panic::catch_unwind(AssertUnwindSafe(body)).is_err() {
            fails.fail(found.finding(format!("the {does} thread panicked")));
        }
    };
    std::thread::Builder::new().name(name).spawn(body).map_err(|error| place.storage(error))
}

impl Queue {
    /// Waits until the state has changed.
    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// A layer was pushed, and the thread was told of it.
    pub(super) fn pushed(&self) {}

    /// The queue was closed, and the thread was told of it.
    pub(super) fn closed(&self) {}

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

    /// The writer thread: writes layers until the queue is closed and empty, or something fails. `sealed` is called after memtables
    /// were sealed.
    pub(super) fn write_all(&self, tree: &Tree, place: &Place, sealed: impl Fn()) {
        while let Some(layer) = self.first() {
            if let Err(error) = tree.commit(&layer) {
                return self.fail(place.tree(error));
            }
            self.written(&layer);
            drop(layer);
            if !tree.memtable_is_full() {
                continue;
            }
            if let Err(error) = self.await_flush(tree).and_then(|()| tree.seal_memtables()) {
                return self.fail(place.tree(error));
            }
            sealed();
        }
    }

    /// Waits until another memtable may be sealed.
    fn await_flush(&self, tree: &Tree) -> engine::Result<()> {
        while tree.flush_lags() {
            // Nobody would flush any more after the worker has failed.
            tree.check_worker()?;
            drop(self.changed.wait_timeout(self.lock(), FLUSH_POLL));
        }
        Ok(())
    }
}
