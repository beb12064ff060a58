//! What may read tasks without bounds: a look at a few rows, and all of few tasks. A look that reads more than it gives, or a statement
//! that reaches its table in another way, is a hole in the rule: one careless query reads everything.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::sql::context::Context;
use crate::sql::dialect::compile_for_others as compile;
use crate::sql::error::SqlError;
use crate::sql::result::{Batch, Cell, Progress};
use crate::sql::sqlite::{Engine, Options, What};
use crate::sql::statement::Statement;
use crate::sql::testing::{Fake, context, row};
use crate::sql::types::Datum;

const NOW_MS: u64 = 1_650_104_430_123;
/// Tasks in all, in three namespaces.
const TASKS: u64 = 3_000;

struct Bench {
    fake: Arc<Fake>,
    engine: Engine,
    context: Context,
}

/// Three groups; `a` has most tasks, `b` and `c` 100 each.
fn bench(unbounded_rows_max: u64) -> Bench {
    let name = |i: u64| match i {
        0..100 => "b",
        100..200 => "c",
        _ => "a",
    };
    let rows: Vec<_> = (0..TASKS).map(|i| row(name(i), i % 3 == 0, 1_000 + i, i + 1)).collect();
    let fake = Arc::new(Fake::new(3, NOW_MS, &rows));
    over(fake, unbounded_rows_max)
}

fn over(fake: Arc<Fake>, unbounded_rows_max: u64) -> Bench {
    let options = Options {
        queries_max: 1,
        waiting_max: 4,
        query_memory_bytes_max: 16 << 20,
        memory_bytes_max: 256 << 20,
        unbounded_rows_max,
    };
    let engine = Engine::start(fake.clone(), fake.clone(), options).expect("an engine");
    Bench { fake, engine, context: context(NOW_MS) }
}

impl Bench {
    /// The values of a statement's rows, one after the other.
    fn ask(&self, sql: &str, params: &[Datum]) -> Result<Vec<String>, SqlError> {
        let (query, what) = match compile(sql, &self.context)? {
            Statement::Query(query) | Statement::Into(query, _) => (query, What::Run),
            Statement::Explain(query) => (query, What::Explain),
            Statement::Do(query) => (query, What::Drop),
            other => panic!("{sql} is {other:?}"),
        };
        let params = [params, &query.values()].concat();
        let mut progress = self.engine.start_query(Arc::new(query), params, Arc::new(self.context.clone()), what);
        let mut found = Vec::new();
        while let Some(step) = progress.blocking_recv() {
            match step {
                Progress::Rows(batch) => found.extend(batch.cells.iter().map(|cell| shown(&batch, cell))),
                Progress::Done { .. } => return Ok(found),
                Progress::Failed(error) => return Err(error),
            }
        }
        panic!("a query ended without a word");
    }

    fn ids(&self, sql: &str, params: &[Datum]) -> Vec<String> {
        self.ask(sql, params).unwrap_or_else(|error| panic!("{sql} {params:?}: {error}"))
    }

    /// Rows that were read, since this was asked last.
    fn read(&self) -> usize {
        self.fake.counts.rows.swap(0, Ordering::Relaxed)
    }
}

fn shown(batch: &Batch, cell: &Cell) -> String {
    match *cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(n) => n.to_string(),
        Cell::Double(x) => x.to_string(),
        Cell::Bytes { from, until } => String::from_utf8_lossy(batch.bytes(from, until)).into_owned(),
    }
}

