//! What empties a partition's queue in a simulated world: whoever pushes and whoever waits, by luck.

use std::sync::{Arc, MutexGuard};

use super::tree::Tree;
use crate::partition::error::{PartitionError, Place};
use crate::partition::queue::{Queue, State};
use crate::runtime::sim::world;

/// One push in so many is followed by another layer's commit.
const COMMITS_ONCE_IN: u64 = 3;

/// There are no threads.
#[derive(Default)]
pub(crate) struct Threads(());

impl Threads {
    /// Says where the queue is emptied to.
    ///
    /// # Errors
    /// None here.
    pub(crate) fn start(tree: &Tree, queue: &Arc<Queue>, place: &Place) -> Result<Self, PartitionError> {
        let _ = queue.target.0.set((tree.clone(), place.clone()));
        Ok(Threads(()))
    }

    /// There is nothing to wait for.
    pub(crate) fn end(&mut self, _place: &Place) {}
}

impl Queue {
    /// Changes the state: the oldest layer is written.
    pub(crate) fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        drop(state);
        assert!(self.write_first(), "what waits for an empty queue waits for ever");
        self.lock()
    }

    /// A layer was pushed.
    pub(crate) fn pushed(&self) {
        while !world::once_in(COMMITS_ONCE_IN) {
            if !self.write_first() {
                return;
            }
        }
    }

    /// The queue was closed: what is in it is written.
    pub(crate) fn closed(&self) {
        while self.write_first() {}
    }

    /// Writes the oldest layer, if there is one.
    fn write_first(&self) -> bool {
        let (Some(layer), Some((tree, place))) = (self.lock().layers.front().cloned(), self.target.0.get()) else { return false };
        match tree.commit(&layer) {
            Ok(()) => self.written(&layer),
            Err(error) => self.fail(place.tree(error)),
        }
        true
    }
}
