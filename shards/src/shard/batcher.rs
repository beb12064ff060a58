//! From many commands to few log entries, wherever the group is led: everything that waits, up to a bound in count and bytes, becomes one
//! entry here or one frame to the leader; a few are on the way at a time. There is no timer: a lone command leaves at once.
//!
//! What becomes of a batch on the way is in `flight.rs`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use z4_model::command::{Command, Entry, encode_entry};
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto::peer::Submit;

use crate::link::{Body, Links};
use crate::metrics::Metrics;
use crate::raft::Replica;
use crate::runtime::clock;
use crate::runtime::executor;
use crate::runtime::notify::Notify;
use crate::shard::api::Rejection;
use crate::shard::delivery::Engine;
use crate::shard::flight::{Flight, Landed, Landing};
use crate::shard::queue::{self, Bound, Done, Pending, Queue, Stake};
use crate::shard::{stake, wire};
use crate::storage::Storage;

/// Frames of commands that are with the leader and not answered. What arrives meanwhile is the next one.
const FRAMES_IN_FLIGHT_MAX: usize = 4;

/// How often a queue that is not empty looks for what is late, and tries again what was refused.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Bounds on batches.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Commands in one entry.
    pub commands_max: usize,
    /// Bytes of payload and metadata in one entry, unless one command alone has more.
    pub bytes_max: usize,
    /// Entries proposed and not yet applied. With one, what arrives meanwhile is the next entry: measured at 10,000 creates and acks
    /// a second on 2 cores, the end-to-end p50 is 1.3 ms with one and 2.4 ms with two or four, for every entry costs wakes of its own.
    pub in_flight_max: usize,
    /// Commands waiting to become part of an entry.
    pub waiting_max: usize,
    /// Their bytes.
    pub waiting_bytes_max: usize,
    /// Namespaces that the group may have; those that are on their way when it is reached come still.
    pub namespaces_max: u64,
    /// A request waits so long for a leader and its answer; then its sender hears that it was not done, or may have been.
    pub forward_timeout: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        BatchLimits {
            commands_max: 4_096,
            bytes_max: 1 << 20,
            in_flight_max: 1,
            waiting_max: 65_536,
            waiting_bytes_max: 64 << 20,
            namespaces_max: 1_000_000,
            forward_timeout: Duration::from_secs(10),
        }
    }
}

/// Where commands go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// Nobody leads, as far as this replica knows.
    #[default]
    Nobody,
    /// This replica leads and has applied everything from before.
    Here {
        /// The term in which it does.
        term: u64,
    },
    /// Another peer leads.
    There {
        /// Which.
        peer: PeerNumber,
    },
}

/// One group's batcher.
pub struct Batcher {
    pub(super) group: GroupId,
    pub(super) limits: BatchLimits,
    pub(super) metrics: Metrics,
    pub(super) storage: Storage,
    links: Links,
    pub(super) queue: Queue,
    pub(super) flights: RefCell<Vec<Flight>>,
    next_flight: Cell<u64>,
    pub(super) route: Cell<Route>,
    /// What left came back undone: nothing leaves before the next tick, or on another route.
    pub(super) held_up: Cell<bool>,
    /// Commands of unknown fate are being looked at: nothing may overtake them.
    pub(super) judging: Cell<usize>,
    pub(super) tick: Cell<u32>,
    /// Nobody ticks, because there was nothing to look at.
    resting: Cell<bool>,
    work: Notify,
    closed: Cell<bool>,
    /// A stamp, and the monotonic time that belongs to it, milliseconds.
    stamped: Cell<(u64, u64)>,
    /// The last token that may have been given out before this leadership.
    given: Cell<u64>,
    held: Cell<bool>,
    pub(super) more: Notify,
}

/// What leaves next.
enum Departure {
    Propose { term: u64, flight: u64, entry: Bytes },
    Send { peer: PeerNumber, flight: u64, commands: Bytes },
}

