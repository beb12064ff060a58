//! Consume: deliveries and answers go down while acks, nacks, extensions and credit come up.
//!
//! One stream of responses does everything, and only when HTTP/2 asks for the next response: while the client does not read, no
//! delivery is taken from the consumer and no message from the client. Settles run concurrently, up to a bound.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as Poller, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt, unfold};
use prost::Message;
use tonic::Status;
use z4_model::ids::{Namespace, TaskId};
use z4_proto as proto;
use z4_shards::account::Share;
use z4_shards::runtime::net::sleep;
use z4_shards::shard::api::{Delivered, Settle, Settled, Verdict};
use z4_shards::shard::handle::Consumer;

use super::observe::{Runs, Streamed};
use super::services::Context;
use super::settle::{Said, plan};
use super::{Invalid, Limits, convert, reply};

const METHOD: &str = "Consume";

/// A response is closed when its answers to acks, nacks and extensions have so many bytes.
const RESULTS_BYTES_MAX: usize = 512 << 10;

/// What an ack, nack or extension costs from when it was read until its answer is sent, beside the reason of a nack. Bytes.
const SETTLE_BYTES: usize = 512;

/// Where deliveries come from: a [`Consumer`], or a test's.
pub(super) trait Source {
    /// More deliveries are welcome.
    fn add_credit(&self, tasks: u32);

    /// The next deliveries; `None`: the peer stops. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Vec<Delivered>>>;

    /// So many more of what was taken, in its order, go to the client.
    fn sent(&mut self, tasks: usize);

    /// Nothing broke: what is held is given back, and counts no attempt.
    fn leave(&mut self);

    /// There is no next delivery because there is no memory for any.
    fn refused(&self) -> Option<Status> {
        None
    }

    /// Why there is no next delivery.
    fn over(&self) -> Status {
        self.refused().unwrap_or_else(|| Status::unavailable("the peer is stopping; consume from another one"))
    }

    /// The peer stops: how long acks that are on their way are waited for.
    fn farewell(&self) -> Farewell;
}

pub(super) type Farewell = Pin<Box<dyn Future<Output = ()>>>;

/// A peer that stops listens for so long to what its consumers have to say.
const FAREWELL: Duration = Duration::from_millis(500);

impl Source for Consumer {
    fn add_credit(&self, tasks: u32) {
        Consumer::add_credit(self, tasks);
    }

    async fn next(&mut self) -> Option<Vec<Delivered>> {
        Consumer::next(self).await
    }

    fn sent(&mut self, tasks: usize) {
        Consumer::sent(self, tasks as u64);
    }

    fn leave(&mut self) {
        Consumer::leave(self);
    }

    fn refused(&self) -> Option<Status> {
        self.cut().map(|full| Status::resource_exhausted(format!("what is delivered cannot be kept until it is taken: {full}")))
    }

    fn farewell(&self) -> Farewell {
        Box::pin(sleep(FAREWELL))
    }
}

/// The answers to one namespace's part of a message, and what was counted for it, bytes.
type Settling = Pin<Box<dyn Future<Output = (Vec<(usize, proto::SettleResult)>, usize)>>>;

/// The charge for what a consumer says, until it is answered. It is counted and never refused, as the message was charged when it came: a
/// stream whose connection has its part reads no further message.
#[derive(Debug, Default)]
pub(super) struct Charge(pub(super) Option<Share>);

impl Charge {
    fn count(&mut self, bytes: usize) {
        if let Charge(Some(share)) = self {
            share.count(bytes);
        }
    }

    fn shrink(&mut self, bytes: usize) {
        if let Charge(Some(share)) = self {
            share.shrink(bytes);
        }
    }
}

