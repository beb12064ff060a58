//! Deliveries of earlier leaders whose consumers still hold them.
//!
//! After a change of leader that told nothing of leases, nobody knows which of the tasks that were due before are with a consumer. So
//! they wait for a while, and consumers claim what they hold: by naming it when they open a stream, or with an ack, a nack or an
//! extension. What has become due since cannot have been delivered, and does not wait.

use super::action::{Action, ConsumerId};
use super::engine::Engine;
use super::lease::{BY_CONSUMER, Lease, State};
use super::now::Now;
use crate::command::TaskRow;
use crate::ids::{Namespace, TaskId, TaskKey};

/// What becomes of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The delivery goes on, under its token.
    Ours,
    /// There is no such task any more: it was settled, or somebody removed it.
    Gone,
    /// Somebody else has the task, or it is to be delivered again later.
    Refused,
}

/// What was due before waits.
#[derive(Clone, Copy)]
pub(super) struct Grace {
    /// By the monotonic clock, milliseconds.
    pub(super) ends_ms: u64,
    floor: TaskKey,
}

impl Engine {
    /// Nothing is known of the leases of the leader before: what is due already waits for claims.
    pub fn await_claims(&mut self, now: Now) {
        let ends_ms = now.mono_ms.saturating_add(self.limits.claim_grace_ms);
        self.grace = Some(Grace { ends_ms, floor: TaskKey::at(now.wall_ms) });
    }

    /// Rows before this one wait.
    pub(super) fn floor(&self) -> TaskKey {
        self.grace.map_or(TaskKey::MIN, |grace| grace.floor)
    }

    /// Lets go what waited long enough.
    pub(super) fn end_grace(&mut self, mono_ms: u64) {
        if self.grace.is_some_and(|grace| grace.ends_ms <= mono_ms) {
            self.grace = None;
            let lanes: Vec<u32> = self.lanes.numbers().collect();
            lanes.into_iter().for_each(|l| self.enqueue(l));
        }
    }

    /// The token is of an earlier leader.
    pub(super) fn is_older(&self, token: u64) -> bool {
        token > 0 && token < self.first_token
    }

    /// Somebody holds a delivery of an earlier leader: `consumer`, or [`ConsumerId::NOBODY`], one without a stream. `row`: the task, `None`:
    /// it is gone; read since every earlier effect was told and before any later one.
    pub fn claim(
        &mut self,
        namespace: &Namespace,
        (id, token): (TaskId, u64),
        row: Option<&TaskRow>,
        consumer: ConsumerId,
        now: Now,
    ) -> Claimed {
        let c = self.consumers_by_id.get(&consumer).copied();
        if let Some(slot) = self.leases.find(id.sequence) {
            let lease = self.leases.at(slot);
            let (ours, whose) = (lease.token == token, lease.consumer);
            // Who knows the token has the delivery, also when the stream before has not ended here yet.
            if ours
                && lease.state == State::Leased
                && let Some(c) = c
                && c != whose
            {
                if let Some(before) = self.consumers.get_mut(whose) {
                    self.leases.unlink(BY_CONSUMER, &mut before.leases, slot);
                }
                self.own(slot, c);
            }
            return if ours { Claimed::Ours } else { Claimed::Refused };
        }
        let Some(TaskRow { key, dead, record, .. }) = row else { return Claimed::Gone };
        let key = *key;
        if !self.is_older(token) || *dead || key.due_ms > now.wall_ms {
            return Claimed::Refused;
        }
        let known = self.lanes_by_name.contains_key(namespace);
        let l = self.lane(namespace);
        if !known {
            self.actions.push(Action::Load { namespace: namespace.clone() });
        }
        let lane = &mut self.lanes[l];
        let before = lane.window.bytes();
        lane.window.remove(key);
        self.window_bytes -= before - lane.window.bytes();
        self.holds.forget_row(key.sequence);
        let asked_ms = c.map_or(0, |c| self.consumers[c].lease_ms);
        let lease_ms = if asked_ms == 0 { lane.settings.lease_ms } else { asked_ms };
        let ends_ms = now.mono_ms.saturating_add(u64::from(lease_ms));
        let lease = Lease {
            id_due_ms: record.id_due_ms,
            lease_ms,
            attempts: record.attempts,
            rewritten: record.rewritten,
            ..Lease::new(key, token, ends_ms, l)
        };
        let slot = self.leases.insert(lease, &mut lane.leases);
        lane.delivered_max = lane.delivered_max.max(key);
        self.timers.arm(&mut self.leases, slot, ends_ms);
        if let Some(c) = c {
            self.own(slot, c);
        }
        Claimed::Ours
    }
}