impl Batcher {
    /// Nothing waits yet.
    pub fn new(group: GroupId, limits: BatchLimits, metrics: Metrics, (links, storage): (Links, Storage)) -> Rc<Self> {
        Rc::new(Batcher {
            group,
            limits,
            metrics,
            storage,
            links,
            queue: Queue::default(),
            flights: RefCell::default(),
            next_flight: Cell::new(0),
            route: Cell::default(),
            held_up: Cell::new(false),
            judging: Cell::new(0),
            tick: Cell::new(0),
            resting: Cell::new(true),
            work: Notify::default(),
            closed: Cell::new(false),
            stamped: Cell::default(),
            given: Cell::default(),
            held: Cell::new(false),
            more: Notify::default(),
        })
    }

    /// A leadership begins: stamps go on from the last one that was applied, or from the time, which is later unless nobody led
    /// for a moment or a clock was set back. Its tokens begin with `first_token`.
    pub fn begin(&self, last_stamp_ms: u64, first_token: u64) {
        self.given.set(first_token - 1);
        let now_ms = self.links.reach().clocks().now_ms();
        self.stamped.set((last_stamp_ms.max(now_ms), clock::monotonic_us() / 1_000));
    }

    /// As long after the last one as the monotonic clock says: whatever becomes of the wall clock, what is remembered for a while is
    /// not forgotten early.
    fn stamp_ms(&self) -> u64 {
        let (stamp_ms, then_ms) = self.stamped.get();
        let mono_ms = clock::monotonic_us() / 1_000;
        let stamp_ms = stamp_ms.saturating_add(mono_ms.saturating_sub(then_ms));
        self.stamped.set((stamp_ms, mono_ms));
        stamp_ms
    }

    pub(super) fn no_leader(&self) -> Rejection {
        Rejection::NoLeader { group: self.group }
    }

    pub(super) fn unknown(&self) -> Rejection {
        Rejection::Unknown { group: self.group }
    }

    /// Takes a command. Refused at once when a bound would be exceeded.
    pub fn submit(&self, command: Command, bound: Bound, stake: Option<Box<dyn Stake>>, done: Done) {
        if self.closed.get() {
            return done.tell(Err(Rejection::Stopping));
        }
        self.queue.push(&self.limits, self.tick.get(), (command, bound), (stake, done));
        if self.resting.get() {
            self.resting.set(false);
            self.work.call();
        }
        self.more.call();
    }

    /// Lets commands wait instead of proposing them, or goes on. They wait as long as it takes: whoever holds lets go.
    pub fn hold(&self, held: bool) {
        self.held.set(held);
        self.more.call();
    }

