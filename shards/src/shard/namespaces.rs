//! How many namespaces a group may have. The leader looks before it proposes; below the bound that costs nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_channel::oneshot;
use z4_model::command::{Command, Op};
use z4_model::ids::Namespace;

use crate::runtime::maps::HashSet;
use crate::shard::api::Rejection;
use crate::shard::group::Group;

/// What the bound is called.
pub(super) const NAMESPACES: &str = "the number of namespaces of the group (namespaces_max)";

/// Names that are remembered to exist, at most.
const KNOWN_MAX: usize = 4_096;

/// What the leader knows of its group's namespaces.
#[derive(Default)]
pub(super) struct NamespaceCount {
    /// How many there are, as applied.
    count: Cell<u64>,
    /// Some that exist; looked up while the group is full.
    known: RefCell<HashSet<Namespace>>,
}

impl NamespaceCount {
    pub(super) fn set(&self, count: u64) {
        if count < self.count.replace(count) {
            // Some are gone.
            self.known.borrow_mut().clear();
        }
    }

    /// The command might make a namespace too many: whether its own exists has to be looked up.
    fn is_in_doubt(&self, command: &Command, max: u64) -> bool {
        let makes = |op: &Op| matches!(op, Op::Create(_) | Op::Configure(_));
        self.count.get() >= max && command.ops.iter().any(makes) && !self.known.borrow().contains(&command.namespace)
    }

    fn exists(&self, namespace: Namespace) {
        let mut known = self.known.borrow_mut();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(namespace);
    }
}

impl Group {
    /// Calls `then` at once when the command may go as far as the number of namespaces is concerned, or after it was looked up, in the order
    /// of these calls for each namespace.
    pub(super) fn with_room_for(
        self: &Rc<Self>,
        command: Command,
        then: impl FnOnce(&Rc<Self>, Result<Command, Rejection>) + 'static,
    ) {
        let max = self.batcher.limits.namespaces_max;
        if !self.leads() || !self.namespaces.is_in_doubt(&command, max) {
            return then(self, Ok(command));
        }
        let (group, id, name) = (Rc::clone(self), self.id, command.namespace.clone());
        let look = move |partitions: &mut crate::storage::Partitions| partitions.get_mut(&id).map(|p| p.namespace(&name));
        self.storage.run(look, move |row| {
            let admitted = match row {
                Some(Ok(Some(_))) => {
                    group.namespaces.exists(command.namespace.clone());
                    Ok(command)
                }
                Some(Ok(None)) => {
                    let limit = usize::try_from(max).unwrap_or(usize::MAX);
                    Err(Rejection::Overloaded { what: NAMESPACES, limit })
                }
                Some(Err(e)) => Err(Rejection::Storage(e.to_string().into())),
                None => Err(Rejection::Stopping),
            };
            then(&group, admitted);
        });
    }

    /// The same, to be waited for.
    pub(super) async fn room_for(self: &Rc<Self>, command: Command) -> Result<Command, Rejection> {
        let (tx, rx) = oneshot::channel();
        self.with_room_for(command, move |_, admitted| {
            let _ = tx.send(admitted);
        });
        rx.await.unwrap_or(Err(Rejection::Stopping))
    }
}
