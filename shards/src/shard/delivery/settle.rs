//! How deliveries end: settled by the consumer, expired, lost, or overtaken by a change of the task.

use bytes::Bytes;
use z4_model::command::{Ended, Op};
use z4_model::ids::{DUE_MS_MAX, Namespace, TaskId};

use super::action::{Action, Claim, Finish, Step};
use super::engine::Engine;
use super::lease::{State, Why};
use super::now::Now;
use crate::shard::api::{Settle, SettleError, Verdict};

/// How soon a lease whose end is held up by somebody's change of the task is looked at again, milliseconds.
const HELD_AGAIN_MS: u64 = 100;

impl Engine {
    /// What a consumer says about a delivery. The lease is spent with the proposal; `random` is uniform in 0.0..1.0.
    ///
    /// # Errors
    /// `LeaseLost` when the deadline has passed, or the token is not that of the task's present delivery.
    pub fn settle(&mut self, namespace: &Namespace, settle: &Settle, now: Now, random: f64) -> Result<Step, SettleError> {
        let sequence = settle.id.sequence;
        let Some(slot) = self.leases.find(sequence).filter(|slot| self.is_delivery(*slot, namespace, settle.token)) else {
            return Ok(Step::Unknown);
        };
        let lost = || SettleError::LeaseLost { id: settle.id, token: settle.token };
        let lease = self.leases.at(slot);
        if matches!(settle.verdict, Verdict::GivenUp { .. }) && self.consumers.get(lease.consumer).is_some() {
            return Err(lost());
        }
        match lease.state {
            // It was said before, or the contrary: the outcome decides.
            State::Settling { .. } => return Ok(Step::Wait),
            State::Leased if now.mono_ms < lease.ends_ms => {}
            State::Leased | State::Ended(_) => return Err(lost()),
        }
        if self.lanes[lease.lane].purges > 0 || self.holds.has(sequence) {
            // It came in time, so it counts if nothing comes of the change; the task is nobody else's before that is known.
            let ends_ms = lease.ends_ms.max(now.mono_ms.saturating_add(self.limits.hold_wait_ms));
            self.leases.at_mut(slot).ends_ms = ends_ms;
            self.timers.arm(&mut self.leases, slot, ends_ms);
            return Ok(Step::Wait);
        }
        let lane = &self.lanes[lease.lane];
        let claim = Claim { key: lease.key, token: lease.token };
        let op = match &settle.verdict {
            Verdict::Ack => {
                // The record's id, not the consumer's: its due time was not compared.
                let id = TaskId { due_ms: lease.id_due_ms, group: self.group, sequence: lease.key.sequence };
                Op::Ack { id, key: lease.key, rewritten: lease.rewritten, token: lease.token }
            }
            Verdict::Nack { delay_ms, reason } => {
                let wait_ms = delay_ms.unwrap_or_else(|| lane.settings.backoff_ms(lease.attempts.saturating_add(1), random));
                let due_ms = now.wall_ms.saturating_add(wait_ms).min(DUE_MS_MAX);
                let of = Some(Ended { token: lease.token, nacked: true });
                Op::Retry { key: lease.key, due_ms, error: reason.clone(), of }
            }
            Verdict::Extend { lease_ms } => {
                let lease_ms = if *lease_ms == 0 { lease.lease_ms } else { *lease_ms };
                let ends_ms = now.mono_ms.saturating_add(u64::from(lease_ms));
                self.leases.at_mut(slot).ends_ms = ends_ms;
                self.timers.arm(&mut self.leases, slot, ends_ms);
                return Ok(Step::Extended { deadline_ms: now.wall_ms.saturating_add(u64::from(lease_ms)) });
            }
            Verdict::GivenUp { blamed: false } => Op::GiveBack { key: lease.key, token: lease.token },
            Verdict::GivenUp { blamed: true } => {
                let wait_ms = lane.settings.backoff_ms(lease.attempts.saturating_add(1), random);
                let due_ms = now.wall_ms.saturating_add(wait_ms).min(DUE_MS_MAX);
                let error = Bytes::from_static(Why::ConsumerLost.text().as_bytes());
                Op::Retry { key: lease.key, due_ms, error, of: Some(Ended { token: lease.token, nacked: false }) }
            }
        };
        self.leases.at_mut(slot).state = State::Settling { ack: matches!(settle.verdict, Verdict::Ack) };
        Ok(Step::Propose { op, claim })
    }

