//! The whole partition: what was applied is there, in this order, under these names, also after it was closed and opened again, and
//! however the entries were cut into runs.

use z4_model::command::Op;
use z4_model::ids::{Namespace, TaskKey};
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::testing::{command, create, entry};

use super::history::{NAMESPACE, Replay, log, machine_rows, task};
use super::*;
use crate::partition::{ListRange, Partition, PartitionError};

/// Small enough that a short history is flushed and merged several times.
fn small() -> PartitionOptions {
    PartitionOptions { memtable_bytes: 64 << 10, compaction_tables: 2, table_bytes: 64 << 10, ..PartitionOptions::default() }
}

fn open(dir: &Path) -> Partition {
    Partition::open(dir, GroupId(1), &small()).expect("it opens")
}

fn namespace() -> Namespace {
    Namespace::new(NAMESPACE).expect("valid")
}

/// One entry that creates tasks due at these times; the `n`th has the sequence `1 << 16 | n`.
fn creates(dues: &[u64]) -> LogEntry {
    let ops = dues.iter().map(|due_ms| create(*due_ms, b"payload")).collect();
    let position = LogPosition { term: 1, leader: 1, index: 1 };
    LogEntry { position, payload: LogPayload::Normal(entry(1, vec![command(NAMESPACE, ops)])) }
}

fn key(due_ms: u64, n: u64) -> TaskKey {
    TaskKey { due_ms, sequence: 1 << 16 | n }
}

#[test]
fn it_keeps_everything_when_it_is_opened_again() {
    let dir = temp();
    let mut replay = Replay::new(100);
    let mut last = 0;
    for upto in [1, 47, 60, 300] {
        let mut partition = open(dir.path());
        assert_eq!(partition.applied().map_or(0, |p| p.index), last);
        for run in log(last + 1, upto, 100).chunks(5) {
            let outcomes = partition.apply(run).expect("it applies");
            assert_eq!(outcomes.len(), run.len());
        }
        last = upto;
        let (rows, hash) = replay.at(last);
        assert_eq!(machine_rows(&partition.view()), rows);
        assert_eq!(partition.state_hash(), hash);
        let (totals, stamp, membership) = (partition.totals(), partition.last_stamp_ms(), partition.membership());
        let persisted = partition.persist().expect("it persists");
        assert_eq!(persisted.map(|p| p.index), Some(last));
        drop(partition);

        let partition = open(dir.path());
        assert_eq!(partition.applied(), persisted);
        assert_eq!(machine_rows(&partition.view()), rows);
        assert_eq!(partition.state_hash(), hash);
        assert_eq!((partition.totals(), partition.last_stamp_ms(), partition.membership()), (totals, stamp, membership));
    }
    let (at, bytes) = open(dir.path()).membership().expect("there were some");
    assert_eq!((at.map(|p| p.index), &bytes[..]), (Some(300), &b"voters as of 300"[..]));
}

#[test]
fn runs_of_any_length_make_the_same_bytes() {
    let mut all = Vec::new();
    for length in [1, 7, 150] {
        let dir = temp();
        let mut partition = open(dir.path());
        for run in log(1, 150, 100).chunks(length) {
            partition.apply(run).expect("it applies");
        }
        all.push((machine_rows(&partition.view()), partition.state_hash()));
    }
    assert!(all[0] == all[1] && all[1] == all[2]);
    assert_eq!(all[0], Replay::new(100).at(150));
}

#[test]
fn a_view_stays_as_it_was() {
    let dir = temp();
    let mut partition = open(dir.path());
    let mut replay = Replay::new(100);
    let mut views = Vec::new();
    for n in 0..20 {
        partition.apply(&log(n * 10 + 1, n * 10 + 10, 100)).expect("it applies");
        views.push(partition.view());
    }
    for (n, view) in views.iter().enumerate() {
        assert_eq!(machine_rows(view), replay.at(n as u64 * 10 + 10).0, "view {n}");
    }
}

