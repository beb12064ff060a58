//! A consumer, on the thread of its stream: takes deliveries from every group that has one of its namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_channel::{mpsc, oneshot};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};

use crate::ids::{GroupId, Namespace};
use crate::shard::api::{Delivered, Rejection};
use crate::shard::delivery::{ConsumerId, Flow};
use crate::shard::handle::Shards;
use crate::shard::message::{Leases, Message, Parcel, Subscription};

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

/// A consumer. Dropping it gives its leases up: each counts an attempt and the tasks come again.
pub struct Consumer {
    shards: Shards,
    id: ConsumerId,
    groups: Vec<GroupId>,
    flow: Arc<Flow>,
    kicker: Arc<Kicker>,
    deliveries: mpsc::UnboundedReceiver<Parcel>,
}

impl Consumer {
    pub(super) fn start(
        shards: Shards,
        id: ConsumerId,
        namespaces: Vec<Namespace>,
        (lease_ms, queued_bytes_max): (u32, usize),
    ) -> Result<Self, Rejection> {
        // What waits in this channel is bounded by the flow: tasks by credit, bytes by its room.
        let (deliveries, receiver) = mpsc::unbounded();
        let mut by_group: BTreeMap<GroupId, Vec<Namespace>> = BTreeMap::new();
        for namespace in namespaces {
            by_group.entry(shards.route(&namespace)?).or_default().push(namespace);
        }
        let flow = Arc::new(Flow::new(queued_bytes_max));
        let kicker = Arc::new(Kicker::new(shards.clone(), id, by_group.keys().copied()));
        let on_demand = by_group.len() > 1;
        let mut consumer = Consumer { shards, id, groups: Vec::new(), flow, kicker, deliveries: receiver };
        for (group, namespaces) in by_group {
            let (flow, kicker) = (Arc::clone(&consumer.flow), Some(Arc::clone(&consumer.kicker)));
            let deliveries = deliveries.clone();
            let subscription = Subscription { consumer: id, namespaces, lease_ms, flow, on_demand, deliveries, kicker };
            // On an error the drop of `consumer` takes back what was subscribed before.
            consumer.shards.post(group, Message::Subscribe(group, subscription)).map_err(|e| consumer.shards.overloaded(&e))?;
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

    /// The next deliveries, at least one. `None`: the peer stops. Taking them tells the delivery engine that there is room again:
    /// what a consumer has not taken is bounded in bytes.
    pub async fn next(&mut self) -> Option<Vec<Delivered>> {
        loop {
            let Parcel::Tasks(tasks, taken) = self.deliveries.next().await? else { continue };
            let room = self.flow.took(&tasks);
            let tell = taken.is_some_and(|taken| taken.add(&tasks, self.flow.queued_bytes_max()));
            if room || tell {
                self.kicker.kick();
            }
            return Some(tasks);
        }
    }

    /// Deliveries that are there already; `None`: none now.
    pub fn try_next(&mut self) -> Option<Vec<Delivered>> {
        self.next().now_or_never().flatten()
    }

    /// Ends the consumer but not its leases: they last until they are settled or lapse. Returns the deliveries that were on their way,
    /// which are leased like those that were taken.
    pub async fn detach(mut self) -> Vec<Delivered> {
        let mut gone = Vec::new();
        for group in self.groups.drain(..) {
            let (tx, rx) = oneshot::channel();
            leave(&self.shards, group, self.id, Leases::Keep, Some(tx));
            gone.push(rx);
        }
        join_all(gone).await;
        let mut rest = Vec::new();
        while let Some(deliveries) = self.try_next() {
            rest.extend(deliveries);
        }
        rest
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        for group in self.groups.drain(..) {
            leave(&self.shards, group, self.id, Leases::End, None);
        }
    }
}

/// Takes a consumer back from a group, however full the mailbox is: a consumer that stayed would be given tasks for ever.
fn leave(shards: &Shards, group: GroupId, consumer: ConsumerId, leases: Leases, gone: Option<oneshot::Sender<()>>) {
    shards.post_surely(group, Message::Unsubscribe(group, consumer, leases, gone));
}