/// A consume stream at work.
struct Consuming<D, R, S> {
    context: Arc<Context>,
    source: D,
    requests: R,
    settle: S,
    settling: FuturesUnordered<Settling>,
    /// Taken from the source, not yet sent.
    deliveries: VecDeque<Delivered>,
    results: VecDeque<proto::SettleResult>,
    charge: Charge,
    /// Asked for and not yet delivered.
    credit: u64,
    requests_over: bool,
    /// The way to the client broke.
    broken: bool,
    /// The peer stops: nothing more is delivered, and the client is listened to until then.
    farewell: Option<Farewell>,
    /// The last thing to say.
    end: Option<Status>,
}

/// The namespaces of a consumer, each once.
pub(super) fn namespaces(names: &[String], limits: &Limits) -> Result<Vec<Namespace>, Invalid> {
    if names.is_empty() {
        return Err(Invalid::Request("namespaces is empty; a consumer takes at least one"));
    }
    let limit = limits.consumer_namespaces_max;
    super::limits::at_most("namespaces", names.len(), "entries", limit, "consumer_namespaces_max")?;
    let mut namespaces = names.iter().map(|name| Namespace::new(name)).collect::<Result<Vec<_>, _>>()?;
    namespaces.sort();
    namespaces.dedup();
    Ok(namespaces)
}

/// What a first message says.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) namespaces: Vec<Namespace>,
    /// 0: the namespace's setting.
    pub(super) lease_ms: u32,
    /// Deliveries of an earlier stream.
    pub(super) held: Vec<(Namespace, TaskId, u64)>,
}

/// What the first message opens.
pub(super) fn open(first: &proto::ConsumeRequest, limits: &Limits) -> Result<Opened, Invalid> {
    let open = first.open.as_ref().ok_or(Invalid::Request("open is missing; the first message of a consume stream opens it"))?;
    limits.lease_ms(open.lease_ms)?;
    super::limits::at_most("open.held", open.held.len(), "entries", limits.credit_max as usize, "consumer_credit_max")?;
    let held = |held: &proto::HeldDelivery| Ok((Namespace::new(&held.namespace)?, convert::task_id(&held.task_id)?, held.token));
    let held = open.held.iter().map(held).collect::<Result<Vec<_>, Invalid>>()?;
    Ok(Opened { namespaces: namespaces(&open.namespaces, limits)?, lease_ms: open.lease_ms, held })
}

/// The responses to a consume stream whose first message was read.
///
/// # Errors
/// The rest of the first message breaks a limit.
pub(super) fn consume<D, R, S, F>(
    context: Arc<Context>,
    mut first: proto::ConsumeRequest,
    source: D,
    (requests, charge): (R, Charge),
    settle: S,
) -> Result<impl Stream<Item = Result<proto::ConsumeResponse, Status>>, Status>
where
    D: Source,
    R: Stream<Item = Result<proto::ConsumeRequest, Status>> + Unpin,
    S: Fn(Namespace, Vec<Settle>) -> F + Clone + 'static,
    F: Future<Output = Vec<Settled>> + 'static,
{
    let mut consuming = Consuming {
        context,
        source,
        requests,
        settle,
        settling: FuturesUnordered::new(),
        deliveries: VecDeque::new(),
        results: VecDeque::new(),
        charge,
        credit: 0,
        requests_over: false,
        broken: false,
        farewell: None,
        end: None,
    };
    first.open = None;
    let credit = consuming.take_in(first)?;
    consuming.source.add_credit(credit);
    Ok(unfold(consuming, |mut consuming| async move { Some((consuming.step().await?, consuming)) }))
}

