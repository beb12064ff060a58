//! Deliveries of earlier leaders whose consumers still hold them.
//!
//! After a change of leader that told nothing of leases, nobody knows which of the tasks that were due before are with a consumer. So
//! they wait for a while, and consumers claim what they hold: by naming it when they open a stream, or with an ack, a nack or an
//! extension. A claim that came in time and is being looked up when the while is over is waited for, as long again at most. What has become due
//! since cannot have been delivered, and does not wait.
//!
//! What was due is a matter of two leaders' clocks. They differ by no more than [`clocks_differ_ms`](super::Limits::clocks_differ_ms), so
//! a task that is due within it may be with a consumer: it can be claimed, and waits for that, unless it was made since. Beyond that bound (the
//! clocks of a majority, or of a lone peer, were set back between two leaderships) a task that is out is delivered once more when it is due, and
//! the older token is refused from then on. Should that happen within the grace, and the leader go without a word before the grace is over, then
//! whichever of the two is claimed first at the next leader goes on, and the other one is refused.
//!
//! At most one delivery of a task can be claimed, the latest one, however many leaders made some: the end of each that a consumer may know
//! of is in the log before the next one is made, in the row (its fence), or for all that nobody claimed ([`Op::EndClaims`]). Once that is
//! proposed a claim is judged by what it says, here as at the next leader.

use z4_model::command::Op;
use z4_model::ids::{Namespace, TaskId, TaskKey};
use z4_model::machine::{Claimable, RESERVED_SEQUENCE};
use z4_model::rows::registry;
use z4_model::rows::task::TaskRow;

use super::action::{Action, ConsumerId};
use super::engine::Engine;
use super::lease::{BY_CONSUMER, Lease, State};
use super::now::Now;

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

impl Claimed {
    /// In one word, for metrics.
    pub fn outcome(self) -> &'static str {
        match self {
            Claimed::Ours => "kept",
            Claimed::Settled(_) => "settled",
            Claimed::Gone => "gone",
            Claimed::Refused => "refused",
        }
    }
}

/// What the partition knows of a delivery, read since every earlier effect was told and before any later one.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// It was settled: acked (`true`), or nacked.
    Settled(bool),
    /// The task; `None`: it is gone, or [`Engine::may_claim`] said that it does not matter.
    Task(Option<TaskRow>),
}

/// Where the sequences of what is made in a leadership begin, of both kinds (see [`RESERVED_SEQUENCE`]).
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Those that are assigned when a create is applied.
    pub assigned: u64,
    /// Those that a leader reserves.
    pub reserved: u64,
}

/// Which rows wait for claims. What an earlier leader may have delivered does.
#[derive(Clone, Copy)]
pub(super) struct Floor {
    /// Rows before this one wait.
    due: TaskKey,
    /// Those before this one as well, but for what was made since: it cannot have been delivered, whatever the clocks say.
    nearly_due: TaskKey,
    made: Made,
}

impl Floor {
    /// Nothing waits.
    const NONE: Floor = Floor::at(TaskKey::MIN);

    /// Every row before this one waits.
    const fn at(key: TaskKey) -> Self {
        Floor { due: key, nearly_due: key, made: Made { assigned: u64::MAX, reserved: u64::MAX } }
    }

    /// No row before this one is let through.
    pub(super) fn first(&self) -> TaskKey {
        self.due
    }

    /// No row from this one on waits.
    pub(super) fn end(&self) -> TaskKey {
        self.nearly_due
    }

    /// The row does not wait.
    pub(super) fn lets(&self, key: TaskKey) -> bool {
        key >= self.nearly_due || (key >= self.due && self.made.has(key.sequence))
    }
}

impl Made {
    fn has(&self, sequence: u64) -> bool {
        sequence >= if sequence & RESERVED_SEQUENCE == 0 { self.assigned } else { self.reserved }
    }
}

