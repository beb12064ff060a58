//! `consume`: drains a backlog; the rate is that of accepted acks.

use std::sync::Arc;

use super::refusals;
use crate::bench::Bench;
use crate::cli::Common;
use crate::consume::{self, Plan};
use crate::create::{self, Mode, Outcome, Until};
use crate::error::Result;
use crate::report::Report;
use crate::workload::{Due, Workload};

/// Options of `consume`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Tasks that are created first, in batches, due at once
    #[arg(long, default_value_t = 1_000_000)]
    pub fill: u64,
    /// How they are consumed
    #[command(flatten)]
    pub consumers: Consumers,
    /// Bytes of payload
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
    /// Namespaces, which the consumers share
    #[arg(long, default_value_t = 64)]
    pub namespaces: usize,
}

/// Options of the runs that consume.
#[derive(Clone, Debug, clap::Args)]
pub struct Consumers {
    /// Consumers, each with a stream
    #[arg(long, default_value_t = 8)]
    pub consumers: usize,
    /// The most tasks that a consumer holds unsettled
    #[arg(long, default_value_t = 4_096)]
    pub credit: u32,
    /// The most acks in one message; fewer when nothing else has arrived
    #[arg(long, default_value_t = 500)]
    pub ack_batch: usize,
    /// Lease time in milliseconds; 0: the namespace's
    #[arg(long, default_value_t = 0)]
    pub lease_ms: u32,
}

impl Consumers {
    /// As the consumers take it.
    pub fn plan(&self) -> Plan {
        Plan { consumers: self.consumers, credit: self.credit, ack_batch: self.ack_batch, lease_ms: self.lease_ms }
    }
}

/// Creates exactly `tasks` tasks in batches, as fast as the peer takes them.
pub async fn backlog(bench: &Bench, workload: &Arc<Workload>, tasks: u64) -> Result<Outcome> {
    let plan = create::Plan {
        mode: Mode::Batch,
        asynchronous: false,
        streams: 0,
        in_flight: 32,
        batch: 100,
        until: Until::Tasks(tasks),
        retry: true,
    };
    create::run(bench, workload, &plan).await
}

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let workload = Arc::new(Workload::new(options.namespaces, options.payload, Due::Now));
    let bench = Bench::open(common).await?;
    let filled = backlog(&bench, &workload, options.fill).await?;
    let meter = bench.meter()?;
    let mut consumers = consume::start(&bench, workload.namespaces(), &options.consumers.plan(), |_| ());
    consumers.settle(filled.created).await?;
    let cost = bench.cost(&meter)?;
    let progress = &consumers.progress;
    let report = Report {
        name: "consume",
        setup: format!(
            "{} consumers, credit {}, acks by up to {}, {} bytes, {} namespaces",
            options.consumers.consumers,
            options.consumers.credit,
            options.consumers.ack_batch,
            options.payload,
            options.namespaces
        ),
        tasks: progress.settled(),
        seconds: progress.seconds(),
        figures: vec![
            ("backlog rate", filled.created as f64 / filled.seconds, "tasks/s"),
            ("redelivered", progress.redelivered() as f64, ""),
            ("acks too late", progress.late() as f64, ""),
        ],
        raw: Some(bench.raw().clone()),
        cost: Some(cost),
        remarks: refusals(&filled),
        ..Report::default()
    };
    drop(consumers);
    bench.close().await?;
    Ok(report)
}
