//! GetTaskStream, for clients that do not acknowledge: the stream acknowledges for them.
//!
//! A task counts as acknowledged when the response stream is asked for the task after it. HTTP/2 asks ahead of the client: what is
//! then in the response's buffer (32 KiB), in the connection's send buffer, in the sockets, or in the client, is lost when one of
//! them breaks. The acks of one batch of deliveries go out together when its last task was passed on; a stream that breaks earlier
//! has its tasks delivered again.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, Stream, StreamExt, unfold};
use tonic::Status;
use z4_model::ids::Namespace;
use z4_proto as proto;
use z4_shards::runtime::clock;
use z4_shards::shard::api::{Delivered, Settle, Settled, Verdict};

use super::consume::Source;
use super::convert;
use super::observe::{Runs, Streamed};
use super::services::Context;

/// How many tasks may be on their way to one client, unacknowledged.
const CREDIT: u32 = 1_024;

/// No lease lasts longer, as far as this stream cares.
const LEFT_MAX: Duration = Duration::from_secs(366 * 86_400);

type Settling = Pin<Box<dyn Future<Output = u32>>>;

/// A task stream at work.
struct Streaming<D, S> {
    context: Arc<Context>,
    namespace: Namespace,
    source: D,
    settle: S,
    /// Each with the moment at which its lease ends, by the monotonic clock: the wall clock may be set meanwhile.
    batch: VecDeque<(Instant, Delivered)>,
    /// The task that was given out last: it is acknowledged when the next one is asked for.
    last: Option<Settle>,
    passed: Vec<Settle>,
    settling: FuturesUnordered<Settling>,
    runs: Runs<Streamed>,
}

/// The tasks of a namespace, each acknowledged when the next is asked for.
pub(super) fn task_stream<D, S, F>(
    context: Arc<Context>,
    namespace: Namespace,
    source: D,
    settle: S,
) -> impl Stream<Item = Result<proto::Task, Status>>
where
    D: Source,
    S: Fn(Namespace, Vec<Settle>) -> F + Clone + 'static,
    F: Future<Output = Vec<Settled>> + 'static,
{
    source.add_credit(CREDIT);
    let streaming = Streaming {
        runs: Runs::new(Streamed::new(context.observer.clone(), "GetTaskStream")),
        context,
        namespace,
        source,
        settle,
        batch: VecDeque::new(),
        last: None,
        passed: Vec::new(),
        settling: FuturesUnordered::new(),
    };
    unfold(streaming, |mut streaming| async move { Some((streaming.step().await?, streaming)) })
}

impl<D, S, F> Streaming<D, S>
where
    D: Source,
    S: Fn(Namespace, Vec<Settle>) -> F + Clone + 'static,
    F: Future<Output = Vec<Settled>> + 'static,
{
    /// The next task; `None`: the peer stops.
    async fn step(&mut self) -> Option<Result<proto::Task, Status>> {
        loop {
            self.passed.extend(self.last.take());
            while let Some((lease_ends, delivered)) = self.batch.pop_front() {
                self.source.sent(1);
                if lease_ends <= clock::monotonic() {
                    // The client was too slow: another consumer has it by now.
                    self.source.add_credit(1);
                    continue;
                }
                self.last = Some(Settle { id: delivered.id, token: delivered.token, verdict: Verdict::Ack });
                self.runs.count(&self.namespace);
                return Some(convert::streamed(delivered));
            }
            self.runs.flush();
            self.acknowledge();
            let Some(taken) = self.next_batch().await else { return self.source.refused().map(Err) };
            let (now, now_ms) = (clock::monotonic(), (self.context.now_ms)());
            let left = |d: &Delivered| Duration::from_millis(d.deadline_ms.saturating_sub(now_ms)).min(LEFT_MAX);
            let lease_ends = |d: &Delivered| now + left(d);
            self.batch = taken.into_iter().map(|delivered| (lease_ends(&delivered), delivered)).collect();
        }
    }

    /// Sends the acks of what was passed on.
    fn acknowledge(&mut self) {
        if self.passed.is_empty() {
            return;
        }
        let settles = std::mem::take(&mut self.passed);
        let tasks = settles.len() as u32;
        let settled = (self.settle.clone())(self.namespace.clone(), settles);
        self.settling.push(Box::pin(async move {
            // A lease that lapsed meanwhile means that the task comes again, here or elsewhere; there is nobody to tell.
            settled.await;
            tasks
        }));
    }

    /// Waits for deliveries, and meanwhile for acks, which make room for more.
    async fn next_batch(&mut self) -> Option<Vec<Delivered>> {
        loop {
            let mut credit = 0;
            let taken = {
                let (source, settling) = (&mut self.source, &mut self.settling);
                let mut next = pin!(source.next());
                std::future::poll_fn(|cx| {
                    while let Poll::Ready(Some(tasks)) = settling.poll_next_unpin(cx) {
                        credit += tasks;
                    }
                    match next.as_mut().poll(cx) {
                        Poll::Ready(taken) => Poll::Ready(Some(taken)),
                        Poll::Pending if credit > 0 => Poll::Ready(None),
                        Poll::Pending => Poll::Pending,
                    }
                })
                .await
            };
            if credit > 0 {
                self.source.add_credit(credit);
            }
            if let Some(taken) = taken {
                return taken;
            }
        }
    }
}
