//! Commands that wait to leave: bounded, in the order in which they came.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::command::{Command, Op, Reply};
use crate::shard::api::{Answered, Rejection};
use crate::shard::batcher::BatchLimits;
use crate::shard::delivery::{Engine, Finish};

/// What is told of a command's fate, on the executor.
pub type Done = Box<dyn FnOnce(Result<Answered<Reply>, Rejection>)>;

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
            done(if self.uncertain { result.map_err(|_| unknown.clone()) } else { result });
        }
    }
}

/// Commands that leave together.
pub struct Batch {
    pub(super) commands: Vec<Command>,
    pub(super) pending: Vec<Pending>,
    pub(super) bytes: usize,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<(Command, Pending)>,
    bytes: usize,
    next_order: u64,
}

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
        let bytes = command.ops.iter().map(op_bytes).sum::<usize>() + command.namespace.as_bytes().len();
        let mut inner = self.0.borrow_mut();
        let order = inner.next_order;
        let pending = Pending { order, bytes, born, bound, uncertain: false, stake, done: Some(done) };
        let over = if inner.waiting.len() >= limits.waiting_max {
            let what = "the group's queue of commands (queued_commands_max)";
            Rejection::Overloaded { what, limit: limits.waiting_max }
        } else if inner.bytes + bytes > limits.waiting_bytes_max {
            let what = "the group's queue of commands in bytes (queued_bytes_max)";
            Rejection::Overloaded { what, limit: limits.waiting_bytes_max }
        } else {
            inner.next_order += 1;
            inner.bytes += bytes;
            inner.waiting.push_back((command, pending));
            return;
        };
        drop(inner);
        pending.end(Err(over.clone()), &over);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().waiting.is_empty()
    }

    /// Everything that leaves together next; `None`: nothing waits.
    pub(super) fn pop_batch(&self, limits: &BatchLimits) -> Option<Batch> {
        let mut inner = self.0.borrow_mut();
        let (mut commands, mut pending, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some((_, next)) = inner.waiting.front() {
            let fits = commands.len() < limits.commands_max && bytes + next.bytes <= limits.bytes_max;
            if !fits && !commands.is_empty() {
                break;
            }
            let Some((command, next)) = inner.waiting.pop_front() else { break };
            bytes += next.bytes;
            commands.push(command);
            pending.push(next);
        }
        inner.bytes -= bytes;
        (!commands.is_empty()).then_some(Batch { commands, pending, bytes })
    }

    /// Puts back what left in vain, each in its old place. They were taken in once: no bound is looked at again.
    pub(super) fn put_back(&self, again: Vec<(Command, Pending)>) {
        let mut inner = self.0.borrow_mut();
        for (command, pending) in again.into_iter().rev() {
            inner.bytes += pending.bytes;
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
            let Some((_, pending)) = inner.waiting.pop_front() else { break };
            inner.bytes -= pending.bytes;
            old.push(pending);
        }
        old
    }

    /// Takes out those that are bound so.
    pub(super) fn take_bound(&self, bound: Option<Bound>) -> Vec<Pending> {
        let mut inner = self.0.borrow_mut();
        let Inner { waiting, bytes, .. } = &mut *inner;
        let mut taken = Vec::new();
        for (command, pending) in std::mem::take(waiting) {
            if bound.is_none_or(|bound| pending.bound == bound) {
                *bytes -= pending.bytes;
                taken.push(pending);
            } else {
                waiting.push_back((command, pending));
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

/// About what an operation will take in an entry.
fn op_bytes(op: &Op) -> usize {
    const FIXED: usize = 32;
    FIXED
        + match op {
            Op::Create(create) => create.payload.len() + create.metadata.len(),
            Op::Retry { error, .. } => error.len(),
            Op::Update(update) => [&update.payload, &update.metadata].into_iter().flatten().map(bytes::Bytes::len).sum(),
            Op::Register { key, value, .. } => key.len() + value.len(),
            _ => 0,
        }
}
