//! Consumers that came before their group was open: while a peer starts, its groups open one after the other, and its port is open
//! before the last of them. They wait here, and the group takes them over when it opens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use futures_channel::oneshot;
use z4_model::ids::GroupId;

use crate::runtime::maps::HashMap;
use crate::shard::delivery::ConsumerId;
use crate::shard::message::Subscription;

/// The consumers of a shard whose groups are not open.
#[derive(Default)]
pub(super) struct Early {
    waiting: RefCell<BTreeMap<GroupId, HashMap<ConsumerId, Subscription>>>,
    /// Nobody may wait any more.
    ended: Cell<bool>,
}

impl Early {
    /// A consumer comes.
    pub(super) fn add(&self, group: GroupId, subscription: Subscription) {
        self.waiting.borrow_mut().entry(group).or_default().insert(subscription.consumer, subscription);
    }

    /// A consumer goes. Nothing was ever delivered to it.
    pub(super) fn remove(&self, group: GroupId, consumer: ConsumerId, gone: Option<oneshot::Sender<()>>) {
        if let Some(waiting) = self.waiting.borrow_mut().get_mut(&group) {
            waiting.remove(&consumer);
        }
        if let Some(gone) = gone {
            let _ = gone.send(());
        }
    }

    /// The group is open: those that waited for it.
    pub(super) fn take(&self, group: GroupId) -> Vec<Subscription> {
        self.waiting.borrow_mut().remove(&group).map(|waiting| waiting.into_values().collect()).unwrap_or_default()
    }

    /// Consumers of this shard do not wait any more, in whichever group: the peer stops.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Every consumer goes, because the peer stops.
    pub(super) fn end(&self) {
        self.ended.set(true);
        self.waiting.take();
    }
}
