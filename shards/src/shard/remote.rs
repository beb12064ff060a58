//! Consumers whose stream is at another peer, at the leader: to the delivery engine they are like any other. Deliveries, and words that must
//! not overtake them, go down over the link in their order.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt;
use z4_model::ids::{Namespace, PeerNumber};
use z4_proto::peer::{self, Done, Unused, Want};

use crate::account::Share;
use crate::link::{Body, LinkError};
use crate::runtime::executor;
use crate::runtime::maps::HashMap;
use crate::shard::consumer::{cost, no_memory};
use crate::shard::delivery::{ConsumerId, Flow, Gone, Sent};
use crate::shard::group::Group;
use crate::shard::message::{Parcel, Subscription};
use crate::shard::wire;

/// What a seat costs beside its namespaces, bytes.
const SEAT_BYTES: usize = 4 << 10;

/// A consumer of another peer.
struct Remote {
    from: PeerNumber,
    flow: Arc<Flow>,
    /// How far its stream has sent, as its peer tells.
    sent: Arc<Sent>,
    down: mpsc::UnboundedSender<Parcel>,
    /// The charge for what the group remembers of it.
    _memory: Option<Share>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Remotes(RefCell<HashMap<ConsumerId, Remote>>);

impl Remotes {
    /// The consumer's subscription has ended.
    pub(super) fn forget(&self, consumer: ConsumerId) {
        self.0.borrow_mut().remove(&consumer);
    }
}

impl Group {
    /// A consumer of another peer comes. `answer` is sent when it has gone again, for whatever reason.
    pub(super) fn take_consumer(self: &Rc<Self>, from: PeerNumber, message: peer::Subscribe, answer: oneshot::Sender<Body>) {
        // Before anything is made of them.
        let cost = cost(message.namespaces.iter().map(String::as_str), message.held.iter().map(|held| held.namespace.as_str()));
        let memory = match self.links.charge(from, SEAT_BYTES + cost) {
            Ok(memory) => memory,
            Err(full) => {
                let _ = answer.send(Body::Failure(wire::put_failure(&no_memory(full))));
                return;
            }
        };
        let names = message.namespaces.iter().map(|name| Namespace::new(name)).collect::<Result<Vec<_>, _>>();
        let held = wire::held(&message.held);
        let (true, true, Ok(namespaces), Ok(held)) = (self.leads(), self.links.is_up(from), names, held) else {
            let _ = answer.send(wire::not_leading(self.id));
            return;
        };
        let consumer = ConsumerId(message.consumer);
        // The same name again: whoever had it before does not listen any more.
        self.end_remote(consumer, Gone::Left);
        let queued_bytes_max = usize::try_from(message.queued_bytes_max).unwrap_or(usize::MAX);
        let flow = Arc::new(Flow::remote(queued_bytes_max, message.on_demand));
        let (down, parcels) = mpsc::unbounded();
        let (sent, engine) = (Arc::<Sent>::default(), self.engines.get());
        let remote = Remote { from, flow: Arc::clone(&flow), sent: Arc::clone(&sent), down: down.clone(), _memory: memory };
        self.remotes.0.borrow_mut().insert(consumer, remote);
        executor::spawn(Rc::clone(self).send_down((from, consumer, engine), parcels, answer));
        let (on_demand, lease_ms, seats) = (message.on_demand, message.lease_ms, wire::seats(&message.seats));
        let subscription = Subscription {
            consumer,
            namespaces,
            lease_ms,
            flow,
            on_demand,
            deliveries: down,
            kicker: None,
            sent,
            seats,
            held,
            gate: Arc::default(),
        };
        self.subscribe(subscription);
    }

    /// Sends what is for a consumer of an engine, until it has gone.
    async fn send_down(
        self: Rc<Self>,
        (to, consumer, engine): (PeerNumber, ConsumerId, u64),
        mut parcels: mpsc::UnboundedReceiver<Parcel>,
        answer: oneshot::Sender<Body>,
    ) {
        while let Some(parcel) = parcels.next().await {
            self.links.room(to).await;
            let body = match parcel {
                Parcel::Tasks(mut tasks, _, arrival, _) => {
                    arrival.tell_again(&mut tasks, self.links.reach().clocks());
                    Body::Deliver(wire::put_deliveries(consumer, tasks))
                }
                Parcel::Word(body) => body,
                // Of one whose deliveries are charged elsewhere there is none.
                Parcel::Cut(_) => continue,
            };
            if let Err(error) = self.links.tell(to, self.id, body) {
                tracing::info!(group = %self.id, peer = to, %error, "a consumer of another peer is lost");
                self.end_remote(consumer, Gone::Lost);
            }
        }
        // It goes after the last delivery; the answer may go by another connection.
        let done = Done { consumer: consumer.0, stepped_aside: self.engines.get() != engine };
        let _ = self.links.tell(to, self.id, Body::Done(done));
        let _ = answer.send(Body::Done(done));
    }

