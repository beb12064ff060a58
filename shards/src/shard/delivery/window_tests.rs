//! When tasks are delivered and what is in memory meanwhile: due times, the horizon, bounds, low water.

use z4_model::ids::TaskKey;
use z4_model::machine::Effect;
use z4_model::rows::record::TaskRecord;
use z4_model::settings::Settings;

use super::testing::{Change, World, name};
use super::{Action, Limits, weight};

fn one_consumer(namespaces: usize, limits: Limits) -> World {
    let mut w = World::new(namespaces, limits, 1);
    w.connect(1, &(0..namespaces).collect::<Vec<_>>(), 0, 1 << 30);
    w.credit(1, 1_000_000);
    w.pump();
    w
}

fn dues(w: &mut World) -> Vec<u64> {
    w.take(1, usize::MAX).iter().map(|t| t.key.due_ms).collect()
}

/// A task goes out at its millisecond: not one before, and without a read, for it is in memory by then. Here the storage thread
/// stands still for the last half second; were the row not prefetched, it could not come.
#[test]
fn a_scheduled_task_is_in_memory_before_it_is_due() {
    let mut w = one_consumer(1, Limits::default());
    let due_ms = w.now_ms + 60_000;
    w.create(0, due_ms);
    w.pass(59_500);
    assert_eq!(w.engine.counts().window_rows, 1, "prefetched");
    w.now_ms = due_ms - 1;
    w.run();
    assert_eq!(dues(&mut w), []);
    assert_eq!(w.wake_at(), Some(due_ms));
    w.now_ms = due_ms;
    w.run();
    assert_eq!(dues(&mut w), [due_ms]);
}

/// What is due in an hour costs no memory, and what is due at once is not held up by it.
#[test]
fn far_away_tasks_are_left_on_disk() {
    let mut w = one_consumer(1, Limits::default());
    for n in 0..50 {
        w.create(0, w.now_ms + 3_600_000 - n);
    }
    w.create(0, 0);
    w.pump();
    assert_eq!(w.engine.counts().window_rows, 0);
    assert_eq!(dues(&mut w), [w.now_ms]);
}

/// A caught-up window takes a new task that is due from the apply's effect: not even one scan is made for it.
#[test]
fn a_created_task_that_is_due_is_not_read_back() {
    let mut w = one_consumer(1, Limits::default());
    let scans = w.scans;
    (0..100).for_each(|_| w.create(0, 0));
    w.pump();
    assert_eq!((dues(&mut w).len(), w.scans), (100, scans));
}

/// A backlog far above the window's bounds, created in no order: delivered completely, in due order, with a bounded window (which
/// the model checks at every run).
#[test]
fn a_backlog_larger_than_the_window_comes_in_due_order() {
    let limits = Limits { window_rows_max: 16, ..Limits::default() };
    let mut w = World::new(1, limits, 7);
    let start_ms = w.now_ms;
    for _ in 0..1_000 {
        let due_ms = start_ms + w.dice.below(500);
        w.create(0, due_ms);
    }
    w.pump();
    w.now_ms += 1_000;
    w.connect(1, &[0], 0, 1 << 30);
    w.credit(1, 1_000_000);
    w.pump();
    let dues = dues(&mut w);
    assert_eq!(dues.len(), 1_000);
    assert!(dues.is_sorted());
    assert!(w.scans >= 1_000 / 16);
}

/// Tasks that stream in above the bound, while the consumer takes none, leave the window; the horizon moves back and all are
/// found again.
#[test]
fn an_overflowing_window_loses_nothing() {
    let limits = Limits { window_rows_max: 8, ..Limits::default() };
    let mut w = World::new(1, limits, 3);
    w.connect(1, &[0], 0, 1 << 30);
    w.pump();
    for _ in 0..300 {
        let due_ms = w.now_ms + w.dice.below(1_000);
        w.create(0, due_ms);
        w.pass(1);
    }
    assert_eq!(w.engine.counts().window_rows, 8);
    w.credit(1, 1_000);
    w.pass(2_000);
    assert_eq!(dues(&mut w).len(), 300);
}

