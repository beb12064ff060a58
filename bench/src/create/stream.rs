//! Streams: each keeps its share of the window in flight. Replies come in the order of the requests, so a ring of send times is all
//! that has to be remembered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::{Plan, Run, status_of};
use crate::bench::Bench;
use crate::error::{Error, Result};
use crate::wire::{Rpc, StreamReply};
use crate::workload::Workload;

pub(super) async fn run(bench: &Bench, workload: &Arc<Workload>, plan: &Plan, run: &Arc<Run>) -> Result<()> {
    let rpc = plan.rpc()?;
    let streams = plan.streams.max(1);
    let window = (plan.in_flight / streams).max(1);
    let mut workers = JoinSet::new();
    for index in 0..streams {
        let flight = Arc::new(Flight::new(window));
        let requests = Requests {
            workload: workload.clone(),
            namespaces: workload.share(index, streams),
            turn: 0,
            run: run.clone(),
            flight: flight.clone(),
        };
        workers.spawn(receive(rpc, bench.channel(index).clone(), requests, run.clone(), flight));
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(|e| Error::Input(format!("a stream failed: {e}")))??;
    }
    Ok(())
}

async fn receive(rpc: Rpc, channel: Channel, requests: Requests, run: Arc<Run>, flight: Arc<Flight>) -> Result<()> {
    let mut replies = rpc.stream::<StreamReply>(&channel, requests).await?;
    while let Some(reply) = replies.message().await.map_err(Error::call(rpc.name()))? {
        let sent_ns = flight.oldest();
        if reply.status == 0 {
            run.created(1, sent_ns);
        } else {
            run.refused(1, rpc, status_of(&reply))?;
        }
        flight.answered();
    }
    Ok(())
}

/// What is in flight on one stream: counts that only grow, and when each unanswered request was sent.
struct Flight {
    window: u64,
    sent: AtomicU64,
    answered: AtomicU64,
    sent_ns: Box<[AtomicU64]>,
    sender: AtomicWaker,
}

impl Flight {
    fn new(window: usize) -> Self {
        let sent_ns = (0..window).map(|_| AtomicU64::new(0)).collect();
        let (sent, answered) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { window: window as u64, sent, answered, sent_ns, sender: AtomicWaker::new() }
    }

    fn slot(&self, number: u64) -> &AtomicU64 {
        &self.sent_ns[(number % self.window) as usize]
    }

    fn has_room(&self) -> bool {
        self.sent.load(Ordering::Relaxed) - self.answered.load(Ordering::Acquire) < self.window
    }

    /// Only the sender calls this, and only when there is room.
    fn send(&self, now_ns: u64) {
        self.slot(self.sent.load(Ordering::Relaxed)).store(now_ns, Ordering::Relaxed);
        self.sent.fetch_add(1, Ordering::Release);
    }

    /// When the oldest unanswered request was sent.
    fn oldest(&self) -> u64 {
        self.slot(self.answered.load(Ordering::Relaxed)).load(Ordering::Relaxed)
    }

    /// Only the receiver calls this.
    fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Release);
        self.sender.wake();
    }
}

/// The requests of one stream: ends when the run is over.
struct Requests {
    workload: Arc<Workload>,
    namespaces: Vec<usize>,
    turn: usize,
    run: Arc<Run>,
    flight: Arc<Flight>,
}

impl Stream for Requests {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.flight.has_room() {
            self.flight.sender.register(context.waker());
            // A reply may have come between the question and the registration.
            if !self.flight.has_room() {
                return Poll::Pending;
            }
        }
        let Some((task, _)) = self.run.take(1) else {
            return Poll::Ready(None);
        };
        self.turn += 1;
        let namespace = self.namespaces[self.turn % self.namespaces.len()];
        self.flight.send(self.run.clock.nanos());
        Poll::Ready(Some(self.workload.task(namespace, task)))
    }
}

#[cfg(test)]
mod tests {
    //! The window bounds what is in flight, and each reply must be matched with its own request's time: one off, and every latency
    //! would be that of a neighbour.
    use super::super::{Run, Until};
    use super::*;
    use crate::workload::Due;
    use futures_util::StreamExt;
    use futures_util::future::FutureExt;

    #[test]
    fn the_window_bounds_what_is_in_flight_and_replies_reopen_it() {
        let run = Arc::new(Run::new(Until::Tasks(5)));
        let flight = Arc::new(Flight::new(2));
        let workload = Arc::new(Workload::new(1, 4, Due::Now));
        let mut requests = Requests { workload, namespaces: vec![0], turn: 0, run, flight: flight.clone() };
        let mut next = || requests.next().now_or_never();
        for _ in 0..2 {
            assert!(matches!(next(), Some(Some(_))));
        }
        assert!(next().is_none(), "a third request in a window of two");
        for _ in 0..3 {
            flight.answered();
            assert!(matches!(next(), Some(Some(_))));
        }
        flight.answered();
        assert!(matches!(next(), Some(None)), "five tasks were asked for");
    }

    #[test]
    fn each_reply_finds_the_time_of_its_request() {
        let flight = Flight::new(3);
        for (sent, answered) in [(10, None), (20, None), (30, Some(10)), (40, Some(20)), (50, Some(30))] {
            flight.send(sent);
            if let Some(expected) = answered {
                assert_eq!(flight.oldest(), expected);
                flight.answered();
            }
        }
        assert_eq!(flight.oldest(), 40);
    }
}
