//! Runs one query: prepares, binds, steps, and sends its rows in batches.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Statement;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use z4_shards::runtime::clock;

use super::connection::Statements;
use super::pool::{Job, Shared};
use super::running::{Running, Start};
use super::{What, authorizer, explain, fault, functions, memory};
use crate::sql::error::SqlError;
use crate::sql::result::{Batch, Cell, Progress};
use crate::sql::statement::{Amount, Query};
use crate::sql::types::Datum;

/// Rows of the first batches: the first row is on its way at once.
const ROWS_EARLY: [usize; 2] = [1, 16];
/// Rows of a batch.
const ROWS_MAX: usize = 1000;
/// Bytes of a batch, about.
const BYTES_MAX: usize = 64 << 10;
/// A row waits no longer for others to fill its batch (when a row follows).
const WAIT: Duration = Duration::from_millis(20);

/// Runs a query to its end.
pub fn run(job: Job, statements: &mut Statements<'_>, shared: &Shared) {
    if job.out.is_closed() {
        return;
    }
    let running = Running::new(Start {
        data: Arc::clone(&shared.data),
        live: Arc::clone(&shared.live),
        context: Arc::clone(&job.context),
        readers: Arc::clone(&shared.readers),
        explain: job.what == What::Explain,
        unbounded_rows_max: shared.options.unbounded_rows_max,
        out: job.out.clone(),
        since: job.since,
    });
    let entered = running.enter();
    memory::start(shared.options.query_memory_bytes_max);
    functions::enter(&job.context);
    // One that waited beyond its time is not begun.
    let done = running.check_now().and_then(|()| match job.what {
        What::Run | What::Drop => rows(&job, statements, &running),
        What::Explain => explain::explain(&job, statements, &running).map(|()| 0),
        What::Check => {
            let checked = prepare(&job.query, statements, &running);
            checked.map(|statement| statements.put(&job.query.sqlite, statement)).map(|()| 0)
        }
    });
    let last = match done {
        Ok(found) => Progress::Done { warnings: running.take_warnings(), found },
        Err(error) => Progress::Failed(why(&running, error)),
    };
    memory::end();
    drop(entered);
    running.end(last);
}

/// The cause of an error: SQLite knows only that it was interrupted, or that it got no memory.
fn why(running: &Running, error: SqlError) -> SqlError {
    let memory = || memory::exceeded().filter(|_| error.code == 1038).map(memory::Bound::error);
    running.stopped().or_else(memory).unwrap_or(error)
}

/// Prepares; says which rule or right is missing when it cannot be.
pub fn prepare<'a>(query: &Query, statements: &mut Statements<'a>, running: &Running) -> Result<Statement<'a>, SqlError> {
    authorizer::take_denied();
    let statement = statements.take(&query.sqlite).map_err(|error| prepare_error(&error, query, running))?;
    if !statement.readonly() {
        return Err(SqlError::read_only("such a statement"));
    }
    if statement.parameter_count() > wanted(query) {
        return Err(SqlError::other("the statement has more parameters than its query"));
    }
    Ok(statement)
}

/// Why a statement cannot be prepared.
pub fn prepare_error(error: &rusqlite::Error, query: &Query, running: &Running) -> SqlError {
    if let Some(denied) = authorizer::take_denied() {
        return denied;
    }
    if error.to_string().contains("no query solution") {
        return running.seen.borrow().refusal(query);
    }
    fault::from_sqlite(error)
}

/// Binds the parameters: the client's, then literals.
pub fn bind(statement: &mut Statement<'_>, params: &[Datum], query: &Query) -> Result<(), SqlError> {
    if params.len() != wanted(query) {
        return Err(SqlError::new(
            1210,
            "HY000",
            format!("Incorrect arguments to EXECUTE: {} given, {} wanted", params.len(), wanted(query)),
        ));
    }
    for (i, param) in params.iter().enumerate().take(statement.parameter_count()) {
        statement.raw_bind_parameter(i + 1, value(param)).map_err(|error| fault::from_sqlite(&error))?;
    }
    Ok(())
}

/// How many parameters a query has.
fn wanted(query: &Query) -> usize {
    query.params + query.literals.len()
}

