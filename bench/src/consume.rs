//! Consumers: each has a stream of its own, acknowledges in batches, and asks for as much as it has settled, so that what it was
//! sent and has not settled never exceeds its credit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use z4_proto::{Ack, ConsumeOpen, ConsumeRequest};

use crate::bench::Bench;
use crate::clock::Origin;
use crate::error::{Error, Result};
use crate::wire::{Consumed, Delivered, Rpc};

/// A run that settles nothing for so long will not end.
const STALL_SECONDS: u64 = 60;

/// How tasks are consumed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Streams.
    pub consumers: usize,
    /// The most tasks that one consumer holds unsettled.
    pub credit: u32,
    /// The most acks in one message; fewer when nothing else has arrived.
    pub ack_batch: usize,
    /// Lease time in milliseconds; 0 leaves it to the namespace.
    pub lease_ms: u32,
}

/// What the consumers of a run have done so far.
#[derive(Debug)]
pub struct Progress {
    clock: Origin,
    delivered: AtomicU64,
    redelivered: AtomicU64,
    settled: AtomicU64,
    late: AtomicU64,
    last_ns: AtomicU64,
}

impl Progress {
    /// Deliveries, redeliveries included.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Deliveries that were not the first of their task.
    pub fn redelivered(&self) -> u64 {
        self.redelivered.load(Ordering::Relaxed)
    }

    /// Acks that were accepted.
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    /// Acks that were refused, because the lease was over.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// From the start of the consumers until the last ack was accepted, in seconds.
    pub fn seconds(&self) -> f64 {
        self.last_ns.load(Ordering::Relaxed) as f64 / 1e9
    }
}

/// Consumers at work; dropping this ends them.
#[derive(Debug)]
pub struct Consumers {
    workers: JoinSet<Result<()>>,
    /// What they have done.
    pub progress: Arc<Progress>,
}

/// Starts consumers of `namespaces`, which they share: evenly where there are enough, otherwise several to a namespace.
/// `on_delivery` sees each delivery as it arrives.
pub fn start(
    bench: &Bench,
    namespaces: &[String],
    plan: &Plan,
    on_delivery: impl Fn(&Delivered) + Clone + Send + 'static,
) -> Consumers {
    let progress = Arc::new(Progress {
        clock: Origin::start(),
        delivered: AtomicU64::new(0),
        redelivered: AtomicU64::new(0),
        settled: AtomicU64::new(0),
        late: AtomicU64::new(0),
        last_ns: AtomicU64::new(0),
    });
    let mut workers = JoinSet::new();
    for index in 0..plan.consumers.max(1) {
        let mut own: Vec<String> = namespaces.iter().skip(index).step_by(plan.consumers.max(1)).cloned().collect();
        if own.is_empty() {
            own.push(namespaces[index % namespaces.len()].clone());
        }
        let open = ConsumeOpen { namespaces: own, lease_ms: plan.lease_ms, held: Vec::new() };
        let (requests, receiver) = mpsc::unbounded_channel();
        let consumer = Consumer {
            requests,
            acks: Vec::with_capacity(plan.ack_batch),
            credit: 0,
            ack_batch: plan.ack_batch.max(1),
            progress: progress.clone(),
        };
        consumer.send(ConsumeRequest { open: Some(open), credit: plan.credit, ..ConsumeRequest::default() });
        workers.spawn(consumer.run(bench.channel(index).clone(), receiver, on_delivery.clone()));
    }
    Consumers { workers, progress }
}

impl Consumers {
    /// Waits until `expected` tasks are settled. An error when a consumer fails or nothing moves for a minute.
    pub async fn settle(&mut self, expected: u64) -> Result<()> {
        let (mut moved, mut moved_at) = (0, Origin::start());
        while self.progress.settled() < expected {
            let pause = tokio::time::sleep(Duration::from_millis(1));
            tokio::select! {
                Some(ended) = self.workers.join_next() => {
                    ended.map_err(|e| Error::Input(format!("a consumer failed: {e}")))??;
                    return Err(Error::Input("the peer ended a consumer's stream".into()));
                }
                () = pause => {}
            }
            let now = self.progress.settled() + self.progress.delivered();
            if now != moved {
                (moved, moved_at) = (now, Origin::start());
            } else if moved_at.elapsed() > Duration::from_secs(STALL_SECONDS) {
                let p = &self.progress;
                let what = format!(
                    "{} of {expected} tasks settled, {} delivered ({} again), {} acks too late",
                    p.settled(),
                    p.delivered(),
                    p.redelivered(),
                    p.late()
                );
                return Err(Error::Stalled { what, seconds: STALL_SECONDS });
            }
        }
        Ok(())
    }
}

struct Consumer {
    requests: mpsc::UnboundedSender<Bytes>,
    acks: Vec<Ack>,
    /// Settled and not yet asked for again.
    credit: u32,
    ack_batch: usize,
    progress: Arc<Progress>,
}

