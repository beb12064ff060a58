//! Entries in, answers and effects out.

use bytes::Bytes;

use super::{Outcome, Store, StoreError};
use crate::command::CodecError;
use crate::ids::GroupId;

/// The in-memory part of a group's state: what is not worth a read per command. It can always be loaded again from the store.
pub struct Machine {
    _group: GroupId,
}

/// Applying failed: the replica must stop, for what it would do next is undefined.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entry cannot be read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A row cannot be read.
    #[error("a row of the partition cannot be read: {0}")]
    Row(&'static str),
}

/// Counts over the whole group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tasks that are not dead.
    pub live: u64,
    /// Dead tasks.
    pub dead: u64,
}

impl Machine {
    /// Loads the machine's memory (group row, idempotency window) from its store.
    pub fn load(_group: GroupId, _store: &mut impl Store) -> Result<Self, ApplyError> {
        unimplemented!()
    }

    /// Applies one entry (the bytes of [`crate::command::encode_entry`]) at `index`.
    ///
    /// # Errors
    /// Every error is fatal; commands that cannot be done are answered in the outcome instead.
    pub fn apply(&mut self, _store: &mut impl Store, _index: u64, _entry: &Bytes) -> Result<Outcome, ApplyError> {
        unimplemented!()
    }

    /// The stamp of the last entry, milliseconds; 0 before the first. A new leader never stamps below it.
    pub fn last_stamp_ms(&self) -> u64 {
        unimplemented!()
    }

    /// A hash over every write of every entry so far: equal on all replicas at the same index.
    pub fn state_hash(&self) -> u64 {
        unimplemented!()
    }

    /// Counts over the group.
    pub fn totals(&self) -> Totals {
        unimplemented!()
    }
}
