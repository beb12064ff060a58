//! What is in memory: effects of applies, answers of scans, and when to scan.

use bytes::Bytes;
use z4_model::ids::{Namespace, TaskKey};
use z4_model::machine::Effect;

use super::action::Action;
use super::engine::Engine;

/// A window is to hold so many times what its consumers take at a time.
const APPETITE_TIMES: usize = 4;

/// So many consumers of a namespace are asked what they take.
const CONSUMERS_ASKED: usize = 16;

impl Engine {
    /// What applied entries did, in their order. Call it before [`Engine::finished`] for the same entries.
    pub fn applied(&mut self, effects: impl IntoIterator<Item = Effect>, now_ms: u64) {
        for effect in effects {
            match effect {
                Effect::Added { namespace, key, row } | Effect::Replaced { namespace, key, row } => {
                    self.over(key.sequence, None);
                    self.put(&namespace, key, row, now_ms);
                }
                Effect::Removed { namespace, key } => {
                    self.over(key.sequence, Some(key));
                    if let Some(l) = self.lanes_by_name.get(&namespace).copied() {
                        let lane = &mut self.lanes[l];
                        let before = lane.window.bytes();
                        lane.window.remove(key);
                        self.window_bytes -= before - lane.window.bytes();
                        self.enqueue(l);
                    }
                }
                Effect::Registered => {}
                Effect::ClaimsEnded { below } => self.claims_ended(below),
                Effect::Configured { namespace, settings } => {
                    if let Some(l) = self.lanes_by_name.get(&namespace).copied() {
                        self.lanes[l].settings = settings;
                        self.enqueue(l);
                    }
                }
            }
        }
    }

    /// The row changed: a delivery of it (at `key`, or wherever) is over, and what was held of it is stale.
    fn over(&mut self, sequence: u64, key: Option<TaskKey>) {
        self.holds.forget_row(sequence);
        if let Some(slot) = self.leases.find(sequence)
            && key.is_none_or(|key| self.leases.at(slot).key == key)
        {
            let l = self.remove_lease(slot);
            self.lanes[l].rows_gone += 1;
            self.free_if_idle(l);
        }
    }

    /// A live row is at `key`: keeps it if it belongs into the window.
    pub(super) fn put(&mut self, namespace: &Namespace, key: TaskKey, row: Bytes, now_ms: u64) {
        let Some(l) = self.lanes_by_name.get(namespace).copied() else { return };
        let lane = &mut self.lanes[l];
        // Without consumers the horizon is before every row.
        if key >= lane.window.horizon() {
            return;
        }
        let before = lane.window.bytes();
        if key.due_ms > now_ms.saturating_add(self.limits.lookahead_ms) {
            // Far away: a scan will find it in time. Meanwhile it is not worth its memory.
            lane.window.lower(key);
        } else {
            lane.window.insert(key, row);
        }
        self.account(l, before);
        self.enqueue(l);
    }

    /// The answer to [`Action::Scan`]: its `from`, the rows in order, and the first row of the namespace that is not among them,
    /// whatever its due time; `None`: there is none.
    pub fn scanned(&mut self, namespace: &Namespace, from: TaskKey, rows: Vec<(TaskKey, Bytes)>, next: Option<TaskKey>) {
        let Some(l) = self.lanes_by_name.get(namespace).copied() else { return };
        let lane = &mut self.lanes[l];
        // Not waited for: its consumers went and others came meanwhile, and an answer to their scan was taken.
        if lane.scan != Some(from) {
            return;
        }
        lane.scan = None;
        // The window may have lost rows while the scan was under way: then the answer would leave a hole.
        if from == lane.window.horizon() {
            let before = lane.window.bytes();
            for (key, row) in rows {
                if key > lane.delivered_max || !self.leases.has(key) {
                    lane.window.insert(key, row);
                }
            }
            lane.window.advance(next.unwrap_or(TaskKey::MAX));
            self.account(l, before);
        }
        self.enqueue(l);
    }