    /// Entries that are proposed and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.flights.borrow().len()
    }

    /// Nothing waits and nothing is on the way.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flights.borrow().is_empty() && self.judging.get() == 0
    }

    /// Nobody waits for an answer.
    pub fn owes_nothing(&self) -> bool {
        let nobody = |flight: &Flight| !flight.pending().any(Pending::is_open);
        self.queue.is_empty() && self.judging.get() == 0 && self.flights.borrow().iter().all(nobody)
    }

    /// Where commands go now.
    pub fn route(&self) -> Route {
        self.route.get()
    }

    /// Says where commands go from now on.
    pub fn set_route(&self, route: Route) {
        if self.route.replace(route) != route {
            self.held_up.set(false);
        }
        self.more.call();
    }

    /// The way may be free again.
    pub fn look_again(&self) {
        self.more.call();
    }

    /// Commands that were for this leadership alone will not be done.
    pub fn leadership_lost(&self) {
        for pending in self.queue.take_bound(Some(Bound::Here)) {
            pending.end(Err(self.no_leader()), &self.unknown());
        }
    }

    /// Entries of this replica are on their way through its log.
    pub fn has_proposals(&self) -> bool {
        self.flights.borrow().iter().any(|flight| matches!(flight.to, Route::Here { .. }))
    }

    /// A new leadership begins with these commands on their way.
    pub fn renew(&self, engine: &mut Engine) {
        self.queue.renew(engine);
        self.flights.borrow().iter().for_each(|flight| queue::renew(flight.pending(), engine));
    }

    /// Takes no more, and answers all that is left.
    pub fn close(self: &Rc<Self>) {
        self.closed.set(true);
        let flights: Vec<u64> = self.flights.borrow().iter().map(|flight| flight.id).collect();
        flights.into_iter().for_each(|flight| self.land(flight, Landed::Not(Rejection::Stopping)));
        for pending in self.queue.take_bound(None) {
            pending.end(Err(Rejection::Stopping), &self.unknown());
        }
    }

    /// Sends batches on their way, for as long as the replica lives.
    pub async fn run(self: Rc<Self>, replica: Replica) {
        executor::spawn(Rc::clone(&self).keep_time());
        loop {
            self.more.wait().await;
            loop {
                if matches!(self.route(), Route::Here { .. }) {
                    replica.log_room().await;
                }
                let Some(departure) = self.next() else { break };
                match departure {
                    Departure::Propose { term, flight, entry } => {
                        let landing = Landing::new(&self, flight);
                        replica.propose(entry, term, move |result| landing.proposed(result)).await;
                    }
                    Departure::Send { peer, flight, commands } => self.send(peer, flight, commands),
                }
            }
        }
    }

    async fn keep_time(self: Rc<Self>) {
        loop {
            if self.is_idle() {
                self.resting.set(true);
                self.work.wait().await;
            }
            executor::sleep(TICK).await;
            self.tick();
        }
    }

    /// The next batch, when there is one and it may leave.
    fn next(&self) -> Option<Departure> {
        let route = self.route.get();
        if self.held.get() || self.held_up.get() || self.judging.get() > 0 {
            return None;
        }
        let room = match route {
            Route::Nobody => return None,
            Route::Here { .. } => self.limits.in_flight_max,
            Route::There { peer } if !self.links.is_up(peer) => return None,
            Route::There { .. } => FRAMES_IN_FLIGHT_MAX,
        };
        let in_flight = {
            let flights = self.flights.borrow();
            // What went another way and may come back must not be overtaken.
            if flights.len() >= room || flights.iter().any(|flight| flight.to != route) {
                return None;
            }
            flights.len() + 1
        };
        let (batch, gone) = self.queue.pop_batch(&self.limits);
        gone.into_iter().for_each(|pending| pending.end(Err(self.no_leader()), &self.unknown()));
        let mut batch = batch?;
        let flight = self.next_flight.replace(self.next_flight.get() + 1);
        let commands = std::mem::take(&mut batch.commands);
        let departure = match route {
            Route::There { peer } => {
                let (bytes, back) = wire::put_commands(commands);
                batch.commands = back;
                Departure::Send { peer, flight, commands: bytes }
            }
            Route::Here { .. } | Route::Nobody => {
                self.metrics.proposals_in_flight.observe(in_flight as f64);
                self.metrics.batch_commands.observe(commands.len() as f64);
                self.metrics.batch_bytes.observe(batch.bytes as f64);
                let now_ms = Some(self.links.reach().clocks().now_ms());
                let term = if let Route::Here { term } = route { term } else { 0 };
                let mut entry = Entry { stamp_ms: self.stamp_ms(), now_ms, commands };
                fence_updates(&mut entry, self.given.get());
                let bytes = encode_entry(&entry);
                batch.commands = entry.commands;
                Departure::Propose { term, flight, entry: bytes }
            }
        };
        self.flights.borrow_mut().push(Flight::new(flight, route, batch));
        Some(departure)
    }

    /// The next batch is on its way, to nobody.
    #[cfg(test)]
    pub(super) fn depart(&self) {
        let _ = self.next();
    }

    fn send(self: &Rc<Self>, peer: PeerNumber, flight: u64, commands: Bytes) {
        // The commands' own time runs out before the frame's.
        let within = self.limits.forward_timeout + 2 * TICK;
        let answer = self.links.post(peer, self.group, Body::Submit(Submit { commands }), within);
        let batcher = Rc::clone(self);
        executor::spawn(async move {
            let landed = Landed::answered(batcher.group, answer.await);
            batcher.land(flight, landed);
        });
    }
}

/// An update ends whatever was delivered of its task before: its proposer says so again, for the command may have waited through a change of
/// leader.
fn fence_updates(entry: &mut Entry, given: u64) {
    entry.commands.iter_mut().flat_map(|command| &mut command.ops).for_each(|op| stake::fence(op, given));
}
