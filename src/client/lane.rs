//! One stream of creates, and its life across connections.

use std::collections::VecDeque;
use std::pin::{Pin, pin};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use futures_util::{FutureExt, TryFutureExt, TryStreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};
use z4_proto::{CreateTaskRequest, CreateTaskResponse, TaskStreamResponse};

use super::Client;
use super::attempt::{Attempts, Backoff, Failure, late};
use super::call::Journey;
use super::error::Error;
use super::peers::Address;
use super::producer::Room;
use super::tasks::passes;

/// The rpc.
pub(super) const CALL: &str = "CreateTaskStream";

/// One task on its way.
pub(super) struct Item {
    pub(super) request: CreateTaskRequest,
    /// The request id is the client's own: a duplicate is one of this request.
    pub(super) own_id: bool,
    pub(super) slot: Option<u16>,
    pub(super) answer: oneshot::Sender<Result<CreateTaskResponse, Error>>,
    /// Given back with the answer.
    pub(super) room: Room,
    pub(super) attempts: Attempts,
    /// When it was first to be sent.
    pub(super) since: Instant,
    /// It is not sent again after this time.
    pub(super) until: Instant,
}

impl Item {
    /// A second attempt would not make a second task.
    async fn may_be_repeated(&self, client: &Client) -> bool {
        !self.attempts.may_be_done() || client.remembers(&self.request.namespace, self.since, self.until).await
    }

    /// Ends with what its attempts came to.
    fn fail(self) {
        // Whoever dropped the creation does not care.
        let _ = self.answer.send(Err(self.attempts.error(CALL)));
        drop(self.room);
    }
}

/// How a stream ended.
enum End {
    /// Nothing is left to do.
    Over,
    Broken(Status),
}

/// The task behind a stream.
pub(super) struct Lane {
    client: Client,
    /// The peer for which it is meant. When that fails, another one serves.
    wish: Option<Address>,
    items: mpsc::UnboundedReceiver<Item>,
    items_over: bool,
    /// Sent over the present stream and not answered, in the order of sending; the answers come in that order.
    unanswered: VecDeque<Item>,
    /// Refused for the moment. False: it must not be sent again.
    waiting: FuturesUnordered<BoxFuture<'static, (Item, bool)>>,
    journey: Journey,
}

impl Lane {
    pub(super) fn new(client: Client, wish: Option<Address>, items: mpsc::UnboundedReceiver<Item>) -> Self {
        Lane {
            client,
            wish,
            items,
            items_over: false,
            unanswered: VecDeque::new(),
            waiting: FuturesUnordered::new(),
            journey: Journey::new(),
        }
    }

    /// Serves until the producer is gone and everything is answered.
    pub(super) async fn run(mut self) {
        while self.wait_for_work().await {
            let peer = match self.find_peer().await {
                Some(peer) => peer,
                None => {
                    self.give_up();
                    continue;
                }
            };
            match self.stream(&peer).await {
                End::Over => return,
                End::Broken(status) => {
                    self.broken(&peer, &status);
                    self.end_what_is_forgotten().await;
                }
            }
        }
    }

    /// A stream without work is not opened again.
    async fn wait_for_work(&mut self) -> bool {
        while self.unanswered.is_empty() {
            tokio::select! {
                item = self.items.recv(), if !self.items_over => match item {
                    Some(item) => self.unanswered.push_back(item),
                    None => self.items_over = true,
                },
                Some((item, again)) = self.waiting.next() => {
                    if again { self.unanswered.push_back(item) } else { item.fail() }
                }
                else => return false,
            }
        }
        true
    }

    /// Nobody serves: ends what has no time left, or everything if the client does not wait for peers.
    fn give_up(&mut self) {
        let now = Instant::now();
        let waits = self.client.options().wait_for_peers;
        let (left, over): (VecDeque<Item>, VecDeque<Item>) =
            std::mem::take(&mut self.unanswered).into_iter().partition(|item| waits && item.until > now);
        self.unanswered = left;
        over.into_iter().for_each(Item::fail);
        if !waits {
            self.journey = Journey::new();
        }
    }

    /// Whom to ask; `None`: nobody, and the oldest of what is unanswered has no time left.
    async fn find_peer(&mut self) -> Option<Address> {
        let until = self.unanswered.front().map(|item| item.until)?;
        let wish = self.wish.clone();
        let next = self.journey.next(&self.client, wish.as_deref());
        tokio::time::timeout_at(until, next).await.ok().flatten()
    }

    /// Everything unanswered stays to be sent again, unless its time is over or it was refused for good. Answers come in order, so a
    /// refusal that ends a stream is about the oldest request (one that is too large to be read, say), unless it is about all of them.
    fn broken(&mut self, peer: &Address, status: &Status) {
        let failure = Failure::of(status);
        let slot = self.unanswered.front().and_then(|item| item.slot);
        self.journey.failed(&self.client, peer, slot, failure);
        let all = [Code::Unimplemented, Code::PermissionDenied, Code::Unauthenticated].contains(&status.code());
        let now = Instant::now();
        for (place, mut item) in std::mem::take(&mut self.unanswered).into_iter().enumerate() {
            let meant = failure != Failure::Final || place == 0 || all;
            if !meant || item.attempts.failed(failure, peer, status.clone()) && now < item.until {
                self.unanswered.push_back(item);
            } else {
                item.fail();
            }
        }
    }

