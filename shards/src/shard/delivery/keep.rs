//! Windows that outlive the last consumer of their namespace for a while: who leases one task at a time is a new consumer each time, and must
//! not have the head of the backlog read again for each.

use std::collections::VecDeque;

use super::engine::Engine;
use super::window::Window;

struct Kept {
    id: u64,
    lane: u32,
    /// By the monotonic clock; `None`: the engine has not looked at the clock since.
    until_ms: Option<u64>,
}

/// The lanes that are kept, the oldest first. An entry whose lane has consumers again, or is another one, means nothing any more.
#[derive(Default)]
pub(super) struct Keeping {
    entries: VecDeque<Kept>,
    last_id: u64,
}

impl Keeping {
    /// When the first entry ends; `Some(None)`: it has no time yet.
    pub(super) fn next_ms(&self) -> Option<Option<u64>> {
        let newest = self.entries.back()?;
        Some(newest.until_ms.and(self.entries.front().and_then(|oldest| oldest.until_ms)))
    }
}

impl Engine {
    #[cfg(test)]
    pub(super) fn keeping_len(&self) -> usize {
        self.keeping.entries.len()
    }

    /// The lane's last consumer has gone.
    pub(super) fn keep(&mut self, l: u32) {
        if !self.lanes[l].loaded {
            return self.forget(l);
        }
        let keeping = &mut self.keeping;
        keeping.last_id += 1;
        keeping.entries.push_back(Kept { id: keeping.last_id, lane: l, until_ms: None });
        self.lanes[l].kept = keeping.last_id;
        while self.keeping.entries.len() > self.limits.keep_max {
            self.let_oldest_go();
        }
    }

    /// Lets those go whose time is over.
    pub(super) fn let_go(&mut self, mono_ms: u64) {
        let until_ms = mono_ms.saturating_add(self.limits.keep_ms);
        self.keeping.entries.iter_mut().rev().take_while(|kept| kept.until_ms.is_none()).for_each(|kept| {
            kept.until_ms = Some(until_ms);
        });
        while self.keeping.entries.front().is_some_and(|kept| kept.until_ms.is_some_and(|until_ms| until_ms <= mono_ms)) {
            self.let_oldest_go();
        }
    }

    fn let_oldest_go(&mut self) {
        let Some(Kept { id, lane, .. }) = self.keeping.entries.pop_front() else { return };
        if self.lanes.get(lane).is_some_and(|lane| lane.kept == id) {
            self.forget(lane);
        }
    }

    /// Gives the lane's memory back.
    fn forget(&mut self, l: u32) {
        let lane = &mut self.lanes[l];
        self.window_bytes -= lane.window.bytes();
        lane.window = Window::default();
        lane.loaded = false;
        lane.scan = None;
        lane.kept = 0;
        lane.appetite = 0;
        self.active -= 1;
        self.free_if_idle(l);
    }
}
