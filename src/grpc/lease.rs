//! LeaseTasks: consuming without a stream.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tonic::Status;
use z4_model::ids::{Namespace, TaskId};
use z4_proto as proto;
use z4_shards::account::Holder;
use z4_shards::runtime::executor;
use z4_shards::runtime::net::sleep;
use z4_shards::shard::api::{Delivered, Rejection};
use z4_shards::shard::handle::{Consumer, Shards};

use super::consume::{Source as _, namespaces};
use super::observe::{Runs, Streamed};
use super::services::Context;
use super::status::status;
use super::{Limits, convert, reply};

/// A call that does not want to wait still gives the groups this long to answer, milliseconds.
const WAIT_MS_MIN: u64 = 20;

/// The same when a group is led by another peer: what is asked and what comes takes up to three ways over a link.
const FAR_WAIT_MS_MIN: u64 = 200;

/// What may be on its way from each leader beyond what was taken, bytes as the flow counts them.
const BUFFER_BYTES: usize = 256 << 10;

/// A small task in an answer has up to so many times the bytes that the flow counts for it: its namespace's name, for one.
const SPELLED_OUT: usize = 3;

/// What is on its way is waited for so often; what comes after that is given back.
const LAST_WORDS_MAX: usize = 4;

/// A delivery: whose task, its name, the token.
type Held = (Namespace, TaskId, u64);

/// Leases tasks that are due. The leases outlive the call: they end by ack, nack or deadline.
///
/// Waits for the first task, then takes what is there at once, as far as it fits into one answer: what does not is given back, and counts no
/// attempt. A client that goes away before it is answered leaves nothing leased.
pub(super) async fn lease_tasks(
    context: Arc<Context>,
    request: proto::LeaseTasksRequest,
    memory: Option<Holder>,
) -> Result<proto::LeaseTasksResponse, Status> {
    let limits = &context.limits;
    let tasks_max = limits.lease_tasks(request.max_tasks)?;
    let wait_ms = limits.wait_ms(request.wait_ms)?.max(WAIT_MS_MIN);
    limits.lease_ms(request.lease_ms)?;
    let namespaces = namespaces(&request.namespaces, limits)?;
    let mut consumer =
        context.shards.consume_on(namespaces, (request.lease_ms, BUFFER_BYTES), (Vec::new(), memory)).map_err(status)?;
    consumer.add_credit(tasks_max);
    let mut first = wait(&mut consumer, wait_ms).await?;
    if first.is_empty() && wait_ms < FAR_WAIT_MS_MIN && consumer.is_relayed() {
        first = wait(&mut consumer, FAR_WAIT_MS_MIN - wait_ms).await?;
    }
    // Leaders' last words are heard also when the client goes away meanwhile: what comes with them is leased.
    let (tx, answered) = oneshot::channel();
    executor::spawn(async move {
        let _ = tx.send(answer(&context, consumer, first, tasks_max).await);
    });
    answered.await.map_err(|oneshot::Canceled| status(Rejection::Stopping))?.map(Unheard::taken)
}

/// Takes what is there, and goes.
async fn answer(context: &Context, mut consumer: Consumer, first: Vec<Delivered>, tasks_max: u32) -> Result<Unheard, Status> {
    let mut answer = Answer::new(context, tasks_max);
    let filled = answer.take_what_fits(first, &mut consumer).await;
    let Answer { response, held, .. } = answer;
    let unheard = Unheard { shards: context.shards.clone(), held, response };
    match filled {
        Ok(()) => consumer.keep_sent(),
        // It breaks, and what it had detached itself from is given back with the answer.
        Err(status) => {
            drop(consumer);
            return Err(status);
        }
    }
    Ok(unheard)
}

/// An answer that no client has seen yet. Dropped as it is, what is in it is given back.
struct Unheard {
    shards: Shards,
    held: Vec<Held>,
    response: proto::LeaseTasksResponse,
}

impl Unheard {
    /// It goes to its client.
    fn taken(mut self) -> proto::LeaseTasksResponse {
        self.held.clear();
        std::mem::take(&mut self.response)
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            self.shards.give_back(std::mem::take(&mut self.held));
        }
    }
}

/// The answer while it fills.
struct Answer<'a> {
    limits: &'a Limits,
    tasks_max: usize,
    response: proto::LeaseTasksResponse,
    /// What is in it.
    held: Vec<Held>,
    bytes: usize,
    runs: Runs<Streamed>,
}

