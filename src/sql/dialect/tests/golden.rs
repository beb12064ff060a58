//! `golden.txt`: MySQL's SQL (`>`), what becomes of it (`<`) and the columns of the result (`:`), or the error (`!`).
//! `Z4_GOLDEN=write` writes what is now: read the difference before it is committed.

use std::fmt::Write;

use super::super::compile;
use super::context;
use crate::sql::error::SqlError;
use crate::sql::statement::{OutColumn, Statement};

const GOLDEN: &str = include_str!("golden.txt");

fn columns(columns: &[OutColumn]) -> String {
    let shown = columns.iter().map(|column| {
        let null = if column.nullable { "?" } else { "" };
        let origin = column.origin.map(|(schema, table, name)| format!(" @{schema}.{table}.{name}")).unwrap_or_default();
        format!("{} {:?}{null}{origin}", column.name, column.ty)
    });
    shown.collect::<Vec<_>>().join(", ")
}

pub(super) fn outcome(result: &Result<Statement, SqlError>) -> String {
    match result {
        Ok(Statement::Query(query)) => {
            format!("< {}\n: {} | params {} tasks {}\n", query.sqlite, columns(&query.columns), query.params, query.tasks)
        }
        Ok(Statement::Explain(query)) => format!("< EXPLAIN {}\n", query.sqlite),
        Ok(other) => format!("< {other:?}\n"),
        Err(wrong) => format!("! {} {} {}\n", wrong.code, wrong.state, wrong.message),
    }
}

/// The statements of the file.
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    GOLDEN.lines().filter_map(|line| line.strip_prefix("> "))
}

#[test]
fn statements_become_what_they_became() {
    let context = context();
    let mut now = String::new();
    for line in GOLDEN.lines() {
        if line.starts_with('#') || line.is_empty() {
            let _ = writeln!(now, "{line}");
        } else if let Some(sql) = line.strip_prefix("> ") {
            let _ = write!(now, "> {sql}\n{}", outcome(&compile(sql, &context)));
        }
    }
    if std::env::var_os("Z4_GOLDEN").is_some_and(|what| what == "write") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql/dialect/tests/golden.txt");
        std::fs::write(path, &now).expect("written");
        return;
    }
    for (now, then) in now.lines().zip(GOLDEN.lines()) {
        assert_eq!(now, then);
    }
    assert_eq!(now.lines().count(), GOLDEN.lines().count());
}
