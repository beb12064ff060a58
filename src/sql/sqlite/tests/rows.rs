//! What rows look like, which states they have, in which order they come, and what is asked of the peer for them.

use std::sync::atomic::Ordering;

use super::*;
use crate::sql::context::Consistency;
use crate::sql::testing::row;

const B: &str = "deliver_at BETWEEN 0 AND 900000000000";

#[test]
fn a_row_has_all_its_values() {
    let mut task = row("a", false, 2_000, 3);
    task.3.last_retry_ms = 1_500;
    task.3.last_error = bytes::Bytes::from_static(b"no");
    let id = task.3.id(Fake::new(1, NOW, &[]).group(&task.0), task.2).to_string();
    let bench = bench(Fake::new(1, NOW, &[task, row("a", true, 3_000, 4)]));
    let rows = bench.rows(&format!("SELECT * FROM tasks WHERE namespace = 'a' AND {B} ORDER BY deliver_at"), 11);
    let int = Datum::Int;
    let (metadata, payload) = (text(r#"{"n": "3"}"#), text("payload 3"));
    let first = [
        text("a"),
        text(&id),
        int(2_000_000),
        metadata,
        payload,
        text("ready"),
        int(1_000),
        int(1_500_000),
        int(0),
        int(9),
        text("no"),
    ];
    assert_eq!(rows[0], first);
    assert_eq!((&rows[1][5], &rows[1][7], &rows[1][10]), (&text("dead"), &Datum::Null, &Datum::Null));
}

fn states() -> Fake {
    // One dead and one live task each second, half of the live ones in the future, two of those due leased.
    let mut rows = Vec::new();
    for i in 0..20u64 {
        let namespace = ["a", "b", "c"][i as usize % 3];
        rows.push(row(namespace, i % 2 == 0, NOW - 10_000 + i * 1_000, i + 1));
    }
    let fake = Fake::new(3, NOW, &rows);
    fake.leased.lock().expect("a lock").extend([rows[1].2, rows[3].2]);
    fake
}

#[test]
fn states_are_told_apart() {
    let bench = bench(states());
    let all = "namespace IN ('a', 'b', 'c')";
    let sql = format!("SELECT state, count(*) FROM tasks WHERE {all} AND {B} GROUP BY state");
    let by_state = bench.rows(&sql, 2);
    let int = Datum::Int;
    let wanted = [("dead", 10), ("leased", 2), ("ready", 3), ("scheduled", 5)].map(|(state, n)| vec![text(state), int(n)]);
    assert_eq!(by_state, wanted);
    for [state, count] in wanted.map(|row| [row[0].clone(), row[1].clone()]) {
        let Datum::Text(state) = state else { panic!("text") };
        let sql = format!("SELECT count(*) FROM tasks WHERE {all} AND {B} AND state = '{state}'");
        assert_eq!(bench.rows(&sql, 1), [[count]], "{state}");
    }
    let sql = format!("SELECT count(*) FROM tasks WHERE {all} AND {B} AND state IN ('leased', 'dead', 'odd')");
    assert_eq!(bench.rows(&sql, 1), [[int(12)]]);
    let sql = format!("SELECT count(*) FROM tasks WHERE {all} AND {B} AND state = 'odd'");
    assert_eq!(bench.rows(&sql, 1), [[int(0)]]);
}

#[test]
fn leases_are_asked_for_once_and_when_they_matter() {
    let bench = bench(states());
    let asked = || bench.fake.counts.leases.swap(0, Ordering::Relaxed);
    bench.rows(&format!("SELECT count(*) FROM tasks WHERE namespace = 'a' AND {B}"), 1);
    bench.rows(&format!("SELECT count(*) FROM tasks WHERE namespace = 'a' AND {B} AND state IN ('dead', 'scheduled')"), 1);
    assert_eq!(asked(), 0);
    bench.rows(&format!("SELECT x.state FROM tasks x, tasks y WHERE x.namespace = 'a' AND y.namespace = 'a' AND x.{B} AND y.{B} AND y.state = x.state"), 1);
    assert_eq!(asked(), 1);
}

#[test]
fn leases_that_are_not_known_are_a_warning() {
    let mut fake = states();
    fake.leases_unknown = true;
    let bench = bench(fake);
    let sql = format!("SELECT state FROM tasks WHERE namespace = 'a' AND {B}");
    let (rows, warnings) = bench.all(&sql, 1, Vec::new(), What::Run).expect("rows");
    assert!(!rows.contains(&vec![text("leased")]));
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].error.message.contains("leases of group"), "{warnings:?}");
}

#[test]
fn linearizable_reads_wait_for_each_group_once() {
    let mut bench = bench(states());
    let sql = format!("SELECT count(*) FROM tasks x, tasks y WHERE x.namespace = 'a' AND y.namespace = 'a' AND x.{B} AND y.{B}");
    bench.rows(&sql, 1);
    assert_eq!(bench.fake.counts.barriers.load(Ordering::Relaxed), 0);
    bench.context.consistency = Consistency::Linearizable;
    bench.rows(&sql, 1);
    assert_eq!(bench.fake.counts.barriers.load(Ordering::Relaxed), 1);
}

