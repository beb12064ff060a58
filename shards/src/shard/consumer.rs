//! A consumer, on the thread of its stream: takes deliveries from every group that has one of its namespaces.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use futures_util::future::{Either, join_all, select};
use futures_util::{FutureExt, StreamExt};
use z4_model::ids::{GroupId, Namespace};

use crate::account::{Full, Holder, Share};
use crate::runtime::executor;
use crate::shard::api::{Delivered, Rejection};
use crate::shard::delivery::{ConsumerId, Flow, Gone, Sent};
use crate::shard::gate::Gate;
use crate::shard::handle::Shards;
use crate::shard::message::{Held, Message, Parcel, Subscription};

/// What a namespace costs that nobody else consumes, at most, beside its name: the delivery engine's lane, and who consumes it. Bytes.
const NAMESPACE_BYTES: usize = 1 << 10;

/// A name is there for the engine and for the consumer.
const NAME_COPIES: usize = 2;

/// A delivery that a consumer says to hold, beside its namespace's name. Bytes.
const HELD_BYTES: usize = 256;

/// What a consumer of namespaces costs, with deliveries of some that it holds, before anything is delivered to it. Bytes.
pub(super) fn cost<'a>(namespaces: impl Iterator<Item = &'a str>, held: impl Iterator<Item = &'a str>) -> usize {
    let names: usize = namespaces.map(|name| NAMESPACE_BYTES + NAME_COPIES * name.len()).sum();
    let held: usize = held.map(|name| HELD_BYTES + name.len()).sum();
    names + held
}

/// What is full where there is no memory for a consumer.
pub(crate) const MEMORY: &str = "the memory for requests (request_memory_bytes_max)";

/// There is no memory for a consumer.
pub(super) fn no_memory(full: Full) -> Rejection {
    Rejection::Overloaded { what: MEMORY, limit: full.bytes_max }
}

/// A consumer whose gate is closed looks whether it may open so often.
const GATE_LOOK: Duration = Duration::from_millis(20);

/// The groups of a consumer, on any thread.
pub struct Kicker {
    shards: Shards,
    kicks: Vec<Arc<Kick>>,
    /// Which of them hears first, so that none has always the first pick.
    turn: AtomicUsize,
}

/// The word to one group that a consumer has credit or room again. There is one of each at a time, so what waits in a mailbox is bounded
/// by the consumers; and it must arrive, because the engine that it is for has asked for it and looks no more by itself.
pub struct Kick {
    group: GroupId,
    consumer: ConsumerId,
    under_way: AtomicBool,
}

impl Kick {
    /// Which group it is for.
    pub(super) fn group(&self) -> GroupId {
        self.group
    }

    /// It has arrived: what the consumer changes from now on is a new one. Returns which consumer.
    pub(super) fn arrived(&self) -> ConsumerId {
        // Before the engine looks at the numbers: who changed them before it found a kick under way is seen by that look.
        self.under_way.store(false, Ordering::SeqCst);
        self.consumer
    }
}

impl Kicker {
    fn new(shards: Shards, consumer: ConsumerId, groups: impl Iterator<Item = GroupId>) -> Self {
        let kick = |group| Arc::new(Kick { group, consumer, under_way: AtomicBool::new(false) });
        Kicker { shards, kicks: groups.map(kick).collect(), turn: AtomicUsize::new(0) }
    }

    /// Tells every group that there is credit or room again.
    pub fn kick(&self) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        for kick in self.kicks.iter().cycle().skip(turn % self.kicks.len().max(1)).take(self.kicks.len()) {
            if !kick.under_way.swap(true, Ordering::SeqCst) {
                self.shards.post_surely(kick.group, Message::Kick(Arc::clone(kick)));
            }
        }
    }
}

/// A consumer. Dropping it gives its leases up, as one that broke: the first task that was sent and is not settled counts an attempt, the
/// others do not, and all come again. See [`Consumer::leave`].
pub struct Consumer {
    shards: Shards,
    id: ConsumerId,
    groups: Vec<GroupId>,
    flow: Arc<Flow>,
    kicker: Arc<Kicker>,
    deliveries: mpsc::UnboundedReceiver<Parcel>,
    /// Deliveries that were taken and not sent to the client yet, in their order.
    unsent: VecDeque<Unsent>,
    /// How far each group's were sent.
    sent: BTreeMap<GroupId, Arc<Sent>>,
    gate: Arc<Gate>,
    /// It was ended because there is no memory for what it is given.
    cut: Option<Full>,
    /// The charge for what the groups remember of it.
    _memory: Option<Share>,
}

