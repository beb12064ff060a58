//! What the delivery engine has to do with a command on its way.
//!
//! Acks are blind: a lease vouches for the row. So while anything that names a task is on its way, nothing else may be proposed for it,
//! however often the leadership of this replica ends and begins meanwhile.

use std::cell::Cell;
use std::rc::{Rc, Weak};

use z4_model::command::{Command, Op};
use z4_model::ids::{Namespace, TaskId};

use crate::shard::delivery::{Claim, Engine, Finish};
use crate::shard::group::Group;
use crate::shard::queue::Stake;

/// The engine's stake in one command.
pub(super) struct EngineStake {
    group: Weak<Group>,
    namespace: Namespace,
    what: What,
    /// The engine that knows of it, by its number.
    engine: Cell<u64>,
}

enum What {
    /// Deliveries that the command ends. Only the engine that proposed it knows them, and none begins before its proposals are over.
    Claims(Vec<Claim>),
    /// Tasks that the command changes or removes.
    Tasks(Vec<TaskId>),
    /// It removes whatever there is.
    All,
}

impl EngineStake {
    /// A command of the engine itself.
    pub(super) fn claims(group: &Rc<Group>, namespace: &Namespace, claims: Vec<Claim>) -> Option<Box<dyn Stake>> {
        if claims.is_empty() {
            return None;
        }
        Some(Self::boxed(group, namespace, What::Claims(claims), group.engines.get()))
    }

    /// A command of somebody else: takes the tasks that it touches from their consumers, so that no ack can overtake it.
    pub(super) fn of(group: &Rc<Group>, command: &mut Command) -> Option<Box<dyn Stake>> {
        let what = if let [Op::Purge { .. } | Op::PurgeFrom { .. }] = command.ops[..] {
            What::All
        } else {
            let touched: Vec<TaskId> = command.ops.iter().filter_map(touched).collect();
            if touched.is_empty() {
                return None;
            }
            What::Tasks(touched)
        };
        let held = group.with_engine(|engine| {
            hold(engine, &command.namespace, &what);
            let given = engine.next_token() - 1;
            command.ops.iter_mut().for_each(|op| fence(op, given));
        });
        let held = held.is_some();
        Some(Self::boxed(group, &command.namespace, what, if held { group.engines.get() } else { 0 }))
    }

    fn boxed(group: &Rc<Group>, namespace: &Namespace, what: What, engine: u64) -> Box<dyn Stake> {
        Box::new(EngineStake { group: Rc::downgrade(group), namespace: namespace.clone(), what, engine: Cell::new(engine) })
    }
}

impl Stake for EngineStake {
    fn renew(&self, engine: &mut Engine) {
        let Some(group) = self.group.upgrade() else { return };
        if !matches!(self.what, What::Claims(_)) {
            hold(engine, &self.namespace, &self.what);
            self.engine.set(group.engines.get());
        }
    }

    fn over(&self, finish: Finish) {
        let Some(group) = self.group.upgrade().filter(|group| group.engines.get() == self.engine.get()) else { return };
        let now = group.now();
        group.with_engine(|engine| match &self.what {
            What::Claims(claims) => claims.iter().for_each(|claim| engine.finished(*claim, finish, now)),
            What::Tasks(ids) => ids.iter().for_each(|id| engine.release(&self.namespace, *id, now.wall_ms)),
            What::All => engine.release_all(&self.namespace),
        });
        group.outcomes.call();
    }
}

fn hold(engine: &mut Engine, namespace: &Namespace, what: &What) {
    match what {
        What::Claims(_) => {}
        What::Tasks(ids) => ids.iter().for_each(|id| engine.revoke(*id)),
        What::All => engine.revoke_all(namespace),
    }
}

/// Deliveries under tokens up to `given` are over once this has happened.
pub(super) fn fence(op: &mut Op, given: u64) {
    if let Op::Update(update) = op {
        update.fence = update.fence.max(given);
    }
}

/// The task that an operation takes from its consumer.
fn touched(op: &Op) -> Option<TaskId> {
    match op {
        Op::Update(update) => Some(update.id),
        Op::Delete { id, .. } => Some(*id),
        _ => None,
    }
}
