//! Where a task is, and how it is found by its id.

use bytes::Bytes;

use super::record::{RecordError, TaskRecord};
use super::{ApplyError, Store, keys};
use crate::command::TaskRow;
use crate::command::wire::{Reader, put_varint};
use crate::ids::{Namespace, TaskId, TaskKey};

const VERSION: u8 = 1;
const DEAD: u8 = 1;

/// Where a task's row is. One that is dead, or not at its home, has a row under [`keys::MOVED`] that tells it:
///
/// ```text
/// 1 (version, u8)  flags (u8: 1 dead)  due_ms
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) dead: bool,
    pub(super) key: TaskKey,
}

impl Place {
    pub(super) fn live(key: TaskKey) -> Self {
        Place { dead: false, key }
    }

    /// The task is found here by its id alone.
    pub(super) fn is_home_of(self, id: TaskId) -> bool {
        !self.dead && self.key == id.home()
    }

    pub(super) fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(12);
        out.extend_from_slice(&[VERSION, if self.dead { DEAD } else { 0 }]);
        put_varint(&mut out, self.key.due_ms);
        Bytes::from(out)
    }

    fn decode(id: TaskId, value: &Bytes) -> Result<Self, RecordError> {
        let mut reader = Reader::new(value);
        if reader.u8()? != VERSION {
            return Err(RecordError("unknown version of a moved row"));
        }
        let flags = reader.u8()?;
        if flags & !DEAD != 0 {
            return Err(RecordError("unknown flag in a moved row"));
        }
        let key = TaskKey { due_ms: reader.varint()?, sequence: id.sequence };
        reader.finish()?;
        Ok(Place { dead: flags & DEAD != 0, key })
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::GroupId;

    #[test]
    fn a_moved_row_is_golden_and_round_trips() {
        let id = TaskId { due_ms: 1, group: GroupId(1), sequence: 7 };
        let place = Place { dead: true, key: TaskKey { due_ms: 300, sequence: 7 } };
        assert_eq!(place.encode(), Bytes::from_static(b"\x01\x01\xac\x02"));
        assert_eq!(Place::decode(id, &place.encode()), Ok(place));
    }
}
