//! A task that a consumer holds.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use z4_proto::{self as proto, Task};

use super::attempt::{Attempts, Failure, Repeat, late};
use super::consuming::CALL;
use super::error::Error;
use super::ledger::{Key, Standing, Verdict};

/// What a delivery asks of its consumer.
pub(super) enum Order {
    /// Settles it; the answer goes to who waits for it.
    Settle { key: Key, verdict: Verdict, answer: Option<oneshot::Sender<Result<(), Error>>> },
    /// Forgets it; `unused`: it was never shown to the user.
    Leave { key: Key, unused: bool },
}

/// A task, leased to this consumer. Its lease is extended for as long as it is held. Dropped, it is given back: the attempt has failed,
/// and the namespace's backoff decides when it is delivered again.
#[derive(Debug)]
pub struct Delivery {
    message: proto::Delivery,
    task: Task,
    key: Key,
    /// The stream over which it came.
    pub(super) stream: u64,
    standing: Arc<Standing>,
    orders: mpsc::UnboundedSender<Order>,
    timeout: Duration,
    settled: bool,
}

impl Delivery {
    pub(super) fn new(
        mut message: proto::Delivery,
        stream: u64,
        standing: Arc<Standing>,
        orders: mpsc::UnboundedSender<Order>,
        timeout: Duration,
    ) -> Self {
        let task = message.task.take().unwrap_or_default();
        let key = Key { task_id: task.id.as_str().into(), token: message.token };
        Delivery { message, task, key, stream, standing, orders, timeout, settled: false }
    }

    /// The task.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// 1 for the first delivery of a task.
    pub fn attempt(&self) -> u32 {
        self.message.attempt
    }

    /// The fencing token: it grows with every delivery of a group.
    pub fn token(&self) -> u64 {
        self.message.token
    }

    /// The delivery as the peer sent it.
    pub fn to_message(&self) -> proto::Delivery {
        proto::Delivery { task: Some(self.task.clone()), ..self.message.clone() }
    }

    /// The lease could not be extended: the task goes, or has gone, to a consumer again. An ack will be refused.
    pub fn is_lost(&self) -> bool {
        self.standing.is_lost()
    }

    /// Whether the lease outlived its stream is not known yet.
    pub(super) fn is_doubtful(&self) -> bool {
        self.standing.is_doubtful()
    }

    /// The task is done. Sent at once; the future is the peer's answer.
    pub fn ack(mut self) -> Settlement {
        self.settle(Verdict::Ack)
    }

    /// The attempt has failed. The task is delivered again after `delay`, `None`: as the namespace's backoff decides; `reason` is kept
    /// as its last error, up to 1,024 bytes. Sent at once; the future is the peer's answer.
    pub fn nack(mut self, delay: Option<Duration>, reason: impl Into<String>) -> Settlement {
        let delay_ms = delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self.settle(Verdict::Nack { delay_ms, reason: reason.into() })
    }

    /// Says nothing about the task, and takes another one in its place. Its lease ends by itself, or with the consumer.
    pub fn leave(mut self) {
        self.settled = true;
        self.order(Order::Leave { key: self.key.clone(), unused: false });
    }

    /// Forgets a delivery that the user has not seen.
    pub(super) fn discard(mut self) {
        self.settled = true;
        self.order(Order::Leave { key: self.key.clone(), unused: true });
    }

    fn settle(&mut self, verdict: Verdict) -> Settlement {
        self.settled = true;
        let (answer, answered) = oneshot::channel();
        self.order(Order::Settle { key: self.key.clone(), verdict, answer: Some(answer) });
        let patience = self.timeout;
        let waiting = async move {
            let answered = timeout(patience, answered).await;
            answered.ok().and_then(Result::ok).unwrap_or_else(|| {
                let mut attempts = Attempts::new(Repeat::Safe);
                attempts.failed(Failure::Lost, "the consumer's peer", late(patience));
                Err(attempts.error(CALL))
            })
        };
        Settlement(Box::pin(waiting))
    }

    /// A consumer whose runtime is going down takes no orders; its peer ends the leases.
    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            let verdict = Verdict::Nack { delay_ms: None, reason: "the consumer gave it back".to_owned() };
            self.order(Order::Settle { key: self.key.clone(), verdict, answer: None });
        }
    }
}

/// The answer to an ack or nack. The request is on its way even if nobody waits for this.
///
/// # Errors
/// FAILED_PRECONDITION when the lease was over or another consumer has the task; no answer in time. With [`Error::may_be_done`] it may
/// have been done nevertheless.
#[must_use = "an ack may be refused: the task is delivered again then"]
pub struct Settlement(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>);

impl Future for Settlement {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}
