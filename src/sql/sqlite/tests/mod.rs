//! Queries over rows in memory, written in SQLite's SQL as the dialect would write it.

mod bounds;
mod explain;
mod limits;
mod random;
mod rows;
mod rule;

use std::sync::Arc;

use tokio::sync::mpsc::Receiver;

use super::{Engine, Options, What};
use crate::sql::context::{Context, Warning};
use crate::sql::error::SqlError;
use crate::sql::result::{Cell, Progress};
use crate::sql::statement::{OutColumn, Query};
use crate::sql::testing::{Fake, context};
use crate::sql::types::{Datum, SqlType};

/// The clock of the tests, milliseconds.
const NOW: u64 = 100_000;

/// An engine over a peer in memory.
struct Bench {
    fake: Arc<Fake>,
    engine: Engine,
    context: Context,
}

type Table = Vec<Vec<Datum>>;

fn options() -> Options {
    Options {
        queries_max: 2,
        waiting_max: 4,
        query_memory_bytes_max: 16 << 20,
        memory_bytes_max: 256 << 20,
        unbounded_rows_max: 0,
    }
}

fn bench(fake: Fake) -> Bench {
    bench_with(fake, options())
}

fn bench_with(fake: Fake, options: Options) -> Bench {
    let fake = Arc::new(fake);
    let engine = Engine::start(fake.clone(), fake.clone(), options).expect("an engine");
    Bench { fake, engine, context: context(NOW) }
}

fn query(sql: &str, columns: usize, params: usize) -> Arc<Query> {
    let column = OutColumn { name: "c".into(), table: String::new(), origin: None, ty: SqlType::Text, nullable: true, whole: 0 };
    Arc::new(Query { sqlite: sql.into(), columns: vec![column; columns], params, tasks: 1, ..Query::default() })
}

impl Bench {
    fn start(&self, sql: &str, columns: usize, params: Vec<Datum>, what: What) -> Receiver<Progress> {
        let params_count = params.len();
        self.engine.start_query(query(sql, columns, params_count), params, Arc::new(self.context.clone()), what)
    }

    fn all(&self, sql: &str, columns: usize, params: Vec<Datum>, what: What) -> Result<(Table, Vec<Warning>), SqlError> {
        collect(
            self.start(sql, columns, params, what),
            if what == What::Explain { super::EXPLAIN_COLUMNS.len() } else { columns },
        )
    }

    fn rows(&self, sql: &str, columns: usize) -> Table {
        self.all(sql, columns, Vec::new(), What::Run).unwrap_or_else(|error| panic!("{sql}: {error}")).0
    }

    fn error(&self, sql: &str, columns: usize) -> SqlError {
        match self.all(sql, columns, Vec::new(), What::Run) {
            Err(error) => error,
            Ok((rows, _)) => panic!("{sql} gave {} rows", rows.len()),
        }
    }
}

fn collect(mut progress: Receiver<Progress>, columns: usize) -> Result<(Table, Vec<Warning>), SqlError> {
    let mut rows = Vec::new();
    while let Some(step) = progress.blocking_recv() {
        match step {
            Progress::Rows(batch) => {
                assert!(!batch.cells.is_empty(), "a batch has rows");
                for row in batch.cells.chunks(columns) {
                    let cell = |cell: &Cell| match *cell {
                        Cell::Null => Datum::Null,
                        Cell::Int(n) => Datum::Int(n),
                        Cell::Double(x) => Datum::Double(x),
                        Cell::Bytes { from, until } => {
                            Datum::Text(String::from_utf8_lossy(batch.bytes(from, until)).into_owned())
                        }
                    };
                    rows.push(row.iter().map(cell).collect());
                }
            }
            Progress::Done { warnings, .. } => return Ok((rows, warnings)),
            Progress::Failed(error) => return Err(error),
        }
    }
    panic!("a query ended without a word");
}

fn text(text: &str) -> Datum {
    Datum::Text(text.to_owned())
}