/// Whatever tools write: as many rows as are asked for, and no more are read.
#[test]
fn a_look_reads_what_it_gives() {
    let bench = bench(0);
    let one = |n: i64| vec![Datum::Int(n)];
    for (sql, params, rows) in [
        ("SELECT id FROM tasks LIMIT 1", vec![], 1),
        ("SELECT `tasks`.`id` FROM `tasks` LIMIT 21", vec![], 21),
        ("SELECT id FROM z4.tasks LIMIT 5", vec![], 5),
        ("SELECT `z4`.`tasks`.`id` FROM `z4`.`tasks` LIMIT 5", vec![], 5),
        ("select T.ID from TASKS as T limit 7;", vec![], 7),
        ("SELECT t.id FROM tasks t LIMIT 0, 25", vec![], 25),
        ("SELECT id FROM tasks LIMIT 1000", vec![], 1_000),
        ("SELECT id FROM tasks LIMIT 900 OFFSET 100", vec![], 900),
        ("SELECT /*!40001 SQL_NO_CACHE */ id FROM `tasks` LIMIT 3 -- a look", vec![], 3),
        ("/* ApplicationName=DBeaver */ SELECT id /* all */ FROM tasks # of it\nLIMIT 200", vec![], 200),
        ("SELECT id FROM tasks USE INDEX (PRIMARY) LIMIT 2", vec![], 2),
        ("SELECT id FROM tasks LIMIT 4 FOR UPDATE", vec![], 4),
        ("SELECT id FROM tasks LIMIT 4 LOCK IN SHARE MODE", vec![], 4),
        ("(SELECT id FROM tasks) LIMIT 3", vec![], 3),
        ("SELECT CONCAT(UPPER(id), 'x') AS id FROM tasks LIMIT 3", vec![], 3),
        ("SELECT 'count(*) OVER ()' FROM tasks LIMIT 3", vec![], 3),
        ("SELECT id FROM tasks LIMIT ?", one(12), 12),
        ("SELECT id FROM tasks LIMIT ?", one(0), 0),
        ("SELECT id FROM tasks LIMIT ?", one(1_000), 1_000),
        ("SELECT id FROM tasks LIMIT ?", vec![Datum::Text("6".to_owned())], 6),
        ("SELECT id FROM tasks LIMIT ?, ?", vec![Datum::Int(10), Datum::Int(20)], 20),
        ("SELECT id FROM tasks LIMIT ? OFFSET ?", vec![Datum::Int(20), Datum::Int(980)], 20),
        ("SELECT id FROM tasks LIMIT 0", vec![], 0),
    ] {
        let found = bench.ids(sql, &params);
        let offset = match sql {
            sql if sql.contains("OFFSET 100") => 100,
            "SELECT id FROM tasks LIMIT ?, ?" => 10,
            "SELECT id FROM tasks LIMIT ? OFFSET ?" => 980,
            _ => 0,
        };
        assert_eq!(found.len(), rows, "{sql} {params:?}");
        assert!(bench.read() <= rows + offset, "{sql} {params:?}");
    }
    assert_eq!(bench.ids("SELECT * FROM tasks LIMIT 2", &[]).len(), 22, "all columns");
    assert_eq!(bench.ids("TABLE tasks LIMIT 2 OFFSET 3", &[]).len(), 22, "all columns");
    assert_eq!(bench.ids("SELECT *, t.id, t.* FROM tasks t LIMIT 1", &[]).len(), 23);
}

/// Pages follow each other: no row comes twice, none is left out. States are the real ones.
#[test]
fn looks_page_through_the_first_rows() {
    let bench = bench(0);
    let all = bench.ids("SELECT id FROM tasks LIMIT 1000", &[]);
    let pages: Vec<String> =
        (0..10).flat_map(|page| bench.ids("SELECT id FROM tasks LIMIT ?, 100", &[Datum::Int(page * 100)])).collect();
    assert_eq!(pages, all);
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 1_000);
    let states: std::collections::BTreeSet<_> = bench.ids("SELECT state FROM tasks LIMIT 1000", &[]).into_iter().collect();
    assert_eq!(states.into_iter().collect::<Vec<_>>(), ["dead", "ready"]);
    let explained = bench.ids("EXPLAIN SELECT id FROM tasks LIMIT 5", &[]);
    assert_eq!(explained[1], "tasks");
    // A look at nothing.
    let bench = over(Arc::new(Fake::new(3, NOW_MS, &[])), 0);
    assert_eq!(bench.ids("SELECT * FROM tasks LIMIT 10", &[]), Vec::<String>::new());
}

