//! `shard`: one shard driven in this process, without gRPC: what mailbox-free commands, batcher, Raft, raft log and partition do alone.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use z4_model::command::{Command, Create, Op};
use z4_model::ids::{GroupId, Namespace, SLOTS};
use z4_model::rows::metadata::pack_metadata;
use z4_shards::log::{Log, LogOptions};
use z4_shards::metrics::Metrics;
use z4_shards::partition::PartitionOptions;
use z4_shards::raft::Retention;
use z4_shards::runtime::executor;
use z4_shards::shard::handle::Shards;
use z4_shards::shard::{BatchLimits, Message, Shard, ShardOptions, delivery};
use z4_shards::storage::Storage;

use crate::cli::Common;
use crate::clock::{Origin, wall_millis};
use crate::error::{Error, Result};
use crate::latency::Latency;
use crate::report::Report;
use crate::{fsync, process};

/// The group that is driven.
const GROUP: GroupId = GroupId(1);

/// Options of `shard`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Commands of one create each that are on the way at a time
    #[arg(long, default_value_t = 1_024)]
    pub in_flight: usize,
    /// How long
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Bytes of payload
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
}

/// What the shard's thread found out.
struct Driven {
    tasks: u64,
    seconds: f64,
    latency: Latency,
}

/// Runs it; blocks the thread, for the shard has one of its own.
pub fn run(common: &Common, options: &Options) -> Result<Report> {
    let raw = fsync::measure(&common.data, 4_096, common.raw_duration())?;
    let dir = tempfile::tempdir_in(&common.data).map_err(Error::io("cannot make a directory for the shard"))?;
    let path = std::path::absolute(dir.path()).map_err(Error::io("cannot tell the directory's path"))?;
    let before = process::own_usage()?;
    let options_there = options.clone();
    let thread = executor::start("shard", 0, move || drive(path, options_there)).map_err(Error::io("cannot start the shard"))?;
    let driven = thread.join().map_err(Error::io("the shard ended"))?.map_err(Error::Input)?;
    let cpu = process::own_usage()?.cpu_seconds - before.cpu_seconds;
    Ok(Report {
        name: "shard",
        setup: format!("no gRPC, {} in flight, {} bytes", options.in_flight, options.payload),
        tasks: driven.tasks,
        seconds: driven.seconds,
        figures: vec![("cpu per task", cpu * 1e6 / driven.tasks.max(1) as f64, "µs")],
        latencies: vec![("latency", driven.latency.percentiles())],
        raw: Some(raw),
        ..Report::default()
    })
}

fn shard_options(dir: &Path) -> std::result::Result<ShardOptions, String> {
    Ok(ShardOptions {
        partitions_dir: dir.join("partitions"),
        partition: PartitionOptions::default(),
        batch: BatchLimits::default(),
        delivery: delivery::Limits::default(),
        trim_bytes: 256 << 20,
        clock_skew_warn_ms: 500,
        clock_skew_max_ms: 2_000,
        retention: Retention { retained_bytes: 64 << 20, held_bytes_max: 1 << 30 },
        metrics: Metrics::new("bench").map_err(|e| e.to_string())?,
        on_fatal: Arc::new(|what| eprintln!("z4-bench: the shard failed: {what}")),
    })
}

/// On the shard's executor: opens it, keeps creates in flight for some seconds, stops it.
async fn drive(dir: std::path::PathBuf, options: Options) -> std::result::Result<Driven, String> {
    let (shards, mut inboxes) = Shards::new(1, 1_024);
    let inbox = inboxes.pop().ok_or("no mailbox")?;
    let log = Log::open(dir.join("log"), LogOptions::default()).await.map_err(|e| e.to_string())?;
    let storage = Storage::start("bench-store").map_err(|e| e.to_string())?;
    let shard = Shard::new(0, shard_options(&dir)?, log, storage, shards.reach().clone());
    shards.identify(1, "bench");
    shards.bind(0, Rc::clone(&shard));
    let (running, handle) = (Rc::clone(&shard), shards.clone());
    executor::spawn(async move { running.run(inbox, &handle).await });
    shards.set_slots(&vec![GROUP; usize::from(SLOTS)]);
    shards.open(GROUP, vec![(1, "127.0.0.1:1".to_owned())]).await.map_err(|e| e.to_string())?;
    while !shards.groups().await.iter().any(|group| group.serves) {
        executor::sleep(Duration::from_millis(5)).await;
    }
    let driven = creates(&shards, &options).await;
    let (stopped_tx, stopped) = futures_channel::oneshot::channel();
    shards.send(0, Message::Stop(stopped_tx));
    let _ = stopped.await;
    shards.unbind();
    driven
}

async fn creates(shards: &Shards, options: &Options) -> std::result::Result<Driven, String> {
    let namespace = Namespace::new("bench").map_err(|e| e.to_string())?;
    let metadata = pack_metadata([].into_iter());
    let payload = Bytes::from(vec![b'x'; options.payload]);
    let due_ms = wall_millis() as u64 + 86_400_000;
    let (latency, since, mut tasks) = (Latency::new(), Origin::start(), 0);
    let create = || {
        let create =
            Create { request: None, due_ms, asked_ms: None, sequence: 0, metadata: metadata.clone(), payload: payload.clone() };
        let command = Command { namespace: namespace.clone(), ops: vec![Op::Create(create)] };
        let sent = since.nanos();
        async move { shards.submit(command).await.map(|_| sent) }
    };
    let mut in_flight: FuturesUnordered<_> = (0..options.in_flight.max(1)).map(|_| create()).collect();
    let until = Duration::from_secs(options.seconds);
    while let Some(done) = in_flight.next().await {
        latency.record(since.nanos() - done.map_err(|e| e.to_string())?);
        tasks += 1;
        if since.elapsed() < until {
            in_flight.push(create());
        }
    }
    Ok(Driven { tasks, seconds: since.elapsed().as_secs_f64(), latency })
}