    /// Restores the bounds after the lane's window had `before` bytes.
    fn account(&mut self, l: u32, before: usize) {
        let share = self.share();
        let window = &mut self.lanes[l].window;
        self.window_bytes -= before;
        window.trim(self.limits.window_rows_max, self.limits.window_bytes_max);
        if self.window_bytes + window.bytes() > self.limits.total_bytes_max {
            window.trim(self.limits.window_rows_max, share);
        }
        self.window_bytes += window.bytes();
        self.gained_bytes += window.bytes().saturating_sub(before);
        // Looking at every lane has to be paid for by what came in since the last time.
        if self.window_bytes > self.limits.total_bytes_max && self.gained_bytes > self.limits.total_bytes_max / 8 {
            self.gained_bytes = 0;
            self.squeeze(share);
        }
    }

    /// More namespaces came than the windows were filled for: each one gives back what it has above its share, and a bit more.
    fn squeeze(&mut self, share: usize) {
        let numbers: Vec<u32> = self.lanes.numbers().collect();
        for l in numbers {
            let window = &mut self.lanes[l].window;
            let (before, rows) = (window.bytes(), window.len());
            window.trim(self.limits.window_rows_max, share / 4 * 3);
            self.window_bytes -= before - window.bytes();
            if rows != window.len() {
                self.enqueue(l);
            }
        }
    }

    /// What a window may take when all are full.
    fn share(&self) -> usize {
        // Never nothing: every window holds a row, or its namespace would starve.
        (self.limits.total_bytes_max / self.active.max(1)).clamp(1, self.limits.window_bytes_max.max(1))
    }

    /// How many rows the window should have: a few times as many as the namespace's consumers take at a time, credit and leases together. A
    /// consumer of one task is not worth a scan of thousands.
    fn rows_wanted(&mut self, l: u32) -> usize {
        let lane = &mut self.lanes[l];
        let consumers = lane.ring.iter().take(CONSUMERS_ASKED).filter_map(|(c, _)| self.consumers.get(*c));
        let takes: u64 = consumers.map(|consumer| consumer.flow.credit() + u64::from(consumer.leases.len)).sum();
        // While all of them wait for credit it is what it was.
        if takes > 0 {
            lane.appetite = usize::try_from(takes).unwrap_or(usize::MAX);
        }
        let most = self.limits.window_rows_max;
        lane.appetite.saturating_mul(APPETITE_TIMES).clamp(self.limits.scan_rows_min.min(most), most)
    }

    /// Starts a scan if the window runs low, and sets the lane's alarm.
    pub(super) fn refill(&mut self, l: u32, now_ms: u64) {
        let (share, floor) = (self.share(), self.floor());
        // What waits for claims takes nobody's place.
        let waiting = self.lanes[l].window.waiting(floor);
        let rows_max = (self.rows_wanted(l) + waiting).min(self.limits.window_rows_max);
        let lane = &mut self.lanes[l];
        let mut alarm_ms = u64::MAX;
        // One that is kept for the next consumer waits for it.
        if lane.is_open() && lane.consumers > 0 {
            let horizon = lane.window.horizon();
            let soon_ms = now_ms.saturating_add(self.limits.lookahead_ms / 2);
            let low = lane.window.len() < rows_max.div_ceil(2) && lane.window.bytes() < share.div_ceil(2);
            if low && lane.scan.is_none() {
                if horizon.due_ms <= soon_ms {
                    lane.scan = Some(horizon);
                    self.actions.push(Action::Scan {
                        namespace: lane.name.clone(),
                        from: horizon,
                        until_ms: now_ms.saturating_add(self.limits.lookahead_ms),
                        rows_max: rows_max - lane.window.len(),
                        bytes_max: share - lane.window.bytes(),
                    });
                } else if horizon.due_ms != u64::MAX {
                    alarm_ms = horizon.due_ms - self.limits.lookahead_ms / 2;
                }
            }
            // A head that is due already waits for a consumer, not for the clock.
            if let Some(first) = lane.window.first_from(floor)
                && first.due_ms > now_ms
            {
                alarm_ms = alarm_ms.min(first.due_ms);
            }
        }
        self.set_alarm(l, alarm_ms);
    }
}
