//! Reads that wait: for a leader, for the word of a quorum, for the storage thread. Each is a task of the executor, so there is a bound on them.

use std::cell::Cell;
use std::rc::Rc;

use crate::shard::api::Rejection;

/// Reads of one group that wait at a time. Pages of tasks have a line of their own.
pub(super) const READS_MAX: usize = 4_096;

/// What too many of them are called.
pub(crate) const READS: &str = "the group's line of reads that wait for their answer";

/// Those of one group.
#[derive(Default)]
pub(super) struct Reads(Rc<Cell<usize>>);

/// One of them; it is over when this is dropped.
pub(super) struct Waiting(Rc<Cell<usize>>);

impl Reads {
    /// One more.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn enter(&self) -> Result<Waiting, Rejection> {
        let Reads(count) = self;
        if count.get() >= READS_MAX {
            return Err(Rejection::Overloaded { what: READS, limit: READS_MAX });
        }
        count.set(count.get() + 1);
        Ok(Waiting(Rc::clone(count)))
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Waiting(count) = self;
        count.set(count.get() - 1);
    }
}
