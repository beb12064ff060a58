//! How a task is found by its id.

use super::error::ApplyError;
use super::store::Store;
use crate::ids::{Namespace, TaskId};
use crate::keys;
use crate::rows::record::TaskRecord;
use crate::rows::task::{Place, TaskRow};

/// The task with this id, live or dead. One read when it is where it was created, three when it is not.
///
/// The caller has checked that `id.group` is the group of the store.
///
/// # Errors
/// The store cannot be read, or a row in it.
pub fn find_task(store: &mut impl Store, namespace: &Namespace, id: TaskId) -> Result<Option<TaskRow>, ApplyError> {
    if let Some(row) = read(store, namespace, id, Place::live(id.home()))? {
        return Ok(Some(row));
    }
    match store.get(&keys::moved(namespace, id))? {
        Some(value) => read(store, namespace, id, Place::decode(id, &value)?),
        None => Ok(None),
    }
}

fn read(store: &mut impl Store, namespace: &Namespace, id: TaskId, place: Place) -> Result<Option<TaskRow>, ApplyError> {
    let Some(value) = store.get(&keys::row(namespace, place.dead, place.key))? else { return Ok(None) };
    let record = TaskRecord::decode(&value)?;
    // A moved task may be where an id that was never given out points to.
    if record.id_due_ms != id.due_ms {
        return Ok(None);
    }
    Ok(Some(TaskRow { id, key: place.key, dead: place.dead, record }))
}