impl Consumer {
    async fn run(
        mut self,
        channel: Channel,
        requests: mpsc::UnboundedReceiver<Bytes>,
        on_delivery: impl Fn(&Delivered),
    ) -> Result<()> {
        let mut replies = Rpc::CONSUME.stream::<Consumed>(&channel, UnboundedReceiverStream::new(requests)).await?;
        loop {
            // Acks wait for more to come with them only as long as more is here already.
            let reply = match replies.message().now_or_never() {
                Some(reply) => reply,
                None => {
                    self.flush();
                    replies.message().await
                }
            };
            match reply.map_err(Error::call(Rpc::CONSUME.name()))? {
                Some(reply) => self.take(reply, &on_delivery),
                None => return Ok(()),
            }
        }
    }

    fn take(&mut self, reply: Consumed, on_delivery: &impl Fn(&Delivered)) {
        self.progress.delivered.fetch_add(reply.deliveries.len() as u64, Ordering::Relaxed);
        for delivered in reply.deliveries {
            on_delivery(&delivered);
            if delivered.attempt > 1 {
                self.progress.redelivered.fetch_add(1, Ordering::Relaxed);
            }
            let task = delivered.task.unwrap_or_default();
            self.acks.push(Ack { namespace: task.namespace, task_id: task.id, token: delivered.token });
            if self.acks.len() >= self.ack_batch {
                self.flush();
            }
        }
        if !reply.results.is_empty() {
            let late = reply.results.iter().filter(|r| r.status != 0).count();
            self.progress.late.fetch_add(late as u64, Ordering::Relaxed);
            self.progress.last_ns.store(self.progress.clock.nanos(), Ordering::Relaxed);
            self.progress.settled.fetch_add((reply.results.len() - late) as u64, Ordering::Release);
            self.credit += reply.results.len() as u32;
        }
    }

    fn flush(&mut self) {
        if self.acks.is_empty() && self.credit == 0 {
            return;
        }
        let acks = std::mem::take(&mut self.acks);
        let credit = std::mem::take(&mut self.credit);
        self.send(ConsumeRequest { credit, acks, ..ConsumeRequest::default() });
    }

    /// A closed channel means that the stream has ended, which its receiver reports.
    fn send(&self, request: ConsumeRequest) {
        let _ = self.requests.send(request.encode_to_vec().into());
    }
}

#[cfg(test)]
mod tests {
    //! A consumer must ack what it got, in batches no larger than asked for, and ask for exactly as much as was settled: less would
    //! starve it in the end, more would let it hold without bound.
    use super::*;
    use crate::wire::{DeliveredTask, Settled};

    fn consumer(ack_batch: usize) -> (Consumer, mpsc::UnboundedReceiver<Bytes>) {
        let zero = || AtomicU64::new(0);
        let progress = Progress {
            clock: Origin::start(),
            delivered: zero(),
            redelivered: zero(),
            settled: zero(),
            late: zero(),
            last_ns: zero(),
        };
        let (requests, receiver) = mpsc::unbounded_channel();
        (Consumer { requests, acks: Vec::new(), credit: 0, ack_batch, progress: Arc::new(progress) }, receiver)
    }

    fn delivery(n: u64) -> Delivered {
        let task = DeliveredTask { id: n.to_string(), namespace: "a".into(), ..DeliveredTask::default() };
        Delivered { task: Some(task), attempt: if n == 0 { 2 } else { 1 }, token: n }
    }

    #[test]
    fn acks_go_in_batches_and_credit_follows_what_was_settled() {
        let (mut consumer, mut sent) = consumer(3);
        let mut next = |consumer: &mut Consumer| {
            consumer.flush();
            sent.try_recv().ok().map(|bytes| ConsumeRequest::decode(bytes).expect("a request"))
        };
        consumer.take(Consumed { deliveries: (0..4).map(delivery).collect(), results: vec![] }, &|_| ());
        let first = next(&mut consumer).expect("a full batch");
        let tokens: Vec<_> = first.acks.iter().map(|a| (a.task_id.clone(), a.token)).collect();
        assert_eq!(tokens, [("0".into(), 0), ("1".into(), 1), ("2".into(), 2)]);
        assert_eq!(next(&mut consumer).expect("the rest").acks.len(), 1);
        let refused = Settled { status: 9, message: "late".into() };
        consumer.take(Consumed { deliveries: vec![], results: vec![Settled::default(), refused] }, &|_| ());
        assert_eq!(next(&mut consumer).map(|r| (r.credit, r.acks.len())), Some((2, 0)));
        assert!(next(&mut consumer).is_none(), "nothing to say");
        let p = &consumer.progress;
        assert_eq!((p.delivered(), p.redelivered(), p.settled(), p.late()), (4, 1, 1, 1));
    }
}
