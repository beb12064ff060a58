//! Consumers of this peer at a group that another peer leads: each has a seat at the leader, and another one at the next leader. The accounts
//! are in `relay.rs`; here is what is said and heard.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use z4_model::ids::{Namespace, PeerNumber};
use z4_proto::peer::{self, Subscribe, Unsubscribe};

use crate::link::Body;
use crate::runtime::maps::{HashMap, HashSet};
use crate::runtime::{clock, executor};
use crate::shard::batcher::{Route, TICK};
use crate::shard::delivery::{ConsumerId, Gone};
use crate::shard::farewell::{Farewells, Leave};
use crate::shard::group::Group;
use crate::shard::holdings::Holdings;
use crate::shard::message::Held;
use crate::shard::relay::{Grant, Relay};
use crate::shard::wire;

/// A seat is answered when it is over, and that may take for ever.
const SEAT_MAX: Duration = Duration::from_secs(365 * 86_400);

/// A leader that has no memory for a consumer is asked again after this.
const SEAT_AGAIN: Duration = Duration::from_secs(1);

/// How long a leader may take until it has said its last word about a consumer that leaves.
const LAST_WORD_MAX: Duration = Duration::from_secs(1);

/// A leader hears of so many deliveries at a time that a consumer holds: it looks at them in one go.
pub(super) const HELD_PER_FRAME: usize = 4_096;

/// A consumer whose leader has not said its last word. What comes until then is paid for with the credit that is with the leader.
struct Leaving {
    consumer: ConsumerId,
    relay: Relay,
    gone: Option<oneshot::Sender<()>>,
}

/// What becomes of deliveries that a stream was given and has not sent when its consumer is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The stream is over: nobody will ever know of them.
    Never,
    /// It may have taken some, and send them.
    Late,
}

/// The consumers of this peer at one group that another one leads.
#[derive(Default)]
pub(super) struct Relays {
    accounts: RefCell<HashMap<ConsumerId, Relay>>,
    /// Whose seat it is.
    seats: RefCell<HashMap<ConsumerId, ConsumerId>>,
    leaving: RefCell<HashMap<ConsumerId, Leaving>>,
    /// What they hold, as far as it was delivered or settled through this peer.
    pub(super) holdings: RefCell<Holdings>,
    pub(super) farewells: Farewells,
    seats_given: Cell<u64>,
    /// Somebody is on the way to take the seats that are missing.
    retrying: Cell<bool>,
}

impl Group {
    /// A consumer has come, and this replica does not lead.
    pub(super) fn relay(self: &Rc<Self>, consumer: ConsumerId) {
        let relay = match self.subscriptions.borrow().get(&consumer) {
            Some(s) => Relay::new(consumer, Arc::clone(&s.flow), Arc::clone(&s.sent), s.on_demand),
            None => return,
        };
        self.relays.accounts.borrow_mut().insert(consumer, relay);
        self.sit(consumer);
    }

    /// Takes a seat at the leader for every consumer that has none.
    pub(super) fn sit_all(self: &Rc<Self>) {
        if let Route::Here { .. } = self.batcher.route() {
            return;
        }
        let all: Vec<ConsumerId> = self.subscriptions.borrow().keys().copied().collect();
        let leaving: HashSet<ConsumerId> = self.relays.leaving.borrow().values().map(|leaving| leaving.consumer).collect();
        for consumer in all {
            let known = self.relays.accounts.borrow().contains_key(&consumer);
            match known {
                true => self.sit(consumer),
                false if !leaving.contains(&consumer) => self.relay(consumer),
                false => {}
            }
        }
    }

    fn sit(self: &Rc<Self>, consumer: ConsumerId) {
        let Route::There { peer } = self.batcher.route() else { return };
        let has_seat = |relay: &Relay| relay.seat().is_some();
        if !self.links.is_up(peer) || self.relays.accounts.borrow().get(&consumer).is_none_or(has_seat) {
            return;
        }
        let mut held = self.relays.holdings.borrow().of(consumer);
        let rest = held.split_off(held.len().min(HELD_PER_FRAME));
        let Some(mut subscribe) = self.subscribe_message(consumer, &held) else { return };
        let n = self.relays.seats_given.get().max(clock::wall_ms()) + 1;
        self.relays.seats_given.set(n);
        let seat = ConsumerId::new(self.me, n);
        subscribe.consumer = seat.0;
        if let Some(relay) = self.relays.accounts.borrow_mut().get_mut(&consumer) {
            relay.sit(seat, peer);
        }
        self.relays.seats.borrow_mut().insert(seat, consumer);
        self.relays.farewells.begin(seat);
        let over = self.links.post(peer, self.id, Body::Subscribe(subscribe), SEAT_MAX);
        let group = Rc::clone(self);
        executor::spawn(async move {
            let over = over.await;
            if matches!(&over, Ok(Body::Failure(failure)) if failure.kind() == peer::failure::Kind::Overloaded) {
                executor::sleep(SEAT_AGAIN).await;
            }
            let heard = matches!(&over, Ok(Body::Done(done)) if !done.stepped_aside);
            group.seat_over(seat, over.is_err(), heard).await;
        });
        self.tell_grant(consumer);
        if !rest.is_empty() {
            executor::spawn(Rc::clone(self).tell_held(seat, peer, rest));
        }
    }

