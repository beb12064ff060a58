//! Commands that wait to leave: bounded, in the order in which they came.
//!
//! No namespace can have the whole queue: what it may hold shrinks with the room that is left, so there is always some for others. Commands
//! that end deliveries (acks, nacks, retries) have room of their own beyond it: they make work less, and a lease whose end finds no place
//! holds its task up.

use std::cell::RefCell;
use std::collections::VecDeque;

use z4_model::command::{Command, ENTRY_FIXED_BYTES, Op, Reply, command_bytes_max};
use z4_model::ids::Namespace;
use z4_model::machine::SEQUENCES_PER_INDEX;

use crate::log::ENTRY_BYTES_MAX;
use crate::runtime::maps::HashMap;
use crate::shard::api::{Answered, Rejection};
use crate::shard::batcher::BatchLimits;
use crate::shard::delivery::{Engine, Finish};
use crate::shard::message::Answer;

/// A namespace may have so many times as much in the queue as there is room left: three quarters of it while nobody else wants any.
const SHARE_OF_ROOM: usize = 3;

/// Commands that end deliveries may fill this part of the bounds beyond them: a quarter.
const SETTLING_PART: usize = 4;

/// Operations in one entry: as many creates have their sequences in it, and no other kind may hold up a group for longer.
const ENTRY_OPS_MAX: usize = SEQUENCES_PER_INDEX as usize;

/// What is told of a command's fate, on the executor.
pub enum Done {
    /// This is called.
    Call(Box<dyn FnOnce(Result<Answered<Reply>, Rejection>)>),
    /// This is answered, unless nobody waits for it any more: then the command need not be done, as long as it has not left.
    Answer(Answer<Answered<Reply>>),
}

impl Done {
    /// Has a closure called.
    pub(super) fn call(done: impl FnOnce(Result<Answered<Reply>, Rejection>) + 'static) -> Self {
        Done::Call(Box::new(done))
    }

    pub(super) fn tell(self, result: Result<Answered<Reply>, Rejection>) {
        match self {
            Done::Call(done) => done(result),
            Done::Answer(answer) => {
                // Who waits may have gone.
                let _ = answer.send(result);
            }
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self, Done::Answer(answer) if answer.is_canceled())
    }
}

/// Who may do a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Whoever leads the group: while nobody does it waits, and follows the leadership.
    Anywhere,
    /// This replica, in its present leadership: it rests on what that leader knows, or somebody else will try again.
    Here,
}

/// What the delivery engine has to do with a command.
pub trait Stake {
    /// A new leadership of this replica begins while the command is on its way.
    fn renew(&self, engine: &mut Engine);

    /// The command has been done, or never will be. Told before its [`Done`].
    fn over(&self, finish: Finish);
}

/// A command's further fate.
pub struct Pending {
    /// Its place among all commands of the queue.
    order: u64,
    bytes: usize,
    /// The tick at which it came.
    pub(super) born: u32,
    pub(super) bound: Bound,
    /// An earlier attempt may have been done.
    pub(super) uncertain: bool,
    stake: Option<Box<dyn Stake>>,
    /// Taken when it was answered before its fate was known.
    done: Option<Done>,
}

impl Pending {
    /// Nobody has been told of its fate yet.
    pub(super) fn is_open(&self) -> bool {
        self.done.is_some()
    }

    /// Whoever sent it is gone, or has given it up.
    fn is_gone(&self) -> bool {
        self.done.as_ref().is_some_and(Done::is_gone)
    }

    /// Who is to be told although its fate is not known.
    pub(super) fn give_up(&mut self) -> Option<Done> {
        self.done.take()
    }

    /// Nothing more will come of it.
    pub(super) fn end(self, result: Result<Answered<Reply>, Rejection>, unknown: &Rejection) {
        let finish = match &result {
            Ok(Answered { value: Ok(_), .. }) => Finish::Applied,
            Ok(Answered { value: Err(_), .. }) => Finish::Refused,
            Err(_) => Finish::NotDone,
        };
        if let Some(stake) = self.stake {
            stake.over(finish);
        }
        if let Some(done) = self.done {
            // That this attempt was not done says nothing of the one before.
            done.tell(if self.uncertain { result.map_err(|_| unknown.clone()) } else { result });
        }
    }
}

