//! Runs queries: a bounded pool of plain threads, each with a SQLite connection over the virtual tables.

mod authorizer;
mod connection;
mod execute;
mod explain;
mod fault;
mod functions;
mod memory;
mod packed;
mod pool;
mod readers;
mod running;
mod tables;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

pub use memory::taken as memory_bytes;
pub use pool::lower_priority;

use tokio::sync::mpsc;
use z4_shards::runtime::clock;

use super::context::Context;
use super::data::{Data, Live};
use super::result::Progress;
use super::statement::Query;
use super::types::{Datum, SqlType};

/// The table of packed rows, for tests of what the dialect writes.
#[cfg(test)]
pub fn register_rows(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    tables::bridge::register(connection, tables::rows::NAME, tables::rows::Rows)
}

/// Bounds of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Queries that run at the same time; others wait.
    pub queries_max: usize,
    /// Queries that wait; more are refused.
    pub waiting_max: usize,
    /// Bytes that one query may hold: sorting, grouping, rows under way.
    pub query_memory_bytes_max: usize,
    /// Bytes that all queries may hold together.
    pub memory_bytes_max: usize,
    /// A query may lack bounds of `deliver_at` in namespaces that have at most so many tasks together. 0: none may.
    pub unbounded_rows_max: u64,
}

/// What is to be done with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its rows.
    Run,
    /// [`EXPLAIN_COLUMNS`].
    Explain,
    /// Run, and its rows are dropped: `Done` or `Failed`.
    Drop,
    /// Nothing but whether it may be run: `Done` or `Failed`.
    Check,
}

/// The columns of EXPLAIN, all of them may be NULL.
pub const EXPLAIN_COLUMNS: &[(&str, SqlType)] = &[
    ("id", SqlType::Int),
    ("table", SqlType::Text),
    ("type", SqlType::Text),
    ("groups", SqlType::Text),
    ("key_ranges", SqlType::Text),
    ("rows", SqlType::UInt),
    ("columns", SqlType::Text),
    ("extra", SqlType::Text),
];

/// Batches between a query and its receiver; a query that is further ahead waits.
const BATCHES: usize = 4;

/// The pool. Cheap to clone; when the last clone goes, its threads end.
#[derive(Clone)]
pub struct Engine {
    pool: Arc<pool::Pool>,
}

impl Engine {
    /// Starts the threads.
    ///
    /// # Errors
    /// A thread cannot be started, or SQLite was used before, so that its memory cannot be bounded.
    pub fn start(data: Arc<dyn Data>, live: Arc<dyn Live>, options: Options) -> io::Result<Engine> {
        memory::install(options.memory_bytes_max).map_err(io::Error::other)?;
        Ok(Engine { pool: Arc::new(pool::Pool::start(data, live, options)?) })
    }

    /// Starts a query. Never blocks. Dropping the receiver interrupts it.
    pub fn start_query(
        &self,
        query: Arc<Query>,
        params: Vec<Datum>,
        context: Arc<Context>,
        what: What,
    ) -> mpsc::Receiver<Progress> {
        // And one for the last word.
        let (out, progress) = mpsc::channel(BATCHES + 1);
        if let Err((job, error)) = self.pool.submit(pool::Job { query, params, context, what, out, since: clock::monotonic() }) {
            // The channel is new: it has room.
            let _ = job.out.try_send(Progress::Failed(error));
        }
        progress
    }
}