#[test]
fn a_task_is_found_at_home_moved_and_dead_and_not_when_it_is_gone() {
    let dir = temp();
    let mut partition = open(dir.path());
    partition.apply(&log(1, 4, 10)).expect("it applies");
    let get = |n: u64| partition.get(&namespace(), task(1, n)).expect("it reads");
    assert_eq!(get(0), None, "acked");
    let retried = get(6).expect("it was moved by its retry");
    assert_eq!((retried.id, retried.dead, retried.record.attempts), (task(1, 6), false, 1));
    assert!(retried.key.due_ms > task(1, 6).due_ms);
    let dead = get(7).expect("it is dead and still there");
    assert_eq!((dead.id, dead.dead, dead.record.attempts), (task(1, 7), true, 2));
    let moved = get(8).expect("it was moved by an update");
    assert_eq!((moved.id, moved.dead, moved.record.version), (task(1, 8), false, 2));
    assert_eq!(get(9), None, "deleted");
    let home = get(10).expect("nothing happened to it");
    assert_eq!((home.id, home.key), (task(1, 10), task(1, 10).home()));
    let other = z4_model::ids::TaskId { group: GroupId(2), ..task(1, 10) };
    assert_eq!(partition.get(&namespace(), other).expect("it reads"), None, "another group's task");
    assert_eq!(partition.get(&Namespace::new("other").expect("valid"), task(1, 10)).expect("it reads"), None);
}

#[test]
fn lists_are_in_due_order_and_their_pages_join() {
    let dir = temp();
    let mut partition = open(dir.path());
    partition.apply(&log(1, 40, 10)).expect("it applies");
    for dead in [false, true] {
        let range = |from, rows_max, bytes_max, until_ms| ListRange {
            namespace: namespace(),
            dead,
            from,
            until_ms,
            rows_max,
            bytes_max,
            omit_payload: false,
        };
        let all = partition.list(&range(TaskKey::MIN, usize::MAX, usize::MAX, u64::MAX)).expect("it lists");
        assert!(all.next.is_none() && all.rows.len() > 20);
        assert!(all.rows.iter().all(|row| row.dead == dead));
        assert!(all.rows.is_sorted_by(|a, b| a.key < b.key));
        for (rows_max, bytes_max) in [(7, usize::MAX), (usize::MAX, 1)] {
            let (mut from, mut joined) = (TaskKey::MIN, Vec::new());
            loop {
                let page = partition.list(&range(from, rows_max, bytes_max, u64::MAX)).expect("it lists");
                assert!(!page.rows.is_empty() && page.rows.len() <= rows_max);
                joined.extend(page.rows);
                let Some(next) = page.next else { break };
                from = next;
            }
            assert_eq!(joined, all.rows);
        }
        let middle = all.rows[10].key.due_ms;
        let part = partition.list(&range(TaskKey::MIN, usize::MAX, usize::MAX, middle)).expect("it lists");
        assert!(part.rows.iter().all(|row| row.key.due_ms < middle) && part.next.is_none());
        assert_eq!(part.rows[..], all.rows[..part.rows.len()]);
    }
}

#[test]
fn a_window_tells_the_first_row_that_it_left_out_whatever_its_due_time() {
    let dir = temp();
    let mut partition = open(dir.path());
    partition.apply(&[creates(&[30, 10, 20, 20])]).expect("it applies");
    let window = |from: TaskKey, until_ms: u64, rows_max: usize, bytes_max: usize| {
        let found = partition.scan_window(&namespace(), from, until_ms, rows_max, bytes_max).expect("it scans");
        (found.rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), found.next)
    };
    let (first, second, third, fourth) = (key(10, 1), key(20, 2), key(20, 3), key(30, 0));
    assert_eq!(window(TaskKey::MIN, 30, 10, usize::MAX), (vec![first, second, third, fourth], None));
    assert_eq!(window(TaskKey::MIN, 20, 10, usize::MAX), (vec![first, second, third], Some(fourth)), "due later");
    assert_eq!(window(TaskKey::MIN, 30, 2, usize::MAX), (vec![first, second], Some(third)), "full by rows");
    assert_eq!(window(TaskKey::MIN, 30, 10, 1), (vec![first], Some(second)), "full by bytes, and one comes anyway");
    assert_eq!(window(TaskKey::MIN, 5, 10, usize::MAX), (vec![], Some(first)), "nothing is due");
    assert_eq!(window(second.next(), 20, 10, usize::MAX), (vec![third], Some(fourth)), "from the middle");
    assert_eq!(window(fourth.next(), 99, 10, usize::MAX), (vec![], None), "behind the last");
    let other = Namespace::new("letterz").expect("valid");
    assert_eq!(partition.scan_window(&other, TaskKey::MIN, 99, 9, 9).expect("it scans").next, None, "another namespace");
    assert_eq!(partition.oldest_due(&namespace(), TaskKey::MIN).expect("it reads"), Some(first));
}

