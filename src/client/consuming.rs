//! The task behind a consumer: its streams, one after the other.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use futures_util::{FutureExt, TryFutureExt, TryStreamExt};
use tokio::sync::mpsc::error::SendError;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender, WeakUnboundedSender};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Response, Status};
use z4_proto::{ConsumeOpen, ConsumeRequest, ConsumeResponse};

use super::attempt::{Attempts, Backoff, Failure, Repeat};
use super::call::Journey;
use super::delivery::{Delivery, Order};
use super::error::Error;
use super::ledger::{Key, Ledger};
use super::peers::Address;
use super::{Client, slot};

/// The rpc.
pub(super) const CALL: &str = "Consume";
/// Orders that are taken before something is said.
const ORDERS_TOGETHER: usize = 1_000;

/// How a stream ended.
enum End {
    /// Nobody wants anything any more.
    Over,
    Broken(Status),
}

/// What a consumer and its task both know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The number of the present stream.
    pub(super) stream: AtomicU64,
    /// The stream ends as soon as nothing is held.
    pub(super) closes: AtomicBool,
}

/// Everything that a consumer's task has.
pub(super) struct Consuming {
    client: Client,
    open: ConsumeOpen,
    slot: Option<u16>,
    ledger: Ledger,
    shared: Arc<Shared>,
    deliveries: UnboundedSender<Result<Delivery, Error>>,
    /// For deliveries.
    give_orders: WeakUnboundedSender<Order>,
    orders: UnboundedReceiver<Order>,
    orders_over: bool,
    /// Settles that were refused for the moment.
    waiting: FuturesUnordered<BoxFuture<'static, Key>>,
    journey: Journey,
    /// Since the last time that a peer served.
    attempts: Attempts,
    reported: bool,
}

impl Consuming {
    pub(super) fn new(
        client: Client,
        open: ConsumeOpen,
        ledger: Ledger,
        shared: Arc<Shared>,
        deliveries: UnboundedSender<Result<Delivery, Error>>,
        give_orders: WeakUnboundedSender<Order>,
        orders: UnboundedReceiver<Order>,
    ) -> Self {
        let slot = open.namespaces.first().and_then(|namespace| slot(namespace));
        Consuming {
            client,
            open,
            slot,
            ledger,
            shared,
            deliveries,
            give_orders,
            orders,
            orders_over: false,
            waiting: FuturesUnordered::new(),
            journey: Journey::new(),
            attempts: Attempts::new(Repeat::Read),
            reported: false,
        }
    }

    /// Consumes until nobody wants anything any more, or the peers refuse it for good.
    pub(super) async fn run(mut self) {
        let mut without_peer = Instant::now();
        loop {
            let wish = self.client.leader(self.slot);
            let deadline = without_peer + self.client.options().timeout;
            let next = {
                let next = self.journey.next(&self.client, wish.as_deref());
                tokio::select! {
                    next = next => next,
                    // What the user did not take goes with the stream that is gone.
                    () = self.deliveries.closed(), if !self.ledger.awaits_answers() => return,
                    () = sleep_until(deadline), if !self.reported => None,
                }
            };
            let Some(peer) = next else {
                self.report();
                if !self.client.options().wait_for_peers {
                    return;
                }
                continue;
            };
            let began = Instant::now();
            let (end, served) = self.consume(&peer).await;
            // A stream that stood for a while and had nothing to say served, too.
            if served || began.elapsed() >= self.client.options().attempt_timeout {
                (without_peer, self.reported) = (Instant::now(), false);
                self.serves();
            }
            let End::Broken(status) = end else { return };
            let failure = Failure::of(&status);
            self.journey.failed(&self.client, &peer, self.slot, failure);
            self.ledger.broken(failure, &peer, &status);
            if !self.attempts.failed(failure, &peer, status) {
                self.report();
                return;
            }
        }
    }

    /// Tells the user once why nothing comes.
    fn report(&mut self) {
        let error = std::mem::replace(&mut self.attempts, Attempts::new(Repeat::Read)).error(CALL);
        self.reported = true;
        let _ = self.deliveries.send(Err(error));
    }