/// Ways that somebody may try, by mistake or not.
const ATTACKS: &[&str] = &[
    "SELECT * FROM tasks",
    "TABLE tasks",
    "TABLE tasks LIMIT 1001",
    "TABLE tasks ORDER BY id LIMIT 5",
    "(TABLE tasks LIMIT 5)",
    "SELECT * FROM (TABLE tasks) t LIMIT 5",
    "SELECT id FROM peers WHERE EXISTS (TABLE tasks LIMIT 5)",
    "WITH t AS (TABLE tasks) TABLE t LIMIT 5",
    "SELECT id, id = ALL (SELECT id FROM (TABLE tasks) x) FROM tasks LIMIT 5",
    "TABLE tasks UNION ALL TABLE tasks LIMIT 5",
    "SELECT * FROM tasks LIMIT 1001",
    "SELECT * FROM tasks LIMIT 1000 OFFSET 1",
    "SELECT * FROM tasks LIMIT 1, 1000",
    "SELECT * FROM tasks LIMIT 5 OFFSET 18446744073709551615",
    "SELECT * FROM tasks LIMIT 18446744073709551615",
    "SELECT * FROM tasks WHERE 1 LIMIT 5",
    "SELECT * FROM tasks WHERE TRUE LIMIT 5",
    "SELECT * FROM tasks WHERE id > '' LIMIT 5",
    "SELECT * FROM tasks HAVING id > '' LIMIT 5",
    "SELECT * FROM tasks HAVING 1 LIMIT 5",
    "SELECT * FROM tasks ORDER BY id LIMIT 5",
    "SELECT * FROM tasks ORDER BY NULL LIMIT 5",
    "SELECT state FROM tasks GROUP BY state LIMIT 5",
    "SELECT DISTINCT state FROM tasks LIMIT 5",
    "SELECT DISTINCTROW state FROM tasks LIMIT 5",
    "SELECT COUNT(*) FROM tasks LIMIT 1",
    "SELECT MAX(id) FROM tasks LIMIT 1",
    "SELECT 1 + COUNT(id) FROM tasks LIMIT 1",
    "SELECT GROUP_CONCAT(id) FROM tasks LIMIT 1",
    "SELECT JSON_ARRAYAGG(id) FROM tasks LIMIT 1",
    "SELECT BIT_XOR(attempts) FROM tasks LIMIT 1",
    "SELECT id, COUNT(*) OVER () FROM tasks LIMIT 5",
    "SELECT id, ROW_NUMBER() OVER (ORDER BY id) FROM tasks LIMIT 5",
    "SELECT id, STDDEV(attempts) OVER w FROM tasks WINDOW w AS (ORDER BY id) LIMIT 5",
    "SELECT SQL_CALC_FOUND_ROWS * FROM tasks LIMIT 5",
    "SELECT * FROM tasks a, tasks b LIMIT 5",
    "SELECT * FROM tasks a JOIN tasks b USING (id) LIMIT 5",
    "SELECT * FROM tasks, peers LIMIT 5",
    "SELECT * FROM peers, tasks LIMIT 5",
    "SELECT * FROM tasks STRAIGHT_JOIN peers LIMIT 5",
    "SELECT * FROM (tasks, peers) LIMIT 5",
    "SELECT * FROM tasks NATURAL JOIN peers LIMIT 5",
    "SELECT * FROM (SELECT * FROM tasks) t LIMIT 5",
    "SELECT * FROM (SELECT * FROM tasks LIMIT 5) t",
    "SELECT COUNT(*) FROM (SELECT * FROM tasks LIMIT 5) t",
    "WITH t AS (SELECT * FROM tasks LIMIT 5) SELECT * FROM t",
    "WITH t AS (SELECT 1) SELECT * FROM tasks LIMIT 5",
    "WITH RECURSIVE t AS (SELECT id FROM tasks LIMIT 5) SELECT * FROM t LIMIT 5",
    "WITH z4_look AS (SELECT * FROM tasks) SELECT * FROM z4_look LIMIT 5",
    "(SELECT * FROM tasks LIMIT 5)",
    "(SELECT * FROM tasks LIMIT 5) UNION ALL (SELECT * FROM tasks LIMIT 5)",
    "SELECT id FROM peers UNION ALL SELECT id FROM tasks LIMIT 5",
    "SELECT id FROM tasks EXCEPT SELECT id FROM peers LIMIT 5",
    "SELECT (SELECT id FROM tasks LIMIT 1)",
    "SELECT id, (SELECT COUNT(*) FROM tasks) FROM tasks LIMIT 5",
    "SELECT id, (SELECT id FROM tasks LIMIT 1) FROM tasks LIMIT 5",
    "SELECT id, EXISTS (SELECT 1 FROM tasks) FROM tasks LIMIT 5",
    "SELECT id, id IN (SELECT id FROM tasks) FROM tasks LIMIT 5",
    "SELECT * FROM peers WHERE id IN (SELECT id FROM tasks)",
    "SELECT * FROM peers WHERE EXISTS (SELECT * FROM tasks LIMIT 1)",
    "SELECT * FROM peers ORDER BY (SELECT id FROM tasks LIMIT 1)",
    "SELECT * FROM peers LEFT JOIN tasks ON 1 LIMIT 5",
    "DO (SELECT COUNT(*) FROM tasks)",
    "DO (SELECT id FROM tasks LIMIT 1)",
    "SELECT COUNT(*) INTO @n FROM tasks",
    "SELECT id FROM tasks INTO @n",
    "EXPLAIN SELECT * FROM tasks",
    "EXPLAIN SELECT * FROM tasks LIMIT 1001",
    "EXPLAIN FORMAT=JSON SELECT COUNT(*) FROM tasks LIMIT 1",
    "SELECT /*+ MAX_EXECUTION_TIME(1) NO_INDEX(tasks) */ * FROM tasks",
    "SELECT /*! * FROM tasks ORDER BY id */ LIMIT 5",
    "SELECT * FROM tasks FORCE INDEX (PRIMARY)",
    "SELECT * FROM tasks AS z4_look",
    "SELECT * FROM tasks AS z4_whole ORDER BY 1 LIMIT 5",
];