impl<D, R, S, F> Consuming<D, R, S>
where
    D: Source,
    R: Stream<Item = Result<proto::ConsumeRequest, Status>> + Unpin,
    S: Fn(Namespace, Vec<Settle>) -> F + Clone + 'static,
    F: Future<Output = Vec<Settled>> + 'static,
{
    /// The next response; `None` after the last.
    async fn step(&mut self) -> Option<Result<proto::ConsumeResponse, Status>> {
        loop {
            if !self.results.is_empty() || !self.deliveries.is_empty() {
                return Some(self.response());
            }
            if self.requests_over && self.settling.is_empty() {
                if !self.broken {
                    self.source.leave();
                }
                return self.end.take().map(Err);
            }
            self.wait().await;
        }
    }

    /// Waits until a delivery or an answer is there, credit came, or the stream is over.
    async fn wait(&mut self) {
        let mut more_credit = 0u32;
        let mut taken = None;
        {
            // The source is borrowed by its future, the rest is not.
            let Consuming {
                source,
                requests,
                settling,
                results,
                requests_over,
                broken,
                farewell,
                end,
                settle,
                context,
                charge,
                credit,
                ..
            } = self;
            let mut intake = Intake { requests, settling, results, requests_over, broken, end, settle, context, charge, credit };
            let mut next = pin!(source.next());
            std::future::poll_fn(|cx| {
                more_credit += intake.poll(cx);
                if let Some(farewell) = farewell {
                    // Once it is ready there is nothing to ask it any more.
                    *intake.requests_over = *intake.requests_over || farewell.as_mut().poll(cx).is_ready();
                } else if !*intake.requests_over
                    && let Poll::Ready(deliveries) = next.as_mut().poll(cx)
                {
                    taken = Some(deliveries);
                    return Poll::Ready(());
                }
                let over = *intake.requests_over && intake.settling.is_empty();
                if more_credit > 0 || over || !intake.results.is_empty() { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
        if more_credit > 0 {
            self.source.add_credit(more_credit);
        }
        match taken {
            Some(Some(deliveries)) => {
                self.credit = self.credit.saturating_sub(deliveries.len() as u64);
                self.deliveries.extend(deliveries);
            }
            Some(None) => {
                self.farewell = Some(self.source.farewell());
                self.end.get_or_insert(self.source.over());
            }
            None => {}
        }
    }

    /// Takes a message in before the stream runs; returns its credit.
    fn take_in(&mut self, message: proto::ConsumeRequest) -> Result<u32, Invalid> {
        let Consuming { requests, settling, results, requests_over, broken, end, settle, context, charge, credit, .. } = self;
        Intake { requests, settling, results, requests_over, broken, end, settle, context, charge, credit }.take_in(message)
    }

    /// Everything that waits to be sent, up to `response_bytes_max` of deliveries and [`RESULTS_BYTES_MAX`] of answers.
    fn response(&mut self) -> Result<proto::ConsumeResponse, Status> {
        let results = take_results(&mut self.results);
        self.charge.shrink(results.len() * SETTLE_BYTES);
        let deliveries = take_deliveries(&mut self.deliveries, &self.context)?;
        self.source.sent(deliveries.len());
        Ok(proto::ConsumeResponse { deliveries, results })
    }
}

/// Answers until one response has enough of them.
pub(super) fn take_results(from: &mut VecDeque<proto::SettleResult>) -> Vec<proto::SettleResult> {
    let mut bytes = 0;
    let fits = |result: &&proto::SettleResult| {
        let before = bytes;
        bytes += result.encoded_len();
        before < RESULTS_BYTES_MAX
    };
    let count = from.iter().take_while(fits).count();
    from.drain(..count).collect()
}

/// Makes messages of deliveries until one response is full.
pub(super) fn take_deliveries(from: &mut VecDeque<Delivered>, context: &Context) -> Result<Vec<proto::Delivery>, Status> {
    let mut deliveries = Vec::with_capacity(from.len());
    let mut bytes = 0;
    let mut runs = Runs::new(Streamed::new(context.observer.clone(), METHOD));
    while bytes < context.limits.response_bytes_max
        && let Some(delivered) = from.pop_front()
    {
        runs.count(&delivered.namespace);
        let delivery = convert::delivery(delivered)?;
        bytes += reply::framed(&delivery);
        deliveries.push(delivery);
    }
    Ok(deliveries)
}

fn reason_bytes(settle: &Settle) -> usize {
    if let Verdict::Nack { reason, .. } = &settle.verdict { reason.len() } else { 0 }
}

/// The half of a consume stream that listens to the client.
struct Intake<'a, R, S> {
    requests: &'a mut R,
    settling: &'a mut FuturesUnordered<Settling>,
    results: &'a mut VecDeque<proto::SettleResult>,
    requests_over: &'a mut bool,
    broken: &'a mut bool,
    end: &'a mut Option<Status>,
    settle: &'a S,
    context: &'a Arc<Context>,
    charge: &'a mut Charge,
    credit: &'a mut u64,
}

impl<R, S, F> Intake<'_, R, S>
where
    R: Stream<Item = Result<proto::ConsumeRequest, Status>> + Unpin,
    S: Fn(Namespace, Vec<Settle>) -> F + Clone + 'static,
    F: Future<Output = Vec<Settled>> + 'static,
{
    /// Takes in what the client sent and what was settled; returns the credit that came.
    fn poll(&mut self, cx: &mut Poller<'_>) -> u32 {
        let mut more_credit = 0u32;
        // Answers that wait to be read count like settles that wait to be answered.
        while !*self.requests_over
            && self.settling.len() < self.context.limits.settles_in_flight_max
            && self.results.len() < self.context.limits.settles_max
        {
            match self.requests.poll_next_unpin(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(message))) => match self.take_in(message) {
                    Ok(credit) => more_credit += credit,
                    Err(invalid) => self.stop(Some(invalid.into())),
                },
                Poll::Ready(Some(Err(status))) => {
                    // A message that cannot be read is the client's mistake; the connection has not broken over it.
                    *self.broken = std::error::Error::source(&status).is_some();
                    self.stop(Some(status));
                }
                Poll::Ready(None) => self.stop(None),
            }
        }
        while let Poll::Ready(Some((settled, counted))) = self.settling.poll_next_unpin(cx) {
            self.charge.shrink(counted.saturating_sub(settled.len() * SETTLE_BYTES));
            self.results.extend(settled.into_iter().map(|(_, result)| result));
        }
        more_credit
    }

    /// The client says no more, or may not: what is in flight is still answered, then comes `end`.
    fn stop(&mut self, end: Option<Status>) {
        *self.requests_over = true;
        *self.end = end;
    }

    fn take_in(&mut self, message: proto::ConsumeRequest) -> Result<u32, Invalid> {
        if message.open.is_some() {
            return Err(Invalid::Request("open is set again; only the first message of a consume stream opens it"));
        }
        let limit = self.context.limits.credit_max;
        let credit = *self.credit + u64::from(message.credit);
        if credit > u64::from(limit) {
            let range = format!("at most {limit} in all, with what is open (consumer_credit_max)");
            return Err(Invalid::OutOfRange { field: "credit", found: credit.into(), range });
        }
        *self.credit = credit;
        let proto::ConsumeRequest { acks, nacks, extensions, .. } = message;
        let mut said = Vec::with_capacity(acks.len() + nacks.len() + extensions.len());
        said.extend(acks.into_iter().map(Said::Ack));
        said.extend(nacks.into_iter().map(Said::Nack));
        said.extend(extensions.into_iter().map(Said::Extend));
        let plan = plan(said.into_iter(), &self.context.limits)?;
        self.charge.count(plan.refused.len() * SETTLE_BYTES);
        self.results.extend(plan.refused.into_iter().map(|(_, result)| result));
        for group in plan.groups {
            let counted = group.settles.len() * SETTLE_BYTES + group.settles.iter().map(reason_bytes).sum::<usize>();
            self.charge.count(counted);
            let settled = group.run(self.settle.clone());
            self.settling.push(Box::pin(async move { (settled.await, counted) }));
        }
        Ok(message.credit)
    }
}