    /// Ends consumers of some peers, which are lost.
    pub(super) fn end_remotes(self: &Rc<Self>, of: impl Fn(PeerNumber) -> bool) {
        let ending: Vec<ConsumerId> =
            self.remotes.0.borrow().iter().filter(|(_, remote)| of(remote.from)).map(|(id, _)| *id).collect();
        ending.into_iter().for_each(|consumer| self.end_remote(consumer, Gone::Lost));
    }

    fn end_remote(self: &Rc<Self>, consumer: ConsumerId, how: Gone) {
        let is_here = self.remotes.0.borrow().contains_key(&consumer);
        if is_here {
            self.end_subscription(consumer, how);
        }
    }

    /// The engine has something for a consumer and no credit.
    pub(super) fn want(&self, consumer: ConsumerId) {
        if let Some(remote) = self.remotes.0.borrow().get(&consumer) {
            let _ = remote.down.unbounded_send(Parcel::Word(Body::Want(Want { consumer: consumer.0 })));
        }
    }

    /// A word about a consumer, from its peer or from its leader.
    pub(super) fn told(self: &Rc<Self>, from: PeerNumber, body: Body) {
        match body {
            Body::Grant(grant) => self.take_grant(from, &grant),
            Body::Unsubscribe(message) => {
                let consumer = ConsumerId(message.consumer);
                match self.is_of(consumer, from) {
                    true => {
                        self.has_sent(consumer, message.sent_token.unwrap_or(0));
                        if let Some(engine) = self.engine.borrow_mut().as_mut() {
                            // In one go with its end: nothing may be delivered to it in between.
                            if let Some(received) = message.received {
                                engine.not_received(consumer, received);
                            }
                            if let Some(token) = message.sent_token {
                                engine.not_sent(consumer, token, message.give_back);
                            }
                        }
                        let how = match (message.keep_leases, message.give_back) {
                            (true, _) => Gone::Detached,
                            (false, true) => Gone::Left,
                            (false, false) => Gone::Lost,
                        };
                        self.end_remote(consumer, how);
                    }
                    false => self.done_with(from, consumer),
                }
            }
            body => self.told_by_leader(from, body),
        }
    }

    fn is_of(&self, consumer: ConsumerId, peer: PeerNumber) -> bool {
        self.remotes.0.borrow().get(&consumer).is_some_and(|remote| remote.from == peer)
    }

    /// Its stream has sent its deliveries up to this token.
    fn has_sent(&self, consumer: ConsumerId, token: u64) {
        if let Some(remote) = self.remotes.0.borrow().get(&consumer) {
            remote.sent.add(token);
        }
    }

    /// It is not here any more, which its peer seems not to know.
    fn done_with(&self, peer: PeerNumber, consumer: ConsumerId) {
        let lost: Result<(), LinkError> =
            self.links.tell(peer, self.id, Body::Done(Done { consumer: consumer.0, ..Done::default() }));
        if let Err(error) = lost {
            tracing::debug!(group = %self.id, peer, %error, "a word about a consumer is lost");
        }
    }

    fn take_grant(self: &Rc<Self>, from: PeerNumber, grant: &peer::Grant) {
        let consumer = ConsumerId(grant.consumer);
        if !self.is_of(consumer, from) {
            return self.done_with(from, consumer);
        }
        if !grant.held.is_empty() {
            return match wire::held(&grant.held) {
                Ok(held) => self.claim_for(consumer, held),
                Err(error) => tracing::warn!(group = %self.id, peer = from, %error, "what a consumer holds cannot be read"),
            };
        }
        let flow = self.remotes.0.borrow().get(&consumer).map(|remote| Arc::clone(&remote.flow));
        let Some(flow) = flow else { return };
        self.has_sent(consumer, grant.sent_token);
        let taken_bytes = usize::try_from(grant.taken_bytes).unwrap_or(usize::MAX);
        let more_room = flow.took_bytes(taken_bytes);
        let more_credit = flow.add_credit(grant.tasks);
        if more_room || more_credit || flow.is_on_demand() {
            self.with_engine(|engine| engine.kick(consumer));
        }
        let left = if flow.is_on_demand() { flow.try_take(u32::MAX) } else { 0 };
        if left > 0
            && let Some(remote) = self.remotes.0.borrow().get(&consumer)
        {
            let unused = Body::Unused(Unused { consumer: consumer.0, tasks: left });
            let _ = remote.down.unbounded_send(Parcel::Word(unused));
        }
    }
}