/// Deliveries of a group.
struct Unsent {
    tokens: VecDeque<u64>,
    group: Option<GroupId>,
}

impl Consumer {
    pub(super) fn start(
        shards: Shards,
        id: ConsumerId,
        namespaces: Vec<Namespace>,
        (lease_ms, queued_bytes_max): (u32, usize),
        (held, memory): (Vec<Held>, Option<Holder>),
    ) -> Result<Self, Rejection> {
        let cost = cost(namespaces.iter().map(Namespace::as_str), held.iter().map(|(name, ..)| name.as_str()));
        let share = memory.as_ref().map(|memory| memory.take(cost).map_err(no_memory)).transpose()?;
        // What waits in this channel is bounded by the flow: tasks by credit, bytes by its room.
        let (deliveries, receiver) = mpsc::unbounded();
        let mut by_group: BTreeMap<GroupId, Vec<Namespace>> = BTreeMap::new();
        for namespace in namespaces {
            by_group.entry(shards.route(&namespace)?).or_default().push(namespace);
        }
        let mut held_by_group: BTreeMap<GroupId, Vec<Held>> = BTreeMap::new();
        for delivery in held {
            held_by_group.entry(shards.route(&delivery.0)?).or_default().push(delivery);
        }
        let flow = Arc::new(Flow::new(queued_bytes_max));
        let gate = Arc::new(Gate::new(memory, &flow));
        let kicker = Arc::new(Kicker::new(shards.clone(), id, by_group.keys().copied()));
        let on_demand = by_group.len() > 1;
        let mut consumer = Consumer {
            shards,
            id,
            groups: Vec::new(),
            flow,
            kicker,
            deliveries: receiver,
            unsent: VecDeque::new(),
            sent: BTreeMap::new(),
            gate,
            cut: None,
            _memory: share,
        };
        for (group, namespaces) in by_group {
            let (flow, kicker) = (Arc::clone(&consumer.flow), Some(Arc::clone(&consumer.kicker)));
            let deliveries = deliveries.clone();
            let held = held_by_group.remove(&group).unwrap_or_default();
            let sent = Arc::new(Sent::up_to(held.iter().map(|(_, _, token)| *token).max().unwrap_or(0)));
            consumer.sent.insert(group, Arc::clone(&sent));
            let subscription = Subscription {
                consumer: id,
                namespaces,
                lease_ms,
                flow,
                on_demand,
                deliveries,
                kicker,
                sent,
                seats: Vec::new(),
                held,
                gate: Arc::clone(&consumer.gate),
            };
            // On an error the drop of `consumer` takes back what was subscribed before.
            consumer
                .shards
                .post(group, Message::Subscribe(group, Box::new(subscription)))
                .map_err(|e| consumer.shards.overloaded(&e))?;
            consumer.groups.push(group);
        }
        Ok(consumer)
    }

    /// Accepts `tasks` more deliveries.
    pub fn add_credit(&self, tasks: u32) {
        if self.flow.add_credit(tasks) {
            self.kicker.kick();
        }
    }

    /// Deliveries come, or came, from another peer: they take a link's round trip more.
    pub fn is_relayed(&self) -> bool {
        self.flow.is_relayed()
    }

    /// The next deliveries, at least one. `None`: the peer stops, or there is no memory for more, see [`Consumer::cut`]. Taking them tells the delivery engine that there is room again:
    /// what a consumer has not taken is bounded in bytes.
    pub async fn next(&mut self) -> Option<Vec<Delivered>> {
        loop {
            let (mut tasks, taken, arrival) = match self.next_parcel().await? {
                // Given back when it was ended.
                Parcel::Tasks(..) if self.gate.is_cut() => continue,
                Parcel::Tasks(tasks, taken, arrival, _) => (tasks, taken, arrival),
                Parcel::Cut(full) => {
                    self.cut = Some(full);
                    return None;
                }
                Parcel::Word(_) => continue,
            };
            arrival.tell_again(&mut tasks, self.shards.reach().clocks());
            let room = self.flow.took(&tasks) | self.gate.open(&self.flow);
            let tell = taken.is_some_and(|taken| taken.add(&tasks, self.flow.queued_bytes_max()));
            let group = tasks.first().map(|task| task.id.group);
            self.unsent.push_back(Unsent { tokens: tasks.iter().map(|task| task.token).collect(), group });
            if room || tell {
                self.kicker.kick();
            }
            return Some(tasks);
        }
    }

