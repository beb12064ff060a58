//! `mixed`: tasks that are due at once are created at a fixed rate and consumed; both latencies count from the intended time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;

use super::consume::Consumers;
use crate::bench::Bench;
use crate::cli::Common;
use crate::clock::{self, Origin};
use crate::consume;
use crate::error::{Error, Result};
use crate::latency::Latency;
use crate::pace::Pace;
use crate::report::Report;
use crate::wire::{Rpc, StreamReply};
use crate::workload::{Due, Workload, stamp_of};

/// Options of `mixed`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Tasks per second that are offered, whatever the peer does
    #[arg(long, default_value_t = 10_000)]
    pub rate: u64,
    /// How long
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Seconds at the start that are not counted
    #[arg(long, default_value_t = 2)]
    pub warmup: u64,
    /// Tasks leave in bursts that are so many microseconds apart
    #[arg(long, default_value_t = 500)]
    pub tick_us: u64,
    /// Streams that create
    #[arg(long, default_value_t = 8)]
    pub streams: usize,
    /// How they are consumed
    #[command(flatten)]
    pub consumers: Consumers,
    /// Bytes of payload, at least 8
    #[arg(long, default_value_t = 256)]
    pub payload: usize,
    /// Namespaces
    #[arg(long, default_value_t = 16)]
    pub namespaces: usize,
}

/// What the sender and the streams share.
#[derive(Clone, Debug)]
struct Schedule {
    pace: Pace,
    clock: Origin,
    total: u64,
    /// Tasks that were meant to be sent before are not counted.
    counted_from_ns: u64,
}

impl Schedule {
    /// Records how long after its intended time a task was answered or delivered.
    fn record(&self, latency: &Latency, intended_ns: u64) {
        if intended_ns >= self.counted_from_ns {
            latency.record(self.clock.nanos().saturating_sub(intended_ns));
        }
    }
}

/// Runs it.
pub async fn run(common: &Common, options: &Options) -> Result<Report> {
    let workload = Arc::new(Workload::new(options.namespaces, options.payload, Due::Now));
    let bench = Bench::open(common).await?;
    let pace = Pace::new(options.rate, Duration::from_micros(options.tick_us));
    let schedule = Schedule {
        pace,
        clock: Origin::start(),
        total: pace.total(Duration::from_secs(options.seconds + options.warmup)),
        counted_from_ns: options.warmup * 1_000_000_000,
    };
    let (created, delivered) = (Latency::new(), Latency::new());
    let mut consumers = consume::start(&bench, workload.namespaces(), &options.consumers.plan(), {
        let (schedule, delivered) = (schedule.clone(), delivered.clone());
        move |delivery| {
            if let Some(stamp) = delivery.task.as_ref().and_then(|t| stamp_of(&t.payload)) {
                schedule.record(&delivered, stamp);
            }
        }
    });

    let meter = bench.meter()?;
    let (senders, mut creators) = creators(&bench, &schedule, &created, options.streams.max(1));
    let sender = tokio::task::spawn_blocking({
        let (schedule, workload) = (schedule.clone(), workload.clone());
        move || send(&schedule, &workload, &senders)
    });
    while let Some(creator) = creators.join_next().await {
        creator.map_err(|e| Error::Input(format!("a stream failed: {e}")))??;
    }
    sender.await.map_err(|e| Error::Input(format!("the sender failed: {e}")))?;
    let seconds = schedule.clock.elapsed().as_secs_f64();
    consumers.settle(schedule.total).await?;
    let cost = bench.cost(&meter)?;

    let report = Report {
        name: "mixed",
        setup: format!(
            "{}/s offered for {} s (after {} s of warm-up) on {} streams, {} consumers, {} bytes, {} namespaces",
            options.rate,
            options.seconds,
            options.warmup,
            options.streams,
            options.consumers.consumers,
            options.payload,
            options.namespaces
        ),
        tasks: schedule.total,
        seconds,
        figures: vec![("redelivered", consumers.progress.redelivered() as f64, "")],
        latencies: vec![("create", created.percentiles()), ("end to end", delivered.percentiles())],
        raw: Some(bench.raw().clone()),
        cost: Some(cost),
        remarks: vec!["latencies count from the intended time; the cost is that of creating and consuming".into()],
    };
    drop(consumers);
    bench.close().await?;
    Ok(report)
}

/// Streams that send whatever comes through their channels; stream `s` gets the tasks `s`, `s + streams`, `s + 2 * streams` …
fn creators(
    bench: &Bench,
    schedule: &Schedule,
    created: &Latency,
    streams: usize,
) -> (Vec<UnboundedSender<Bytes>>, JoinSet<Result<()>>) {
    let mut workers = JoinSet::new();
    let senders = (0..streams)
        .map(|stream| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let indexes = (stream as u64..schedule.total).step_by(streams);
            workers.spawn(create(bench.channel(stream).clone(), receiver, indexes, schedule.clone(), created.clone()));
            sender
        })
        .collect();
    (senders, workers)
}

/// Replies come in the order of the requests, so the number of a reply tells when its request should have been sent.
async fn create(
    channel: Channel,
    requests: UnboundedReceiver<Bytes>,
    indexes: impl Iterator<Item = u64>,
    schedule: Schedule,
    created: Latency,
) -> Result<()> {
    let rpc = Rpc::CREATE_STREAM;
    let mut replies = rpc.stream::<StreamReply>(&channel, UnboundedReceiverStream::new(requests)).await?;
    for index in indexes {
        let Some(reply) = replies.message().await.map_err(Error::call(rpc.name()))? else {
            return Err(Error::Input("the peer ended a stream before it had answered everything".into()));
        };
        if reply.status != 0 {
            let text = format!("the offered rate is not sustained: task {index} was refused: {}", reply.message);
            return Err(Error::Input(text));
        }
        schedule.record(&created, schedule.pace.intended_ns(index));
    }
    Ok(())
}

/// Sends every task when the pace says so. On a thread of its own: the runtime's timer is too coarse by a millisecond.
fn send(schedule: &Schedule, workload: &Workload, streams: &[UnboundedSender<Bytes>]) {
    let mut next = 0;
    while next < schedule.total {
        let now = schedule.clock.nanos();
        let until = schedule.pace.sent_by(now).min(schedule.total);
        for index in next..until {
            let namespace = index as usize % workload.namespaces().len();
            let task = workload.stamped_task(namespace, schedule.pace.intended_ns(index));
            if streams[index as usize % streams.len()].send(task).is_err() {
                // The stream has ended, and says itself why.
                return;
            }
        }
        next = until;
        let wait = schedule.pace.intended_ns(next).saturating_sub(schedule.clock.nanos());
        clock::sleep_thread(Duration::from_nanos(wait));
    }
}