#[test]
fn an_id_is_a_lookup_unless_its_task_moved() {
    let mut rows: Vec<_> = (0..5_000).map(|i| row("a", false, i, i + 1)).collect();
    rows[10].3.id_due_ms = 4_000;
    let group = Fake::new(2, NOW, &[]).group(&rows[0].0);
    let id = |at: usize| rows[at].3.id(group, rows[at].2).to_string();
    let bench = bench(Fake::new(2, NOW, &rows));
    let find =
        |ids: &str| bench.rows(&format!("SELECT deliver_at FROM tasks WHERE namespace = 'a' AND {B} AND id IN ({ids})"), 1).len();
    let read = || bench.fake.counts.rows.swap(0, Ordering::Relaxed);
    assert_eq!(find(&format!("'{}'", id(77))), 1);
    assert_eq!(read(), 1);
    assert_eq!(find(&format!("'{}', '{}', 'x'", id(77), id(10))), 2);
    assert!(read() > 4_000, "the moved one was looked for");
    assert_eq!(find(&format!("'{}'", id(77).to_lowercase())), 0);
}

#[test]
fn few_rows_are_read_when_few_are_wanted() {
    let rows: Vec<_> = (0..50_000).map(|i| row(["a", "b"][i as usize % 2], i % 5 == 0, i, i + 1)).collect();
    let bench = bench(Fake::new(2, NOW, &rows));
    let sql = format!("SELECT deliver_at FROM tasks WHERE namespace IN ('a', 'b') AND {B} ORDER BY deliver_at DESC LIMIT 10");
    let found = bench.rows(&sql, 1);
    assert_eq!(found, (49_990..50_000).rev().map(|ms| vec![Datum::Int(ms * 1000)]).collect::<Table>());
    let read = bench.fake.counts.rows.load(Ordering::Relaxed);
    assert!(read < 1_000, "{read}");
}

#[test]
fn many_rows_of_many_groups_all_come() {
    let rows: Vec<_> = (0..60_000).map(|i| row(["a", "b", "c", "d"][i as usize % 4], i % 5 == 0, i, i + 1)).collect();
    let bench = bench(Fake::new(3, NOW, &rows));
    let of = "namespace IN ('a', 'b', 'c', 'd', 'none')";
    let sql = format!("SELECT count(*), count(DISTINCT id), sum(payload_bytes) FROM tasks WHERE {of} AND {B}");
    let bytes: i64 = rows.iter().map(|row| row.3.payload.len() as i64).sum();
    assert_eq!(bench.rows(&sql, 3), [[Datum::Int(60_000), Datum::Int(60_000), Datum::Int(bytes)]]);
    let sql = format!("SELECT namespace, state, count(*) FROM tasks WHERE {of} AND {B} GROUP BY namespace, state");
    let by = bench.rows(&sql, 3);
    assert_eq!(by.len(), 8, "{by:?}");
    assert_eq!(by[0], [text("a"), text("dead"), Datum::Int(3_000)]);
    let all = bench.rows(&format!("SELECT id FROM tasks WHERE {of} AND {B}"), 1);
    assert_eq!(all.len(), 60_000);
}

#[test]
fn or_arms_that_overlap_give_a_row_once() {
    let rows: Vec<_> = (0..10).map(|i| row("a", i % 2 == 0, i, i + 1)).collect();
    let bench = bench(Fake::new(2, NOW, &rows));
    let sql = "SELECT count(*) FROM tasks WHERE namespace = 'a' AND (deliver_at BETWEEN 0 AND 6000 OR deliver_at BETWEEN 3000 AND 9000)";
    assert_eq!(bench.rows(sql, 1), [[Datum::Int(10)]]);
}

#[test]
fn the_small_tables_have_rows() {
    let mut bench = bench(states());
    let defaults = [("autocommit".to_owned(), Datum::Int(1))].into();
    bench.context.variables = crate::sql::context::Variables::new(std::sync::Arc::new(defaults));
    let names = bench.rows("SELECT name, scheduled, ready, leased, dead FROM namespaces ORDER BY name", 5);
    let all: i64 = names.iter().flatten().filter_map(|cell| if let Datum::Int(n) = cell { Some(*n) } else { None }).sum();
    assert_eq!((names.len(), all), (3, 20), "{names:?}");
    assert_eq!(bench.rows("SELECT name, dead FROM namespaces WHERE name = 'a'", 2).len(), 1);
    assert_eq!(bench.rows("SELECT name FROM namespaces WHERE name = 'nobody'", 1).len(), 0);
    assert_eq!(bench.rows("SELECT id, me FROM peers", 2), [[text("p1"), Datum::Int(1)]]);
    assert_eq!(bench.rows("SELECT id, voters FROM groups", 2).len(), 4);
}

/// Whoever reads a peer that was cut off must be told that what it shows is old.
#[test]
fn a_replica_that_is_behind_is_told_by_show_warnings() {
    let warnings = |stale_ms, consistency| {
        let mut fake = Fake::new(3, NOW, &[]);
        fake.stale_ms = stale_ms;
        let mut bench = bench(fake);
        bench.context.consistency = consistency;
        bench.rows("SELECT LEVEL, MESSAGE FROM is_warnings", 2)
    };
    use crate::sql::context::Consistency::{Linearizable, Stale};
    let told = warnings(Some(5_000), Stale);
    assert_eq!(told.len(), 3, "one for each group of tasks: {told:?}");
    assert!(matches!(&told[0][1], Datum::Text(text) if text.contains("group 1") && text.contains("5000 ms")), "{told:?}");
    for (stale_ms, consistency) in [(None, Stale), (Some(400), Stale), (Some(5_000), Linearizable)] {
        assert!(warnings(stale_ms, consistency).is_empty(), "{stale_ms:?} {consistency:?}");
    }
}