#[test]
fn nothing_else_is_a_look() {
    let bench = bench(0);
    let code = |sql: &str| bench.ask(sql, &[]).map_or_else(|error| error.code, |rows| rows.len() as u16);
    let wrong: Vec<(&str, u16)> = ATTACKS.iter().map(|sql| (*sql, code(sql))).filter(|(_, code)| *code != 1175).collect();
    assert_eq!(wrong, []);
    for (sql, params) in [
        ("SELECT * FROM tasks LIMIT ?", vec![Datum::Int(1_001)]),
        ("SELECT * FROM tasks LIMIT ?", vec![Datum::Int(-1)]),
        ("SELECT * FROM tasks LIMIT ?", vec![Datum::Int(i64::MAX)]),
        ("SELECT * FROM tasks LIMIT ?", vec![Datum::Text("5000".to_owned())]),
        ("SELECT * FROM tasks LIMIT 5 OFFSET ?", vec![Datum::Int(996)]),
        ("SELECT * FROM tasks LIMIT 5 OFFSET ?", vec![Datum::Int(i64::MAX)]),
        ("SELECT * FROM tasks LIMIT ?, ?", vec![Datum::Int(500), Datum::Int(501)]),
        ("SELECT COUNT(*) FROM tasks LIMIT ?", vec![Datum::Int(1)]),
        ("SELECT * FROM tasks ORDER BY id LIMIT ?", vec![Datum::Int(1)]),
    ] {
        let error = bench.ask(sql, &params).expect_err(sql);
        assert_eq!(error.code, 1175, "{sql} {params:?}: {error}");
    }
    let others = [
        ("SELECT * FROM z4_look LIMIT 5", 1146),
        ("SELECT * FROM z4.z4_look LIMIT 5", 1146),
        ("SELECT * FROM `z4_whole`", 1146),
        ("SELECT z4_look.id FROM tasks LIMIT 5", 1054),
        ("TABLE z4_look", 1146),
        ("SELECT * FROM main.z4_look LIMIT 5", 1049),
        ("TABLE tasks t LIMIT 5", 1064),
        ("TABLE tasks WHERE 1 LIMIT 5", 1064),
        ("TABLE tasks JOIN peers LIMIT 5", 1064),
        ("SELECT * FROM tasks LIMIT 1 + 1", 1064),
        ("SELECT * FROM tasks LIMIT @n", 1064),
        ("SELECT * FROM tasks LIMIT (SELECT 5)", 1064),
        ("SELECT * FROM tasks LIMIT 1 OFFSET 100000000000000000000000", 1064),
        ("SELECT * FROM tasks LIMIT 5 UNION SELECT * FROM tasks LIMIT 5", 1064),
        ("SELECT * FROM tasks LIMIT 5; SELECT * FROM tasks", 1064),
        ("SELECT * FROM tasks PROCEDURE ANALYSE() LIMIT 5", 1064),
        ("HANDLER tasks OPEN", 1235),
        ("SELECT * INTO OUTFILE 'x' FROM tasks LIMIT 5", 1290),
        ("CREATE TABLE t SELECT * FROM tasks LIMIT 5", 1290),
    ];
    let wrong: Vec<(&str, u16)> = others
        .iter()
        .map(|(sql, wanted)| (*sql, *wanted, code(sql)))
        .filter(|(_, a, b)| a != b)
        .map(|(sql, _, got)| (sql, got))
        .collect();
    assert_eq!(wrong, []);
    assert_eq!(bench.read(), 0, "nothing was read");
}

