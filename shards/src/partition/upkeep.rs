//! The thread that compacts a partition, apart from fjall's worker, so that no flush waits for it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::engine::Tree;
use super::error::Place;
use super::queue::Queue;

/// How long a flush is given before its table is looked for: fjall tells nobody when it is done.
const FLUSH_POLL: Duration = Duration::from_millis(20);

/// Wakes the thread and ends it.
#[derive(Default)]
pub(super) struct Upkeep {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    wanted: bool,
    closing: bool,
}

impl Upkeep {
    /// Memtables were sealed: there will be tables to merge.
    pub(super) fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).wanted = true;
        self.changed.notify_all();
    }

    /// Ends the thread after the step that it is at.
    pub(super) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closing = true;
        self.changed.notify_all();
    }

    /// The thread. An idle partition costs nothing: it sleeps until memtables are sealed.
    pub(super) fn run(&self, tree: &Tree, place: &Place, queue: &Queue) {
        loop {
            let flushes = tree.flushes();
            let worked = match tree.compact() {
                Ok(worked) => worked,
                Err(error) => return queue.fail(place.tree(error)),
            };
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if !worked && flushes && !state.closing {
                state = match self.changed.wait_timeout(state, FLUSH_POLL) {
                    Ok((state, _)) => state,
                    Err(poisoned) => poisoned.into_inner().0,
                };
            }
            while !worked && !flushes && !state.wanted && !state.closing {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.closing {
                return;
            }
            state.wanted = false;
        }
    }
}