/// What was due before waits.
#[derive(Clone, Copy)]
pub(super) struct Grace {
    /// Claims that come before are in time. By the monotonic clock, as all that follow, milliseconds.
    ends_ms: u64,
    /// Until then those are waited for at most.
    latest_ms: u64,
    /// The end was proposed; then it is proposed again.
    again_ms: Option<u64>,
    /// So many that came in time are being looked up.
    coming: usize,
    floor: Floor,
}

impl Grace {
    fn new(ends_ms: u64, latest_ms: u64, floor: Floor) -> Self {
        Grace { ends_ms, latest_ms, again_ms: None, coming: 0, floor }
    }

    /// When its end is to be proposed.
    pub(super) fn end_ms(&self) -> u64 {
        self.again_ms.unwrap_or(if self.coming > 0 { self.latest_ms } else { self.ends_ms })
    }
}

impl Engine {
    /// Nothing is known of the leases of the leader before: what is due already, or nearly, waits for claims, of deliveries that are
    /// `claimable`.
    pub fn await_claims(&mut self, claimable: Claimable, made: Made, now: Now) {
        self.claimable = claimable;
        let ends_ms = now.mono_ms.saturating_add(self.limits.claim_grace_ms);
        let latest_ms = ends_ms.saturating_add(self.limits.claim_grace_ms);
        let nearly_due = TaskKey::at(now.wall_ms.saturating_add(self.limits.clocks_differ_ms));
        self.grace = Some(Grace::new(ends_ms, latest_ms, Floor { due: TaskKey::at(now.wall_ms), nearly_due, made }));
    }

    /// Another replica has an estate that is this leadership's again: nothing is delivered before the log has gone past it.
    pub fn void_estate(&mut self, now: Now) {
        self.grace = Some(Grace::new(now.mono_ms, now.mono_ms, Floor::at(TaskKey::MAX)));
    }

    /// Which rows wait.
    pub(super) fn floor(&self) -> Floor {
        self.grace.map_or(Floor::NONE, |grace| grace.floor)
    }

    /// What was due before this leadership waits for claims.
    pub fn awaits_claims(&self) -> bool {
        self.grace.is_some()
    }

    /// Claims have come and are looked up. `true`: in time, so the grace goes on until [`Engine::claims_made`] was called, after
    /// [`Engine::claim`]; once for each `true`.
    pub fn claims_come(&mut self, now: Now) -> bool {
        let grace = self.grace.as_mut().filter(|grace| grace.again_ms.is_none() && now.mono_ms < grace.ends_ms);
        grace.map(|grace| grace.coming += 1).is_some()
    }

    /// Claims that came in time were made.
    pub fn claims_made(&mut self) {
        if let Some(grace) = &mut self.grace {
            grace.coming = grace.coming.saturating_sub(1);
        }
    }

    /// What waited long enough is let go when the log knows which deliveries go on.
    pub(super) fn end_grace(&mut self, mono_ms: u64) {
        let Some(grace) = self.grace.as_mut().filter(|grace| grace.end_ms() <= mono_ms) else { return };
        // Once more after a while, should nothing come of it.
        grace.again_ms = Some(mono_ms.saturating_add(self.limits.propose_again_ms));
        let below = self.first_token;
        let leases = (0..self.leases.slots()).filter_map(|slot| self.leases.get(slot));
        let goes_on = leases.filter(|lease| lease.token < below && !matches!(lease.state, State::Ended(_)));
        let mut kept: Vec<u64> = goes_on.map(|lease| lease.token).collect();
        kept.sort_unstable();
        let claimable: Vec<u64> = kept.iter().copied().filter(|token| self.claimable.allows(*token)).collect();
        self.claimable.end(below, &claimable);
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
        // It was due by the clock of whoever delivered it, which may have been ahead.
        let due_at_most_ms = now.wall_ms.saturating_add(self.limits.clocks_differ_ms);
        if token <= record.fence || *dead || key.due_ms > due_at_most_ms {
            return Claimed::Refused;
        }
        let known = self.lanes_by_name.contains_key(namespace);
        let l = self.lane(namespace);
        if !known {
            self.load_later(l, None);
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