    /// Tells the leader what else the consumer of a seat holds, a part at a time.
    async fn tell_held(self: Rc<Self>, seat: ConsumerId, leader: PeerNumber, held: Vec<Held>) {
        for part in held.chunks(HELD_PER_FRAME) {
            self.links.room(leader).await;
            let grant = peer::Grant { consumer: seat.0, held: wire::put_held(part), ..peer::Grant::default() };
            let goes_on = self.relays.seats.borrow().contains_key(&seat);
            if !goes_on || self.links.tell(leader, self.id, Body::Grant(grant)).is_err() {
                return;
            }
            executor::yield_now().await;
        }
    }

    fn subscribe_message(&self, consumer: ConsumerId, held: &[Held]) -> Option<Subscribe> {
        let subscriptions = self.subscriptions.borrow();
        let s = subscriptions.get(&consumer)?;
        let seats = self.relays.accounts.borrow().get(&consumer).map(Relay::before).unwrap_or_default();
        Some(Subscribe {
            consumer: 0,
            namespaces: s.namespaces.iter().map(Namespace::to_string).collect(),
            lease_ms: s.lease_ms,
            queued_bytes_max: s.flow.queued_bytes_max() as u64,
            on_demand: s.on_demand,
            seats: wire::put_seats(&seats),
            held: wire::put_held(held),
        })
    }

    /// Tells the leader of credit and room, if there is something to tell.
    pub(super) fn tell_grant(self: &Rc<Self>, consumer: ConsumerId) {
        let grant = self.relays.accounts.borrow_mut().get_mut(&consumer).and_then(Relay::grant);
        let Some(Grant { leader, seat, tasks, taken_bytes, sent }) = grant else { return };
        let body = Body::Grant(peer::Grant { consumer: seat.0, tasks, taken_bytes, sent_token: sent, held: Vec::new() });
        if let Err(error) = self.links.tell(leader, self.id, body) {
            tracing::info!(group = %self.id, peer = leader, %error, "the way to a consumer's leader is closed");
            self.rise(consumer);
            self.sit_later();
        }
    }

    /// Once a second: what a kick may have missed.
    pub(super) fn look_after_relays(self: &Rc<Self>) {
        let all: Vec<ConsumerId> = self.relays.accounts.borrow().keys().copied().collect();
        all.into_iter().for_each(|consumer| self.tell_grant(consumer));
        self.relays.holdings.borrow_mut().sweep(clock::monotonic_us() / 1_000);
    }

    /// Gives up the seat of a consumer, which keeps its credit.
    fn rise(self: &Rc<Self>, consumer: ConsumerId) {
        let risen = self.relays.accounts.borrow_mut().get_mut(&consumer).map(Relay::rise);
        let Some((Some(seat), kick)) = risen else { return };
        let (id, leader) = (seat.id, seat.leader);
        self.relays.seats.borrow_mut().remove(&id);
        // Best effort: a leader that does not hear it hears that nobody takes its deliveries.
        let _ = self.links.tell(leader, self.id, Body::Unsubscribe(unsubscribe(id, Gone::Left, None)));
        if kick {
            self.kick_all(consumer);
        }
    }

    /// Gives up every seat.
    pub(super) fn rise_all(self: &Rc<Self>) {
        let all: Vec<ConsumerId> = self.relays.accounts.borrow().keys().copied().collect();
        all.into_iter().for_each(|consumer| self.rise(consumer));
        if let Route::Here { .. } = self.batcher.route() {
            self.relays.accounts.borrow_mut().clear();
        }
    }

    /// The names of consumers at the leaders before, and how many deliveries arrived under each; ask before the accounts go.
    pub(super) fn seats_before(&self) -> HashMap<ConsumerId, Vec<(ConsumerId, u64)>> {
        self.relays.accounts.borrow().iter().map(|(consumer, relay)| (*consumer, relay.before())).collect()
    }

