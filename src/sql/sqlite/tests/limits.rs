//! A query must not take more than it may: memory, time, statements of SQLite's that touch more than rows; and a client that goes, or
//! does not read, ends or stops its query.

use z4_shards::runtime::clock;

use super::*;
use crate::sql::extraction::{self, Column, Otherwise, Shape, Unfolding, Value};
use crate::sql::sqlite::memory;
use crate::sql::testing::row;

const B: &str = "deliver_at BETWEEN 0 AND 900000000000";
const ENDLESS: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT";

fn many() -> Fake {
    let rows: Vec<_> = (0..30_000).map(|i| row(["a", "b", "c"][i as usize % 3], false, i, i + 1)).collect();
    Fake::new(3, NOW, &rows)
}

#[test]
fn sorting_more_than_the_bound_is_an_error() {
    let options = Options { query_memory_bytes_max: 1 << 20, ..options() };
    let bench = bench_with(many(), options);
    let sql = format!("SELECT payload FROM tasks WHERE namespace IN ('a', 'b', 'c') AND {B} ORDER BY payload DESC");
    let error = bench.error(&sql, 1);
    assert_eq!(error.code, 1038, "{error}");
    assert!(error.message.contains("1048576 bytes (sql_query_memory_bytes_max)"), "{error}");
    let sql = format!("SELECT metadata, count(*) FROM tasks WHERE namespace IN ('a', 'b', 'c') AND {B} GROUP BY metadata");
    assert_eq!(bench.error(&sql, 2).code, 1038);
    for sql in [
        "SELECT length(printf('%.*c', 30000000, 'x') || printf('%.*c', 30000000, 'x'))",
        "SELECT replace(printf('%.*c', 100000, '0'), '0', printf('%.*c', 400, 'x'))",
        "SELECT substr(printf('%.*c', 20000000, 'x'), 2), 'x'",
    ] {
        let columns = if sql.ends_with("'x'") { 2 } else { 1 };
        let error = bench.error(sql, columns);
        assert!(error.code == 1301 || error.code == 1038 && error.message.contains("memory_bytes_max"), "{sql}: {error}");
    }
    // The same threads go on with other queries.
    for _ in 0..4 {
        assert_eq!(bench.rows(&format!("SELECT count(*) FROM tasks WHERE namespace = 'a' AND {B}"), 1), [[Datum::Int(10_000)]]);
    }
}

#[test]
fn all_queries_have_a_bound_together() {
    let bench = bench_with(many(), Options { memory_bytes_max: 1 << 20, ..options() });
    let sql = format!("SELECT payload FROM tasks WHERE namespace IN ('a', 'b', 'c') AND {B} ORDER BY payload DESC");
    let error = bench.error(&sql, 1);
    assert_eq!(error.code, 1041, "{error}");
    assert!(error.message.contains("sql_memory_bytes_max"), "{error}");
}

#[test]
fn a_query_that_takes_too_long_ends() {
    let mut bench = bench(many());
    bench.context.max_execution_ms = 30;
    let error = bench.error(&format!("{ENDLESS} count(*) FROM c"), 1);
    assert_eq!((error.code, error.state), (3024, "HY000"), "{error}");
    let sql = format!(
        "SELECT count(*) FROM tasks x, tasks y, tasks z WHERE x.namespace = 'a' AND x.{B} AND y.namespace = 'b' AND y.{B} AND z.namespace = 'c' AND z.{B}"
    );
    assert_eq!(bench.error(&sql, 1).code, 3024);
}

#[test]
fn a_client_that_goes_ends_its_query() {
    let bench = bench_with(many(), Options { queries_max: 1, ..options() });
    for columns in ["count(*)", "n"] {
        let mut progress = bench.start(&format!("{ENDLESS} {columns} FROM c"), 1, Vec::new(), What::Run);
        if columns == "n" {
            assert!(matches!(progress.blocking_recv(), Some(Progress::Rows(_))));
        }
        drop(progress);
        // There is one thread: it is free again.
        assert_eq!(bench.rows("SELECT 1", 1), [[Datum::Int(1)]]);
    }
}

#[test]
fn a_client_that_does_not_read_stops_its_query() {
    let bench = bench(many());
    let mut progress =
        bench.start(&format!("SELECT id FROM tasks WHERE namespace IN ('a', 'b', 'c') AND {B}"), 1, Vec::new(), What::Run);
    let Some(Progress::Rows(first)) = progress.blocking_recv() else { panic!("rows") };
    assert_eq!(first.cells.len(), 1, "the first row comes at once");
    assert_eq!(bench.rows("SELECT 1", 1), [[Datum::Int(1)]]);
    let (rest, _) = collect(progress, 1).expect("the rest");
    assert_eq!(rest.len(), 29_999);
}

