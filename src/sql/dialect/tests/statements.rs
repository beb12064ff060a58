//! Statements that are no queries, and what a session changes about a query.

use super::super::compile;
use super::context;
use crate::sql::error::SqlError;
use crate::sql::statement::{Query, Statement};
use crate::sql::types::{Datum, SqlType};

fn query(sql: &str) -> Query {
    match compile(sql, &context()) {
        Ok(Statement::Query(query)) => query,
        other => panic!("{sql}: {other:?}"),
    }
}

fn code(sql: &str) -> u16 {
    compile(sql, &context()).map_or_else(|wrong| wrong.code, |done| panic!("{sql}: {done:?}"))
}

fn set(sql: &str) -> Vec<(String, Option<Datum>)> {
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
    assert_eq!(query.columns[2].ty, SqlType::DateTime(3));
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
        "SELECT @x",
        "SET @x = 1",
        "SELECT @x := 1",
        "SELECT 1 INTO @x",
        "SELECT state, COUNT(*) FROM tasks GROUP BY state WITH ROLLUP",
        "SELECT * FROM peers, LATERAL (SELECT 1) x",
        "SELECT SLEEP(1)",
        "SELECT 1 > ALL (SELECT 2)",
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
    let text = |name: &str, value: &str| (name.to_owned(), Some(Datum::Text(value.to_owned())));
    let int = |name: &str, value: i64| (name.to_owned(), Some(Datum::Int(value)));
    assert_eq!(
        set("SET SESSION sql_mode = 'ANSI', @@session.autocommit = 1, @@sql_select_limit=DEFAULT, LOCAL time_zone := '+02:00'"),
        [text("sql_mode", "ANSI"), int("autocommit", 1), ("sql_select_limit".to_owned(), None), text("time_zone", "+02:00")]
    );
    assert_eq!(set("SET autocommit = ON, sql_safe_updates=0"), [text("autocommit", "ON"), int("sql_safe_updates", 0)]);
    assert_eq!(set("SET z4_consistency = 'linearizable'"), [text("z4_consistency", "linearizable")]);
    assert_eq!(
        set("SET sql_mode = CONCAT(@@sql_mode, ',', 'NO_ZERO_DATE')"),
        [text("sql_mode", "STRICT_TRANS_TABLES,NO_ZERO_DATE")]
    );
    assert_eq!(set("SET character_set_results = NULL"), [("character_set_results".to_owned(), Some(Datum::Null))]);
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
    for sql in [
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION TRANSACTION READ ONLY",
        "BEGIN",
        "START TRANSACTION READ ONLY",
    ] {
        assert_eq!(compile(sql, &context()), Ok(Statement::Nothing), "{sql}");
    }
    for sql in ["COMMIT", "ROLLBACK TO SAVEPOINT a", "SAVEPOINT a", "FLUSH PRIVILEGES", "UNLOCK TABLES", "RELEASE SAVEPOINT a"] {
        assert_eq!(compile(sql, &context()), Ok(Statement::Nothing), "{sql}");
    }
}

#[test]
fn use_and_kill() {
    assert_eq!(compile("USE `z4`", &context()), Ok(Statement::Use("z4".to_owned())));
    assert_eq!(compile("use INFORMATION_SCHEMA;", &context()), Ok(Statement::Use("information_schema".to_owned())));
    assert_eq!(code("USE mysql"), 1049);
    assert_eq!(compile("KILL QUERY 12", &context()), Ok(Statement::Kill { id: 12, connection: false }));
    assert_eq!(compile("KILL 12", &context()), Ok(Statement::Kill { id: 12, connection: true }));
    assert_eq!(code("KILL 99999999999"), 1094);
}

#[test]
fn the_session_counts() {
    let mut session = context();
    session.zone_seconds = 7200;
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
