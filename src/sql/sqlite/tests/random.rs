//! A query is what SQLite makes of all rows: random rows, random predicates that bound them, every order and limit; compared with the
//! same query over an ordinary table of SQLite that holds every row.

use std::collections::HashSet;

use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;
use z4_model::ids::TaskKey;

use super::*;
use crate::sql::catalog;
use crate::sql::testing::{FakeRow, row};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn tasks() -> impl Strategy<Value = (Vec<FakeRow>, HashSet<TaskKey>)> {
    let one = (0..4usize, any::<bool>(), NOW - 20..NOW + 20, any::<bool>(), 0..40u64);
    proptest::collection::vec(one, 0..60).prop_map(|rows| {
        let mut leased = HashSet::new();
        let make = |(i, (name, dead, due, lease, moved)): (usize, (usize, bool, u64, bool, u64))| {
            let mut task = row(NAMES[name], dead, due, i as u64 + 1);
            task.3.id_due_ms = if moved < 30 { due } else { NOW + moved };
            if lease {
                leased.insert(task.2);
            }
            task
        };
        let rows = rows.into_iter().enumerate().map(make).collect();
        (rows, leased)
    })
}

fn bound() -> impl Strategy<Value = String> {
    let at = || {
        let us = (NOW - 22) as i64 * 1000;
        prop_oneof![
            8 => (0..44_000i64).prop_map(move |n| (us + n).to_string()),
            2 => (0..44i64).prop_map(move |n| (us + n * 1000).to_string()),
            2 => (0..44_000i64).prop_map(move |n| format!("{}.5", us + n)),
            1 => Just("NULL".to_owned()),
        ]
    };
    let low = (prop_oneof![Just(">"), Just(">=")], at());
    let high = (prop_oneof![Just("<"), Just("<=")], at());
    prop_oneof![
        6 => (low, high).prop_map(|((a, x), (b, y))| format!("deliver_at {a} {x} AND deliver_at {b} {y}")),
        // As the dialect says it: SQLite forgets a BETWEEN when it plans the arms of an OR beside it.
        2 => (at(), at()).prop_map(|(a, b)| format!("(deliver_at BETWEEN {a} AND {b} AND deliver_at >= {a} AND deliver_at <= {b})")),
        1 => at().prop_map(|a| format!("deliver_at = {a}")),
        1 => (at(), at()).prop_map(|(a, b)| format!("deliver_at IN ({a}, {b})")),
        4 => Just(format!("deliver_at > {} AND deliver_at < {}", (NOW - 21) * 1000, (NOW + 21) * 1000)),
    ]
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..4usize).prop_map(|i| format!("namespace = '{}'", NAMES[i])),
        proptest::collection::vec(0..4usize, 1..5).prop_map(|list| {
            let list: Vec<String> = list.into_iter().map(|i| format!("'{}'", NAMES[i])).collect();
            format!("namespace IN ({})", list.join(", "))
        }),
        Just("namespace IN ('a', 'b', 'c', 'd', 'e', NULL)".to_owned()),
        Just("namespace IN ('a', 'b', 'c') AND namespace IN ('b', 'c', 'd')".to_owned()),
    ]
}

fn filter(ids: Vec<String>) -> impl Strategy<Value = String> {
    let id = proptest::sample::select(if ids.is_empty() { vec!["none".to_owned()] } else { ids });
    let leaf = prop_oneof![
        proptest::sample::select(vec!["dead", "ready", "leased", "scheduled", "odd"]).prop_map(|s| format!("state = '{s}'")),
        Just("state IN ('dead', 'leased')".to_owned()),
        Just("state IN ('ready', 'scheduled', 'leased')".to_owned()),
        Just("state <> 'ready'".to_owned()),
        (0..3).prop_map(|n| format!("attempts = {n}")),
        proptest::collection::vec(id, 1..4).prop_map(|ids| format!("id IN ('{}')", ids.join("', '"))),
        Just("json_extract(metadata, '$.n') > '3'".to_owned()),
        bound(),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) AND ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(({a}) OR ({b}))")),
            inner.prop_map(|a| format!("NOT ({a})")),
        ]
    })
}

/// A predicate that bounds: one conjunction, or an OR of some.
fn predicate(ids: Vec<String>) -> impl Strategy<Value = String> {
    let arm = (names(), bound(), proptest::option::of(filter(ids))).prop_map(|(names, bound, filter)| match filter {
        Some(filter) => format!("{names} AND {bound} AND ({filter})"),
        None => format!("{names} AND {bound}"),
    });
    proptest::collection::vec(arm, 1..3)
        .prop_map(|arms| arms.iter().map(|arm| format!("({arm})")).collect::<Vec<_>>().join(" OR "))
}

fn cases() -> impl Strategy<Value = ((Vec<FakeRow>, HashSet<TaskKey>), Vec<String>)> {
    tasks().prop_flat_map(|(rows, leased)| {
        let fake = Fake::new(3, NOW, &[]);
        let ids = rows.iter().map(|(name, _, key, record)| record.id(fake.group(name), *key).to_string()).collect();
        let predicates = proptest::collection::vec(predicate(ids), 6);
        (Just((rows, leased)), predicates)
    })
}

