//! A task as its row holds it, and where that row is.

use bytes::Bytes;

use super::record::TaskRecord;
use crate::encoding::{Malformed, Reader, put_varint};
use crate::ids::{TaskId, TaskKey};

const VERSION: u8 = 1;
const DEAD: u8 = 1;

/// A task as its row holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRow {
    /// Its name.
    pub id: TaskId,
    /// Where the row is now.
    pub key: TaskKey,
    /// Its attempts are used up.
    pub dead: bool,
    /// Everything else.
    pub record: TaskRecord,
}

/// Where a task's row is. One that is dead, or not at its home, has a row under [`crate::keys::MOVED`] that tells it:
///
/// ```text
/// 1 (version, u8)  flags (u8: 1 dead)  due_ms
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) dead: bool,
    pub(crate) key: TaskKey,
}

impl Place {
    pub(crate) fn live(key: TaskKey) -> Self {
        Place { dead: false, key }
    }

    /// The task is found here by its id alone.
    pub(crate) fn is_home_of(self, id: TaskId) -> bool {
        !self.dead && self.key == id.home()
    }

    pub(crate) fn encode(self) -> Bytes {
        let mut out = Vec::with_capacity(12);
        out.extend_from_slice(&[VERSION, if self.dead { DEAD } else { 0 }]);
        put_varint(&mut out, self.key.due_ms);
        Bytes::from(out)
    }

    pub(crate) fn decode(id: TaskId, value: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(value);
        if reader.u8()? != VERSION {
            return Err(Malformed("unknown version of a moved row"));
        }
        let flags = reader.u8()?;
        if flags & !DEAD != 0 {
            return Err(Malformed("unknown flag in a moved row"));
        }
        let key = TaskKey { due_ms: reader.varint()?, sequence: id.sequence };
        reader.finish()?;
        Ok(Place { dead: flags & DEAD != 0, key })
    }
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
