//! `create`: a closed loop of creates; the rate is that of acknowledgements.

use std::sync::Arc;
use std::time::Duration;

use super::refusals;
use crate::bench::Bench;
use crate::cli::Common;
use crate::create::{self, Mode, Plan, Until};
use crate::error::Result;
use crate::report::Report;
use crate::workload::{Due, Workload};

/// Options of `create`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// How tasks are sent
    #[arg(long, value_enum, default_value = "stream")]
    pub mode: Mode,
    /// The calls that reply before the task is durable
    #[arg(long = "async")]
    pub asynchronous: bool,
    /// Streams, for --mode stream
    #[arg(long, default_value_t = 16)]
    pub streams: usize,
    /// The most that is unanswered: calls for unary (default 256) and batch (default 32), tasks on all streams together for stream
    /// (default 8192)
    #[arg(long)]
    pub in_flight: Option<usize>,
    /// Tasks of a batch, for --mode batch
    #[arg(long, default_value_t = 100)]
    pub batch: u64,
    /// Bytes of payload
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
    /// Namespaces, each of which lives on one shard
    #[arg(long, default_value_t = 64)]
    pub namespaces: usize,
    /// Ends after so many tasks
    #[arg(long, conflicts_with = "seconds")]
    pub tasks: Option<u64>,
    /// Ends after so much time
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// When they are due: now, +SECONDS, or spread over the next hour
    #[arg(long, default_value = "now")]
    pub due: Due,
}

impl Options {
    fn plan(&self) -> Plan {
        let in_flight = self.in_flight.unwrap_or(match self.mode {
            Mode::Unary => 256,
            Mode::Stream => 8_192,
            Mode::Batch => 32,
        });
        let until = self.tasks.map_or(Until::Elapsed(Duration::from_secs(self.seconds)), Until::Tasks);
        Plan {
            mode: self.mode,
            asynchronous: self.asynchronous,
            streams: self.streams,
            in_flight,
            batch: self.batch,
            until,
            retry: false,
        }
    }

    fn setup(&self, plan: &Plan) -> String {
        let when = if self.asynchronous { "async" } else { "sync" };
        let how = match self.mode {
            Mode::Unary => format!("unary {when}, {} in flight", plan.in_flight),
            Mode::Stream => format!("{} streams {when}, {} in flight", plan.streams, plan.in_flight),
            Mode::Batch => format!("batches of {}, {} in flight", plan.batch, plan.in_flight),
        };
        format!("{how}, {} bytes, {} namespaces", self.payload, self.namespaces)
    }
}

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let plan = options.plan();
    let workload = Arc::new(Workload::new(options.namespaces, options.payload, options.due));
    let bench = Bench::open(common).await?;
    let meter = bench.meter()?;
    let outcome = create::run(&bench, &workload, &plan).await?;
    let cost = bench.cost(&meter)?;
    let report = Report {
        name: "create",
        setup: options.setup(&plan),
        tasks: outcome.created,
        seconds: outcome.seconds,
        latencies: vec![("latency", outcome.latency.percentiles())],
        raw: Some(bench.raw().clone()),
        cost: Some(cost),
        remarks: refusals(&outcome),
        ..Report::default()
    };
    bench.close().await?;
    Ok(report)
}