    /// One stream, from its opening to its end; also whether the peer has served.
    async fn consume(&mut self, peer: &Address) -> (End, bool) {
        self.ledger.reopen(Instant::now());
        let number = self.shared.stream.fetch_add(1, Ordering::AcqRel) + 1;
        let mut first = self.ledger.message().unwrap_or_default();
        let held = self.ledger.claims();
        first.open = Some(ConsumeOpen { held, ..self.open.clone() });
        let (outgoing, mut answers) = match open(&self.client, peer, first) {
            Ok(opened) => opened,
            // The address was learned from a peer and is none.
            Err(error) => return (End::Broken(Status::unavailable(error.to_string())), false),
        };
        let mut served = false;
        loop {
            while let Some(message) = self.ledger.message() {
                // A stream that is over says why with its answers.
                let _ = outgoing.send(message);
            }
            let unwanted = self.deliveries.is_closed() || self.orders_over;
            if unwanted && (self.ledger.is_settled() || self.orders_over && !self.ledger.awaits_answers()) {
                drop(outgoing);
                // The peer ends it when all is given back; a stream that is broken off costs an attempt.
                let rest = async { while let Some(Ok(_)) = answers.next().await {} };
                let _ = timeout(self.client.options().attempt_timeout, rest).await;
                return (End::Over, served);
            }
            let mut extension = pin!(sleep_until(self.ledger.next_extension().unwrap_or_else(Instant::now)));
            tokio::select! {
                answer = answers.next() => match answer {
                    Some(Ok(answer)) => {
                        self.take(answer, number, peer);
                        served = true;
                    }
                    Some(Err(status)) => return (End::Broken(status), served),
                    None => return (End::Broken(Status::unavailable("the peer ended the stream")), served),
                },
                order = self.orders.recv(), if !self.orders_over => self.follow_orders(order),
                Some(key) = self.waiting.next() => self.ledger.again(key),
                () = &mut extension, if self.ledger.next_extension().is_some() => self.ledger.extend(Instant::now()),
                () = self.deliveries.closed(), if !unwanted => self.ledger.close(),
            }
        }
    }

    /// What failed before is forgotten.
    fn serves(&mut self) {
        if !self.journey.is_new() {
            self.journey = Journey::new();
            self.attempts = Attempts::new(Repeat::Read);
        }
    }

    /// What the peer sent.
    fn take(&mut self, answer: ConsumeResponse, number: u64, peer: &Address) {
        self.serves();
        let now = Instant::now();
        self.client.peers().answered(peer, now);
        self.client.discover_sometimes();
        for result in answer.results {
            if let Some((key, attempts)) = self.ledger.answered(result, peer, now) {
                self.waiting.push(sleep(Backoff::nth(attempts)).map(|()| key).boxed());
            }
        }
        for message in answer.deliveries {
            let standing = self.ledger.delivered(&message, now);
            // Without anybody who gives orders nobody takes deliveries, either.
            let Some(orders) = self.give_orders.upgrade() else { continue };
            let delivery = Delivery::new(message, number, standing, orders, self.client.options().timeout);
            // What nobody takes gives itself back, or goes back when the stream ends, if that is soon.
            if let Err(SendError(Ok(delivery))) = self.deliveries.send(Ok(delivery))
                && self.shared.closes.load(Ordering::Acquire)
            {
                delivery.discard();
            }
        }
    }

    /// Does what deliveries ask for, as much as is there: acks that come together leave together.
    fn follow_orders(&mut self, first: Option<Order>) {
        let Some(first) = first else {
            self.orders_over = true;
            return;
        };
        self.follow_order(first);
        for _ in 1..ORDERS_TOGETHER {
            let Ok(order) = self.orders.try_recv() else { return };
            self.follow_order(order);
        }
    }

    fn follow_order(&mut self, order: Order) {
        match order {
            Order::Settle { key, verdict, answer } => self.ledger.settle(key, verdict, answer),
            Order::Leave { key, unused } => self.ledger.leave(&key, unused),
        }
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<ConsumeResponse, Status>> + Send>>;

/// Opens a stream with its first message. The opening is a part of the stream: the peer may begin it with its first delivery.
fn open(client: &Client, peer: &Address, first: ConsumeRequest) -> Result<(UnboundedSender<ConsumeRequest>, Answers), Error> {
    // Bounded by the credit: nothing is said but about deliveries.
    let (outgoing, requests) = mpsc::unbounded_channel();
    let _ = outgoing.send(first);
    let mut collection = client.collection(client.channel(peer)?);
    let opening = async move { collection.consume(UnboundedReceiverStream::new(requests)).await };
    Ok((outgoing, opening.map_ok(Response::into_inner).try_flatten_stream().into_stream().boxed()))
}