/// Commands that leave together.
pub struct Batch {
    pub(super) commands: Vec<Command>,
    pub(super) pending: Vec<Pending>,
    pub(super) bytes: usize,
}

#[derive(Clone, Copy, Default)]
struct Load {
    commands: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, bytes: usize) {
        self.commands += 1;
        self.bytes += bytes;
    }

    fn take(&mut self, bytes: usize) {
        self.commands -= 1;
        self.bytes -= bytes;
    }
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<(Command, Pending)>,
    all: Load,
    /// Of each namespace that has any.
    of: HashMap<Namespace, Load>,
    next_order: u64,
}

impl Inner {
    /// Refuses what would go beyond a bound, or beyond the namespace's share of it.
    fn check(&self, limits: &BatchLimits, command: &Command, bytes: usize) -> Result<(), Rejection> {
        let own = self.of.get(&command.namespace).copied().unwrap_or_default();
        let settles = command.ops.iter().all(ends_delivery);
        let fits = |limit: usize, all: usize, own: usize, more: usize| {
            if settles {
                return (all + more <= limit + limit / SETTLING_PART).then_some(()).ok_or(false);
            }
            let room = limit.saturating_sub(all);
            if more > room {
                return Err(false);
            }
            // One command goes whatever its size: alone it could not be smaller.
            (own == 0 || own + more <= room.saturating_mul(SHARE_OF_ROOM)).then_some(()).ok_or(true)
        };
        let over = |limit, [whole, share]: [&'static str; 2]| {
            move |of_share: bool| Rejection::Overloaded { what: if of_share { share } else { whole }, limit }
        };
        fits(limits.waiting_max, self.all.commands, own.commands, 1).map_err(over(limits.waiting_max, QUEUED_COMMANDS))?;
        fits(limits.waiting_bytes_max, self.all.bytes, own.bytes, bytes).map_err(over(limits.waiting_bytes_max, QUEUED_BYTES))
    }

    fn came(&mut self, namespace: &Namespace, bytes: usize) {
        self.all.add(bytes);
        match self.of.get_mut(namespace) {
            Some(load) => load.add(bytes),
            None => {
                self.of.insert(namespace.clone(), Load { commands: 1, bytes });
            }
        }
    }

    fn went(&mut self, namespace: &Namespace, bytes: usize) {
        self.all.take(bytes);
        if let Some(load) = self.of.get_mut(namespace) {
            load.take(bytes);
            if load.commands == 0 {
                self.of.remove(namespace);
            }
        }
    }

    fn pop_front(&mut self) -> Option<(Command, Pending)> {
        let (command, pending) = self.waiting.pop_front()?;
        self.went(&command.namespace, pending.bytes);
        Some((command, pending))
    }
}

/// What a full queue is called: the whole of it, and a namespace's share.
pub(super) const QUEUED_COMMANDS: [&str; 2] = [
    "the group's queue of commands (queued_commands_max)",
    "the namespace's share of its group's queue of commands (queued_commands_max)",
];
pub(super) const QUEUED_BYTES: [&str; 2] = [
    "the group's queue of commands in bytes (queued_bytes_max)",
    "the namespace's share of its group's queue of commands in bytes (queued_bytes_max)",
];

/// The queue.
#[derive(Default)]
pub struct Queue(RefCell<Inner>);

impl Queue {
    /// Takes a command, or tells which bound it would exceed.
    pub(super) fn push(
        &self,
        limits: &BatchLimits,
        born: u32,
        (command, bound): (Command, Bound),
        (stake, done): (Option<Box<dyn Stake>>, Done),
    ) {
        let bytes = command_bytes_max(&command);
        let mut inner = self.0.borrow_mut();
        let order = inner.next_order;
        let pending = Pending { order, bytes, born, bound, uncertain: false, stake, done: Some(done) };
        if let Err(refused) = check_entry(&command, bytes).and_then(|()| inner.check(limits, &command, bytes)) {
            drop(inner);
            return pending.end(Err(refused.clone()), &refused);
        }
        inner.next_order += 1;
        inner.came(&command.namespace, bytes);
        inner.waiting.push_back((command, pending));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().waiting.is_empty()
    }