impl<'a> Answer<'a> {
    fn new(context: &'a Context, tasks_max: u32) -> Self {
        let runs = Runs::new(Streamed::new(context.observer.clone(), "LeaseTasks"));
        let response = proto::LeaseTasksResponse::default();
        Answer { limits: &context.limits, tasks_max: tasks_max as usize, response, held: Vec::new(), bytes: 0, runs }
    }

    /// Takes what is there by now and what its leaders have on their way, as far as it fits.
    async fn take_what_fits(&mut self, first: Vec<Delivered>, consumer: &mut Consumer) -> Result<(), Status> {
        let mut taken = VecDeque::from(first);
        while !taken.is_empty() {
            self.fill(&mut taken, consumer)?;
            if taken.is_empty() && self.has_room() {
                taken.extend(consumer.next().now_or_never().flatten().unwrap_or_default());
            } else {
                break;
            }
        }
        // Whatever is on its way by now is leased, too. From as many leaders as there is room for, it is taken along.
        for _ in 0..LAST_WORDS_MAX {
            let leaders = self.leaders_that_fit();
            if leaders == 0 || !taken.is_empty() || !self.has_room() {
                break;
            }
            let (done, rest) = consumer.detach_from(leaders).await;
            if done.is_empty() {
                break;
            }
            let (theirs, others) = rest.into_iter().partition(|delivered| done.contains(&delivered.id.group));
            self.take_all(theirs, consumer)?;
            taken = others;
            self.fill(&mut taken, consumer)?;
        }
        Ok(())
    }

    /// More is welcome.
    fn has_room(&self) -> bool {
        self.bytes < self.limits.response_bytes_max && self.response.deliveries.len() < self.tasks_max
    }

    /// So many leaders' deliveries fit, however much each of them has on its way.
    fn leaders_that_fit(&self) -> usize {
        let task = self.limits.payload_bytes_max + self.limits.metadata_bytes_max;
        reply::PARTS_BYTES_MAX.saturating_sub(self.bytes) / (SPELLED_OUT * BUFFER_BYTES + task)
    }

    /// Takes deliveries as long as they fit. The first one always does: a client that stores such a task can read it.
    fn fill(&mut self, from: &mut VecDeque<Delivered>, consumer: &mut Consumer) -> Result<(), Status> {
        while self.has_room()
            && let Some(delivered) = from.front()
        {
            let (held, delivery) = (held(delivered), convert::delivery(delivered.clone())?);
            let bytes = reply::framed(&delivery);
            if self.bytes > 0 && self.bytes + bytes > reply::PARTS_BYTES_MAX {
                break;
            }
            from.pop_front();
            self.put((held, delivery, bytes), consumer);
        }
        Ok(())
    }

    /// Takes deliveries that are leased whether they are sent or not.
    fn take_all(&mut self, deliveries: VecDeque<Delivered>, consumer: &mut Consumer) -> Result<(), Status> {
        for delivered in deliveries {
            let (held, delivery) = (held(&delivered), convert::delivery(delivered)?);
            let bytes = reply::framed(&delivery);
            self.put((held, delivery, bytes), consumer);
        }
        Ok(())
    }

    fn put(&mut self, (held, delivery, bytes): (Held, proto::Delivery, usize), consumer: &mut Consumer) {
        self.runs.count(&held.0);
        self.bytes += bytes;
        self.response.deliveries.push(delivery);
        consumer.sent_of(held.1.group);
        self.held.push(held);
    }
}

fn held(delivered: &Delivered) -> Held {
    (delivered.namespace.clone(), delivered.id, delivered.token)
}

/// The most that an answer can come to.
#[cfg(test)]
pub(super) fn bytes_max(context: &Context) -> usize {
    let mut answer = Answer::new(context, 1);
    let each = SPELLED_OUT * BUFFER_BYTES + context.limits.payload_bytes_max + context.limits.metadata_bytes_max;
    let of = |bytes: usize| {
        answer.bytes = bytes;
        bytes + answer.leaders_that_fit() * each
    };
    (0..=context.limits.response_bytes_max).step_by(1 << 10).map(of).max().unwrap_or(0).max(reply::PARTS_BYTES_MAX)
}

/// A delivery in an answer has so many bytes for each that the flow counts.
#[cfg(test)]
pub(super) const fn spelled_out() -> usize {
    SPELLED_OUT
}

/// The first deliveries, or none within the time.
async fn wait(consumer: &mut Consumer, wait_ms: u64) -> Result<Vec<Delivered>, Status> {
    let taken = {
        let next = pin!(consumer.next());
        match select(next, pin!(sleep(Duration::from_millis(wait_ms)))).await {
            Either::Left((taken, _)) => taken,
            Either::Right(_) => Some(Vec::new()),
        }
    };
    taken.ok_or_else(|| consumer.over())
}
