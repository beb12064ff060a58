//! Leases that outlive a leadership: told to the next leader, and taken over from the one before.

use z4_model::ids::{Namespace, TaskId, TaskKey};

use super::action::ConsumerId;
use super::engine::Engine;
use super::lease::{BY_CONSUMER, Lease, Link, State, Why};
use super::now::Now;
use super::slab::NONE;

/// One lease, as one leader tells another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heirloom {
    /// Whose task.
    pub namespace: Namespace,
    /// Where its row is.
    pub key: TaskKey,
    /// Due time at creation, a part of its id.
    pub id_due_ms: u64,
    /// The token stays what it is.
    pub token: u64,
    /// So long it lasts from now on; 0: it is over, and its end has not been applied.
    pub left_ms: u64,
    /// The lease time it was given, for extensions.
    pub lease_ms: u32,
    /// Failed attempts before this one.
    pub attempts: u32,
    /// The row was written more than once.
    pub rewritten: bool,
    /// The name of its consumer at the leader that tells; 0: it has none.
    pub consumer: ConsumerId,
    /// Which of the consumer's deliveries it was there, from 1; 0: an early one, that it surely has.
    pub nth: u64,
    /// It is over because it was given back: no attempt counts.
    pub given_back: bool,
}

/// Everything that a leadership leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estate {
    /// Deliveries that are not over.
    pub leases: Vec<Heirloom>,
}

impl Engine {
    /// What the next leader needs to know. Nothing may be on its way to the log, and this engine must do nothing afterwards.
    pub fn estate(&self, now: Now) -> Estate {
        let slots = 0..self.leases.slots();
        let heirloom = |lease: &Lease| Heirloom {
            namespace: self.lanes[lease.lane].name.clone(),
            key: lease.key,
            id_due_ms: lease.id_due_ms,
            token: lease.token,
            left_ms: match lease.state {
                State::Leased | State::Settling { .. } => lease.ends_ms.saturating_sub(now.mono_ms).max(1),
                State::Ended(_) => 0,
            },
            lease_ms: lease.lease_ms,
            attempts: lease.attempts,
            rewritten: lease.rewritten,
            consumer: lease.owner,
            nth: lease.nth,
            given_back: lease.state == State::Ended(Why::GivenBack),
        };
        let leases = slots.filter_map(|slot| self.leases.get(slot)).map(heirloom).collect();
        Estate { leases }
    }

    /// Who holds what: consumers that are known by name, their deliveries, and when each lease ends by the monotonic clock in milliseconds.
    pub fn holdings(&self) -> impl Iterator<Item = (ConsumerId, ((Namespace, TaskId, u64), u64))> {
        let held = (0..self.leases.slots()).filter_map(|slot| self.leases.get(slot));
        held.filter(|lease| lease.owner != ConsumerId::NOBODY && !matches!(lease.state, State::Ended(_))).map(|lease| {
            let id = TaskId { due_ms: lease.id_due_ms, group: self.group, sequence: lease.key.sequence };
            (lease.owner, ((self.lanes[lease.lane].name.clone(), id, lease.token), lease.ends_ms))
        })
    }

    /// Takes over what the leader before has left behind; call it before anything else. A consumer gets its leases when it comes, see
    /// [`Engine::resume`]; those of one that does not come last until they lapse.
    pub fn inherit(&mut self, estate: Estate, now: Now) {
        for heirloom in estate.leases {
            if self.leases.find(heirloom.key.sequence).is_some() {
                continue;
            }
            let Heirloom { namespace, key, id_due_ms, token, left_ms, lease_ms, attempts, rewritten, consumer, nth, given_back } =
                heirloom;
            let known = self.lanes_by_name.contains_key(&namespace);
            let l = self.lane(&namespace);
            if !known {
                // How long a retry waits is the namespace's to say.
                self.load_later(l, None);
            }
            let ends_ms = now.mono_ms.saturating_add(left_ms);
            let lease =
                Lease { id_due_ms, lease_ms, attempts, rewritten, owner: consumer, nth, ..Lease::new(key, token, ends_ms, l) };
            let slot = self.leases.insert(lease, &mut self.lanes[l].leases);
            if given_back {
                self.end(slot, Why::GivenBack);
            } else {
                self.timers.arm(&mut self.leases, slot, ends_ms);
            }
            self.lanes[l].delivered_max = self.lanes[l].delivered_max.max(key);
            if consumer != ConsumerId::NOBODY {
                self.orphans.entry(consumer).or_default().push((slot, token));
            }
        }
    }

    /// The consumer had the name `before` at the leader before, and got `received` deliveries under it: those are its own again. What did not
    /// reach it is given back.
    pub fn resume(&mut self, consumer: ConsumerId, before: ConsumerId, received: u64) {
        let Some(&c) = self.consumers_by_id.get(&consumer) else { return };
        for (slot, token) in self.orphans.remove(&before).unwrap_or_default() {
            let Some(lease) = self.leases.get(slot).filter(|lease| lease.token == token) else { continue };
            match (lease.state, lease.nth <= received) {
                (State::Leased, false) => self.undo(slot),
                (State::Ended(_), _) => {}
                _ => self.own(slot, c),
            }
        }
    }

    /// A consumer takes nothing more, and `received` deliveries have reached it: the others are given back. Nobody may know of those.
    pub fn not_received(&mut self, consumer: ConsumerId, received: u64) {
        self.leased_to(consumer, |lease| lease.nth > received).into_iter().for_each(|slot| self.undo(slot));
    }

    /// A consumer takes nothing more, and its client was sent no delivery with a token above this one: those are given back, also when leaders
    /// before made them. `late`: its stream may have some of them and send them all the same, so that they are over is written.
    pub fn not_sent(&mut self, consumer: ConsumerId, token: u64, late: bool) {
        for slot in self.leased_to(consumer, |lease| lease.token > token) {
            match late {
                true => self.end(slot, Why::GivenBack),
                false => self.undo(slot),
            }
        }
    }

    /// What a consumer has of some of its deliveries.
    pub(super) fn leased_to(&self, consumer: ConsumerId, some: impl Fn(&Lease) -> bool) -> Vec<u32> {
        let mut found = Vec::new();
        let mut slot = self.consumers_by_id.get(&consumer).map_or(NONE, |c| self.consumers[*c].leases.head);
        while slot != NONE {
            let lease = self.leases.at(slot);
            if lease.state == State::Leased && some(lease) {
                found.push(slot);
            }
            slot = lease.after(BY_CONSUMER);
        }
        found
    }

    /// The consumer has this delivery, and has had it before.
    pub(super) fn own(&mut self, slot: u32, c: u32) {
        let consumer = &mut self.consumers[c];
        let lease = self.leases.at_mut(slot);
        (lease.consumer, lease.owner, lease.nth) = (c, consumer.id, 0);
        lease.links[BY_CONSUMER] = Link::ALONE;
        self.leases.link_consumer(&mut consumer.leases, slot);
    }
}
