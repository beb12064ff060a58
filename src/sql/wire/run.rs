//! Runs a query and streams its rows: a batch is taken when the one before is with the kernel, so a slow client slows the query down.

use std::sync::Arc;

use tokio::sync::mpsc::error::TryRecvError;

use super::columns::expression;
use super::connections::Interrupt;
use super::fault::Fault;
use super::line::Line;
use super::reply::{self, Manner};
use super::rows::Form;
use crate::sql::context::{Context, Warning};
use crate::sql::error::SqlError;
use crate::sql::own::UserValue;
use crate::sql::result::Progress;
use crate::sql::sqlite::{EXPLAIN_COLUMNS, What};
use crate::sql::statement::{OutColumn, Query};
use crate::sql::types::Datum;

/// What is to be run.
pub(super) struct Job {
    pub(super) query: Arc<Query>,
    /// The client's, then those that stand for literals.
    pub(super) params: Vec<Datum>,
    pub(super) context: Arc<Context>,
    pub(super) what: What,
    /// Rows go in the binary form.
    pub(super) binary: bool,
}

/// The columns of EXPLAIN.
pub(super) fn explain_columns() -> Vec<OutColumn> {
    EXPLAIN_COLUMNS.iter().map(|(name, ty)| expression(name, *ty)).collect()
}

/// Runs a query to its end; its rows, if it has any, are answered, but for the packet that ends them. Returns its warnings, and how many
/// rows it found.
pub(super) async fn run(line: &Line, job: Job, manner: Manner) -> Result<(Vec<Warning>, u64), Fault> {
    let query = Arc::clone(&job.query);
    let explained;
    let columns: &[OutColumn] = if job.what == What::Explain {
        explained = explain_columns();
        &explained
    } else {
        &query.columns
    };
    let types = columns.iter().map(|column| column.ty).collect();
    let form = Form { types, binary: job.binary, zone: job.context.zone.clone() };
    let mut progress = line.service.backend.start_query(job.query, job.params, job.context, job.what);
    // The header waits for the first word of the engine: a query that is refused has none.
    let dropped = matches!(job.what, What::Check | What::Drop);
    let mut header = !dropped;
    loop {
        let next = match progress.try_recv() {
            Ok(next) => Some(next),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                unless_interrupted(line, line.drain()).await??;
                unless_interrupted(line, progress.recv()).await?
            }
        };
        let rows = match next {
            Some(Progress::Failed(error)) => return Err(error.into()),
            None => return Err(SqlError::other("the query ended without a word; the server's log may tell why").into()),
            Some(Progress::Rows(batch)) => Some(batch),
            Some(Progress::Done { warnings, found }) if !header => return Ok((warnings, found)),
            Some(Progress::Done { warnings, found }) => {
                reply::header(&mut line.outgoing(), columns, manner);
                return Ok((warnings, found));
            }
        };
        if std::mem::take(&mut header) {
            reply::header(&mut line.outgoing(), columns, manner);
        }
        let Some(batch) = rows else { continue };
        let count = batch.cells.len() / form.types.len().max(1);
        line.service.connections.metrics.rows.inc_by(count as u64);
        let mut at = 0;
        loop {
            let left = form.push(&mut line.outgoing(), &batch, at);
            let Some(row) = left else { break };
            at = row;
            unless_interrupted(line, line.drain()).await??;
        }
    }
}

/// The first rows of a query that the session asked for itself.
pub(super) struct Collected {
    pub(super) rows: Vec<Vec<UserValue>>,
    pub(super) warnings: Vec<Warning>,
}

/// Runs a query and keeps its first rows, at most so many; the others are passed over.
pub(super) async fn collect(line: &Line, job: Job, rows_max: usize) -> Result<Collected, Fault> {
    let types: Vec<_> = job.query.columns.iter().map(|column| column.ty).collect();
    let form = Form { types, binary: false, zone: job.context.zone.clone() };
    let mut progress = line.service.backend.start_query(job.query, job.params, job.context, job.what);
    let mut rows = Vec::new();
    loop {
        match unless_interrupted(line, progress.recv()).await? {
            Some(Progress::Failed(error)) => return Err(error.into()),
            None => return Err(SqlError::other("the query ended without a word; the server's log may tell why").into()),
            Some(Progress::Done { warnings, .. }) => return Ok(Collected { rows, warnings }),
            Some(Progress::Rows(batch)) => {
                let left = rows_max - rows.len();
                for row in batch.cells.chunks_exact(form.types.len().max(1)).take(left) {
                    rows.push(row.iter().zip(&form.types).map(|(cell, ty)| form.kept(&batch, *cell, *ty)).collect());
                }
            }
        }
    }
}

/// Lets others have their turn.
pub(super) async fn pause(line: &Line) -> Result<(), Fault> {
    unless_interrupted(line, tokio::task::yield_now()).await
}

/// Does it, unless somebody wants the statement or the connection to stop.
async fn unless_interrupted<T>(line: &Line, work: impl Future<Output = T>) -> Result<T, Fault> {
    unless(line, Interrupt::Query, work).await
}

/// Does it, unless somebody wants so much or more.
pub(super) async fn unless<T>(line: &Line, least: Interrupt, work: impl Future<Output = T>) -> Result<T, Fault> {
    let mut interrupts = line.entry.interrupts();
    let interrupted = async {
        let why = interrupts.wait_for(|why| *why >= least).await;
        why.map_or(Interrupt::Connection, |why| *why)
    };
    tokio::select! {
        biased;
        why = interrupted => Err(why.into()),
        result = work => Ok(result),
    }
}