/// The same rows in an ordinary table.
fn naive(rows: &[FakeRow], leased: &HashSet<TaskKey>) -> Connection {
    let connection = Connection::open_in_memory().expect("SQLite");
    let columns = "id TEXT, namespace TEXT, state TEXT, deliver_at INTEGER, attempts INTEGER, metadata TEXT, payload BLOB";
    connection.execute_batch(&format!("CREATE TABLE tasks({columns})")).expect("a table");
    let fake = Fake::new(3, NOW, &[]);
    for (name, dead, key, record) in rows {
        let state = match (dead, key.due_ms > NOW, leased.contains(key)) {
            (true, ..) => "dead",
            (_, true, _) => "scheduled",
            (_, _, true) => "leased",
            _ => "ready",
        };
        let mut metadata = serde_json::Map::new();
        metadata.insert("n".into(), key.sequence.to_string().into());
        let id = record.id(fake.group(name), *key).to_string();
        let values =
            (id, name.as_str(), state, key.due_ms as i64 * 1000, record.attempts, serde_json::Value::from(metadata).to_string());
        connection.execute("INSERT INTO tasks VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)", values).expect("a row");
    }
    connection
}

fn naively(connection: &Connection, sql: &str, columns: usize) -> Table {
    let mut statement = connection.prepare(sql).expect(sql);
    let rows = statement.query_map([], |row| {
        (0..columns)
            .map(|i| {
                Ok(match row.get::<_, Value>(i)? {
                    Value::Null => Datum::Null,
                    Value::Integer(n) => Datum::Int(n),
                    Value::Real(x) => Datum::Double(x),
                    Value::Text(text) => Datum::Text(text),
                    Value::Blob(bytes) => Datum::Text(String::from_utf8_lossy(&bytes).into_owned()),
                })
            })
            .collect()
    });
    rows.expect(sql).collect::<rusqlite::Result<Table>>().expect(sql)
}

/// Tails of queries whose rows have one order.
const ORDERED: &[&str] = &[
    "SELECT id FROM tasks WHERE $p ORDER BY deliver_at, id",
    "SELECT id FROM tasks WHERE $p ORDER BY deliver_at DESC, id LIMIT 5 OFFSET 2",
    "SELECT deliver_at FROM tasks WHERE $p ORDER BY deliver_at",
    "SELECT deliver_at FROM tasks WHERE $p ORDER BY deliver_at DESC",
    "SELECT deliver_at FROM tasks WHERE $p ORDER BY deliver_at DESC LIMIT 7 OFFSET 1",
    "SELECT namespace FROM tasks WHERE $p ORDER BY namespace DESC",
    "SELECT namespace, state FROM tasks WHERE $p ORDER BY namespace, state DESC LIMIT 9",
    "SELECT namespace, deliver_at FROM tasks WHERE $p ORDER BY namespace, deliver_at",
    "SELECT state, deliver_at FROM tasks WHERE $p ORDER BY state, deliver_at DESC",
    "SELECT state, count(*), min(deliver_at) FROM tasks WHERE $p GROUP BY state ORDER BY state",
    "SELECT namespace, count(*), max(id) FROM tasks WHERE $p GROUP BY namespace ORDER BY 1",
    "SELECT state, namespace, count(*) FROM tasks WHERE $p GROUP BY state, namespace ORDER BY 1, 2",
    "SELECT deliver_at, count(*) FROM tasks WHERE $p GROUP BY deliver_at ORDER BY 1 DESC LIMIT 3",
    "SELECT DISTINCT state FROM tasks WHERE $p ORDER BY state",
    "SELECT DISTINCT namespace, state FROM tasks WHERE $p ORDER BY 2, 1",
    "SELECT deliver_at, row_number() OVER (ORDER BY deliver_at) FROM tasks WHERE $p ORDER BY 2",
];

/// Queries whose rows are compared as a set.
const ANY_ORDER: &[&str] = &[
    "SELECT id FROM tasks WHERE $p",
    "SELECT id, namespace, state FROM tasks WHERE $p",
    "SELECT state, count(*) FROM tasks WHERE $p GROUP BY state",
    "SELECT namespace, state, count(*) FROM tasks WHERE $p GROUP BY namespace, state",
    "SELECT DISTINCT state FROM tasks WHERE $p",
    "SELECT DISTINCT deliver_at FROM tasks WHERE $p",
    "SELECT count(*), min(id), max(deliver_at) FROM tasks WHERE $p",
];

fn columns(sql: &str) -> usize {
    let list = &sql["SELECT ".len()..sql.find(" FROM tasks").expect("a table")];
    let mut depth = 0;
    1 + list
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            *c == ',' && depth == 0
        })
        .count()
}

fn sorted(mut rows: Table) -> Table {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn queries_give_what_a_full_scan_gives(((rows, leased), predicates) in cases()) {
        let fake = Fake::new(3, NOW, &rows);
        fake.leased.lock().expect("a lock").extend(leased.iter().copied());
        let bench = bench(fake);
        let naive = naive(&rows, &leased);
        for predicate in &predicates {
            for sql in ORDERED.iter().chain(ANY_ORDER) {
                let full = sql.replace("$p", predicate);
                let n = columns(sql);
                let (got, _) = bench.all(&full, n, Vec::new(), What::Run).map_err(|e| TestCaseError::fail(format!("{full}: {e}")))?;
                let wanted = naively(&naive, &full, n);
                if ORDERED.contains(sql) {
                    prop_assert_eq!(got, wanted, "{}", full);
                } else {
                    prop_assert_eq!(sorted(got), sorted(wanted), "{}", full);
                }
            }
        }
    }
}

#[test]
fn the_virtual_table_has_the_columns_of_the_catalog() {
    let bench = bench(Fake::new(1, NOW, &[]));
    for table in catalog::TABLES {
        let names: Vec<String> = table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let sql = format!("SELECT {} FROM \"{}\" ", names.join(", "), table.virtual_name());
        let bounds = if *table == &catalog::TASKS { " WHERE namespace = 'a' AND deliver_at = 1" } else { " LIMIT 0" };
        assert!(bench.rows(&format!("{sql}{bounds}"), names.len()).is_empty());
    }
}