fn value(param: &Datum) -> ToSqlOutput<'_> {
    match param {
        Datum::Null => ToSqlOutput::Owned(Value::Null),
        Datum::Int(n) => ToSqlOutput::Owned(Value::Integer(*n)),
        // What SQLite makes of a literal of this size; a client's own come as exact numbers.
        Datum::UInt(n) => ToSqlOutput::Owned(i64::try_from(*n).map_or(Value::Real(*n as f64), Value::Integer)),
        Datum::Double(x) => ToSqlOutput::Owned(Value::Real(*x)),
        Datum::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        Datum::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
    }
}

/// Sends the rows; how many were found.
fn rows(job: &Job, statements: &mut Statements<'_>, running: &Running) -> Result<u64, SqlError> {
    let query = &job.query;
    let mut statement = prepare(query, statements, running)?;
    if statement.column_count() != query.columns.len() {
        return Err(SqlError::other("the statement has another number of columns than its query"));
    }
    bind(&mut statement, &job.params, query)?;
    let window = window(query, &job.params)?;
    let stepped = step(&mut statement, running, query.columns.len(), (job.what == What::Drop, window));
    // A statement that failed is not worth a second thought about its state.
    if stepped.is_ok() {
        statement.clear_bindings();
        statements.put(&query.sqlite, statement);
    }
    stepped
}

/// The rows that are answered.
fn window(query: &Query, params: &[Datum]) -> Result<Range<u64>, SqlError> {
    let Some(window) = query.window else { return Ok(0..u64::MAX) };
    let amount = |amount| match amount {
        Amount::Is(count) => Ok(count),
        Amount::Param(number) => match params.get(number - 1) {
            Some(Datum::UInt(count)) => Ok(*count),
            Some(Datum::Int(count)) if *count >= 0 => Ok(count.cast_unsigned()),
            Some(Datum::Int(_)) => Err(SqlError::new(1210, "HY000", "Incorrect arguments to LIMIT")),
            Some(Datum::Double(count)) => Ok(count.round_ties_even() as u64),
            Some(Datum::Text(text)) => Ok(text.trim().parse().unwrap_or(0)),
            _ => Ok(0),
        },
    };
    let skip = amount(window.skip)?;
    Ok(skip..skip.saturating_add(amount(window.take)?))
}

fn step(
    statement: &mut Statement<'_>,
    running: &Running,
    columns: usize,
    (dropped, window): (bool, Range<u64>),
) -> Result<u64, SqlError> {
    let mut found = 0_u64;
    let mut rows = statement.raw_query();
    let mut out = Out { running, batch: Batch::default(), rows: 0, batches: 0, last: clock::monotonic(), dropped };
    while let Some(row) = rows.next().map_err(|error| fault::from_sqlite(&error))? {
        found += 1;
        if !window.contains(&(found - 1)) {
            running.check()?;
            continue;
        }
        {
            let _lenient = memory::lenient();
            for column in 0..columns {
                out.push(row.get_ref(column).map_err(|error| fault::from_sqlite(&error))?);
            }
        }
        running.check()?;
        out.row_is_complete()?;
    }
    // A function that was told to stop gave anything at all.
    running.stopped().map_or(Ok(()), Err)?;
    out.flush()?;
    Ok(found)
}

struct Out<'a> {
    running: &'a Running,
    batch: Batch,
    rows: usize,
    batches: usize,
    last: Instant,
    /// Nobody wants the rows.
    dropped: bool,
}

impl Out<'_> {
    fn push(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.batch.cells.push(Cell::Null),
            ValueRef::Integer(n) => self.batch.cells.push(Cell::Int(n)),
            ValueRef::Real(x) => self.batch.cells.push(Cell::Double(x)),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => self.batch.push_bytes(bytes),
        }
    }

    fn row_is_complete(&mut self) -> Result<(), SqlError> {
        self.rows += 1;
        let full = ROWS_EARLY.get(self.batches).copied().unwrap_or(ROWS_MAX);
        if self.rows >= full || self.batch.arena.len() >= BYTES_MAX || self.rows.is_multiple_of(8) && self.is_late() {
            return self.flush();
        }
        Ok(())
    }

    fn is_late(&self) -> bool {
        clock::monotonic().duration_since(self.last) >= WAIT
    }

    fn flush(&mut self) -> Result<(), SqlError> {
        if self.rows == 0 {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.rows = 0;
        self.batches += 1;
        if !self.dropped {
            self.running.send(batch)?;
        }
        self.last = clock::monotonic();
        Ok(())
    }
}
