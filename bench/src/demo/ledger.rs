//! What the demo knows about each reminder: which task it became, how often and how late it was delivered.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use z4_proto::Delivery;

use super::reminder::{Reminder, id_of};
use crate::clock;
use crate::latency::{Latency, Percentiles};

/// Shared by the producer, the consumers and the final check.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    /// When the demo started, in milliseconds since 1970: due times count from here.
    start_ms: i64,
    reminders: Vec<Reminder>,
    by_id: HashMap<String, usize>,
    lines: Vec<Line>,
    /// Creates that the peer knew already.
    repeated: u64,
    acknowledged: u64,
    /// Deliveries before the due time, and deliveries of tasks that nobody created.
    early: u64,
    unknown: u64,
    last: Option<usize>,
}

#[derive(Clone, Debug, Default)]
struct Line {
    task_id: String,
    /// When its create was acknowledged, in milliseconds since 1970; 0 before.
    created_ms: i64,
    deliveries: u32,
    /// When it first arrived, in microseconds since 1970.
    delivered_us: i64,
}

/// The state of things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reminders in the file.
    pub reminders: u64,
    /// Creates that were acknowledged.
    pub created: u64,
    /// Different tasks that they made.
    pub tasks: u64,
    /// Creates that the peer answered with a task it had already.
    pub repeated: u64,
    /// Reminders that were delivered at least once.
    pub delivered: u64,
    /// Deliveries after the first of their task.
    pub again: u64,
    /// Acks that the peer accepted.
    pub acknowledged: u64,
    /// Deliveries before the due time.
    pub early: u64,
    /// Deliveries of tasks that are no reminder.
    pub unknown: u64,
}

impl Ledger {
    /// All reminders, none created; they are due relative to `start_ms`.
    pub fn new(reminders: Vec<Reminder>, start_ms: i64) -> Self {
        let by_id = reminders.iter().enumerate().map(|(n, r)| (r.request_id.clone(), n)).collect();
        let lines = vec![Line::default(); reminders.len()];
        let pages = Pages { start_ms, reminders, by_id, lines, repeated: 0, acknowledged: 0, early: 0, unknown: 0, last: None };
        Self(Arc::new(Mutex::new(pages)))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the create of reminder `index` was acknowledged; `known` if the peer had the task already.
    pub fn created(&self, index: usize, task_id: String, known: bool) {
        let mut pages = self.pages();
        pages.repeated += u64::from(known);
        let line = &mut pages.lines[index];
        line.task_id = task_id;
        line.created_ms = clock::wall_millis();
    }

    /// Notes that a task arrived.
    pub fn delivered(&self, delivery: &Delivery) {
        self.delivered_at(delivery, clock::wall_micros());
    }

    fn delivered_at(&self, delivery: &Delivery, now_us: i64) {
        let mut pages = self.pages();
        let id = delivery.task.as_ref().and_then(|task| id_of(&task.metadata));
        let Some(index) = id.and_then(|id| pages.by_id.get(id).copied()) else {
            pages.unknown += 1;
            return;
        };
        if now_us < pages.due_us(index) {
            pages.early += 1;
        }
        pages.last = Some(index);
        let line = &mut pages.lines[index];
        line.deliveries += 1;
        if line.deliveries == 1 {
            line.delivered_us = now_us;
        }
    }

    /// Notes that the peer accepted so many acks.
    pub fn acknowledged(&self, acks: u64) {
        self.pages().acknowledged += acks;
    }

    /// The state of things.
    pub fn counts(&self) -> Counts {
        let pages = self.pages();
        let created = || pages.lines.iter().filter(|l| l.created_ms > 0);
        Counts {
            reminders: pages.lines.len() as u64,
            created: created().count() as u64,
            tasks: created().map(|l| &l.task_id).collect::<BTreeSet<_>>().len() as u64,
            repeated: pages.repeated,
            delivered: pages.lines.iter().filter(|l| l.deliveries > 0).count() as u64,
            again: pages.lines.iter().map(|l| u64::from(l.deliveries.saturating_sub(1))).sum(),
            acknowledged: pages.acknowledged,
            early: pages.early,
            unknown: pages.unknown,
        }
    }

    /// How late the reminders were that came due after they had been created: those that came due while the peer ran, and those that
    /// came due while it was down (`outage_ms`, from and until in milliseconds since 1970).
    pub fn lateness(&self, outage_ms: (i64, i64)) -> (Percentiles, Percentiles) {
        let (running, down) = (Latency::new(), Latency::new());
        let pages = self.pages();
        for (index, line) in pages.lines.iter().enumerate() {
            let due_us = pages.due_us(index);
            if line.deliveries == 0 || line.created_ms == 0 || due_us <= line.created_ms * 1_000 {
                continue;
            }
            let during_outage = (outage_ms.0..outage_ms.1).contains(&(due_us / 1_000));
            let latency = if during_outage { &down } else { &running };
            latency.record((line.delivered_us - due_us).max(0) as u64 * 1_000);
        }
        (running.percentiles(), down.percentiles())
    }

    /// The reminder that was delivered last, in a few words.
    pub fn last(&self) -> Option<String> {
        let pages = self.pages();
        let reminder = &pages.reminders[pages.last?];
        let payload: serde_json::Value = serde_json::from_str(&reminder.payload).unwrap_or_default();
        let text = payload.get("text").and_then(|text| text.as_str()).unwrap_or(&reminder.payload);
        let shown: String = text.chars().take(36).collect();
        let dots = if shown.len() < text.len() { "…" } else { "" };
        let about = |key| reminder.metadata.get(key).map_or("", String::as_str);
        Some(format!("“{shown}{dots}” to {} by {}", about("user_id"), about("channel")))
    }
}

impl Pages {
    fn due_us(&self, index: usize) -> i64 {
        (self.start_ms + self.reminders[index].due_ms) * 1_000
    }
}

#[cfg(test)]
mod tests {
    //! The demo's verdict rests on this book: a delivery that is early, lost or double must show.
    use super::*;
    use std::time::Duration;
    use z4_proto::Task;

