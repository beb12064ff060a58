//! One group's part of the log: where it stands, where its entries are, and the payloads that are still in memory.

use std::collections::VecDeque;

use z4_model::ids::GroupId;
use z4_model::log::{LogPayload, LogPosition, Vote};

use super::index::EntryIndex;
use super::record::RecordError;

/// Where a group's log stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// The last entry that was purged.
    pub purged: Option<LogPosition>,
    /// The last entry; the last purged one when there is none behind it.
    pub last: Option<LogPosition>,
    /// The vote.
    pub vote: Option<Vote>,
    /// The commit mark.
    pub committed: Option<LogPosition>,
}

/// A group's state, and where its entries begin. There are two of each group: one as callers see it, with everything that was
/// asked for, and one as the log says it, up to the last record that was put into a frame. A checkpoint restates the latter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The state.
    pub(crate) state: GroupState,
    /// The index of the first entry, when there is one.
    pub(crate) first: u64,
}

impl Standing {
    /// One more entry. A log without any takes it at every index.
    pub(crate) fn append(&mut self, position: LogPosition) -> Result<(), RecordError> {
        match self.state.last {
            None => self.first = position.index,
            Some(last) if position.index != last.index + 1 => return Err(RecordError("entry does not follow its predecessor")),
            Some(_) => {}
        }
        self.state.last = Some(position);
        Ok(())
    }

    /// Entries after `last` are gone.
    pub(crate) fn truncate(&mut self, last: Option<LogPosition>) {
        self.state.last = last.or(self.state.purged);
    }

    /// Entries up to `upto` are gone; the log goes on behind it, even when it did not reach so far.
    pub(crate) fn purge(&mut self, upto: LogPosition) {
        self.state.purged = Some(upto);
        self.first = upto.index + 1;
        if self.state.last.is_none_or(|last| last.index <= upto.index) {
            self.state.last = Some(upto);
        }
    }

    /// How many entries there are, and from where on.
    pub(crate) fn entries(&self) -> std::ops::Range<u64> {
        match self.state.last {
            Some(last) if last.index >= self.first => self.first..last.index + 1,
            _ => self.first..self.first,
        }
    }
}

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
