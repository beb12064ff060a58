//! Literals that become parameters change nothing else: with the parameters' values in their places the SQL is the one without them.
//! What was looked at stays a literal.

use super::super::literal::quoted;
use super::super::{compile, compile_for_others};
use super::{context, golden};
use crate::sql::context::Context;
use crate::sql::statement::{Query, Statement};
use crate::sql::types::Datum;
use crate::sql::zones::Zone;

/// SQL with values instead of its parameters.
fn filled(query: &Query) -> String {
    let mut sql = query.sqlite.clone();
    // The last ones first: ?1 is the beginning of ?10.
    for (at, value) in query.values().iter().enumerate().rev() {
        let written = match value {
            Datum::Text(text) => quoted(text),
            Datum::Int(value) => value.to_string(),
            other => panic!("{other:?} is no literal"),
        };
        sql = sql.replace(&format!("?{}", at + 1), &written);
    }
    sql
}

/// How many literals became parameters.
fn same(sql: &str, context: &Context) -> usize {
    let (plain, lifted) = (compile(sql, context), compile_for_others(sql, context));
    let (Ok(Statement::Query(plain)), Ok(Statement::Query(lifted))) = (&plain, &lifted) else {
        assert_eq!(plain, lifted, "{sql}");
        return 0;
    };
    assert_eq!(filled(lifted), plain.sqlite, "{sql}");
    let bare = Query { sqlite: plain.sqlite.clone(), literals: Vec::new(), ..lifted.clone() };
    assert_eq!(bare, *plain, "{sql}");
    for literal in &lifted.literals {
        let written = sql.get(literal.place.clone()).expect("it stands there");
        assert!(written.starts_with(['\'', '"']) || written.bytes().all(|byte| byte.is_ascii_digit()), "{written} in {sql}");
    }
    lifted.literals.len()
}

#[test]
fn statements_become_what_they_become_without() {
    let paris = Context { zone: Zone::parse("Europe/Paris").expect("a zone"), ..context() };
    let mut lifted = 0;
    for sql in golden::statements() {
        lifted += same(sql, &context());
        same(sql, &paris);
    }
    assert!(lifted > 30, "{lifted}");
}

#[test]
fn what_is_lifted() {
    const B: &str = "deliver_at BETWEEN '2022-01-01' AND '2022-01-02'";
    for (count, rest) in [
        (3, "WHERE namespace = 'a' AND $b"),
        (3, "WHERE 'a' = namespace AND $b"),
        (3, "WHERE \"a\" <=> namespace AND $b"),
        (4, "WHERE namespace IN ('a', 'b') AND $b"),
        (3, "WHERE namespace = 'a' AND $b ORDER BY 1 LIMIT 5 OFFSET 3"),
        (4, "WHERE namespace = 'a' AND $b AND JSON_EXTRACT(metadata, '$.x') = 'v'"),
        (4, "WHERE namespace = 'a' AND $b AND metadata->'$.x' > 5"),
        (4, "WHERE namespace = 'a' AND $b AND attempts + 1 >= 5"),
        (4, "WHERE namespace = 'a' AND $b AND deliver_at + INTERVAL 1 DAY < '2022-01-01'"),
        (3, "WHERE namespace = 'a' AND $b HAVING id > 'x'"),
        (4, "WHERE namespace = 'a' AND $b AND id IN (SELECT id FROM tasks WHERE namespace = 'b')"),
        (4, "t JOIN namespaces n ON n.name = 'x' WHERE namespace = 'a' AND $b"),
        // What is looked at, or written with escapes.
        (2, "WHERE namespace = 'it''s' AND $b"),
        (2, "WHERE namespace = 'a\\\\' AND $b"),
        (2, "WHERE namespace = 'a' 'b' AND $b"),
        (3, "WHERE namespace = 'a' AND $b AND 1 = 1"),
        (3, "WHERE namespace = 'a' AND $b AND attempts = -1"),
        (3, "WHERE namespace = 'a' AND $b AND attempts = 1.5"),
        (3, "WHERE namespace = 'a' AND $b AND attempts = '1'"),
        (3, "WHERE namespace = 'a' AND $b AND DATE(deliver_at) = '2022-01-01'"),
        (3, "WHERE namespace = 'a' AND $b AND deliver_at > 20220101"),
        (3, "WHERE namespace = 'a' AND $b AND (attempts, state) = (1, 'dead')"),
        (3, "WHERE namespace = 'a' AND $b AND NULLIF(state, 'dead') IS NULL"),
        (3, "WHERE namespace = 'a' AND $b AND id LIKE 'x%'"),
        (3, "WHERE namespace = 'a' AND $b GROUP BY id HAVING COUNT(*) > 5"),
        (0, "WHERE namespace = 'a' AND $b AND 1 = 0"),
    ] {
        let sql = format!("SELECT id FROM tasks {}", rest.replace("$b", B));
        assert_eq!(same(&sql, &context()), count, "{sql}");
    }
    let many = vec!["'x'"; 33].join(", ");
    for (count, sql) in [
        (0, "SELECT (SELECT COUNT(*) FROM tasks WHERE namespace = 'a' AND $b)".to_owned()),
        (0, "SELECT attempts < 5 FROM tasks LIMIT 1".to_owned()),
        (0, "DO (SELECT COUNT(*) FROM tasks WHERE namespace = 'a' AND $b)".to_owned()),
        (0, "EXPLAIN SELECT id FROM tasks WHERE namespace = 'a' AND $b".to_owned()),
        (0, "SELECT id FROM tasks WHERE namespace = 'a' AND $b INTO @x".to_owned()),
        (0, "SELECT id FROM tasks WHERE namespace = ? AND attempts > 5 AND $b".to_owned()),
        (2, format!("SELECT id FROM tasks WHERE namespace IN ({many}) AND $b")),
        (3, "WITH x AS (SELECT id FROM tasks WHERE namespace = 'a' AND $b) SELECT * FROM x".to_owned()),
        (6, "SELECT id FROM tasks WHERE namespace = 'a' AND $b UNION SELECT id FROM tasks WHERE namespace = 'b' AND $b".to_owned()),
        (3, "SELECT n FROM (SELECT COUNT(*) n FROM tasks WHERE namespace = 'a' AND $b) d".to_owned()),
        // Compiled twice: what the recursion starts from.
        (2, "WITH RECURSIVE c AS (SELECT attempts a FROM tasks WHERE namespace = 'a' UNION SELECT a FROM c WHERE a < 3) SELECT * FROM c".to_owned()),
    ] {
        let sql = sql.replace("$b", B);
        assert_eq!(same(&sql, &context()), count, "{sql}");
    }
}