    /// Everything that leaves together next; `None`: nothing waits. What nobody waits for does not leave; it is to be ended.
    pub(super) fn pop_batch(&self, limits: &BatchLimits) -> (Option<Batch>, Vec<Pending>) {
        let mut inner = self.0.borrow_mut();
        let (mut commands, mut pending, mut bytes, mut ops) = (Vec::new(), Vec::new(), 0, 0);
        let bytes_max = limits.bytes_max.min(ENTRY_BYTES_MAX - ENTRY_FIXED_BYTES);
        let mut gone = Vec::new();
        while let Some((command, next)) = inner.waiting.front() {
            if next.is_gone() {
                gone.extend(inner.pop_front().map(|(_, pending)| pending));
                continue;
            }
            let fits = commands.len() < limits.commands_max
                && bytes + next.bytes <= bytes_max
                && ops + command.ops.len() <= ENTRY_OPS_MAX;
            if !fits && !commands.is_empty() {
                break;
            }
            let Some((command, next)) = inner.pop_front() else { break };
            bytes += next.bytes;
            ops += command.ops.len();
            commands.push(command);
            pending.push(next);
        }
        ((!commands.is_empty()).then_some(Batch { commands, pending, bytes }), gone)
    }

    /// Puts back what left in vain, each in its old place. They were taken in once: no bound is looked at again.
    pub(super) fn put_back(&self, again: Vec<(Command, Pending)>) {
        let mut inner = self.0.borrow_mut();
        for (command, pending) in again.into_iter().rev() {
            inner.came(&command.namespace, pending.bytes);
            inner.waiting.push_front((command, pending));
        }
        // Sorted already, but when several batches come back.
        inner.waiting.make_contiguous().sort_by_key(|(_, pending)| pending.order);
    }

    /// Takes out those that came at `born` or before.
    pub(super) fn take_old(&self, born: u32) -> Vec<Pending> {
        let mut inner = self.0.borrow_mut();
        let mut old = Vec::new();
        while inner.waiting.front().is_some_and(|(_, pending)| pending.born <= born) {
            let Some((_, pending)) = inner.pop_front() else { break };
            old.push(pending);
        }
        old
    }

    /// Takes out those that are bound so.
    pub(super) fn take_bound(&self, bound: Option<Bound>) -> Vec<Pending> {
        let mut inner = self.0.borrow_mut();
        let mut taken = Vec::new();
        for (command, pending) in std::mem::take(&mut inner.waiting) {
            if bound.is_none_or(|bound| pending.bound == bound) {
                inner.went(&command.namespace, pending.bytes);
                taken.push(pending);
            } else {
                inner.waiting.push_back((command, pending));
            }
        }
        taken
    }

    /// A new leadership begins with these waiting.
    pub(super) fn renew(&self, engine: &mut Engine) {
        renew(self.0.borrow().waiting.iter().map(|(_, pending)| pending), engine);
    }
}

pub(super) fn renew<'a>(pending: impl Iterator<Item = &'a Pending>, engine: &mut Engine) {
    pending.filter_map(|pending| pending.stake.as_ref()).for_each(|stake| stake.renew(engine));
}

/// The operation makes the work less: it ends a delivery, or removes what was done.
fn ends_delivery(op: &Op) -> bool {
    matches!(op, Op::Ack { .. } | Op::Retry { .. } | Op::GiveBack { .. } | Op::EndClaims { .. } | Op::LowWater { .. })
}

/// A command must fit into an entry of its own, on every peer: the log takes no larger one, and more creates have no sequences.
fn check_entry(command: &Command, bytes: usize) -> Result<(), Rejection> {
    let entry_bytes = ENTRY_FIXED_BYTES + bytes;
    if entry_bytes > ENTRY_BYTES_MAX {
        return Err(Rejection::TooLarge { what: ENTRY_BYTES, found: entry_bytes, limit: ENTRY_BYTES_MAX });
    }
    if command.ops.len() > ENTRY_OPS_MAX {
        return Err(Rejection::TooLarge { what: ENTRY_OPS, found: command.ops.len(), limit: ENTRY_OPS_MAX });
    }
    Ok(())
}

/// In what a command can be too large.
pub(super) const ENTRY_BYTES: &str = "bytes";
pub(super) const ENTRY_OPS: &str = "operations";

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
