//! When leases need attention, by the monotonic clock: a heap by time whose stale entries are recognized instead of searched.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::lease::Leases;

/// Below so many entries the heap is not worth cleaning.
const KEPT_ENTRIES: usize = 1_024;

/// Each live lease has at most one entry that counts: the one that says the time in its `armed_ms`.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Entry>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at_ms: u64,
    slot: u32,
    token: u64,
}

impl Entry {
    fn counts(&self, leases: &Leases) -> bool {
        leases.get(self.slot).is_some_and(|l| l.token == self.token && l.armed_ms == self.at_ms)
    }
}

impl Timers {
    /// The lease in `slot` needs attention at `at_ms` and not at any other time.
    pub(super) fn arm(&mut self, leases: &mut Leases, slot: u32, at_ms: u64) {
        let lease = leases.at_mut(slot);
        if lease.armed_ms == at_ms {
            return;
        }
        lease.armed_ms = at_ms;
        let token = lease.token;
        self.heap.push(Reverse(Entry { at_ms, slot, token }));
        // Stale entries never outnumber the live ones for long: the cleaning is paid by the pushes before it.
        if self.heap.len() > 2 * leases.len() + KEPT_ENTRIES {
            self.heap.retain(|Reverse(entry)| entry.counts(leases));
            self.heap.shrink_to(4 * leases.len() + KEPT_ENTRIES);
        }
    }

    /// The next lease whose time has come.
    pub(super) fn pop_due(&mut self, leases: &mut Leases, mono_ms: u64) -> Option<u32> {
        while let Some(Reverse(entry)) = self.heap.peek().copied() {
            if entry.at_ms > mono_ms {
                return None;
            }
            self.heap.pop();
            if entry.counts(leases) {
                leases.at_mut(entry.slot).armed_ms = u64::MAX;
                return Some(entry.slot);
            }
        }
        None
    }

    /// Drops stale entries that are next, so that nobody wakes for them.
    pub(super) fn skip_stale(&mut self, leases: &Leases) {
        while self.heap.peek().is_some_and(|Reverse(entry)| !entry.counts(leases)) {
            self.heap.pop();
        }
    }

    /// The time of the next entry.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.at_ms)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}
