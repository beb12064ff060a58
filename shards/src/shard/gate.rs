//! Deliveries that wait for a consumer to take them, in the account of memory of whoever its connection is.
//!
//! They are charged when they are handed over. A consumer whose connection has more than its part then gets no more until it has some again:
//! its gate closes. One to whom something is handed when everything is used up is ended, and what it had not taken is given back.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};

use crate::account::{Full, Holder, Share};
use crate::shard::api::Delivered;
use crate::shard::delivery::{Flow, weight};

/// Until a consumer has taken something for the first time, it gets so much: one that does not read holds a task or some.
const NARROW_BYTES: usize = 64 << 10;

const OPEN: u8 = 0;
/// Nothing was taken yet.
const NARROW: u8 = 1;
const CLOSED: u8 = 2;
/// Somebody is about to open or to close it.
const MOVING: u8 = 3;

/// One consumer's, shared by its stream and its groups.
#[derive(Debug, Default)]
pub struct Gate {
    memory: Option<Holder>,
    state: AtomicU8,
    /// Room of the flow that nobody has while it is not open, bytes.
    ballast: AtomicUsize,
    cut: AtomicBool,
}

impl Gate {
    /// The gate of a flow. `memory`: who is charged; `None`: nobody, and it stays open.
    pub fn new(memory: Option<Holder>, flow: &Flow) -> Self {
        let gate = Gate { memory, ..Gate::default() };
        let ballast = flow.queued_bytes_max().saturating_sub(NARROW_BYTES);
        if gate.memory.is_some() && ballast > 0 {
            flow.queue(ballast);
            gate.ballast.store(ballast, SeqCst);
            gate.state.store(NARROW, SeqCst);
        }
        gate
    }

    /// Deliveries are handed over: the charge for them, until they were taken.
    ///
    /// # Errors
    /// Everything is used up: they must not be handed over.
    pub fn charge(&self, tasks: &[Delivered], flow: &Flow) -> Result<Option<Share>, Full> {
        let Some(memory) = &self.memory else { return Ok(None) };
        let bytes = tasks.iter().map(|task| weight(&task.row)).sum();
        match memory.take(bytes) {
            Ok(share) => Ok(Some(share)),
            Err(full) if full.is_used_up() => {
                self.cut.store(true, SeqCst);
                Err(full)
            }
            Err(_) => {
                let share = memory.count(bytes);
                self.close(flow);
                Ok(Some(share))
            }
        }
    }

    fn moves_from(&self, state: u8) -> bool {
        self.state.compare_exchange(state, MOVING, SeqCst, SeqCst).is_ok()
    }

    fn close(&self, flow: &Flow) {
        if self.moves_from(OPEN) || self.moves_from(NARROW) {
            flow.queue(flow.queued_bytes_max());
            self.ballast.fetch_add(flow.queued_bytes_max(), SeqCst);
            self.state.store(CLOSED, SeqCst);
        }
    }

    /// Everything was used up: what has not been taken is not the consumer's any more.
    pub fn is_cut(&self) -> bool {
        self.cut.load(SeqCst)
    }

    /// Nothing comes through.
    pub fn is_closed(&self) -> bool {
        self.state.load(SeqCst) >= CLOSED
    }

    /// Something was taken, or nothing is there to be taken: opens it when the connection has no more than its part. `true`: kick the engines.
    #[must_use = "a parked engine waits for a kick"]
    pub fn open(&self, flow: &Flow) -> bool {
        if self.state.load(SeqCst) == OPEN || !self.memory.as_ref().is_none_or(Holder::has_room) {
            return false;
        }
        if !self.moves_from(CLOSED) && !self.moves_from(NARROW) {
            return false;
        }
        let kick = flow.took_bytes(self.ballast.swap(0, SeqCst));
        self.state.store(OPEN, SeqCst);
        kick
    }
}

#[cfg(test)]
mod tests {
    //! A consumer that does not read must not take the memory of those who do, and one whose gate never opens again gets nothing for ever.
    use bytes::Bytes;
    use z4_model::ids::{GroupId, Namespace, TaskId, TaskKey};

    use super::*;
    use crate::account::{Account, CLIENT_PARTS};

    fn task(bytes: usize) -> Delivered {
        let (key, id) = (TaskKey { due_ms: 1, sequence: 1 }, TaskId { due_ms: 1, group: GroupId(1), sequence: 1 });
        let namespace = Namespace::new("a").expect("valid");
        Delivered { namespace, id, key, row: Bytes::from(vec![0; bytes]), attempt: 1, token: 1, deadline_ms: 9 }
    }

    #[test]
    fn a_gate_closes_beyond_its_part_and_opens_again() {
        let account = Account::new(8 << 20);
        let connection = account.holder(CLIENT_PARTS);
        let flow = Flow::new(1 << 20);
        let gate = Gate::new(Some(connection), &flow);
        let _ = flow.add_credit(10);
        let room = || flow.queued_bytes_max() as i64 - flow.queued_bytes() as i64;
        assert!(room() == NARROW_BYTES as i64 && !gate.is_closed(), "little at first");
        let charge = |bytes: usize| gate.charge(&[task(bytes)], &flow);
        drop(charge(1_000).expect("there is room"));
        assert!(!gate.open(&flow) && room() == 1 << 20, "what was taken opens it; nobody was parked");
        let first = charge(1 << 20).expect("its part");
        assert!(!gate.is_closed());
        let second = charge(1 << 20).expect("one above its part");
        assert!(gate.is_closed() && !flow.accepts(), "nothing more comes");
        assert!(!gate.open(&flow), "it has taken nothing");
        drop(first);
        assert!(flow.park());
        assert!(gate.open(&flow) && flow.accepts() && flow.queued_bytes() == 0, "what parked is kicked");
        drop(second);
        assert_eq!((account.used(), gate.open(&flow)), (0, false));
    }

    #[test]
    fn nothing_is_handed_over_when_everything_is_used_up() {
        let account = Account::new(8 << 20);
        let others = account.holder(1).count(6 << 20);
        let flow = Flow::new(1 << 20);
        let gate = Gate::new(Some(account.holder(CLIENT_PARTS)), &flow);
        assert!(gate.charge(&[task(1_000)], &flow).is_ok(), "little comes from the reserve");
        let full = gate.charge(&[task(100_000)], &flow).expect_err("nothing is left");
        assert!(full.is_used_up() && gate.is_cut(), "{full}");
        drop(others);
        let gate = Gate::new(Some(account.holder(CLIENT_PARTS)), &flow);
        assert!(gate.charge(&[task(100_000)], &flow).is_ok_and(|share| share.is_some()));
        let free = Gate::new(None, &flow);
        assert!(free.charge(&[task(100_000)], &flow).is_ok_and(|share| share.is_none()), "nobody is charged");
    }
}