    /// This replica leads now: no other leader's last word counts.
    pub(super) fn end_leaving(self: &Rc<Self>) {
        let all: Vec<ConsumerId> = self.relays.leaving.borrow().keys().copied().collect();
        all.into_iter().for_each(|seat| self.seat_ended(seat));
    }

    /// Credit came back that another group may use.
    fn kick_all(&self, consumer: ConsumerId) {
        let kicker = self.subscriptions.borrow().get(&consumer).and_then(|s| s.kicker.clone());
        if let Some(kicker) = kicker {
            kicker.kick();
        }
    }

    /// The leader is done with a seat, or the link over which it was taken is down.
    /// `heard`: it has heard how the consumer went, if that has gone.
    async fn seat_over(self: Rc<Self>, seat: ConsumerId, lost: bool, heard: bool) {
        let leaves = self.relays.leaving.borrow().contains_key(&seat);
        if leaves && !lost {
            // Its last word comes behind the last delivery, perhaps by another connection.
            executor::sleep(LAST_WORD_MAX).await;
        }
        self.seat_ended(seat);
        if !lost && !heard && !leaves {
            // So do deliveries that nobody takes.
            executor::sleep(LAST_WORD_MAX).await;
        }
        self.end_farewells(seat, heard);
    }

    fn seat_ended(self: &Rc<Self>, seat: ConsumerId) {
        let left = self.relays.leaving.borrow_mut().remove(&seat);
        if let Some(Leaving { consumer, mut relay, gone }) = left {
            let (_, kick) = relay.rise();
            if kick {
                self.kick_all(consumer);
            }
            self.end_subscription(consumer, Gone::Detached);
            if let Some(gone) = gone {
                let _ = gone.send(());
            }
            return;
        }
        let consumer = self.relays.seats.borrow().get(&seat).copied();
        if let Some(consumer) = consumer {
            self.rise(consumer);
            self.sit_later();
        }
    }

    /// Takes the seats that are missing in a while.
    fn sit_later(self: &Rc<Self>) {
        if self.relays.retrying.replace(true) {
            return;
        }
        let group = Rc::clone(self);
        executor::spawn(async move {
            executor::sleep(TICK).await;
            group.relays.retrying.set(false);
            group.sit_all();
        });
    }

    /// A consumer goes. Gives `gone` back unless the leader has to say a last word first.
    pub(super) fn leave_leader(
        self: &Rc<Self>,
        consumer: ConsumerId,
        how: Gone,
        gone: Option<oneshot::Sender<()>>,
    ) -> Option<Option<oneshot::Sender<()>>> {
        let left = match how {
            Gone::Left => self.left_by(consumer, Leave::GivesBack),
            Gone::Lost => self.left_by(consumer, Leave::Broke),
            Gone::Detached => Vec::new(),
        };
        let relay = self.relays.accounts.borrow_mut().remove(&consumer);
        let Some((mut relay, (id, leader, received))) = relay.and_then(|relay| {
            let seat = relay.seat()?;
            let told = (seat.id, seat.leader, seat.received);
            Some((relay, told))
        }) else {
            self.bid_farewell(None, left);
            return Some(gone);
        };
        relay.want_no_more();
        // Whoever waits for the last word takes what comes before it.
        let received = gone.is_none().then_some(received);
        self.relays.seats.borrow_mut().remove(&id);
        let sent_token = self.subscriptions.borrow().get(&consumer).filter(|_| how == Gone::Lost).map(|s| s.sent.token());
        let last = Unsubscribe { sent_token, ..unsubscribe(id, how, received) };
        let told = self.links.tell(leader, self.id, Body::Unsubscribe(last));
        self.bid_farewell(told.is_ok().then_some(id), left);
        match gone {
            Some(gone) if told.is_ok() => {
                self.relays.leaving.borrow_mut().insert(id, Leaving { consumer, relay, gone: Some(gone) });
                None
            }
            gone => {
                let (_, kick) = relay.rise();
                // One for which nobody waits goes at every group: none is to deliver for what comes back.
                if kick && gone.is_some() {
                    self.kick_all(consumer);
                }
                Some(gone)
            }
        }
    }

    /// A consumer goes: what was sent to its client stays leased, what was not is given back.
    pub(super) fn keep_sent(self: &Rc<Self>, consumer: ConsumerId) {
        self.end_but_for_what_was_sent(consumer, Unsent::Never);
        self.drive();
    }