/// 200 namespaces share a budget that has room for few rows each, and one row is larger than a share: the bound holds (the model
/// checks it) and every namespace gets its turn.
#[test]
fn many_namespaces_share_the_budget() {
    let limits = Limits { total_bytes_max: 100 << 10, ..Limits::default() };
    let namespaces = 200;
    let mut w = World::new(namespaces, limits, 5);
    for n in 0..namespaces {
        for _ in 0..6 {
            w.propose(n, Change::Create { due_ms: 0, bytes: 300 });
        }
    }
    w.propose(0, Change::Create { due_ms: 0, bytes: 8_000 });
    w.pump();
    w.connect(1, &(0..namespaces).collect::<Vec<_>>(), 0, 1 << 30);
    w.pump();
    let held = w.engine.counts().window_bytes;
    assert!(held > 60 << 10 && held < 200 << 10, "{held}");
    w.credit(1, namespaces as u32);
    w.pump();
    let first: std::collections::HashSet<_> = w.take(1, usize::MAX).into_iter().map(|t| t.namespace).collect();
    assert!(first.len() > namespaces / 2, "a credit of one round serves most of them: {}", first.len());
    w.credit(1, 1_000_000);
    w.pump();
    assert_eq!(w.take(1, usize::MAX).len(), namespaces * 5 + 1);
}

/// Windows that were filled when there were few namespaces shrink when many come.
#[test]
fn full_windows_make_room_for_new_namespaces() {
    let limits = Limits { total_bytes_max: 64 << 10, ..Limits::default() };
    let mut w = World::new(64, limits, 5);
    for n in 0..64 {
        (0..200).for_each(|_| w.create(n, 0));
    }
    w.pump();
    for n in 0..64 {
        // No credit: what is in a window stays there.
        w.connect(n as u64, &[n], 0, 1 << 30);
        w.pump();
    }
    let counts = w.engine.counts();
    assert!(counts.window_bytes < (72 << 10) + 64 * weight(&vec![0; 200].into()), "{counts:?}");
    assert!(counts.window_rows >= 64, "one for each: {counts:?}");
}

/// Paused: nothing goes out, what is out can be acked, and everything comes when the pause ends.
#[test]
fn a_paused_namespace_delivers_nothing() {
    let mut w = one_consumer(2, Limits::default());
    w.create(0, 0);
    w.pump();
    let before = w.take(1, 10);
    w.propose(0, Change::Configure(Settings { paused: true, ..Settings::default() }));
    (0..3).for_each(|_| w.create(0, 0));
    w.create(1, 0);
    w.pass(10);
    let other = w.take(1, 10);
    assert_eq!(other.len(), 1, "only the namespace that is not paused");
    w.ack(&before[0]).expect("a pause leaves leases alone");
    w.ack(&other[0]).expect("leased");
    w.propose(0, Change::Configure(Settings::default()));
    w.pass(0);
    assert_eq!(dues(&mut w).len(), 3);
}

/// The low-water mark follows the acks, so that a later scan does not start among the tombstones; it never passes a task that is
/// live, be it with a consumer.
#[test]
fn low_water_follows_the_acks() {
    let limits = Limits { water_rows: 100, ..Limits::default() };
    let mut w = one_consumer(1, limits);
    let first_ms = w.now_ms;
    w.create(0, 0);
    w.pass(10);
    let kept = w.take(1, 10);
    for _ in 0..150 {
        w.create(0, 0);
        w.pass(1);
        for task in w.take(1, 10) {
            w.ack(&task).expect("leased");
        }
    }
    w.pump();
    assert_eq!(w.waters.last(), Some(&first_ms), "the first task is leased: {:?}", w.waters);
    w.ack(&kept[0]).expect("leased");
    for _ in 0..150 {
        w.create(0, 0);
        w.pass(1);
        for task in w.take(1, 10) {
            w.ack(&task).expect("leased");
        }
    }
    w.pump();
    let last_ms = *w.waters.last().expect("proposed");
    assert!(last_ms > first_ms + 100, "{:?}", w.waters);
    assert!(w.waters.len() <= 4, "every now and then: {:?}", w.waters);
}

/// A row that cannot be read is reported and not delivered; the others are.
#[test]
fn a_damaged_row_is_reported() {
    let mut w = one_consumer(1, Limits::default());
    let (key, namespace) = (TaskKey { due_ms: w.now_ms, sequence: 9 }, name(0));
    w.engine.applied([Effect::Added { namespace, key, row: "no record".into() }], w.now_ms);
    w.create(0, 0);
    w.commit();
    w.work();
    w.answer();
    let actions = w.engine.run(w.now(), &mut || 0.5);
    assert!(
        matches!(&actions[..], [Action::Damaged { key: at, .. }, Action::Deliver { tasks, .. }] if *at == key && tasks.len() == 1)
    );
}

