//! What the engine tells about itself.

#[cfg(test)]
use super::action::ConsumerId;
use super::engine::Engine;
use super::lease::BY_LANE;
use super::slab::NONE;
use crate::runtime::maps::HashSet;
use z4_model::ids::{Namespace, TaskId, TaskKey};

/// How much the engine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deliveries that are not over.
    pub leased: usize,
    /// Rows in memory.
    pub window_rows: usize,
    /// Their bytes, as [`weight`](super::weight) counts.
    pub window_bytes: usize,
    /// Namespaces with consumers, or that had some a moment ago.
    pub namespaces: usize,
    /// Consumers.
    pub consumers: usize,
    /// The earliest due time of a row in memory or with a consumer, milliseconds.
    pub oldest_due_ms: Option<u64>,
}

impl Engine {
    /// Looks at every active namespace: for metrics, not for each task.
    pub fn counts(&self) -> Counts {
        let firsts = self.lanes.values().flat_map(|lane| {
            let leased = self.leases.get(lane.leases.head).map(|lease| lease.key);
            [leased, lane.window.first()].into_iter().flatten()
        });
        Counts {
            leased: self.leases.len(),
            window_rows: self.lanes.values().map(|lane| lane.window.len()).sum(),
            window_bytes: self.window_bytes,
            namespaces: self.active,
            consumers: self.consumers.len(),
            oldest_due_ms: firsts.map(|key| key.due_ms).min(),
        }
    }

    /// Deliveries that are not over.
    pub fn leases_len(&self) -> usize {
        self.leases.len()
    }

    /// What a consumer subscribed to, and with which lease time.
    #[cfg(test)]
    pub(super) fn subscription(&self, consumer: ConsumerId) -> Option<(Vec<Namespace>, u32)> {
        let consumer = self.consumers.get(*self.consumers_by_id.get(&consumer)?)?;
        Some((consumer.lanes.iter().map(|l| self.lanes[*l].name.clone()).collect(), consumer.lease_ms))
    }

    #[cfg(test)]
    pub(super) fn ring_len(&self, namespace: &Namespace) -> usize {
        self.lanes_by_name.get(namespace).map_or(0, |l| self.lanes[*l].ring.len())
    }

    #[cfg(test)]
    pub(super) fn timers_len(&self) -> usize {
        self.timers.len()
    }

    /// Deliveries of this namespace that are not over.
    pub fn leased(&self, namespace: &Namespace) -> u64 {
        self.lanes_by_name.get(namespace).map_or(0, |l| u64::from(self.lanes[*l].leases.len))
    }

    /// The positions of a namespace's tasks that are with consumers, from `from` on, in their order. Passes those before it.
    pub fn leased_from(&self, namespace: &Namespace, from: TaskKey) -> impl Iterator<Item = TaskKey> + '_ {
        let lane = self.lanes_by_name.get(namespace).map(|l| &self.lanes[*l]);
        let mut slot = lane.map_or(NONE, |lane| lane.leases.head);
        let keys = std::iter::from_fn(move || {
            let lease = self.leases.get(slot)?;
            slot = lease.after(BY_LANE);
            Some(lease.key)
        });
        keys.skip_while(move |key| *key < from)
    }

    /// Appends the positions of tasks that are with consumers: of these namespaces, or none named, of all. Looks at `slots_max` slots from
    /// `from` on, and returns where to go on; `None`: that was all. What comes or goes between two calls may be seen or not.
    pub fn leased_keys(&self, of: &[Namespace], from: u32, slots_max: u32, into: &mut Vec<TaskKey>) -> Option<u32> {
        let lanes: HashSet<u32> = of.iter().filter_map(|name| self.lanes_by_name.get(name).copied()).collect();
        let slots = self.leases.slots();
        let until = from.saturating_add(slots_max).min(slots);
        let found = (from..until).filter_map(|slot| self.leases.get(slot));
        into.extend(found.filter(|lease| of.is_empty() || lanes.contains(&lease.lane)).map(|lease| lease.key));
        (until < slots).then_some(until)
    }

    /// The task is with a consumer, wherever its row is.
    pub fn has(&self, id: TaskId) -> bool {
        self.leases.find(id.sequence).is_some()
    }

    /// The token that would be given out next.
    pub fn next_token(&self) -> u64 {
        self.next_token
    }

    /// The row at this position is with a consumer.
    pub fn is_leased(&self, key: TaskKey) -> bool {
        self.leases.has(key)
    }
}