#[test]
fn namespaces_and_registry_rows_are_told_in_order() {
    let dir = temp();
    let mut partition = open(dir.path());
    let commands = ["b", "a", "ab", "c"].map(|name| command(name, vec![create(5, b"")]));
    let position = LogPosition { term: 1, leader: 1, index: 1 };
    let payload = LogPayload::Normal(entry(1, commands.to_vec()));
    partition.apply(&[LogEntry { position, payload }]).expect("it applies");
    let names = |after: Option<&str>, limit| {
        let after = after.map(|name| Namespace::new(name).expect("valid"));
        let found = partition.namespaces(after.as_ref(), limit).expect("it reads");
        found.into_iter().map(|(name, row)| (name.to_string(), row.live)).collect::<Vec<_>>()
    };
    let named = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect::<Vec<_>>();
    assert_eq!(names(None, 9), named(&["a", "ab", "b", "c"]));
    assert_eq!(names(Some("a"), 2), named(&["ab", "b"]));
    let absent = Namespace::new("d").expect("valid");
    assert_eq!(partition.namespace(&absent).expect("it reads"), None);

    let dir = temp();
    let mut registry = Partition::open(dir.path(), GroupId::REGISTRY, &small()).expect("it opens");
    let register = |key: &'static [u8]| Op::Register {
        key: Bytes::from_static(key),
        value: Bytes::from_static(key),
        before: z4_model::command::Before::Absent,
    };
    let commands = [&b"slot/2"[..], b"peer/1", b"slot/1"].map(|key| command("z4:registry", vec![register(key)]));
    let payload = LogPayload::Normal(entry(1, commands.to_vec()));
    registry.apply(&[LogEntry { position, payload }]).expect("it applies");
    let rows = registry.registry(b"slot/").expect("it reads");
    assert_eq!(rows, [b"slot/1", b"slot/2"].map(|key| (Bytes::from_static(key), Bytes::from_static(key))));
    assert_eq!(registry.registered(b"peer/1").expect("it reads"), Some(Bytes::from_static(b"peer/1")));
    assert_eq!(registry.registered(b"peer/2").expect("it reads"), None);
}

#[test]
fn a_directory_in_use_or_of_another_group_is_refused() {
    let dir = temp();
    let mut partition = open(dir.path());
    partition.apply(&log(1, 1, 10)).expect("it applies");
    let second = Partition::open(dir.path(), GroupId(1), &small());
    assert!(matches!(second.err(), Some(PartitionError::Locked { group: GroupId(1), .. })));
    drop(partition);
    let other = Partition::open(dir.path(), GroupId(2), &small());
    assert!(matches!(other.err(), Some(PartitionError::Damaged { group: GroupId(2), .. })));
    assert_eq!(open(dir.path()).applied().map(|p| p.index), Some(1));
}

/// The rows of a crash may be in nothing but the journal's pages. What is open says how far it is, and where the log ends before that openraft
/// lets all of the log go: so it is on the disk, and said to be, when the partition is open.
#[test]
fn what_is_open_is_durable_before_anybody_lets_the_log_go() {
    let base = temp();
    let open = || Partition::open_current(base.path(), GroupId(1), &PartitionOptions::default()).expect("it opens");
    let mut partition = open();
    partition.apply(&log(1, 20, 100)).expect("it applies");
    partition.persist().expect("it persists");
    partition.apply(&log(21, 40, 100)).expect("it applies");
    let said = || {
        let dir = base.path().join("generation-1");
        let place = Place::new(GroupId(1), Arc::from(dir.as_path()));
        crate::partition::manifest::read(&dir, &place).expect("it can be read").and_then(|manifest| manifest.applied)
    };
    // Written, and not synced.
    drop(partition);
    assert_eq!(said(), Some(20));
    let partition = open();
    assert_eq!((partition.applied().map(|at| at.index), said()), (Some(40), Some(40)));
}
