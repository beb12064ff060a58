//! LeaseTasks: consuming without a stream.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tonic::Status;
use z4_proto as proto;
use z4_shards::runtime::net::sleep;
use z4_shards::shard::api::Delivered;
use z4_shards::shard::handle::Consumer;

use super::consume::{namespaces, take_deliveries};
use super::services::Context;
use super::status::status;

/// A call that does not want to wait still gives the groups this long to answer, milliseconds.
const WAIT_MS_MIN: u64 = 20;

/// The same when a group is led by another peer: what is asked and what comes takes up to three ways over a link.
const FAR_WAIT_MS_MIN: u64 = 200;

/// What may be on its way beyond what was taken, bytes: it is leased, so it goes into the response, which clients refuse above 4 MiB.
const BUFFER_BYTES: usize = 512 << 10;

/// Leases tasks that are due. The leases outlive the call: they end by ack, nack or deadline.
///
/// Waits for the first task, then takes what is there at once. A client that goes away while it waits leaves nothing leased.
pub(super) async fn lease_tasks(
    context: &Context,
    request: proto::LeaseTasksRequest,
) -> Result<proto::LeaseTasksResponse, Status> {
    let limits = &context.limits;
    let tasks_max = limits.lease_tasks(request.max_tasks)?;
    let wait_ms = limits.wait_ms(request.wait_ms)?.max(WAIT_MS_MIN);
    limits.lease_ms(request.lease_ms)?;
    let namespaces = namespaces(&request.namespaces, limits)?;
    let mut consumer = context.shards.consume(namespaces, request.lease_ms, BUFFER_BYTES).map_err(status)?;
    consumer.add_credit(tasks_max);
    let mut first = wait(&mut consumer, wait_ms).await?;
    if first.is_empty() && wait_ms < FAR_WAIT_MS_MIN && consumer.is_relayed() {
        first = wait(&mut consumer, FAR_WAIT_MS_MIN - wait_ms).await?;
    }
    let mut taken = VecDeque::from(first);
    let mut response = proto::LeaseTasksResponse::default();
    let mut bytes = 0;
    while !taken.is_empty() {
        let (deliveries, more) = take_deliveries(&mut taken, context, "LeaseTasks")?;
        response.deliveries.extend(deliveries);
        bytes += more;
        // What was taken is leased and has to be sent, however large; more is taken only while there is room.
        if taken.is_empty() && bytes < limits.response_bytes_max {
            taken.extend(consumer.next().now_or_never().flatten().unwrap_or_default());
        }
    }
    // Whatever is on its way by now is leased, too.
    taken.extend(consumer.detach().await);
    while !taken.is_empty() {
        response.deliveries.extend(take_deliveries(&mut taken, context, "LeaseTasks")?.0);
    }
    Ok(response)
}

/// The first deliveries, or none within the time.
async fn wait(consumer: &mut Consumer, wait_ms: u64) -> Result<Vec<Delivered>, Status> {
    let next = pin!(consumer.next());
    match select(next, pin!(sleep(Duration::from_millis(wait_ms)))).await {
        Either::Left((taken, _)) => taken.ok_or_else(|| Status::unavailable("the peer is stopping; lease from another one")),
        Either::Right(_) => Ok(Vec::new()),
    }
}
