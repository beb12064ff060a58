//! `join`: a new peer catches up with millions of tasks while the others serve.

use std::sync::Arc;
use std::time::Duration;

use super::consume::backlog;
use crate::bench::Bench;
use crate::cli::Common;
use crate::clock;
use crate::clock::Origin;
use crate::cluster::{self, Member};
use crate::create::{self, Mode, Outcome, Plan, Until};
use crate::error::{Error, Result};
use crate::latency::Latency;
use crate::peer::Peer;
use crate::process;
use crate::report::Report;
use crate::workload::{Due, Workload};

const MONTH_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// Options of `join`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Tasks that are there before
    #[arg(long, default_value_t = 5_000_000)]
    pub tasks: u64,
    /// Bytes of payload
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
    /// Namespaces
    #[arg(long, default_value_t = 64)]
    pub namespaces: usize,
    /// Creates in flight while it catches up, and before for comparison: about 20 % of what the peers can do
    #[arg(long, default_value_t = 8)]
    pub in_flight: usize,
}

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let Some(binary) = &common.spawn else { return Err(Error::Input("join needs --spawn".into())) };
    let mut common = common.clone();
    common.peers = common.peers.max(2);
    let bench = Bench::open(&common).await?;
    let due = Due::Spread { from_ms: clock::wall_millis() + MONTH_MS, span_ms: MONTH_MS as u64 };
    let workload = Arc::new(Workload::new(options.namespaces, options.payload, due));
    backlog(&bench, &workload, options.tasks).await?;
    let before = load(&bench, &workload, options, 10).await?;
    let idle = bench.usage()?;

    let directory = tempfile::Builder::new().prefix("z4-bench-").tempdir_in(&common.data).map_err(Error::io("no directory"))?;
    let number = usize::from(common.peers) + 1;
    let member = Member::start(binary, directory.path(), &common.peer_arguments(), number).await?;
    let joiner = member.peer.as_ref().map_or(0, Peer::pid);
    let joiner_idle = process::usage(joiner)?;
    let meter = bench.meter()?;
    let (beside, clock) = (Latency::new(), Origin::start());
    let mut adding = Box::pin(cluster::add_through(bench.address(), &member));
    let took = loop {
        tokio::select! {
            took = &mut adding => break took?,
            part = load(&bench, &workload, options, 2) => beside.merge(&part?.latency),
        }
    };
    drop(adding);
    let cost = bench.cost(&meter)?;
    let (sender, receiver) = (bench.usage()?, process::usage(joiner)?);
    let report = Report {
        name: "join",
        setup: format!(
            "{} tasks of {} bytes, peer {number} joins, {} creates in flight",
            options.tasks, options.payload, options.in_flight
        ),
        tasks: options.tasks,
        seconds: clock.elapsed().as_secs_f64(),
        figures: vec![
            ("caught up", took.as_secs_f64(), "s"),
            ("senders' rss peak over idle", sender.rss_peak_bytes.saturating_sub(idle.rss_bytes) as f64, "bytes"),
            ("joiner's rss peak over idle", receiver.rss_peak_bytes.saturating_sub(joiner_idle.rss_bytes) as f64, "bytes"),
        ],
        latencies: vec![("creates before", before.latency.percentiles()), ("creates beside", beside.percentiles())],
        raw: Some(bench.raw().clone()),
        cost: Some(cost),
        ..Report::default()
    };
    drop(member);
    bench.close().await?;
    Ok(report)
}

/// Creates for some seconds.
async fn load(bench: &Bench, workload: &Arc<Workload>, options: &Options, seconds: u64) -> Result<Outcome> {
    let plan = Plan {
        mode: Mode::Unary,
        asynchronous: false,
        streams: 0,
        in_flight: options.in_flight,
        batch: 1,
        until: Until::Elapsed(Duration::from_secs(seconds)),
        retry: true,
    };
    create::run(bench, workload, &plan).await
}