/// A slow client would keep a thread for as long as it likes, and a few of them the whole pool.
#[test]
fn a_client_that_reads_nothing_keeps_no_thread_beyond_the_time() {
    let mut bench = bench_with(many(), Options { queries_max: 1, ..options() });
    bench.context.max_execution_ms = 50;
    let mut progress = bench.start(&format!("{ENDLESS} n FROM c"), 1, Vec::new(), What::Run);
    // The one thread comes back although nobody took a row.
    bench.context.max_execution_ms = 0;
    assert_eq!(bench.rows("SELECT 1", 1), [[Datum::Int(1)]]);
    let mut last = None;
    while let Some(step) = progress.blocking_recv() {
        last = Some(step);
    }
    assert!(matches!(last, Some(Progress::Failed(SqlError { code: 3024, .. }))), "{last:?}");
}

/// One that may run for as long as it likes must not keep others from its thread by sleeping.
#[test]
fn a_sleeper_without_a_limit_ends() {
    let mut bench = bench_with(many(), Options { queries_max: 1, ..options() });
    bench.context.max_execution_ms = u64::MAX;
    assert_eq!(bench.rows("SELECT my_sleep(0.001)", 1), [[Datum::Int(0)]]);
    assert_eq!(bench.error("SELECT my_sleep(1e9)", 1).code, 3024);
    assert_eq!(bench.error(&format!("{ENDLESS} my_sleep(0.01) FROM c"), 1).code, 3024);
}

/// When every thread is taken, the operator must still see by what; and who waits for a thread must not wait longer than the time.
#[test]
fn the_processlist_answers_while_all_threads_are_taken_and_waiting_counts() {
    let mut bench = bench_with(many(), Options { queries_max: 1, ..options() });
    let mut taken = bench.start(&format!("{ENDLESS} count(*) FROM c"), 1, Vec::new(), What::Run);
    bench.context.max_execution_ms = 1;
    let since = clock::monotonic();
    let waiting = bench.start("SELECT count(*) FROM namespaces", 1, Vec::new(), What::Run);
    let small = Query { uses: vec!["PROCESSLIST"], ..(*query("SELECT count(*) FROM is_processlist", 1, 0)).clone() };
    bench.context.max_execution_ms = 0;
    let answer = bench.engine.start_query(Arc::new(small), Vec::new(), Arc::new(bench.context.clone()), What::Run);
    assert_eq!(collect(answer, 1).expect("an answer").0.len(), 1);
    assert!(matches!(taken.try_recv(), Err(tokio::sync::mpsc::error::TryRecvError::Empty)), "the one thread is still taken");
    // The answer may have come within the one millisecond.
    while since.elapsed().as_millis() < 2 {
        std::thread::yield_now();
    }
    drop(taken);
    assert_eq!(collect(waiting, 1).expect_err("it waited longer than it may").code, 3024);
}

/// SQLite cannot interrupt a call; each of these took minutes.
#[test]
fn a_call_that_takes_long_ends() {
    let mut bench = bench_with(many(), Options { queries_max: 1, query_memory_bytes_max: 256 << 20, ..options() });
    bench.context.max_execution_ms = 50;
    let array = |element: &str| format!("my_concat('[', my_repeat('{element},', 100000), '1]')");
    for sql in [
        "SELECT z4_like(my_repeat('a', 16000000), my_concat('%', my_repeat('a', 40000), 'b'))".to_owned(),
        format!("SELECT my_json_overlaps({}, {})", array("2"), array("3")),
        format!("SELECT my_json_contains({}, {})", array("2"), array("2").replace("'1]'", "'2]'")),
        "SELECT my_regexp_instr(my_repeat('a', 400000), '.*b|a', 1, 399999)".to_owned(),
        format!("SELECT count(*) FROM z4_rows(z4_json_table({}, '{}'))", array("2"), unfolding(Shape::Int(64), "$.x")),
        format!("SELECT my_json_schema_valid('{}', '1')", doubling(30)),
    ] {
        let code = bench.all(&sql, 1, Vec::new(), What::Run).map_err(|error| error.code);
        // The third finds at once that the first element is not there, but not before it has looked at all.
        assert!(matches!(code, Err(3024)) || sql.contains("contains"), "{sql}: {code:?}");
    }
}

/// A JSON_TABLE of many columns, each from this path.
fn unfolding(shape: Shape, path: &str) -> String {
    let value = Value { shape, empty: Otherwise::Null, error: Otherwise::Null };
    let column = Column::Value { name: "x".to_owned(), path: path.to_owned(), value };
    extraction::encode(&Unfolding { path: "$[*]".to_owned(), columns: vec![column; extraction::COLUMNS_MAX] })
}

