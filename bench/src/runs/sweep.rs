//! `sweep`: batching must make tasks cheaper, or at least not dearer, the more of them are in flight.

use std::sync::Arc;
use std::time::Duration;

use crate::bench::Bench;
use crate::cli::Common;
use crate::create::{self, Mode, Plan, Until};
use crate::error::Result;
use crate::report::Report;
use crate::workload::{Due, Workload};

/// How many are in flight, and the label of the figure.
pub const STEPS: [(usize, &str); 4] =
    [(1, "1 in flight"), (10, "10 in flight"), (100, "100 in flight"), (1_000, "1000 in flight")];

/// Options of `sweep`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// unary or stream
    #[arg(long, value_enum, default_value = "unary")]
    pub mode: Mode,
    /// Seconds of each step
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Bytes of payload
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
    /// Namespaces
    #[arg(long, default_value_t = 16)]
    pub namespaces: usize,
}

/// Runs it: the figures are the peer's CPU time per created task, in microseconds.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let workload = Arc::new(Workload::new(options.namespaces, options.payload, Due::In(86_400)));
    let bench = Bench::open(common).await?;
    bench.usage()?;
    let whole = bench.meter()?;
    let (mut figures, mut latencies) = (Vec::new(), Vec::new());
    let (mut tasks, mut seconds) = (0, 0.0);
    for (in_flight, label) in STEPS {
        let plan = Plan {
            mode: options.mode,
            asynchronous: false,
            streams: in_flight.min(16),
            in_flight,
            batch: 1,
            until: Until::Elapsed(Duration::from_secs(options.seconds)),
            retry: false,
        };
        let meter = bench.meter()?;
        let outcome = create::run(&bench, &workload, &plan).await?;
        let cost = bench.cost(&meter)?;
        figures.push((label, cost.server_us_per_task(outcome.created).unwrap_or(0.0), "µs of peer CPU per task"));
        latencies.push((label, outcome.latency.percentiles()));
        tasks += outcome.created;
        seconds += outcome.seconds;
    }
    let report = Report {
        name: "sweep",
        setup: format!(
            "{:?}, {} s each, {} bytes, {} namespaces",
            options.mode, options.seconds, options.payload, options.namespaces
        ),
        tasks,
        seconds,
        figures,
        latencies,
        raw: Some(bench.raw().clone()),
        cost: Some(bench.cost(&whole)?),
        ..Report::default()
    };
    bench.close().await?;
    Ok(report)
}