    /// While the gate is closed and nothing comes, whether it may be opened is looked at now and then: others may have what is missing.
    async fn next_parcel(&mut self) -> Option<Parcel> {
        loop {
            if !self.gate.is_closed() {
                return self.deliveries.next().await;
            }
            match select(self.deliveries.next(), pin!(executor::sleep(GATE_LOOK))).await {
                Either::Left((parcel, _)) => return parcel,
                Either::Right(_) => {
                    if self.gate.open(&self.flow) {
                        self.kicker.kick();
                    }
                }
            }
        }
    }

    /// Why there are no more deliveries: `Some`, there is no memory for them. What was sent to the client stays leased then.
    pub fn cut(&self) -> Option<Full> {
        self.cut
    }

    /// So many more of the deliveries that were taken, in their order, have been sent to the client. What was not sent when the consumer
    /// goes counts no attempt.
    pub fn sent(&mut self, mut tasks: u64) {
        while tasks > 0 && !self.unsent.is_empty() {
            let some = tasks.min(self.unsent[0].tokens.len() as u64);
            self.sent_at(0, some);
            tasks -= some;
        }
    }

    /// One more of a group's deliveries, in their order, has been sent to the client, whatever others were taken before.
    pub fn sent_of(&mut self, group: GroupId) {
        let oldest = self.unsent.iter().position(|unsent| unsent.group == Some(group));
        if let Some(place) = oldest {
            self.sent_at(place, 1);
        }
    }

    /// So many of the deliveries at a place, which has as many, have been sent.
    fn sent_at(&mut self, place: usize, tasks: u64) {
        let unsent = &mut self.unsent[place];
        let last = unsent.tokens.drain(..tasks as usize).next_back();
        let sent = unsent.group.and_then(|group| self.sent.get(&group));
        if let (Some(token), Some(sent)) = (last, sent) {
            sent.add(token);
        }
        if unsent.tokens.is_empty() {
            self.unsent.remove(place);
        }
    }

    /// Ends the consumer as one that says good-bye: what it holds is given back, and counts no attempt.
    pub fn leave(&mut self) {
        if self.cut.is_some() {
            return self.leave_what_was_sent();
        }
        for group in self.groups.drain(..) {
            leave(&self.shards, group, self.id, Gone::Left, None);
        }
    }

    /// Deliveries that are there already; `None`: none now.
    pub fn try_next(&mut self) -> Option<Vec<Delivered>> {
        self.next().now_or_never().flatten()
    }

    /// Ends the consumer at up to `groups` of its groups, but not its leases there: they last until they are settled or lapse. Returns which
    /// groups that were, and the deliveries of any group that were on their way, which are leased like those that were taken.
    pub async fn detach_from(&mut self, groups: usize) -> (Vec<GroupId>, Vec<Delivered>) {
        let mut waiting = Vec::new();
        let done: Vec<GroupId> = self.groups.drain(..groups.min(self.groups.len())).collect();
        for group in &done {
            let (tx, rx) = oneshot::channel();
            leave(&self.shards, *group, self.id, Gone::Detached, Some(tx));
            waiting.push(rx);
        }
        join_all(waiting).await;
        let mut rest = Vec::new();
        while let Some(deliveries) = self.try_next() {
            rest.extend(deliveries);
        }
        (done, rest)
    }

    /// The same at all of its groups.
    pub async fn detach(mut self) -> Vec<Delivered> {
        self.detach_from(usize::MAX).await.1
    }

    /// Ends the consumer: deliveries that were sent to the client stay leased, until they are settled or lapse; the others are given back,
    /// and count no attempt.
    pub fn keep_sent(mut self) {
        self.leave_what_was_sent();
    }

    fn leave_what_was_sent(&mut self) {
        for group in self.groups.drain(..) {
            self.shards.post_surely(group, Message::KeepSent(group, self.id));
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if self.cut.is_some() {
            return self.leave_what_was_sent();
        }
        for group in self.groups.drain(..) {
            leave(&self.shards, group, self.id, Gone::Lost, None);
        }
    }
}

/// Takes a consumer back from a group, however full the mailbox is: a consumer that stayed would be given tasks for ever.
fn leave(shards: &Shards, group: GroupId, consumer: ConsumerId, how: Gone, gone: Option<oneshot::Sender<()>>) {
    shards.post_surely(group, Message::Unsubscribe(group, consumer, how, gone));
}