/// A create whose id was reserved early may be due before what was delivered already: the oldest due time is still the true one.
#[test]
fn leases_are_ordered_by_due_time_not_by_delivery() {
    let mut w = one_consumer(1, Limits::default());
    w.create(0, 0);
    w.pump();
    let row = TaskRecord { version: 1, ..Default::default() }.encode();
    let (key, namespace) = (TaskKey { due_ms: w.now_ms - 500, sequence: 1 << 63 }, name(0));
    w.engine.applied([Effect::Added { namespace, key, row }], w.now_ms);
    w.run();
    let got = w.take(1, 10);
    assert_eq!(got.len(), 2);
    assert_eq!(w.engine.counts().oldest_due_ms, Some(key.due_ms));
    w.ack(&got[0]).expect("leased");
    w.pump();
    assert_eq!(w.engine.counts().oldest_due_ms, Some(key.due_ms));
}

/// A while after the last consumer the namespace's memory goes; leases that were left behind stay good, and are all that is left.
#[test]
fn an_inactive_namespace_costs_nothing() {
    let mut w = one_consumer(1, Limits::default());
    w.create(0, 0);
    w.create(0, w.now_ms + 1_000);
    w.pump();
    assert_eq!(w.engine.counts().window_rows, 1);
    let task = w.take(1, 10).remove(0);
    w.engine.unsubscribe(super::ConsumerId(1), super::Gone::Detached);
    w.clients.remove(&1);
    w.pump();
    assert_eq!(w.engine.counts().window_rows, 1, "kept for who comes at once");
    w.pass(w.limits.keep_ms);
    w.pump();
    let counts = w.engine.counts();
    assert_eq!((counts.leased, counts.window_rows, counts.window_bytes, counts.namespaces, counts.consumers), (1, 0, 0, 0, 0));
    w.ack(&task).expect("detached, not lost");
    w.pump();
    assert_eq!(w.engine.counts(), Default::default());
    assert_eq!(w.wake_at(), None);
}

/// Who leases one task at a time is a new consumer each time: it must not have thousands of rows read for each, and the low-water mark must
/// move, or each scan passes all that was acknowledged before.
#[test]
fn leasing_one_by_one_reads_each_row_about_once() {
    let mut w = World::new(1, Limits::default(), 7);
    for n in 0..3_000 {
        w.create(0, w.now_ms - 200_000 + n);
    }
    w.pump();
    for id in 1..=2_000 {
        w.connect(id, &[0], 0, 1 << 20);
        w.credit(id, 1);
        w.pump();
        let task = w.take(id, 1).remove(0);
        w.engine.unsubscribe(super::ConsumerId(id), super::Gone::Detached);
        w.clients.remove(&id);
        w.ack(&task).expect("leased");
        w.pump();
        w.pass(1);
    }
    assert!(w.scanned_rows <= 2_600, "{} rows were read for 2,000 leases", w.scanned_rows);
    assert!(w.scans <= 40, "{} scans", w.scans);
    assert!(!w.waters.is_empty(), "the low-water mark never moved");
    w.pass(w.limits.keep_ms);
    w.pump();
    assert_eq!((w.engine.counts(), w.wake_at()), (Default::default(), None));
}

/// A consumer that goes must cost what it had, not what all others have: hundreds of consumers of one namespace come and go.
#[test]
fn consumers_that_come_and_go_leave_no_place_in_the_ring() {
    let mut w = World::new(1, Limits::default(), 7);
    w.connect(1, &[0], 0, 1 << 20);
    for id in 2..5_000 {
        w.connect(id, &[0], 0, 1 << 20);
        w.disconnect(id);
    }
    assert!(w.engine.ring_len(&name(0)) <= 40, "{} places for one consumer", w.engine.ring_len(&name(0)));
    w.create(0, 0);
    w.credit(1, 1);
    w.pump();
    assert_eq!(w.take(1, 10).len(), 1);
}

/// More namespaces than bytes for their windows: each still gets its rows, one at a time.
#[test]
fn no_namespace_starves_when_the_windows_have_no_room() {
    let mut w = World::new(3, Limits { total_bytes_max: 2, ..Limits::default() }, 7);
    w.connect(1, &[0, 1, 2], 0, 1 << 20);
    w.credit(1, 30);
    (0..30).for_each(|n| w.create(n % 3, 0));
    w.pump();
    assert_eq!(w.take(1, 100).len(), 30);
}