    /// The same; what the engine makes of it is done in its turn. The consumer goes at every group, so none is kicked for its credit.
    pub(super) fn end_but_for_what_was_sent(self: &Rc<Self>, consumer: ConsumerId, unsent: Unsent) {
        let left = self.left_by(consumer, Leave::KeepsSent);
        let sent_token = self.subscriptions.borrow().get(&consumer).map(|s| s.sent.token());
        let relay = self.relays.accounts.borrow_mut().remove(&consumer);
        let mut told = None;
        if let Some((Some(seat), _)) = relay.map(|mut relay| relay.rise()) {
            let (id, leader) = (seat.id, seat.leader);
            self.relays.seats.borrow_mut().remove(&id);
            let last = Unsubscribe { give_back: unsent == Unsent::Late, sent_token, ..unsubscribe(id, Gone::Detached, None) };
            // One that does not hear it hears that nobody takes its deliveries.
            told = self.links.tell(leader, self.id, Body::Unsubscribe(last)).is_ok().then_some(id);
        }
        self.bid_farewell(told, left);
        self.relays.holdings.borrow_mut().forget(consumer);
        let subscription = self.subscriptions.borrow_mut().remove(&consumer);
        if let (Some(subscription), Some(engine)) = (subscription, self.engine.borrow_mut().as_mut()) {
            // In one go with its end: nothing may be delivered to it in between.
            engine.not_sent(consumer, subscription.sent.token(), unsent == Unsent::Late);
            engine.unsubscribe(consumer, Gone::Detached);
        }
        self.tick.call();
    }

    /// The leader says something about a consumer.
    pub(super) fn told_by_leader(self: &Rc<Self>, leader: PeerNumber, body: Body) {
        match body {
            Body::Deliver(message) => self.take_deliveries(leader, message),
            Body::Want(message) => self.with_seat(ConsumerId(message.consumer), |relay, seat| {
                relay.wanted(seat);
                false
            }),
            Body::Unused(message) => {
                self.with_seat(ConsumerId(message.consumer), |relay, seat| relay.unused(seat, message.tasks));
            }
            Body::Done(message) => self.seat_ended(ConsumerId(message.consumer)),
            _ => {}
        }
    }

    /// Changes an account; then the leader hears what is to be told, and every group when `act` says so.
    fn with_seat(self: &Rc<Self>, seat: ConsumerId, act: impl FnOnce(&mut Relay, ConsumerId) -> bool) {
        let Some(consumer) = self.relays.seats.borrow().get(&seat).copied() else { return };
        let kick = self.relays.accounts.borrow_mut().get_mut(&consumer).is_some_and(|relay| act(relay, seat));
        self.tell_grant(consumer);
        if kick {
            self.kick_all(consumer);
        }
    }

    fn take_deliveries(self: &Rc<Self>, leader: PeerNumber, message: peer::Deliver) {
        let seat = ConsumerId(message.consumer);
        let tasks = match wire::deliveries(message) {
            Ok(tasks) => tasks,
            Err(error) => {
                tracing::warn!(group = %self.id, peer = leader, %error, "deliveries cannot be read");
                return self.refuse(leader, seat);
            }
        };
        let leaving = self.relays.leaving.borrow_mut().get_mut(&seat).and_then(|leaving| {
            let taken = leaving.relay.delivered(seat, &tasks)?;
            Some((leaving.consumer, taken))
        });
        let sits = || {
            let consumer = self.relays.seats.borrow().get(&seat).copied()?;
            let taken = self.relays.accounts.borrow_mut().get_mut(&consumer)?.delivered(seat, &tasks)?;
            Some((consumer, taken))
        };
        let Some((consumer, taken)) = leaving.or_else(sits) else {
            self.relays.farewells.late(seat, &tasks);
            return self.refuse(leader, seat);
        };
        let held = tasks.iter().map(|task| ((task.namespace.clone(), task.id, task.token), self.held_until(task.deadline_ms)));
        self.relays.holdings.borrow_mut().add(consumer, held);
        // A stream that has just gone: its unsubscription is on the way and ends these leases.
        let subscription = self.subscriptions.borrow().get(&consumer).cloned();
        if let Some(subscription) = subscription {
            self.hand(&subscription, tasks, Some(taken));
        }
    }

    /// Nobody takes these deliveries: they are given back.
    fn refuse(self: &Rc<Self>, leader: PeerNumber, seat: ConsumerId) {
        let _ = self.links.tell(leader, self.id, Body::Unsubscribe(unsubscribe(seat, Gone::Left, None)));
    }
}

fn unsubscribe(seat: ConsumerId, how: Gone, received: Option<u64>) -> Unsubscribe {
    let (keep_leases, give_back) = (how == Gone::Detached, how == Gone::Left);
    Unsubscribe { consumer: seat.0, keep_leases, give_back, received, sent_token: None }
}
