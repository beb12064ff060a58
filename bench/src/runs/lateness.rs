//! `lateness`: how long after their due times tasks arrive at a consumer, both by this machine's wall clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::consume::{Consumers, backlog};
use super::refusals;
use crate::bench::Bench;
use crate::cli::Common;
use crate::clock;
use crate::consume;
use crate::error::Result;
use crate::latency::Latency;
use crate::report::Report;
use crate::wire;
use crate::workload::{Due, Workload};

/// Options of `lateness`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Tasks
    #[arg(long, default_value_t = 100_000)]
    pub tasks: u64,
    /// Their due times are spread evenly over so many seconds
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Seconds from the start of the run until the first is due: all must be created by then
    #[arg(long, default_value_t = 5)]
    pub lead: u64,
    /// How they are consumed
    #[command(flatten)]
    pub consumers: Consumers,
    /// Bytes of payload
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
    /// Namespaces
    #[arg(long, default_value_t = 16)]
    pub namespaces: usize,
}

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let bench = Bench::open(common).await?;
    let from_ms = clock::wall_millis() + options.lead as i64 * 1_000;
    let due = Due::Spread { from_ms, span_ms: options.seconds * 1_000 };
    let workload = Arc::new(Workload::new(options.namespaces, options.payload, due));
    let (lateness, early) = (Latency::new(), Arc::new(AtomicU64::new(0)));
    let mut consumers = consume::start(&bench, workload.namespaces(), &options.consumers.plan(), {
        let (lateness, early) = (lateness.clone(), early.clone());
        move |delivery| {
            let due = delivery.task.as_ref().and_then(|t| t.deliver_at.as_ref());
            let micros = clock::wall_micros() - due.map_or(i64::MAX, wire::micros);
            if micros < 0 {
                early.fetch_add(1, Ordering::Relaxed);
            }
            lateness.record(micros.max(0) as u64 * 1_000);
        }
    });
    let filled = backlog(&bench, &workload, options.tasks).await?;
    let mut remarks = refusals(&filled);
    if clock::wall_millis() >= from_ms {
        remarks.push("some tasks were created after they were due: give a longer --lead".into());
    }
    let meter = bench.meter()?;
    consumers.settle(filled.created).await?;
    let cost = bench.cost(&meter)?;
    let report = Report {
        name: "lateness",
        setup: format!(
            "{} tasks due over {} s, {} consumers, {} bytes, {} namespaces",
            options.tasks, options.seconds, options.consumers.consumers, options.payload, options.namespaces
        ),
        tasks: consumers.progress.settled(),
        seconds: options.seconds as f64,
        figures: vec![
            ("before due", early.load(Ordering::Relaxed) as f64, ""),
            ("redelivered", consumers.progress.redelivered() as f64, ""),
        ],
        latencies: vec![("lateness", lateness.percentiles())],
        raw: Some(bench.raw().clone()),
        cost: Some(cost),
        remarks,
    };
    drop(consumers);
    bench.close().await?;
    Ok(report)
}