    /// Ends what may have been done and would be done a second time.
    async fn end_what_is_forgotten(&mut self) {
        for item in std::mem::take(&mut self.unanswered) {
            if item.may_be_repeated(&self.client).await {
                self.unanswered.push_back(item);
            } else {
                item.fail();
            }
        }
    }

    /// One stream, from its opening to its end.
    async fn stream(&mut self, peer: &Address) -> End {
        let answers = match open(&self.client, peer) {
            Ok(opened) => opened,
            // The address was learned from a peer and is none.
            Err(error) => return End::Broken(Status::unavailable(error.to_string())),
        };
        let (outgoing, mut answers) = (answers.0, pin!(answers.1));
        for item in &self.unanswered {
            let _ = outgoing.send(item.request.clone());
        }
        let patience = self.client.options().attempt_timeout;
        let mut progress = Instant::now();
        let mut stalled = pin!(sleep_until(progress + patience));
        loop {
            if self.items_over && self.unanswered.is_empty() && self.waiting.is_empty() {
                return End::Over;
            }
            let sent = tokio::select! {
                biased;
                answer = answers.next() => {
                    let ended = || Status::unavailable("the peer ended the stream");
                    match answer.unwrap_or_else(|| Err(ended())) {
                        Ok(answer) => self.answered(peer, answer),
                        Err(status) => return End::Broken(status),
                    }
                    progress = Instant::now();
                    None
                }
                item = self.items.recv(), if !self.items_over => {
                    self.items_over = item.is_none();
                    item
                }
                Some((item, again)) = self.waiting.next() => {
                    if again {
                        Some(item)
                    } else {
                        item.fail();
                        None
                    }
                }
                () = &mut stalled => {
                    if !self.unanswered.is_empty() && progress.elapsed() >= patience {
                        return End::Broken(late(patience));
                    }
                    let again = if self.unanswered.is_empty() { Instant::now() } else { progress };
                    stalled.as_mut().reset(again + patience);
                    None
                }
            };
            if let Some(item) = sent {
                if self.unanswered.is_empty() {
                    progress = Instant::now();
                }
                // A stream that is over says why with its answers.
                let _ = outgoing.send(item.request.clone());
                self.unanswered.push_back(item);
            }
        }
    }

    /// The answer to the oldest request.
    fn answered(&mut self, peer: &Address, answer: TaskStreamResponse) {
        let Some(mut item) = self.unanswered.pop_front() else { return };
        self.served(peer);
        if answer.status == 0 {
            self.client.follow(item.slot, &answer.forwarded_to, peer);
            let TaskStreamResponse { task, forwarded_to, duplicate, .. } = answer;
            let duplicate = duplicate && !item.own_id;
            let _ = item.answer.send(Ok(CreateTaskResponse { task, forwarded_to, duplicate }));
            drop(item.room);
            return;
        }
        let again = passes(answer.status) && Instant::now() < item.until;
        let sure = answer.not_done;
        let status = Status::new(Code::from_i32(i32::try_from(answer.status).unwrap_or(-1)), answer.message);
        let failure = match Failure::of(&status) {
            Failure::Unavailable if sure => Failure::Unserved,
            failure => failure,
        };
        if [Failure::Unavailable, Failure::Unserved].contains(&failure) {
            self.client.peers().forget_leader(item.slot);
        }
        item.attempts.failed(failure, peer, status);
        if again {
            let wait = Backoff::nth(item.attempts.count());
            let client = self.client.clone();
            let waits = async move {
                sleep(wait).await;
                let again = item.may_be_repeated(&client).await;
                (item, again)
            };
            self.waiting.push(waits.boxed());
        } else {
            item.fail();
        }
    }

    /// An answer of whatever kind: the peer serves.
    fn served(&mut self, peer: &Address) {
        if !self.journey.is_new() {
            self.journey = Journey::new();
            self.client.peers().answered(peer, Instant::now());
        }
        self.client.discover_sometimes();
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<TaskStreamResponse, Status>> + Send>>;

/// Opens a stream of creates. The opening is a part of the stream: requests can be sent at once.
fn open(client: &Client, peer: &Address) -> Result<(mpsc::UnboundedSender<CreateTaskRequest>, Answers), Error> {
    // Bounded by what may be in flight.
    let (outgoing, requests) = mpsc::unbounded_channel();
    let mut collection = client.collection(client.channel(peer)?);
    let opening = async move { collection.create_task_stream(UnboundedReceiverStream::new(requests)).await };
    Ok((outgoing, opening.map_ok(tonic::Response::into_inner).try_flatten_stream().into_stream().boxed()))
}