    /// The lease in `slot` is the delivery that a consumer names so.
    fn is_delivery(&self, slot: u32, namespace: &Namespace, token: u64) -> bool {
        let lease = self.leases.at(slot);
        lease.token == token && self.lanes[lease.lane].name == *namespace
    }

    /// A proposal ended. What was not done is tried again: a settled delivery is with its consumer again until the deadline (which
    /// was told that nothing was done), the end of a lease is proposed again a little later.
    pub fn finished(&mut self, claim: Claim, finish: Finish, now: Now) {
        // A row that the proposal put elsewhere was seen by `applied` before, which ended the lease; or it is leased anew.
        let Some(slot) = self.leases.find_claim(claim) else { return };
        let lease = self.leases.at_mut(slot);
        let missing = finish == Finish::Refused && lease.alone;
        if finish == Finish::Applied || missing {
            let l = self.remove_lease(slot);
            self.lanes[l].rows_gone += 1;
            self.move_water(l, now.wall_ms);
            self.free_if_idle(l);
            return;
        }
        match lease.state {
            // Its consumer had done with it, whatever became of that.
            State::Settling { .. } if lease.lost => self.end(slot, Why::GivenBack),
            State::Settling { .. } if lease.ends_ms <= now.mono_ms => self.end(slot, Why::Expired),
            State::Settling { .. } => {
                lease.state = State::Leased;
                let ends_ms = lease.ends_ms;
                self.timers.arm(&mut self.leases, slot, ends_ms);
            }
            State::Ended(_) => {
                // One row that is missing must not keep the others of its command from coming again.
                lease.alone = finish == Finish::Refused;
                self.timers.arm(&mut self.leases, slot, now.mono_ms.saturating_add(self.limits.propose_again_ms));
            }
            State::Leased => {}
        }
    }

    /// Call before a delete or update of this task is proposed: from now on what its consumer says waits and it is not delivered, until
    /// [`Engine::release`] ends it. Calls add up.
    pub fn revoke(&mut self, id: TaskId) {
        self.holds.add(id.sequence);
    }

    /// The proposal that [`Engine::revoke`] announced ended, one way or the other, and `applied` saw its effects. A delivery of a task
    /// that did not change is valid again.
    pub fn release(&mut self, namespace: &Namespace, id: TaskId, now_ms: u64) {
        if let Some((key, row)) = self.holds.release(id.sequence) {
            self.put(namespace, key, row, now_ms);
        }
    }

    /// Call before a purge is proposed: [`Engine::revoke`] for all tasks of the namespace.
    pub fn revoke_all(&mut self, namespace: &Namespace) {
        let l = self.lane(namespace);
        self.lanes[l].purges += 1;
    }

    /// The counterpart of [`Engine::revoke_all`].
    pub fn release_all(&mut self, namespace: &Namespace) {
        let Some(l) = self.lanes_by_name.get(namespace).copied() else { return };
        self.lanes[l].purges = self.lanes[l].purges.saturating_sub(1);
        self.enqueue(l);
        self.free_if_idle(l);
    }

    /// The delivery, which never reached its consumer, is over as if it had not been made: the row will be delivered again.
    pub(super) fn undo(&mut self, slot: u32) {
        let key = self.leases.at(slot).key;
        let l = self.remove_lease(slot);
        let lane = &mut self.lanes[l];
        if key < lane.window.horizon() {
            // The row is with the consumer that has gone: a scan brings it again.
            let before = lane.window.bytes();
            lane.window.lower(key);
            self.window_bytes -= before - lane.window.bytes();
        }
        self.enqueue(l);
        self.free_if_idle(l);
    }

    /// The consumer of this delivery is on this peer, and its stream has not sent it.
    pub(super) fn is_unsent(&self, slot: u32) -> bool {
        let lease = self.leases.at(slot);
        // What a stream at another peer has sent is not known soon enough to tell.
        self.consumers.get(lease.consumer).is_some_and(|c| !c.flow.is_remote() && lease.token > c.sent.token())
    }

    /// The delivery is over without the consumer's word; the next run proposes the retry.
    pub(super) fn end(&mut self, slot: u32, why: Why) {
        let lease = self.leases.at_mut(slot);
        lease.state = State::Ended(why);
        // From here on the outcome of the retry decides, not the deadline.
        lease.armed_ms = u64::MAX;
        self.ended.push((slot, lease.token));
    }

