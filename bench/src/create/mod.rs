//! Creating tasks: one call per task, streams, or batches, in a closed loop with a bound on what is in flight.

mod calls;
mod stream;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tonic::{Code, Status};

use crate::bench::Bench;
use crate::clock::Origin;
use crate::error::{Error, Result};
use crate::latency::Latency;
use crate::wire::{Rpc, StreamReply};
use crate::workload::Workload;

/// How tasks are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// One call per task.
    Unary,
    /// Many tasks in flight on each stream.
    Stream,
    /// Many tasks in each call.
    Batch,
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so many tasks.
    Tasks(u64),
    /// After so much time; what is in flight then is still waited for.
    Elapsed(Duration),
}

/// How a run creates tasks.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How they are sent.
    pub mode: Mode,
    /// True: the calls that reply before the task is durable.
    pub asynchronous: bool,
    /// Streams, for [`Mode::Stream`].
    pub streams: usize,
    /// The most that is unanswered: calls, or tasks on all streams together.
    pub in_flight: usize,
    /// Tasks of a batch, for [`Mode::Batch`].
    pub batch: u64,
    /// When it ends.
    pub until: Until,
    /// True: what is refused for want of resources is sent again until it is taken, so that the count is exact. Batches only.
    pub retry: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Tasks that were acknowledged.
    pub created: u64,
    /// Answers that said RESOURCE_EXHAUSTED, in tasks.
    pub refused: u64,
    /// What the first of them said.
    pub refusal: Option<String>,
    /// From sending until the reply, per task.
    pub latency: Latency,
    /// From the first task sent until the last reply.
    pub seconds: f64,
}

/// Creates tasks as planned.
pub async fn run(bench: &Bench, workload: &Arc<Workload>, plan: &Plan) -> Result<Outcome> {
    let run = Arc::new(Run::new(plan.until));
    let stop_after = match plan.until {
        Until::Elapsed(duration) => Some(tokio::spawn(stop_after(run.clone(), duration))),
        Until::Tasks(_) => None,
    };
    let result = match plan.mode {
        Mode::Unary | Mode::Batch => calls::run(bench, workload, plan, &run).await,
        Mode::Stream => stream::run(bench, workload, plan, &run).await,
    };
    if let Some(timer) = stop_after {
        timer.abort();
    }
    result?;
    let refusal = run.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Outcome {
        created: run.created.load(Ordering::Relaxed),
        refused: run.refused.load(Ordering::Relaxed),
        refusal,
        latency: run.latency.clone(),
        seconds: run.last_ns.load(Ordering::Relaxed) as f64 / 1e9,
    })
}

async fn stop_after(run: Arc<Run>, duration: Duration) {
    tokio::time::sleep(duration).await;
    run.stopped.store(true, Ordering::Relaxed);
}

impl Plan {
    /// The rpc that this plan calls.
    fn rpc(&self) -> Result<Rpc> {
        match (self.mode, self.asynchronous) {
            (Mode::Unary, false) => Ok(Rpc::CREATE),
            (Mode::Unary, true) => Ok(Rpc::CREATE_ASYNC),
            (Mode::Stream, false) => Ok(Rpc::CREATE_STREAM),
            (Mode::Stream, true) => Ok(Rpc::CREATE_STREAM_ASYNC),
            (Mode::Batch, false) => Ok(Rpc::CREATE_BATCH),
            (Mode::Batch, true) => Err(Error::Input("batches have no asynchronous call: leave out --async".into())),
        }
    }
}

/// What the workers of a run share.
#[derive(Debug)]
struct Run {
    clock: Origin,
    taken: AtomicU64,
    total: u64,
    stopped: AtomicBool,
    created: AtomicU64,
    refused: AtomicU64,
    refusal: Mutex<Option<String>>,
    last_ns: AtomicU64,
    latency: Latency,
}

impl Run {
    fn new(until: Until) -> Self {
        let total = match until {
            Until::Tasks(tasks) => tasks,
            Until::Elapsed(_) => u64::MAX,
        };
        Self {
            clock: Origin::start(),
            taken: AtomicU64::new(0),
            total,
            stopped: AtomicBool::new(false),
            created: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            refusal: Mutex::new(None),
            last_ns: AtomicU64::new(0),
            latency: Latency::new(),
        }
    }

    /// Takes up to `count` tasks to send: the number of the first, and how many. `None` when the run is over.
    fn take(&self, count: u64) -> Option<(u64, u64)> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        let first = self.taken.fetch_add(count, Ordering::Relaxed);
        (first < self.total).then(|| (first, count.min(self.total - first)))
    }

    /// Notes that `count` tasks that were sent at `sent_ns` are created.
    fn created(&self, count: u64, sent_ns: u64) {
        let now = self.clock.nanos();
        self.created.fetch_add(count, Ordering::Relaxed);
        self.last_ns.store(now, Ordering::Relaxed);
        self.latency.record_n(now.saturating_sub(sent_ns), count);
    }

    /// Notes that `count` tasks were refused for want of resources; any other refusal is an error, which ends the run.
    fn refused(&self, count: u64, rpc: Rpc, status: Status) -> Result<()> {
        if status.code() != Code::ResourceExhausted {
            return Err(Error::call(rpc.name())(status));
        }
        self.refused.fetch_add(count, Ordering::Relaxed);
        let mut first = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| status.message().to_owned());
        Ok(())
    }
}

/// The status that a reply on a stream or in a batch carries.
fn status_of(reply: &StreamReply) -> Status {
    Status::new(Code::from_i32(reply.status as i32), reply.message.clone())
}

#[cfg(test)]
mod tests {
    //! The count of a run must be exact whatever the size of the pieces it is taken in, and only want of resources may be survived:
    //! a run that counted other errors as "refused" would report the speed of failing.
    use super::*;

    #[test]
    fn exactly_the_asked_number_is_taken() {
        let run = Run::new(Until::Tasks(1_050));
        let pieces: Vec<_> = std::iter::from_fn(|| run.take(100)).collect();
        assert_eq!((pieces.len(), pieces[0], pieces[10]), (11, (0, 100), (1_000, 50)));
        let run = Run::new(Until::Elapsed(Duration::from_secs(1)));
        assert!(run.take(1).is_some());
        run.stopped.store(true, Ordering::Relaxed);
        assert_eq!(run.take(1), None);
    }

    #[test]
    fn only_want_of_resources_is_survived() {
        let run = Run::new(Until::Tasks(1));
        assert!(run.refused(3, Rpc::CREATE, Status::resource_exhausted("mailbox full")).is_ok());
        assert_eq!(run.refused.load(Ordering::Relaxed), 3);
        assert_eq!(run.refusal.lock().expect("lock").as_deref(), Some("mailbox full"));
        assert!(run.refused(1, Rpc::CREATE, Status::internal("broken")).is_err());
    }
}
