//! `fill`: many tasks that are due far in the future must cost disk, not memory, and must not make a restart slow.

use std::sync::Arc;
use std::time::Duration;

use z4_proto::ListTasksRequest;
use z4_proto::collection_client::CollectionClient;

use super::consume::backlog;
use super::refusals;
use crate::bench::Bench;
use crate::cli::Common;
use crate::clock;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::workload::{Due, Workload};

/// The tasks are due from a month ahead on, over a month.
const MONTH_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// Options of `fill`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Tasks
    #[arg(long, default_value_t = 5_000_000)]
    pub tasks: u64,
    /// Bytes of payload
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
    /// Namespaces
    #[arg(long, default_value_t = 64)]
    pub namespaces: usize,
    /// With --spawn: restarts after SIGKILL and not after SIGTERM
    #[arg(long)]
    pub kill: bool,
}

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let mut bench = Bench::open(common).await?;
    let due = Due::Spread { from_ms: clock::wall_millis() + MONTH_MS, span_ms: MONTH_MS as u64 };
    let workload = Arc::new(Workload::new(options.namespaces, options.payload, due));
    let meter = bench.meter()?;
    let filled = backlog(&bench, &workload, options.tasks).await?;
    let cost = bench.cost(&meter)?;
    let mut figures = Vec::new();
    if let Some(server) = cost.server {
        figures.push(("rss", server.rss_bytes as f64, "bytes"));
        figures.push(("rss peak", server.rss_peak_bytes as f64, "bytes"));
    }
    if common.spawn.is_some() {
        let (again, stopped_in, started_in) = bench.restart(options.kill).await?;
        bench = again;
        let clock = clock::Origin::start();
        for namespace in workload.namespaces() {
            served(&bench, namespace).await?;
        }
        figures.push(("stop", stopped_in.as_secs_f64(), "s"));
        figures.push(("restart", (started_in + clock.elapsed()).as_secs_f64(), "s"));
        figures.push(("rss restarted", bench.usage()?.rss_bytes as f64, "bytes"));
    }
    let report = Report {
        name: "fill",
        setup: format!(
            "{} tasks due in 30 to 60 days, {} bytes, {} namespaces, then {}",
            options.tasks,
            options.payload,
            options.namespaces,
            if options.kill { "SIGKILL" } else { "SIGTERM" }
        ),
        tasks: filled.created,
        seconds: filled.seconds,
        figures,
        latencies: vec![("batch of 100", filled.latency.percentiles())],
        raw: Some(bench.raw().clone()),
        cost: Some(cost),
        remarks: refusals(&filled),
    };
    bench.close().await?;
    Ok(report)
}

/// Waits until the peer serves a namespace, which is when it lists a task of it.
async fn served(bench: &Bench, namespace: &str) -> Result<()> {
    let request = ListTasksRequest { namespace: namespace.to_owned(), page_size: 1, ..ListTasksRequest::default() };
    let mut client = CollectionClient::new(bench.channel(0).clone());
    loop {
        match client.list_tasks(request.clone()).await {
            Ok(page) if page.get_ref().tasks.is_empty() => {
                return Err(Error::Input(format!("the tasks of {namespace} are gone after the restart")));
            }
            Ok(_) => return Ok(()),
            // Its group has no leader yet: that is part of the time that a restart takes.
            Err(status) if status.code() == tonic::Code::Unavailable => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(status) => return Err(Error::call("ListTasks")(status)),
        }
    }
}
