//! Who gets what: lanes take turns, and within a lane its consumers do.

use z4_model::ids::{TaskId, TaskKey};
use z4_model::rows::record::Head;

use super::action::Action;
use super::engine::Engine;
use super::flow::weight;
use super::lane::Consumer;
use super::lease::{BY_CONSUMER, BY_LANE, Lease};
use super::now::Now;
use crate::shard::api::Delivered;

impl Engine {
    /// Gives every lane and every consumer that has something to do its turns, until nothing is left or the run is long enough.
    pub(super) fn dispatch(&mut self, now: Now) {
        let mut left = self.limits.run_tasks;
        while left > 0 {
            let mut served = 0;
            let lane = self.ready.pop_front();
            if let Some(l) = lane
                && let Some(lane) = self.lanes.get_mut(l)
            {
                lane.queued = false;
                served += self.turn(l, now);
            }
            let puller = self.pulling.pop_front();
            if let Some(c) = puller {
                served += self.pull(c, now);
            }
            if lane.is_none() && puller.is_none() {
                break;
            }
            left = left.saturating_sub(served.max(1));
        }
        while let Some(c) = self.outs.pop() {
            self.flush(c);
        }
    }

    /// Serves the lane that has waited longest for this consumer.
    fn pull(&mut self, c: u32, now: Now) -> usize {
        let Some(consumer) = self.consumers.get_mut(c) else { return 0 };
        consumer.pulling = false;
        if self.parks(c) {
            return 0;
        }
        let Some(l) = self.consumers[c].waiting.pop_front() else { return 0 };
        self.lanes[l].ring.push_front((c, self.consumers[c].serial));
        let served = self.turn(l, now);
        self.pull_later(c);
        served
    }

    /// One batch for the consumer whose turn it is; then looks at what the lane needs next. Returns how many tasks went.
    fn turn(&mut self, l: u32, now: Now) -> usize {
        let (mut served, floor) = (0, self.floor());
        if self.lanes[l].is_open() && self.lanes[l].is_due(floor, now.wall_ms) {
            if !self.holds.is_empty() {
                self.set_held_aside(l, now.wall_ms);
            }
            if let Some(c) = self.next_consumer(l) {
                served = self.serve(l, c, now);
                let lane = &mut self.lanes[l];
                let place = lane.ring.pop_front();
                if self.consumers[c].waiting.is_empty() {
                    lane.ring.extend(place);
                } else {
                    // Others wait for this consumer: this lane goes behind them.
                    self.consumers[c].waiting.push_back(l);
                    self.pull_later(c);
                }
            }
        }
        self.refill(l, now.wall_ms);
        let lane = &self.lanes[l];
        if lane.is_open() && lane.is_due(floor, now.wall_ms) && !lane.ring.is_empty() {
            self.enqueue(l);
        }
        served
    }

    /// The first consumer of the ring that accepts something; those before it wait for a kick.
    fn next_consumer(&mut self, l: u32) -> Option<u32> {
        loop {
            let (c, serial) = *self.lanes[l].ring.front()?;
            if self.consumers.get(c).is_none_or(|consumer| consumer.serial != serial) {
                let lane = &mut self.lanes[l];
                lane.ring.pop_front();
                lane.ring_gone = lane.ring_gone.saturating_sub(1);
                continue;
            }
            if !self.parks(c) {
                return Some(c);
            }
            self.lanes[l].ring.pop_front();
            self.consumers[c].waiting.push_back(l);
        }
    }

    /// The consumer accepts nothing: it is parked until it is kicked.
    fn parks(&mut self, c: u32) -> bool {
        let Consumer { id, flow, .. } = &self.consumers[c];
        let parks = !flow.accepts() && flow.park();
        if parks && flow.wants() {
            self.actions.push(Action::Want { consumer: *id });
        }
        parks
    }

    /// Takes held rows from the part of the window that would be served now.
    fn set_held_aside(&mut self, l: u32, now_ms: u64) {
        let floor = self.floor();
        let lane = &mut self.lanes[l];
        let due = lane.window.iter_from(floor).map(|(key, _)| *key).take_while(|key| key.due_ms <= now_ms);
        let held: Vec<TaskKey> = due.take(self.limits.batch_tasks).filter(|key| self.holds.has(key.sequence)).collect();
        let before = lane.window.bytes();
        for key in held {
            if let Some(row) = lane.window.remove(key) {
                self.holds.keep(&lane.name, key, row);
            }
        }
        self.window_bytes -= before - lane.window.bytes();
    }