    const START_MS: i64 = 1_000_000;

    fn ledger(due_ms: &[i64]) -> Ledger {
        let reminder = |(n, &due_ms): (usize, &i64)| Reminder {
            request_id: format!("r{n}"),
            namespace: "a".into(),
            due_ms,
            metadata: [("reminder_id".to_owned(), format!("r{n}"))].into(),
            payload: String::new(),
        };
        Ledger::new(due_ms.iter().enumerate().map(reminder).collect(), START_MS)
    }

    fn deliver(ledger: &Ledger, id: &str, at_ms: i64) {
        let metadata = [("reminder_id".to_owned(), id.to_owned())].into();
        let task = Task { metadata, ..Task::default() };
        ledger.delivered_at(&Delivery { task: Some(task), ..Delivery::default() }, (START_MS + at_ms) * 1_000);
    }

    #[test]
    fn early_double_and_unknown_deliveries_show() {
        let ledger = ledger(&[100, 200, 300]);
        for (n, id) in ["A", "B", "B"].into_iter().enumerate() {
            ledger.created(n, id.into(), n == 2);
        }
        deliver(&ledger, "r0", 100);
        deliver(&ledger, "r1", 199);
        deliver(&ledger, "r1", 250);
        deliver(&ledger, "r9", 500);
        let want = Counts {
            reminders: 3,
            created: 3,
            tasks: 2,
            repeated: 1,
            delivered: 2,
            again: 1,
            acknowledged: 0,
            early: 1,
            unknown: 1,
        };
        assert_eq!(ledger.counts(), want);
    }

    #[test]
    fn lateness_leaves_out_what_was_due_when_created_and_sets_the_outage_apart() {
        let ledger = ledger(&[100, 200, 300, 400]);
        for n in 0..4 {
            ledger.created(n, n.to_string(), false);
            ledger.pages().lines[n].created_ms = START_MS + 150;
        }
        for (id, at_ms) in [("r0", 160), ("r1", 202), ("r2", 1_300), ("r3", 404)] {
            deliver(&ledger, id, at_ms);
        }
        let (running, down) = ledger.lateness((START_MS + 250, START_MS + 350));
        let near = |d: Duration, ms: u64| d.as_millis().abs_diff(u128::from(ms)) <= 1;
        assert_eq!((running.count, down.count), (2, 1));
        assert!(near(running.max, 4) && near(running.p50, 2) && near(down.max, 1_000), "{running} / {down}");
    }
}
