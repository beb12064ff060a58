//! Where each entry of a group is on disk: 16 bytes per entry.

use std::collections::VecDeque;

use z4_model::log::LogPosition;

use super::segments::{Released, Slot};

/// The ballot of an entry that is not known.
const HOLE: u32 = u32::MAX;

/// The entries of a group, from the first that is not purged to the last.
#[derive(Debug, Default)]
pub(crate) struct EntryIndex {
    first: u64,
    slots: VecDeque<Slot>,
    /// (term, leader) pairs that occurred. A few, ever; entries name them by number to stay small.
    ballots: Vec<(u64, u64)>,
}

impl EntryIndex {
    /// The index after the last entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// All entries with their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (LogPosition, Slot)> + '_ {
        (self.first..).zip(&self.slots).map(|(index, slot)| (self.position(index, slot), *slot))
    }

    /// An entry and its place.
    pub(crate) fn get(&self, index: u64) -> Option<(LogPosition, Slot)> {
        let slot = self.slot(index)?;
        (slot.ballot != HOLE).then(|| (self.position(index, &slot), slot))
    }

    fn slot(&self, index: u64) -> Option<Slot> {
        self.slots.get(usize::try_from(index.checked_sub(self.first)?).ok()?).copied()
    }

    fn position(&self, index: u64, slot: &Slot) -> LogPosition {
        let (term, leader) = self.ballots.get(slot.ballot as usize).copied().unwrap_or_default();
        LogPosition { term, leader, index }
    }

    /// The next entry, which has no place yet. When there is none before it, the index begins with it.
    pub(crate) fn push(&mut self, position: LogPosition, payload_bytes: u32) {
        if self.slots.is_empty() {
            self.first = position.index;
        }
        let ballot = self.ballot(position);
        self.slots.push_back(Slot { segment: 0, offset: 0, payload_bytes, ballot });
    }

    /// Entries that must exist but were not read yet.
    pub(crate) fn push_holes(&mut self, entries: std::ops::Range<u64>) {
        self.first = entries.start;
        self.slots.clear();
        let hole = Slot { segment: 0, offset: 0, payload_bytes: 0, ballot: HOLE };
        self.slots.extend(entries.map(|_| hole));
    }

    /// The entries that were never read: first and last index of the first run of them.
    pub(crate) fn first_holes(&self) -> Option<(u64, u64)> {
        let begin = self.slots.iter().position(|slot| slot.ballot == HOLE)?;
        let run = self.slots.iter().skip(begin).take_while(|slot| slot.ballot == HOLE).count();
        Some((self.first + begin as u64, self.first + (begin + run) as u64 - 1))
    }

    /// Fills a hole, or confirms the entry; false when there is no such entry or another one.
    pub(crate) fn fill(&mut self, position: LogPosition, payload_bytes: u32) -> bool {
        let ballot = self.ballot(position);
        let Some(slot) = position.index.checked_sub(self.first).and_then(|at| self.slots.get_mut(at as usize)) else {
            return false;
        };
        if slot.ballot == HOLE {
            *slot = Slot { segment: 0, offset: 0, payload_bytes, ballot };
        }
        slot.ballot == ballot && slot.payload_bytes == payload_bytes
    }

    /// Notes where an entry is now. Returns where it was.
    pub(crate) fn place(&mut self, index: u64, segment: u32, offset: u32) -> Option<Slot> {
        let slot = self.slots.get_mut(usize::try_from(index.checked_sub(self.first)?).ok()?)?;
        let before = *slot;
        (slot.segment, slot.offset) = (segment, offset);
        Some(before)
    }

    /// Drops entries from `index` on.
    pub(crate) fn truncate_from(&mut self, index: u64) -> Released {
        let keep = usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let mut released = Released::default();
        if keep < self.slots.len() {
            self.slots.drain(keep..).for_each(|slot| released.add(&slot));
        }
        released
    }

    /// Drops entries before `index`; the next one is not before it either.
    pub(crate) fn purge_before(&mut self, index: u64) -> Released {
        let gone = usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.slots.len());
        let mut released = Released::default();
        self.slots.drain(..gone).for_each(|slot| released.add(&slot));
        self.first = self.first.max(index);
        if self.slots.capacity() > 1024 && self.slots.capacity() / 4 > self.slots.len() {
            self.slots.shrink_to(self.slots.len() * 2);
        }
        released
    }

    fn ballot(&mut self, position: LogPosition) -> u32 {
        let ballot = (position.term, position.leader);
        let known = self.ballots.iter().rposition(|known| *known == ballot);
        let number = known.unwrap_or_else(|| {
            self.ballots.push(ballot);
            self.ballots.len() - 1
        });
        number as u32
    }
}
