//! EXPLAIN: what each reference to a table reads.
//!
//! SQLite is asked for its plan, in which each reference shows the number and the text that `best_index` gave it. Then the statement is
//! run with tables that tell their key ranges and give no rows: references whose ranges depend on other rows tell none.

use rusqlite::Statement;

use super::connection::Statements;
use super::execute::{bind, prepare_error};
use super::pool::Job;
use super::running::Running;
use super::tables::tasks::{Plan, Reading};
use super::{fault, memory};
use crate::sql::catalog::{self, task};
use crate::sql::error::SqlError;
use crate::sql::result::{Batch, Cell};

/// The key ranges that are shown of a reference.
const RANGES_SHOWN: usize = 3;

/// A step of SQLite's plan that reads a table.
struct Step {
    table: String,
    number: i32,
    plan: Option<Plan>,
    extra: Vec<String>,
}

/// Sends the rows of [`EXPLAIN_COLUMNS`](super::EXPLAIN_COLUMNS).
///
/// # Errors
/// The statement may not be run, or there is no room for its plan.
pub fn explain(job: &Job, statements: &mut Statements<'_>, running: &Running) -> Result<(), SqlError> {
    let prepared = |sql: &str| {
        running.seen.take();
        statements.connection.prepare(sql).map_err(|error| prepare_error(&error, &job.query, running))
    };
    // The statement itself first: only it may be run, whatever EXPLAIN would make of another.
    let mut statement = prepared(&job.query.sqlite)?;
    if !statement.readonly() {
        return Err(SqlError::read_only("such a statement"));
    }
    bind(&mut statement, &job.params, &job.query)?;
    exhaust(&mut statement)?;
    let reads = std::mem::take(&mut running.seen.borrow_mut().reads);
    drop(statement);
    let mut plan = prepared(&format!("EXPLAIN QUERY PLAN {}", job.query.sqlite))?;
    let mut steps = steps(&details(&mut plan)?);
    if steps.is_empty() {
        steps.push(Step { table: String::new(), number: -1, plan: None, extra: vec!["No tables used".to_owned()] });
    }
    let mut batch = Batch::default();
    for (i, step) in steps.iter().enumerate() {
        push(&mut batch, i, step, &reads);
    }
    running.send(batch)
}

fn exhaust(statement: &mut Statement<'_>) -> Result<(), SqlError> {
    let mut rows = statement.raw_query();
    while rows.next().map_err(|error| fault::from_sqlite(&error))?.is_some() {}
    Ok(())
}

fn details(plan: &mut Statement<'_>) -> Result<Vec<String>, SqlError> {
    let _lenient = memory::lenient();
    let mut rows = plan.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(|error| fault::from_sqlite(&error))? {
        let detail: String = row.get(3).map_err(|error| fault::from_sqlite(&error))?;
        if detail != "SCAN CONSTANT ROW" {
            found.push(detail);
        }
    }
    Ok(found)
}

/// `SCAN t VIRTUAL TABLE INDEX 3:Ng<;;7ff` is a table, anything else goes to the table before it, or to the first.
fn steps(details: &[String]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before: Vec<String> = Vec::new();
    for detail in details {
        match table(detail) {
            Some(step) => steps.push(step),
            None => match steps.last_mut() {
                Some(step) => step.extra.push(detail.clone()),
                None => before.push(detail.clone()),
            },
        }
    }
    if let Some(first) = steps.first_mut() {
        first.extra.splice(0..0, before);
    } else if !before.is_empty() {
        steps.push(Step { table: String::new(), number: -1, plan: None, extra: before });
    }
    steps
}

fn table(detail: &str) -> Option<Step> {
    let (head, index) = detail.split_once(" VIRTUAL TABLE INDEX ")?;
    let name = head.strip_prefix("SCAN ").or_else(|| head.strip_prefix("SEARCH ")).unwrap_or(head);
    let (number, rest) = index.split_once(':')?;
    let (text, join) = rest.split_once(' ').unwrap_or((rest, ""));
    let extra = if join.is_empty() { Vec::new() } else { vec![join.to_owned()] };
    Some(Step { table: name.to_owned(), number: number.parse().ok()?, plan: Plan::decode(text), extra })
}

fn push(batch: &mut Batch, i: usize, step: &Step, reads: &[(i32, Reading)]) {
    let text = |batch: &mut Batch, text: Option<String>| match text {
        Some(text) => batch.push_bytes(text.as_bytes()),
        None => batch.cells.push(Cell::Null),
    };
    batch.cells.push(Cell::Int(i as i64 + 1));
    text(batch, Some(step.table.clone()).filter(|table| !table.is_empty()));
    let Some(plan) = &step.plan else {
        text(batch, (!step.table.is_empty()).then(|| "ALL".to_owned()));
        batch.cells.extend([Cell::Null; 4]);
        text(batch, Some(step.extra.join("; ")).filter(|extra| !extra.is_empty()));
        return;
    };
    text(batch, Some("range".to_owned()));
    let of_this: Vec<&Reading> = reads.iter().filter(|(number, _)| *number == step.number).map(|(_, reading)| reading).collect();
    text(batch, (!of_this.is_empty()).then(|| groups(&of_this)));
    text(batch, Some(ranges(&of_this)));
    // A reference that is read once for each row of another tells what one of these readings finds.
    let rows = of_this.iter().map(|reading| i64::try_from(reading.rows).unwrap_or(i64::MAX)).max();
    batch.cells.push(rows.map_or(Cell::Null, Cell::Int));
    let used = catalog::TASKS.columns.iter().enumerate().filter(|(at, _)| plan.uses(*at));
    text(batch, Some(used.map(|(_, column)| column.name).collect::<Vec<_>>().join(",")));
    let mut extra = plan.describe();
    if !plan.uses(task::PAYLOAD) {
        extra.push("payload not read".to_owned());
    }
    extra.extend(step.extra.iter().cloned());
    text(batch, Some(extra.join("; ")));
}

fn groups(readings: &[&Reading]) -> String {
    let mut groups: Vec<u16> = readings.iter().flat_map(|reading| reading.groups.iter().copied()).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}

fn ranges(readings: &[&Reading]) -> String {
    if readings.is_empty() {
        return "depend on the rows of the tables before".to_owned();
    }
    let count: usize = readings.iter().map(|reading| reading.count).sum();
    let shown: Vec<&str> =
        readings.iter().flat_map(|reading| reading.ranges.iter().map(String::as_str)).take(RANGES_SHOWN).collect();
    match count {
        0 => "none before it runs".to_owned(),
        count if count > shown.len() => format!("{} and {} more", shown.join(" "), count - shown.len()),
        _ => shown.join(" "),
    }
}