    /// Ends the leases whose deadline has passed.
    pub(super) fn expire(&mut self, mono_ms: u64) {
        while let Some(slot) = self.timers.pop_due(&mut self.leases, mono_ms) {
            let lease = self.leases.at(slot);
            match lease.state {
                // Its stream may still send it, late.
                State::Leased if self.is_unsent(slot) => self.end(slot, Why::GivenBack),
                State::Leased => self.end(slot, Why::Expired),
                State::Ended(why) => self.end(slot, why),
                // The outcome of its proposal decides.
                State::Settling { .. } => {}
            }
        }
    }

    /// Proposes the end of every lease that ended, those of a namespace together.
    pub(super) fn propose_ends(&mut self, now: Now, random: &mut dyn FnMut() -> f64) {
        if self.ended.is_empty() {
            return;
        }
        let mut ended = std::mem::take(&mut self.ended);
        ended.retain(|(slot, token)| self.leases.get(*slot).is_some_and(|l| l.token == *token));
        // By namespace, lone ones apart; the sort is stable, so the order of the deadlines stays.
        ended.sort_by_key(|(slot, _)| (self.leases.at(*slot).lane, self.leases.at(*slot).alone));
        let mut rest = &ended[..];
        while let Some((first, _)) = rest.first() {
            let first = self.leases.at(*first);
            let same = rest.iter().take(self.limits.propose_ops).take_while(|(slot, _)| first.goes_with(self.leases.at(*slot)));
            let (some, others) = rest.split_at(same.count().max(1));
            self.propose_some(some, now, random);
            rest = others;
        }
    }

    /// Proposes the ends of leases of one lane.
    fn propose_some(&mut self, ended: &[(u32, u64)], now: Now, random: &mut dyn FnMut() -> f64) {
        let Some(l) = ended.first().map(|(slot, _)| self.leases.at(*slot).lane) else { return };
        let lane = &self.lanes[l];
        let (mut ops, mut claims) = (Vec::with_capacity(ended.len()), Vec::with_capacity(ended.len()));
        for (slot, token) in ended {
            let lease = self.leases.at(*slot);
            let State::Ended(why) = lease.state else { continue };
            let key = lease.key;
            if lane.purges > 0 || self.holds.has(key.sequence) {
                self.timers.arm(&mut self.leases, *slot, now.mono_ms.saturating_add(HELD_AGAIN_MS));
                continue;
            }
            let token = *token;
            ops.push(match why {
                Why::GivenBack => Op::GiveBack { key, token },
                Why::Expired | Why::ConsumerLost => {
                    let wait_ms = lane.settings.backoff_ms(lease.attempts.saturating_add(1), random());
                    let due_ms = now.wall_ms.saturating_add(wait_ms).min(DUE_MS_MAX);
                    let (error, of) = (Bytes::from_static(why.text().as_bytes()), Some(Ended { token, nacked: false }));
                    Op::Retry { key, due_ms, error, of }
                }
            });
            claims.push(Claim { key, token });
        }
        if !ops.is_empty() {
            self.actions.push(Action::Propose { namespace: lane.name.clone(), ops, claims });
        }
    }

    /// Proposes a new low-water mark when enough rows went since the last one that skipping their tombstones pays.
    fn move_water(&mut self, l: u32, now_ms: u64) {
        let some = self.limits.water_rows / 100;
        let lane = &mut self.lanes[l];
        // Held rows are in no list: wait until this namespace has none.
        if lane.rows_gone < lane.water_check || self.holds.keeps_any_of(&lane.name) {
            return;
        }
        lane.water_check = lane.rows_gone + some;
        let mut first = lane.window.horizon();
        if let Some(key) = lane.window.first() {
            first = first.min(key);
        }
        if let Some(lease) = self.leases.get(lane.leases.head) {
            first = first.min(lease.key);
        }
        let due_ms = first.due_ms.min(now_ms);
        let many = lane.rows_gone >= self.limits.water_rows;
        let far = due_ms > lane.water_ms.saturating_add(self.limits.water_step_ms);
        if many || far {
            lane.rows_gone = 0;
            lane.water_check = some;
        }
        if due_ms > lane.water_ms && (many || far) {
            lane.water_ms = due_ms;
            let ops = vec![Op::LowWater { due_ms }];
            self.actions.push(Action::Propose { namespace: lane.name.clone(), ops, claims: Vec::new() });
        }
    }
}
