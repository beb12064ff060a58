//! Statements that are no queries, and what a session changes about a query.

use super::super::compile;
use super::context;
use crate::sql::error::SqlError;
use crate::sql::statement::{Given, Query, Statement, Transaction};
use crate::sql::types::{Datum, SqlType};
use crate::sql::zones::Zone;

fn query(sql: &str) -> Query {
    match compile(sql, &context()) {
        Ok(Statement::Query(query)) => query,
        other => panic!("{sql}: {other:?}"),
    }
}

fn code(sql: &str) -> u16 {
    compile(sql, &context()).map_or_else(|wrong| wrong.code, |done| panic!("{sql}: {done:?}"))
}

fn set(sql: &str) -> Vec<(String, Given)> {
    match compile(sql, &context()) {
        Ok(Statement::Set(pairs)) => pairs,
        other => panic!("{sql}: {other:?}"),
    }
}

#[test]
fn the_question_of_the_documentation_reads_one_range() {
    let query = query(
        "SELECT * FROM tasks\nWHERE namespace = 'welcome_emails'\n  AND deliver_at BETWEEN '2022-04-16' AND '2022-04-17'\n  \
         AND JSON_EXTRACT(metadata, '$.user_id') = 'newuser@example.com';",
    );
    assert!(query.sqlite.contains(r#"("tasks"."deliver_at" BETWEEN 1650067200000000 AND 1650153600000000)"#), "{}", query.sqlite);
    assert_eq!(query.columns.len(), crate::sql::catalog::TASKS.columns.len());
    assert_eq!(query.columns[2].ty, SqlType::Timestamp(3));
    assert_eq!(query.columns[2].origin, Some(("z4", "tasks", "deliver_at")));
    assert_eq!(query.tasks, 1);
}

#[test]
fn writes_are_refused_whether_or_not_they_can_be_parsed() {
    for sql in [
        "INSERT INTO tasks VALUES (1)",
        "UPDATE tasks SET state = 'dead'",
        "DELETE FROM tasks",
        "REPLACE INTO tasks VALUES (1)",
        "TRUNCATE TABLE tasks",
        "CREATE TABLE x (a int)",
        "DROP TABLE tasks",
        "ALTER TABLE tasks ADD x int",
        "RENAME TABLE tasks TO t",
        "LOAD DATA INFILE 'x' INTO TABLE tasks",
        "GRANT ALL ON *.* TO x",
        "REVOKE ALL ON *.* FROM x",
        "CALL something()",
        "LOCK TABLES tasks WRITE",
        "insert gibberish (((",
        "/* x */ DELETE FROM tasks",
        "-- c\nDELETE FROM tasks",
        "/*!50003 CREATE */ TRIGGER x",
        "SELECT 1 INTO OUTFILE '/etc/x'",
        "SELECT * INTO DUMPFILE '/x' FROM tasks",
        "SELECT id FROM tasks INTO OUTFILE 'x' FIELDS TERMINATED BY ','",
        "SET PASSWORD = 'x'",
        "START REPLICA",
        "EXPLAIN DELETE FROM tasks",
        "CREATE TABLE x SELECT 1",
        "OPTIMIZE TABLE tasks",
        "WITH a AS (SELECT 1) DELETE FROM tasks",
        "WITH RECURSIVE a(n) AS (SELECT 1), b AS (SELECT 2) UPDATE tasks, b SET state = 'x'",
        "EXPLAIN WITH a AS (SELECT 1) DELETE FROM tasks",
    ] {
        let wrong = compile(sql, &context()).expect_err(sql);
        assert_eq!(wrong.code, 1290, "{sql}: {wrong}");
    }
}

#[test]
fn what_is_not_done_says_so() {
    for sql in [
        "PREPARE s FROM 'SELECT 1'",
        "EXECUTE s",
        "HELP 'x'",
        "HANDLER tasks OPEN",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT LOAD_FILE('x')",
    ] {
        assert_eq!(code(sql), 1235, "{sql}: {:?}", compile(sql, &context()));
    }
    for sql in
        ["ATTACH DATABASE 'x' AS y", "PRAGMA table_info(x)", "VACUUM", "SELECT 1; SELECT 2", "SELECT 'a", "SELECT /* 1", "FOO"]
    {
        assert_eq!(code(sql), 1064, "{sql}");
    }
    for sql in ["", "  ", ";", "-- nothing\n", "/* nothing */ ;;"] {
        assert_eq!(code(sql), 1065, "{sql:?}");
    }
}

#[test]
fn set_gives_pairs() {
    let text = |name: &str, value: &str| (name.to_owned(), Given::Is(Datum::Text(value.to_owned())));
    let int = |name: &str, value: i64| (name.to_owned(), Given::Is(Datum::Int(value)));
    assert_eq!(
        set("SET SESSION sql_mode = 'ANSI', @@session.autocommit = 1, @@sql_select_limit=DEFAULT, LOCAL time_zone := '+02:00'"),
        [
            text("sql_mode", "ANSI"),
            int("autocommit", 1),
            ("sql_select_limit".to_owned(), Given::Default),
            text("time_zone", "+02:00")
        ]
    );
    assert_eq!(set("SET autocommit = ON, sql_safe_updates=0"), [text("autocommit", "ON"), int("sql_safe_updates", 0)]);
    assert_eq!(set("SET z4_consistency = 'linearizable'"), [text("z4_consistency", "linearizable")]);
    assert_eq!(
        set("SET sql_mode = CONCAT(@@sql_mode, ',', 'NO_ZERO_DATE')"),
        [text("sql_mode", "STRICT_TRANS_TABLES,NO_ZERO_DATE")]
    );
    assert_eq!(set("SET character_set_results = NULL"), [("character_set_results".to_owned(), Given::Is(Datum::Null))]);
    let names = set("SET NAMES utf8mb4 COLLATE 'utf8mb4_bin'");
    assert_eq!(names.len(), 4);
    assert_eq!(names[3], text("collation_connection", "utf8mb4_bin"));
    assert_eq!(set("/*!40101 SET NAMES latin1 */")[0], text("character_set_client", "latin1"));
    assert_eq!(set("SET CHARACTER SET utf8mb4").len(), 2);
    assert_eq!(code("SET GLOBAL max_connections = 5"), 1227);
    assert_eq!(code("SET @@global.max_connections = 5"), 1227);
    assert_eq!(code("SET PERSIST x = 5"), 1227);
    assert_eq!(code("SET sql_mode = @@nothing"), 1193);
    assert_eq!(code("SET sql_mode"), 1064);
    assert_eq!(compile("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", &context()), Ok(Statement::Nothing));
    assert_eq!(
        set("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY"),
        [text("transaction_isolation", "READ-COMMITTED"), text("transaction_read_only", "ON")]
    );
    assert_eq!(code("SET SESSION TRANSACTION NONSENSE"), 1064);
}

/// What drivers open with, and dumps.
#[test]
fn set_takes_expressions() {
    let given = |sql: &str| set(sql).into_iter().map(|(name, given)| (name, matches!(given, Given::Of(..)))).collect::<Vec<_>>();
    let pair = |name: &str, of: bool| (name.to_owned(), of);
    assert_eq!(
        given(
            "SET sql_mode=(SELECT CONCAT(@@sql_mode, ',PIPES_AS_CONCAT,NO_ENGINE_SUBSTITUTION')),time_zone='+00:00',NAMES utf8mb4 COLLATE utf8mb4_unicode_ci"
        ),
        [
            pair("sql_mode", true),
            pair("time_zone", false),
            pair("character_set_client", false),
            pair("character_set_connection", false),
            pair("character_set_results", false),
            pair("collation_connection", false)
        ]
    );
    assert_eq!(
        given("SET @a = 1 + 2, @b := 'x', @`c d` = @a, @E.f = NULL"),
        [pair("@a", true), pair("@b", false), pair("@c d", true), pair("@e.f", false)]
    );
    assert_eq!(
        given("/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */"),
        [pair("@old_sql_mode", false), pair("sql_mode", false)]
    );
    assert_eq!(
        given("SET max_execution_time = 2 * 500, @@session.no.such = 1"),
        [pair("max_execution_time", true), pair("no.such", false)]
    );
    let of = |sql: &str| match set(sql).pop() {
        Some((_, Given::Of(query, _))) => query.sqlite,
        other => panic!("{sql}: {other:?}"),
    };
    assert_eq!(of("SET @a = 1 + 2"), r#"SELECT (1 + 2) AS "1 + 2""#);
    for sql in ["SET @a", "SET @a = ", "SET @a = 1 2", "SET @a = (1, 2)", "SET @@a.b.c", "SET @a = (SELECT 1, 2)"] {
        assert!(matches!(code(sql), 1064 | 1241), "{sql}: {:?}", compile(sql, &context()));
    }
    assert_eq!(code("SET @a = (SELECT no FROM tasks)"), 1054);
}

#[test]
fn user_variables_are_literals_unless_the_statement_sets_some() {
    let context = context();
    let value = |datum, ty| crate::sql::own::UserValue { datum, ty };
    context.own.assign("n", value(Datum::Int(7), SqlType::Int)).expect("room");
    context.own.assign("d", value(Datum::Text("1.50".to_owned()), SqlType::Decimal(2))).expect("room");
    let query = |sql: &str| match compile(sql, &context) {
        Ok(Statement::Query(query)) => query,
        other => panic!("{sql}: {other:?}"),
    };
    let read = query("SELECT @N, @d, @`none`, @'n'");
    // As the literal would be.
    let decimal = query("SELECT 1.50 AS d").sqlite.replace("SELECT ", "").replace(" AS \"d\"", "");
    assert_eq!(read.sqlite, format!(r#"SELECT 7 AS "@N", {decimal} AS "@d", NULL AS "@`none`", 7 AS "@'n'""#));
    let types: Vec<SqlType> = read.columns.iter().map(|column| column.ty).collect();
    assert_eq!(types, [SqlType::Int, SqlType::Decimal(2), SqlType::Text, SqlType::Int]);
    let set = query("SELECT @n := @n, @t := 'x', @t FROM peers");
    assert_eq!(
        set.sqlite,
        r#"SELECT z4_assign('n', z4_user('n'), 'i') AS "@n := @n", z4_assign('t', 'x', 't') AS "@t := 'x'", z4_user('t') AS "@t" FROM "peers" AS "peers""#
    );
    assert_eq!(code("SELECT 1 := 2"), 1064);
    assert_eq!(code("SELECT @@sql_mode := 2"), 1064);
    for sql in ["SELECT 1, 2 INTO @a, @B", "SELECT 1, 2 INTO @a, @b FROM peers", "SELECT 1, 2 FROM peers LIMIT 1 INTO @a, @b"] {
        match compile(sql, &context) {
            Ok(Statement::Into(query, names)) => {
                assert_eq!((names, query.columns.len()), (vec!["a".to_owned(), "b".to_owned()], 2), "{sql}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    assert_eq!(code("SELECT 1, 2 INTO @a"), 1222);
    assert_eq!(code("SELECT 1 INTO @@a"), 1064);
    assert!(matches!(compile("DO SLEEP(1), 2", &context), Ok(Statement::Do(_))));
    assert_eq!(code("DO"), 1064);
}

#[test]
fn transactions_begin_and_end() {
    let begin = |read_only| Statement::Transaction(Transaction::Begin { read_only });
    let end = |chain| Statement::Transaction(Transaction::End { chain, release: false });
    for (sql, expected) in [
        ("BEGIN", begin(false)),
        ("BEGIN WORK", begin(false)),
        ("START TRANSACTION", begin(false)),
        ("START TRANSACTION WITH CONSISTENT SNAPSHOT", begin(false)),
        ("START TRANSACTION READ ONLY", begin(true)),
        ("COMMIT", end(false)),
        ("COMMIT AND CHAIN", end(true)),
        ("COMMIT WORK AND NO CHAIN NO RELEASE", end(false)),
        ("ROLLBACK RELEASE", Statement::Transaction(Transaction::End { chain: false, release: true })),
        ("COMMIT AND NO CHAIN RELEASE", Statement::Transaction(Transaction::End { chain: false, release: true })),
        ("ROLLBACK", end(false)),
        ("ROLLBACK TO SAVEPOINT a", Statement::Nothing),
        ("SAVEPOINT a", Statement::Nothing),
        ("RELEASE SAVEPOINT a", Statement::Nothing),
        ("FLUSH PRIVILEGES", end(false)),
        ("LOCK TABLES `tasks` READ /*!32311 LOCAL */", end(false)),
        ("UNLOCK TABLES", end(false)),
    ] {
        assert_eq!(compile(sql, &context()), Ok(expected), "{sql}");
    }
    assert_eq!(code("LOCK TABLES tasks READ, peers WRITE"), 1290);
    assert_eq!(code("BEGIN NONSENSE"), 1064);
}

#[test]
fn use_and_kill() {
    assert_eq!(compile("USE `z4`", &context()), Ok(Statement::Use("z4".to_owned())));
    assert_eq!(compile("use INFORMATION_SCHEMA;", &context()), Ok(Statement::Use("information_schema".to_owned())));
    assert_eq!(compile("USE MySQL", &context()), Ok(Statement::Use("mysql".to_owned())));
    assert_eq!(code("USE Z4"), 1049);
    assert_eq!(code("USE nosuch"), 1049);
    assert_eq!(compile("KILL QUERY 12", &context()), Ok(Statement::Kill { id: 12, connection: false }));
    assert_eq!(compile("KILL 12", &context()), Ok(Statement::Kill { id: 12, connection: true }));
    assert_eq!(code("KILL 99999999999"), 1094);
}

#[test]
fn the_session_counts() {
    let mut session = context();
    session.zone = Zone::parse("+02:00").expect("a zone");
    session.select_limit = 10;
    session.database = None;
    let compiled = |sql: &str| match compile(sql, &session) {
        Ok(Statement::Query(query)) => query.sqlite,
        other => panic!("{other:?}"),
    };
    assert!(compiled("SELECT id FROM z4.tasks WHERE deliver_at > '2022-04-16'").ends_with("> 1650060000000000) LIMIT 10"));
    assert!(compiled("SELECT id FROM z4.tasks WHERE deliver_at > '2022-04-16' LIMIT 20").ends_with("LIMIT 20"));
    assert!(!compiled("SHOW DATABASES").contains("LIMIT"));
    assert_eq!(compile("SELECT id FROM tasks", &session).map_err(|wrong| wrong.code), Err(1046));
    assert_eq!(compile("SHOW TABLES", &session).map_err(|wrong| wrong.code), Err(1046));
}

#[test]
fn parameters_are_numbered_as_they_are_written() {
    let query = query("SELECT ?, id FROM (SELECT id FROM tasks WHERE namespace = ?) x WHERE id > ? GROUP BY ? LIMIT ?, ?");
    assert_eq!(query.params, 6);
    assert!(query.sqlite.starts_with("SELECT ?1 AS"), "{}", query.sqlite);
    assert!(query.sqlite.ends_with("LIMIT ?6 OFFSET ?5"), "{}", query.sqlite);
    assert!(query.sqlite.contains("z4_text(?2)") && query.sqlite.contains("z4_text(?3)"), "{}", query.sqlite);
}

#[test]
fn a_syntax_error_says_where() {
    let wrong = compile("SELECT id\nFROM tasks WHERE )", &context()).expect_err("wrong");
    assert_eq!(wrong.code, 1064);
    assert!(wrong.message.contains("line 2"), "{wrong}");
    let SqlError { message, .. } = compile("SELECT 1; SELECT 2", &context()).expect_err("two");
    assert!(message.contains("near 'SELECT 2'"), "{message}");
}

/// Programs of the original's users write names as they like, and read `SELECT *` by position.
#[test]
fn tables_are_found_in_any_case_and_begin_with_the_originals_columns() {
    let b = "namespace = 'a' AND deliver_at BETWEEN '2022-04-16' AND '2022-04-17'";
    for from in ["tasks", "TASKS", "Tasks", "z4.Tasks", "Z4.TASKS"] {
        let Ok(Statement::Query(query)) = compile(&format!("SELECT * FROM {from} WHERE {b}"), &context()) else {
            panic!("{from} is not found")
        };
        let names: Vec<&str> = query.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names[..5], ["namespace", "id", "deliver_at", "metadata", "payload"]);
        assert_eq!((query.tasks, query.uses.as_slice()), (1, &["tasks"][..]), "{from}");
    }
}

/// The NUL ended the statement that SQLite was given.
#[test]
fn a_nul_in_a_name_does_not_end_the_statement() {
    let query = query("SELECT 'a\\0b'");
    assert_eq!(query.columns[0].name, "a\0b");
    assert!(!query.sqlite.contains('\0'), "{}", query.sqlite);
    let connection = super::sqlite::connection();
    assert_eq!(connection.prepare(&query.sqlite).expect("SQLite takes it").column_count(), 1);
}

/// Functions that users of the original call.
#[test]
fn functions_of_the_original_are_known() {
    let query = query(
        "SELECT MD5(id), IS_UUID(id), UUID_TO_BIN(id), BIN_TO_UUID(payload, 1), JSON_ARRAY_INSERT(metadata, '$[0]', 1), \
         JSON_STORAGE_SIZE(metadata), VALUES(id) FROM tasks WHERE 1 = 0",
    );
    let types: Vec<SqlType> = query.columns.iter().map(|column| column.ty).collect();
    use SqlType::{Blob, Int, Json, Text};
    assert_eq!(types, [Text, Int, Blob, Text, Json, Int, Text]);
    super::sqlite::connection().prepare(&query.sqlite).expect("SQLite takes it");
}
