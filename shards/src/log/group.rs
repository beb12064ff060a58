//! One group's part of the log: where it stands, where its entries are, and the payloads that are still in memory.

use std::collections::VecDeque;

use z4_model::ids::GroupId;
use z4_model::log::LogPayload;

use super::index::EntryIndex;
use super::standing::{GroupState, Standing};

/// A payload in memory.
#[derive(Debug)]
pub(crate) struct Cached {
    /// Counts appends over all groups; the lower, the longer ago.
    pub(crate) sequence: u64,
    /// The payload.
    pub(crate) payload: LogPayload,
}

impl Cached {
    /// What it costs: the payload and the fixed part.
    pub(crate) fn bytes(&self) -> u64 {
        (self.payload.len() + size_of::<Cached>()) as u64
    }
}

/// Everything about one group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    /// As callers see it.
    pub(crate) seen: Standing,
    /// As the log says it.
    pub(crate) written: Standing,
    /// Where the entries are.
    pub(crate) index: EntryIndex,
    /// Payloads of the last entries, without a hole up to the very last.
    pub(crate) cache: VecDeque<Cached>,
    /// A commit mark waits for the next frame.
    pub(crate) committed_waits: bool,
}

impl Group {
    pub(crate) fn new(id: GroupId) -> Self {
        Group { id, ..Group::default() }
    }

    /// A checkpoint names it: the log has said something about it.
    pub(crate) fn is_restated(&self) -> bool {
        self.written.state != GroupState::default()
    }

    /// The index of the first entry whose payload is in memory; the next entry's when none is.
    pub(crate) fn cache_first(&self) -> u64 {
        self.index.end() - self.cache.len() as u64
    }

    /// An entry's payload, if it is in memory.
    pub(crate) fn cached(&self, index: u64) -> Option<&Cached> {
        self.cache.get(usize::try_from(index.checked_sub(self.cache_first())?).ok()?)
    }
}
