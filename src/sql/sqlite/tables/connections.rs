//! The server's connections in the columns of MySQL's tables about them.

use std::collections::BTreeMap;

use rusqlite::types::Value;

use super::small::Record;
use crate::sql::data::ProcessRow;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn seconds(row: &ProcessRow) -> Value {
    Value::Integer(i64::try_from(row.seconds).unwrap_or(i64::MAX))
}

fn state(row: &ProcessRow) -> Value {
    text(if row.statement.is_some() { "executing" } else { "" })
}

fn maybe(value: Option<String>) -> Value {
    value.map_or(Value::Null, Value::Text)
}

/// A row of a process list.
pub fn process(row: ProcessRow) -> Record {
    let (seconds, state) = (seconds(&row), state(&row));
    let (id, command) = (Value::Integer(i64::from(row.id)), text(row.command));
    vec![id, Value::Text(row.user), Value::Text(row.host), maybe(row.database), command, seconds, state, maybe(row.statement)]
}

/// A connection in the columns of performance_schema.threads, which begin and end with those that a process list lacks.
pub fn thread(row: ProcessRow) -> Record {
    let number = Value::Integer(i64::from(row.id));
    let process = process(row);
    let head = [number, text("thread/sql/one_connection"), text("FOREGROUND")];
    let tail = [Value::Null, Value::Null, text("NO"), text("NO"), text("TCP/IP"), Value::Null, Value::Null];
    head.into_iter().chain(process).chain(tail).collect()
}

/// A connection in the columns of sys.session, of which there are so many.
pub fn session(row: ProcessRow, columns: usize) -> Record {
    let id = Value::Integer(i64::from(row.id));
    let user = Value::Text(format!("{}@{}", row.user, machine(&row.host)));
    let (seconds, state) = (seconds(&row), state(&row));
    let mut record = vec![id.clone(), id, user, maybe(row.database), text(row.command), state, seconds, maybe(row.statement)];
    record.resize(columns, Value::Null);
    record
}

/// How many connections each of these has: a value for each group, and the number; how many there were, and what they took, is not
/// counted.
pub fn counted(rows: Vec<ProcessRow>, group: impl Fn(&ProcessRow) -> Vec<String>) -> Vec<Record> {
    let mut counts: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    for row in &rows {
        *counts.entry(group(row)).or_default() += 1;
    }
    let record = |(names, count): (Vec<String>, i64)| {
        let numbers = [Value::Integer(count), Value::Null, Value::Null, Value::Null];
        names.into_iter().map(Value::Text).chain(numbers).collect()
    };
    counts.into_iter().map(record).collect()
}

/// The host of a connection without its port.
pub fn machine(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(machine, _)| machine)
}