/// The session's own limit is no LIMIT of the statement.
#[test]
fn sql_select_limit_makes_no_look() {
    let mut bench = bench(0);
    bench.context.select_limit = 10;
    for sql in ["SELECT * FROM tasks", "EXPLAIN SELECT * FROM tasks", "SELECT COUNT(*) FROM tasks"] {
        assert_eq!(bench.ask(sql, &[]).expect_err(sql).code, 1175, "{sql}");
    }
    assert_eq!(bench.read(), 0);
    assert_eq!(bench.ids("SELECT id FROM tasks LIMIT 20", &[]).len(), 20);
}

/// Few tasks need no dates; who asks for many is told how many they may be.
#[test]
fn few_tasks_may_be_asked_without_dates() {
    let bench = bench(200);
    let count = |sql: &str| bench.ids(sql, &[])[0].clone();
    for (sql, rows) in [
        ("SELECT COUNT(*) FROM tasks WHERE namespace = 'b'", "100"),
        ("SELECT COUNT(*) FROM tasks WHERE namespace IN ('b', 'c')", "200"),
        ("SELECT COUNT(*) FROM tasks WHERE namespace = 'b' AND deliver_at > '1970-01-01 00:00:01.049'", "50"),
        ("SELECT COUNT(*) FROM tasks WHERE namespace = 'b' AND deliver_at < '1970-01-01 00:00:01.050'", "50"),
        ("SELECT COUNT(*) FROM tasks WHERE namespace = 'nobody'", "0"),
        ("SELECT COUNT(*) FROM tasks x JOIN tasks y USING (id) WHERE x.namespace = 'b' AND y.namespace = 'b'", "100"),
        ("SELECT COUNT(*) FROM tasks WHERE namespace = 'a' AND deliver_at BETWEEN '1970-01-01' AND '1970-01-02'", "2800"),
    ] {
        assert_eq!(count(sql), rows, "{sql}");
    }
    bench.read();
    for sql in [
        "SELECT COUNT(*) FROM tasks WHERE namespace = 'a'",
        "SELECT * FROM tasks WHERE namespace = 'a' LIMIT 1",
        "SELECT COUNT(*) FROM tasks WHERE namespace = 'a' AND deliver_at > '1970-01-01'",
        "SELECT COUNT(*) FROM tasks WHERE namespace IN ('a', 'b')",
        "SELECT COUNT(*) FROM tasks WHERE namespace IN (SELECT name FROM namespaces)",
        "EXPLAIN SELECT * FROM tasks WHERE namespace = 'a'",
        "SELECT * FROM tasks",
        "SELECT * FROM tasks LIMIT 1001",
    ] {
        let error = bench.ask(sql, &[]).expect_err(sql);
        assert!(error.code == 1175 && error.message.contains("sql_unbounded_rows_max = 200"), "{sql}: {error}");
        assert!(error.message.len() < 512, "clients show no more: {error}");
    }
    for sql in [
        "SELECT COUNT(*) FROM tasks",
        "SELECT * FROM tasks ORDER BY id",
        "SELECT * FROM tasks WHERE id = 'x'",
        "SELECT COUNT(*) FROM tasks WHERE deliver_at BETWEEN '1970-01-01' AND '1970-01-02'",
    ] {
        let error = bench.ask(sql, &[]).expect_err(sql);
        assert!(error.code == 1175 && error.message.contains("lacks namespace"), "{sql}: {error}");
    }
    assert_eq!(bench.read(), 0, "nothing was read");
    // The references of a query count together, each namespace once.
    let both = "SELECT (SELECT COUNT(*) FROM tasks WHERE namespace = 'b'), (SELECT COUNT(*) FROM tasks WHERE namespace = 'a')";
    assert_eq!(bench.ask(both, &[]).expect_err(both).code, 1175);
    assert!(bench.read() <= 200);
}

