//! Deliveries of earlier leaders whose consumers still hold them.
//!
//! After a change of leader that told nothing of leases, nobody knows which of the tasks that were due before are with a consumer. So
//! they wait for a while, and consumers claim what they hold: by naming it when they open a stream, or with an ack, a nack or an
//! extension. What has become due since cannot have been delivered, and does not wait.
//!
//! At most one delivery of a task can be claimed, the latest one, however many leaders made some: the end of each that a consumer may know
//! of is in the log before the next one is made, in the row (its fence), or for all that nobody claimed ([`Op::EndClaims`]).

use super::action::{Action, ConsumerId};
use super::engine::Engine;
use super::lease::{BY_CONSUMER, Lease, State};
use super::now::Now;
use crate::command::{Op, TaskRow};
use crate::ids::{Namespace, TaskId, TaskKey};
use crate::machine::{Claimable, registry};

/// Tokens in one part of the end of claims: some 50 KiB.
const KEPT_PER_PART: usize = 16_384;

/// And so many parts at most.
const KEPT_PARTS_MAX: usize = 16;

/// What becomes of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The delivery goes on, under its token.
    Ours,
    /// It was settled: acked (`true`), or nacked.
    Settled(bool),
    /// There is no such task any more: it was settled, or somebody removed it.
    Gone,
    /// Somebody else has the task, or it is to be delivered again later.
    Refused,
}

/// What the partition knows of a delivery, read since every earlier effect was told and before any later one.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// It was settled: acked (`true`), or nacked.
    Settled(bool),
    /// The task; `None`: it is gone, or [`Engine::may_claim`] said that it does not matter.
    Task(Option<TaskRow>),
}

/// What was due before waits.
#[derive(Clone, Copy)]
pub(super) struct Grace {
    /// By the monotonic clock, milliseconds.
    pub(super) ends_ms: u64,
    floor: TaskKey,
}

impl Engine {
    /// Nothing is known of the leases of the leader before: what is due already waits for claims, of deliveries that are `claimable`.
    pub fn await_claims(&mut self, claimable: Claimable, now: Now) {
        self.claimable = claimable;
        let ends_ms = now.mono_ms.saturating_add(self.limits.claim_grace_ms);
        self.grace = Some(Grace { ends_ms, floor: TaskKey::at(now.wall_ms) });
    }

    /// Another replica has an estate that is this leadership's again: nothing is delivered before the log has gone past it.
    pub fn void_estate(&mut self, now: Now) {
        self.grace = Some(Grace { ends_ms: now.mono_ms, floor: TaskKey::MAX });
    }

    /// Rows before this one wait.
    pub(super) fn floor(&self) -> TaskKey {
        self.grace.map_or(TaskKey::MIN, |grace| grace.floor)
    }

    /// What was due before this leadership waits for claims.
    pub fn awaits_claims(&self) -> bool {
        self.grace.is_some()
    }

    /// What waited long enough is let go when the log knows which deliveries go on.
    pub(super) fn end_grace(&mut self, mono_ms: u64) {
        let Some(grace) = self.grace.as_mut().filter(|grace| grace.ends_ms <= mono_ms) else { return };
        // Once more after a while, should nothing come of it.
        grace.ends_ms = mono_ms.saturating_add(self.limits.propose_again_ms);
        let below = self.first_token;
        let leases = (0..self.leases.slots()).filter_map(|slot| self.leases.get(slot));
        let goes_on = leases.filter(|lease| lease.token < below && !matches!(lease.state, State::Ended(_)));
        let mut kept: Vec<u64> = goes_on.map(|lease| lease.token).collect();
        kept.sort_unstable();
        // The latest: of those left out only the next leader's claims are refused.
        let mut parts: Vec<&[u64]> = kept.rchunks(KEPT_PER_PART).take(KEPT_PARTS_MAX).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let last = parts.len() - 1;
        for (part, kept) in parts.into_iter().enumerate() {
            let ops = vec![Op::EndClaims { below, kept: kept.to_vec(), more: part < last }];
            self.actions.push(Action::Propose { namespace: registry::namespace(), ops, claims: Vec::new() });
        }
    }

    /// It is written which deliveries go on, by the leader whose tokens begin with `below`.
    pub(super) fn claims_ended(&mut self, below: u64) {
        if below == self.first_token && self.grace.take().is_some() {
            let lanes: Vec<u32> = self.lanes.numbers().collect();
            lanes.into_iter().for_each(|l| self.enqueue(l));
        }
    }

    /// The token is of a delivery of an earlier leader that may be going on. Else its row does not matter to [`Engine::claim`].
    pub fn may_claim(&self, token: u64) -> bool {
        token > 0 && token < self.first_token && self.claimable.allows(token)
    }

    /// Somebody holds a delivery of which nothing is known here: `consumer`, or [`ConsumerId::NOBODY`], one without a stream.
    pub fn claim(
        &mut self,
        namespace: &Namespace,
        (id, token): (TaskId, u64),
        known: &Known,
        consumer: ConsumerId,
        now: Now,
    ) -> Claimed {
        let c = self.consumers_by_id.get(&consumer).copied();
        let row = match known {
            Known::Settled(acked) => return Claimed::Settled(*acked),
            Known::Task(row) => row,
        };
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
        if !self.may_claim(token) {
            return Claimed::Refused;
        }
        let Some(TaskRow { key, dead, record, .. }) = row else { return Claimed::Gone };
        let key = *key;
        if token <= record.fence || *dead || key.due_ms > now.wall_ms {
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
