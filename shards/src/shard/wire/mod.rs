//! What peers say to each other about requests, as the types of this crate, and back. Pure.
//!
//! `put_x` makes the message, `x` reads it. Whatever a message holds, reading it gives a value or an error: nothing panics, and what is
//! allocated is in proportion to its size.

mod consumers;
mod failures;
mod leases;
mod reads;
mod writes;

#[cfg(test)]
mod tests;

use z4_proto::peer;

pub use consumers::{deliveries, put_deliveries, put_settle, put_settled, settle, settled};
pub use failures::{failure, not_leading, put_failure};
pub use leases::{estate, held, no_estate, put_estate, put_held, put_seats, seats};
pub use reads::{
    Namespaces, leased, leased_of, list, listed, namespace_views, namespaces, put_leased, put_leased_of, put_list, put_listed,
    put_namespace_views, put_namespaces,
};
pub use writes::{commands, outcome, put_commands, put_outcome, put_reserved, reserved};
use z4_model::encoding::Malformed;
use z4_model::ids::{GroupId, Namespace, TaskId, TaskKey};

/// A task's name.
pub fn task_id(message: &peer::TaskId) -> Result<TaskId, Malformed> {
    id(Some(message))
}

/// See [`task_id`].
pub fn put_task_id(id: TaskId) -> peer::TaskId {
    put_id(id)
}

fn put_id(id: TaskId) -> peer::TaskId {
    peer::TaskId { due_ms: id.due_ms, group: id.group.0.into(), sequence: id.sequence }
}

fn id(id: Option<&peer::TaskId>) -> Result<TaskId, Malformed> {
    let id = id.ok_or(Malformed("no task id"))?;
    let group = u16::try_from(id.group).map_err(|_| Malformed("a group has more than 16 bits"))?;
    if id.due_ms >> 48 != 0 {
        return Err(Malformed("a task id's due time has more than 48 bits"));
    }
    Ok(TaskId { due_ms: id.due_ms, group: GroupId(group), sequence: id.sequence })
}

fn put_key(key: TaskKey) -> peer::TaskKey {
    peer::TaskKey { due_ms: key.due_ms, sequence: key.sequence }
}

fn key(key: Option<&peer::TaskKey>) -> Result<TaskKey, Malformed> {
    let key = key.ok_or(Malformed("no task key"))?;
    Ok(TaskKey { due_ms: key.due_ms, sequence: key.sequence })
}

fn namespace(name: &str) -> Result<Namespace, Malformed> {
    Namespace::new(name).map_err(|_| Malformed("a namespace is none"))
}
