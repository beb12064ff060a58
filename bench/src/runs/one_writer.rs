//! `one-writer`: a lone producer that waits for each acknowledgement; nothing to batch with, so this is the whole path's latency.

use std::sync::Arc;
use std::time::Duration;

use crate::bench::Bench;
use crate::cli::Common;
use crate::create::{self, Mode, Plan, Until};
use crate::error::Result;
use crate::report::Report;
use crate::workload::{Due, Workload};

/// Options of `one-writer`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How long
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Bytes of payload
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
    /// Namespaces, used in turn
    #[arg(long, default_value_t = 16)]
    pub namespaces: usize,
}

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let workload = Arc::new(Workload::new(options.namespaces, options.payload, Due::In(86_400)));
    let bench = Bench::open(common).await?;
    let plan = Plan {
        mode: Mode::Unary,
        asynchronous: false,
        streams: 0,
        in_flight: 1,
        batch: 1,
        until: Until::Elapsed(Duration::from_secs(options.seconds)),
        retry: false,
    };
    let meter = bench.meter()?;
    let outcome = create::run(&bench, &workload, &plan).await?;
    let cost = bench.cost(&meter)?;
    let percentiles = outcome.latency.percentiles();
    let above = percentiles.p50.as_secs_f64() - bench.raw().latency.p50.as_secs_f64();
    let report = Report {
        name: "one-writer",
        setup: format!("unary sync, 1 in flight, {} bytes", options.payload),
        tasks: outcome.created,
        seconds: outcome.seconds,
        figures: vec![("p50 above raw", above * 1e6, "µs")],
        latencies: vec![("latency", percentiles)],
        raw: Some(bench.raw().clone()),
        cost: Some(cost),
        ..Report::default()
    };
    bench.close().await?;
    Ok(report)
}
