//! Where a group's log stands, as callers see it and as records say it.

use z4_model::encoding::Malformed;
use z4_model::log::{LogPosition, Vote};

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
    pub(crate) fn append(&mut self, position: LogPosition) -> Result<(), Malformed> {
        match self.state.last {
            None => self.first = position.index,
            Some(last) if position.index != last.index + 1 => return Err(Malformed("entry does not follow its predecessor")),
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
