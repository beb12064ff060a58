//! What is produced must be SQL for SQLite, over tables of these names and functions of these names, with as many columns as promised.

use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context as Call, FunctionFlags, WindowAggregate};

use super::super::compile;
use super::{context, golden};
use crate::sql::catalog::{LOOK, TABLES, TASKS, WHOLE};
use crate::sql::signatures;
use crate::sql::statement::{Query, Statement};

const COERCIONS: &[&str] = &[
    "z4_dt",
    "z4_dt_of_dec",
    "z4_dt_round",
    "z4_dt_strict",
    "z4_dt_text",
    "z4_dt_num",
    "z4_num",
    "z4_int",
    "z4_text",
    "z4_dec",
    "z4_dec_text",
    "z4_dt_dec",
    "z4_dec_of",
    "z4_dec_neg",
    "z4_dec_abs",
    "z4_dec_round",
    "z4_dec_truncate",
    "z4_dec_ceil",
    "z4_dec_floor",
    "z4_dec_div",
    "z4_dec_mod",
    "z4_add",
    "z4_sub",
    "z4_mul",
    "z4_iadd",
    "z4_isub",
    "z4_imul",
    "z4_avg",
    "z4_tm_dec",
    "z4_unsigned",
    "z4_bits",
    "z4_shift_left",
    "z4_shift_right",
    "z4_to_unsigned",
    "z4_json_key",
    "z4_json_scalar",
    "z4_json_sort",
    "z4_json_sorted",
    "z4_json",
    "z4_json_truth",
    "z4_json_table",
    "z4_rint",
    "z4_round_double",
    "z4_binary",
    "z4_div",
    "z4_double",
    "z4_intdiv",
    "z4_mod",
    "z4_xor",
    "z4_regexp",
    "z4_like",
    "z4_date_add",
    "z4_date_add_text",
    "z4_now",
    "z4_today",
    "z4_date",
    "z4_time",
    "z4_tm",
    "z4_tm_of_dec",
    "z4_tm_text",
    "z4_tm_num",
    "z4_tm_dt",
    "z4_tm_round",
    "z4_tm_add",
    "z4_tm_interval",
    "z4_dt_add",
    "z4_span",
];

/// An aggregate that gives NULL.
struct Nothing;

impl Aggregate<(), Option<i64>> for Nothing {
    fn init(&self, _: &mut Call<'_>) -> rusqlite::Result<()> {
        Ok(())
    }

    fn step(&self, _: &mut Call<'_>, _: &mut ()) -> rusqlite::Result<()> {
        Ok(())
    }

    fn finalize(&self, _: &mut Call<'_>, _: Option<()>) -> rusqlite::Result<Option<i64>> {
        Ok(None)
    }
}

impl WindowAggregate<(), Option<i64>> for Nothing {
    fn value(&self, _: Option<&mut ()>) -> rusqlite::Result<Option<i64>> {
        Ok(None)
    }

    fn inverse(&self, _: &mut Call<'_>, _: &mut ()) -> rusqlite::Result<()> {
        Ok(())
    }
}

/// Empty tables and functions that give NULL.
pub(super) fn connection() -> Connection {
    let connection = Connection::open_in_memory().expect("opened");
    let hidden = [LOOK, WHOLE].map(|name| (&TASKS, name.to_owned()));
    for (table, name) in TABLES.iter().map(|table| (*table, table.virtual_name())).chain(hidden) {
        let columns: Vec<String> = table.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let create = format!("CREATE TABLE \"{name}\"({})", columns.join(", "));
        connection.execute_batch(&create).expect("created");
    }
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let built_in = |name: &str| !name.starts_with("my_") && !name.starts_with("z4_");
    let names = signatures::all().filter(|one| !one.aggregate).map(|one| one.sqlite).filter(|name| !built_in(name));
    for name in names.chain(COERCIONS.iter().copied()) {
        connection.create_scalar_function(name, -1, flags, |_| Ok(None::<i64>)).expect("a function");
    }
    connection.create_window_function("my_sum", 1, flags, Nothing).expect("an aggregate");
    connection.create_aggregate_function("z4_only", 1, flags, Nothing).expect("an aggregate");
    connection.create_aggregate_function("z4_pack", -1, flags, Nothing).expect("an aggregate");
    crate::sql::sqlite::register_rows(&connection).expect("a table");
    for signature in signatures::all().filter(|one| one.aggregate && !built_in(one.sqlite)) {
        connection.create_window_function(signature.sqlite, -1, flags, Nothing).expect("an aggregate");
    }
    connection
}

pub(super) fn check(connection: &Connection, sql: &str, query: &Query) {
    let sqlite = query.sqlite.replace("COLLATE z4_ci", "COLLATE NOCASE");
    let statement = connection.prepare(&sqlite).unwrap_or_else(|wrong| panic!("{wrong}\nof {sql}\nas {}", query.sqlite));
    let names: Vec<&str> = statement.column_names().collect();
    let promised: Vec<&str> = query.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, promised, "{sql}");
    assert!(statement.parameter_count() <= query.params, "{sql}");
}

#[test]
fn sqlite_takes_everything_that_is_produced() {
    let connection = connection();
    let context = context();
    let mut count = 0;
    for sql in golden::statements() {
        if let Ok(Statement::Query(query) | Statement::Explain(query)) = compile(sql, &context) {
            check(&connection, sql, &query);
            count += 1;
        }
    }
    assert!(count > 100, "only {count} queries were checked");
}