    /// Leases due rows from the head of the lane's window to the consumer, as far as a batch, its credit and its room go.
    fn serve(&mut self, l: u32, c: u32, now: Now) -> usize {
        let floor = self.floor();
        let lane = &mut self.lanes[l];
        let consumer = &mut self.consumers[c];
        let room = consumer.flow.room().min(self.limits.batch_bytes);
        let (mut wanted, mut bytes) = (0, 0);
        for (key, row) in lane.window.iter_from(floor).take(self.limits.batch_tasks) {
            if key.due_ms > now.wall_ms || bytes >= room || self.holds.has(key.sequence) {
                break;
            }
            wanted += 1;
            bytes += weight(row);
        }
        let granted = consumer.flow.try_take(wanted);
        let lease_ms = if consumer.lease_ms == 0 { lane.settings.lease_ms } else { consumer.lease_ms };
        let ends_ms = now.mono_ms.saturating_add(u64::from(lease_ms));
        let deadline_ms = now.wall_ms.saturating_add(u64::from(lease_ms));
        let (mut served, mut taken, mut damaged) = (0, 0, 0);
        while served + damaged < granted {
            let Some((key, row)) = lane.window.pop_first_from(floor) else { break };
            taken += weight(&row);
            let head = match Head::decode(&row) {
                Ok(head) => head,
                Err(cause) => {
                    damaged += 1;
                    taken -= weight(&row);
                    self.window_bytes -= weight(&row);
                    self.actions.push(Action::Damaged { namespace: lane.name.clone(), key, cause });
                    continue;
                }
            };
            let token = self.next_token;
            self.next_token += 1;
            consumer.given += 1;
            let lease = Lease {
                id_due_ms: head.id_due_ms,
                consumer: c,
                lease_ms,
                owner: consumer.id,
                nth: consumer.given,
                attempts: head.attempts,
                rewritten: head.rewritten,
                ..Lease::new(key, token, ends_ms, l)
            };
            let slot = self.leases.insert(lease, &mut lane.leases);
            self.leases.link_consumer(&mut consumer.leases, slot);
            self.timers.arm(&mut self.leases, slot, ends_ms);
            lane.delivered_max = lane.delivered_max.max(key);
            consumer.out.push(Delivered {
                namespace: lane.name.clone(),
                id: TaskId { due_ms: head.id_due_ms, group: self.group, sequence: key.sequence },
                key,
                row,
                attempt: head.attempts.saturating_add(1),
                token,
                deadline_ms,
            });
            served += 1;
        }
        self.window_bytes -= taken;
        consumer.flow.queue(taken);
        if damaged > 0 {
            // The shell is about to stop over the damage: nobody needs the kick.
            let _ = consumer.flow.give_back(damaged);
        }
        self.put_out(c, taken);
        served as usize
    }

    /// Flushes a delivery that is large enough, or remembers to flush it at the end of the run.
    fn put_out(&mut self, c: u32, bytes: usize) {
        let consumer = &mut self.consumers[c];
        if consumer.out.is_empty() {
            return;
        }
        if consumer.out_bytes == 0 {
            self.outs.push(c);
        }
        consumer.out_bytes += bytes;
        let full = consumer.out.len() + self.limits.batch_tasks > self.limits.deliver_tasks;
        if full || consumer.out_bytes >= self.limits.deliver_bytes {
            self.flush(c);
        }
    }

    fn flush(&mut self, c: u32) {
        let consumer = &mut self.consumers[c];
        consumer.out_bytes = 0;
        if !consumer.out.is_empty() {
            let tasks = std::mem::take(&mut consumer.out);
            self.actions.push(Action::Deliver { consumer: consumer.id, tasks });
        }
    }

    /// Takes an ended delivery out of every list. Returns its lane.
    pub(super) fn remove_lease(&mut self, slot: u32) -> u32 {
        let (l, c) = (self.leases.at(slot).lane, self.leases.at(slot).consumer);
        self.leases.unlink(BY_LANE, &mut self.lanes[l].leases, slot);
        if let Some(consumer) = self.consumers.get_mut(c) {
            self.leases.unlink(BY_CONSUMER, &mut consumer.leases, slot);
        }
        self.leases.remove(slot);
        l
    }
}
