//! LeaseTasks: consuming without a stream.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tonic::Status;
use z4_proto as proto;
use z4_shards::account::Holder;
use z4_shards::ids::GroupId;
use z4_shards::runtime::net::sleep;
use z4_shards::shard::api::Delivered;
use z4_shards::shard::handle::Consumer;

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

/// Leases tasks that are due. The leases outlive the call: they end by ack, nack or deadline.
///
/// Waits for the first task, then takes what is there at once, as far as it fits into one answer: what does not is given back, and counts no
/// attempt. A client that goes away while it waits leaves nothing leased.
pub(super) async fn lease_tasks(
    context: &Context,
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
    let mut answer = Answer::new(context, tasks_max);
    let mut taken = VecDeque::from(first);
    while !taken.is_empty() {
        answer.fill(&mut taken, &mut consumer)?;
        if taken.is_empty() && answer.has_room() {
            taken.extend(consumer.next().now_or_never().flatten().unwrap_or_default());
        } else {
            break;
        }
    }
    // Whatever is on its way by now is leased, too. From as many leaders as there is room for, it is taken along.
    for _ in 0..LAST_WORDS_MAX {
        let leaders = answer.leaders_that_fit();
        if leaders == 0 || !taken.is_empty() || !answer.has_room() {
            break;
        }
        let (done, rest) = consumer.detach_from(leaders).await;
        if done.is_empty() {
            break;
        }
        let (theirs, others) = rest.into_iter().partition(|delivered| done.contains(&delivered.id.group));
        answer.take_all(theirs, &mut consumer)?;
        taken = others;
        answer.fill(&mut taken, &mut consumer)?;
    }
    consumer.keep_sent();
    Ok(answer.response)
}

/// The answer while it fills.
struct Answer<'a> {
    limits: &'a Limits,
    tasks_max: usize,
    response: proto::LeaseTasksResponse,
    bytes: usize,
    runs: Runs<Streamed>,
}

impl<'a> Answer<'a> {
    fn new(context: &'a Context, tasks_max: u32) -> Self {
        let runs = Runs::new(Streamed::new(context.observer.clone(), "LeaseTasks"));
        let response = proto::LeaseTasksResponse::default();
        Answer { limits: &context.limits, tasks_max: tasks_max as usize, response, bytes: 0, runs }
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
            let group = delivered.id.group;
            let (namespace, delivery) = (delivered.namespace.clone(), convert::delivery(delivered.clone())?);
            let bytes = reply::framed(&delivery);
            if self.bytes > 0 && self.bytes + bytes > reply::PARTS_BYTES_MAX {
                break;
            }
            from.pop_front();
            self.put((namespace, delivery, bytes), group, consumer);
        }
        Ok(())
    }

    /// Takes deliveries that are leased whether they are sent or not.
    fn take_all(&mut self, deliveries: VecDeque<Delivered>, consumer: &mut Consumer) -> Result<(), Status> {
        for delivered in deliveries {
            let group = delivered.id.group;
            let (namespace, delivery) = (delivered.namespace.clone(), convert::delivery(delivered)?);
            let bytes = reply::framed(&delivery);
            self.put((namespace, delivery, bytes), group, consumer);
        }
        Ok(())
    }

    fn put(
        &mut self,
        (namespace, delivery, bytes): (z4_shards::ids::Namespace, proto::Delivery, usize),
        group: GroupId,
        consumer: &mut Consumer,
    ) {
        self.runs.count(&namespace);
        self.bytes += bytes;
        self.response.deliveries.push(delivery);
        consumer.sent_of(group);
    }
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