/// A schema that takes two to the power of `depth` steps to look at.
fn doubling(depth: usize) -> String {
    let one = |at: usize| {
        let next = format!(r##"{{"$ref": "#/definitions/{}"}}"##, at + 1);
        format!(r#""{at}": {{"allOf": [{next}, {next}]}}"#)
    };
    let all: Vec<String> = (0..depth).map(one).collect();
    format!(r##"{{"$ref": "#/definitions/0", "definitions": {{{}, "{depth}": {{}}}}}}"##, all.join(", "))
}

/// What functions hold beside SQLite must count or be bounded: this would take gigabytes.
#[test]
fn functions_hold_no_more_than_they_may() {
    let bench = bench_with(many(), Options { query_memory_bytes_max: 8 << 20, ..options() });
    let columns = vec!["my_json_arrayagg(z4_json(p))"; 20].join(", ");
    let sql = format!(
        "WITH RECURSIVE c(n, p) AS (SELECT 1, my_repeat('x', 9000) UNION ALL SELECT n + 1, p FROM c WHERE n < 1000) SELECT {columns} FROM c"
    );
    assert_eq!(bench.error(&sql, 20).code, 1038);
    let sql = "SELECT my_json_merge_preserve(x, x, x, x, x, x) FROM (SELECT my_concat('[', my_repeat('1,', 400000), '1]') x)";
    assert_eq!(bench.error(sql, 1).code, 1301);
    let array = "my_concat('[', my_repeat('1,', 100000), '1]')";
    let sql = format!("SELECT count(*) FROM z4_rows(z4_json_table({array}, '{}'))", unfolding(Shape::Text(None), "$"));
    assert_eq!(bench.error(&sql, 1).code, 1038);
    let sql =
        format!("SELECT count(*) FROM (SELECT 1 a), z4_rows((SELECT z4_pack(n, {array}) FROM ({ENDLESS} n FROM c LIMIT 1000)))");
    assert_eq!(bench.error(&sql, 1).code, 1038);
    assert_eq!(bench.error("SELECT my_regexp_like('a', my_repeat('[', 100000))", 1).code, 3700);
    let sql = "SELECT my_json_pretty(my_concat(my_repeat('[', 90), my_repeat('1,', 500000), '1', my_repeat(']', 90)))";
    assert_eq!(bench.rows(sql, 1), [[Datum::Null]]);
}

#[test]
fn queries_that_find_no_place_are_told_so() {
    let bench = bench_with(many(), Options { queries_max: 1, waiting_max: 1, ..options() });
    let endless = format!("{ENDLESS} n FROM c");
    let mut running = bench.start(&endless, 1, Vec::new(), What::Run);
    assert!(matches!(running.blocking_recv(), Some(Progress::Rows(_))));
    let waiting = bench.start("SELECT 2", 1, Vec::new(), What::Run);
    let refused = bench.error("SELECT 3", 1);
    assert_eq!(refused.code, 1040, "{refused}");
    drop(running);
    assert_eq!(collect(waiting, 1).expect("rows").0, [[Datum::Int(2)]]);
}

#[test]
fn nothing_but_reading_is_allowed() {
    let bench = bench(many());
    for (sql, code) in [
        ("ATTACH 'x' AS y", 1290),
        ("PRAGMA user_version = 3", 1290),
        ("PRAGMA table_list", 1290),
        ("CREATE TABLE x(y)", 1290),
        ("CREATE TEMP TABLE x(y)", 1290),
        ("DROP TABLE tasks", 1290),
        ("INSERT INTO tasks(id) VALUES (1)", 1290),
        ("DELETE FROM tasks", 1290),
        ("UPDATE tasks SET id = 1", 1290),
        ("BEGIN", 1290),
        ("SAVEPOINT x", 1290),
        ("VACUUM", 1290),
        ("SELECT * FROM sqlite_master", 1142),
        ("SELECT count(*) FROM sqlite_schema", 1142),
        ("SELECT * FROM sqlite_temp_master", 1142),
        ("SELECT * FROM pragma_function_list", 1142),
        ("SELECT count(*) FROM pragma_table_list", 1142),
        ("SELECT load_extension('x')", 1305),
        ("SELECT readfile('/etc/passwd')", 1305),
        ("SELECT fts3_tokenizer('simple')", 1305),
        ("SELECT sqlite_compileoption_get(1)", 1305),
        ("SELECT randomblob(10)", 1305),
        ("SELECT * FROM nowhere", 1146),
        ("SELECT nobody", 1054),
        ("SELECT nofunction(1)", 1305),
        ("SELECT 9223372036854775807 + abs(-9223372036854775807 - 1)", 1690),
    ] {
        let error = bench.error(sql, 1);
        assert_eq!(error.code, code, "{sql}: {error}");
    }
    assert_eq!(bench.rows("SELECT value FROM json_each('[1, 2]')", 1).len(), 2);
}

#[test]
fn wrong_parameters_are_an_error() {
    let bench = bench(many());
    let progress = bench.engine.start_query(query("SELECT ?1", 1, 1), Vec::new(), Arc::new(bench.context.clone()), What::Run);
    assert_eq!(collect(progress, 1).expect_err("no parameter").code, 1210);
}

#[test]
fn a_pool_whose_owner_goes_ends_its_threads() {
    let bench = bench(many());
    let fake = Arc::downgrade(&bench.fake);
    drop(bench);
    // The threads hold the peer; each lets go when it ends.
    while fake.strong_count() > 0 {
        std::thread::yield_now();
    }
    // What a connection holds counts for the thread that frees it, not for the one that started the pool.
    assert_eq!(memory::used(), 0);
}
