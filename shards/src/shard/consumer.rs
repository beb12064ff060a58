//! A consumer, on the thread of its stream: takes deliveries from every group that has one of its namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_channel::{mpsc, oneshot};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};

use crate::ids::{GroupId, Namespace};
use crate::runtime::mailbox::SendError;
use crate::shard::api::{Delivered, Rejection};
use crate::shard::delivery::{ConsumerId, Flow};
use crate::shard::handle::Shards;
use crate::shard::message::{Leases, Message, Subscription};

/// A consumer. Dropping it gives its leases up: each counts an attempt and the tasks come again.
pub struct Consumer {
    shards: Shards,
    id: ConsumerId,
    groups: Vec<GroupId>,
    flow: Arc<Flow>,
    deliveries: mpsc::UnboundedReceiver<Vec<Delivered>>,
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
        let mut consumer = Consumer { shards, id, groups: Vec::new(), flow: Arc::clone(&flow), deliveries: receiver };
        for (group, namespaces) in by_group {
            let flow = Arc::clone(&flow);
            let subscription = Subscription { consumer: id, namespaces, lease_ms, flow, deliveries: deliveries.clone() };
            // On an error the drop of `consumer` takes back what was subscribed before.
            consumer.shards.post(group, Message::Subscribe(group, subscription)).map_err(|e| consumer.shards.overloaded(&e))?;
            consumer.groups.push(group);
        }
        Ok(consumer)
    }

    /// Accepts `tasks` more deliveries.
    pub fn add_credit(&self, tasks: u32) {
        if self.flow.add_credit(tasks) {
            self.kick();
        }
    }

    /// The next deliveries, at least one. `None`: the peer stops. Taking them tells the delivery engine that there is room again:
    /// what a consumer has not taken is bounded in bytes.
    pub async fn next(&mut self) -> Option<Vec<Delivered>> {
        let deliveries = self.deliveries.next().await?;
        if self.flow.took(&deliveries) {
            self.kick();
        }
        Some(deliveries)
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

    fn kick(&self) {
        for group in &self.groups {
            // A full mailbox: the engines hear of the credit with the next kick, or at their next tick.
            let _ = self.shards.post(*group, Message::Kick(*group, self.id));
        }
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
    let mut message = Message::Unsubscribe(group, consumer, leases, gone);
    while let Err(SendError::Full(back)) = shards.post(group, message) {
        message = back;
        std::thread::yield_now();
    }
}
