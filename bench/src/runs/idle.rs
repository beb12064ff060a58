//! `idle`: what a peer costs that has nothing to do.

use std::time::Duration;

use crate::bench::Bench;
use crate::cli::Common;
use crate::error::Result;
use crate::report::Report;

/// Options of `idle`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How long
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Seconds that are waited before, so that the start is over
    #[arg(long, default_value_t = 3)]
    pub warmup: u64,
}

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let bench = Bench::open(common).await?;
    tokio::time::sleep(Duration::from_secs(options.warmup)).await;
    bench.usage()?;
    let meter = bench.meter()?;
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let cost = bench.cost(&meter)?;
    let report = Report {
        name: "idle",
        setup: format!("{} s, {} connections open", options.seconds, common.connections),
        figures: vec![("core share", cost.server_cores().unwrap_or(0.0) * 100.0, "% of one core")],
        cost: Some(cost),
        raw: Some(bench.raw().clone()),
        ..Report::default()
    };
    bench.close().await?;
    Ok(report)
}
