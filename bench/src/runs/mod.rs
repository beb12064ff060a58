//! The runs of `z4-bench`, one file each: what it sets up, what it measures, what it reports.

pub mod all;
pub mod consume;
pub mod create;
pub mod failover;
pub mod fill;
pub mod fsync;
pub mod idle;
pub mod join;
pub mod lateness;
pub mod mixed;
pub mod one_writer;
pub mod rows;
pub mod shard;
pub mod sweep;

use crate::cli::{Common, Run};
use crate::create::Outcome;
use crate::error::Result;
use crate::report::{Report, thousands};

/// Runs one measurement on a peer that is opened and closed for it. `all` is not one: see [`all::run`].
pub async fn run(common: &Common, run: &Run) -> Result<Option<Report>> {
    let report = match run {
        Run::Create(options) => create::run(common, options).await?,
        Run::Consume(options) => consume::run(common, options).await?,
        Run::Mixed(options) => mixed::run(common, options).await?,
        Run::Lateness(options) => lateness::run(common, options).await?,
        Run::Idle(options) => idle::run(common, options).await?,
        Run::Fill(options) => fill::run(common, options).await?,
        Run::Rows(options) => rows::run(common, options).await?,
        Run::Failover(options) => failover::run(common, options).await?,
        Run::Join(options) => join::run(common, options).await?,
        Run::Fsync(options) => fsync::run(common, options)?,
        Run::Shard(options) => shard::run(common, options)?,
        Run::OneWriter(options) => one_writer::run(common, options).await?,
        Run::Sweep(options) => sweep::run(common, options).await?,
        Run::All(_) => return Ok(None),
    };
    Ok(Some(report))
}

/// What a reader should know about tasks that were refused.
fn refusals(outcome: &Outcome) -> Vec<String> {
    match &outcome.refusal {
        Some(text) => vec![format!("{} tasks were refused, the first with: {text}", thousands(outcome.refused as f64))],
        None => Vec::new(),
    }
}