/// What a dump reads, where all tasks are few.
#[test]
fn all_of_few_tasks_is_read_whole() {
    let few = bench(TASKS);
    let dump = "SELECT /*!40001 SQL_NO_CACHE */ `id`, `namespace` FROM `tasks`";
    assert_eq!(few.ids(dump, &[]).len(), 2 * TASKS as usize);
    assert_eq!(few.ids("SELECT id FROM tasks LIMIT 2000", &[]).len(), 2_000);
    assert_eq!(few.ids("SELECT id FROM tasks LIMIT ?", &[Datum::Int(2_500)]).len(), 2_500);
    let many = bench(TASKS - 1);
    let error = many.ask(dump, &[]).expect_err("one too many");
    assert!(error.code == 1175 && error.message.contains("have 3000 or more"), "{error}");
    assert_eq!(many.read(), 0);
}

/// Counters that tell too little let nobody read on.
#[test]
fn rows_are_counted_while_they_are_read() {
    let bench = bench(150);
    bench.fake.counts.told_of_each.store(50, Ordering::Relaxed);
    for sql in
        ["SELECT id FROM tasks WHERE namespace = 'a'", "SELECT id FROM tasks", "SELECT COUNT(*) FROM tasks WHERE namespace = 'a'"]
    {
        let error = bench.ask(sql, &[]).expect_err(sql);
        assert!(error.code == 1175 && error.message.contains("have 151 or more"), "{sql}: {error}");
    }
    assert!(bench.read() < 1_000);
}

#[test]
fn the_ways_out_are_told() {
    let error = bench(0).ask("SELECT /*!40001 SQL_NO_CACHE */ `id` FROM `tasks`", &[]).expect_err("unbounded");
    for part in ["--where", "sql_unbounded_rows_max", "1000", "For example: SELECT"] {
        assert!(error.message.contains(part), "{part}: {error}");
    }
    assert!(error.message.len() < 512, "clients show no more: {} bytes, {error}", error.message.len());
}
