//! The value of a task's row: layout, encode, decode.
//!
//! ```text
//! 1 (version, u8)  flags (u8)  attempts  version  id_due_ms  created_ms  {asked_ms}  (fence)  [last_retry_ms  last_error]  metadata  payload
//! ```
//!
//! Numbers are varints; `last_error` and `metadata` carry their length before them; the payload is all that is left. The part in
//! brackets is there when flag 2 is set, the one in braces when flag 4 is, the one in parentheses when flag 8 is. Flag 1 is `rewritten`. Once assigned the layout never changes.

use bytes::Bytes;

use crate::encoding::{Malformed, Reader, put_bytes, put_varint};
use crate::ids::{GroupId, TaskId, TaskKey};

const VERSION: u8 = 1;
const REWRITTEN: u8 = 1;
const RETRIED: u8 = 2;
const ASKED: u8 = 4;
const FENCED: u8 = 8;

const _: () =
    assert!(REWRITTEN | RETRIED | ASKED | FENCED == REWRITTEN + RETRIED + ASKED + FENCED, "each flag has a bit of its own");

/// Everything about a task that its key does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskRecord {
    /// Due time at creation, milliseconds: with the group and the row's sequence it gives the task's id.
    pub id_due_ms: u64,
    /// When it was created, milliseconds.
    pub created_ms: u64,
    /// The due time that was asked for, when it was past and the row is placed later for that, milliseconds; 0: the row is where it was to
    /// be.
    pub asked_ms: u64,
    /// Deliveries under tokens up to this are over: who holds one has lost it, whoever leads. 0: none was ever delivered that is known to be.
    pub fence: u64,
    /// When its last attempt ended without an ack, milliseconds; 0: never.
    pub last_retry_ms: u64,
    /// How many attempts ended without an ack.
    pub attempts: u32,
    /// Counts updates; starts at 1.
    pub version: u32,
    /// The row is not the one that the create wrote, so its key may have been written before: it must not be deleted weakly.
    pub rewritten: bool,
    /// What the last nack said (UTF-8).
    pub last_error: Bytes,
    /// Packed, see [`pack_metadata`](super::metadata::pack_metadata).
    pub metadata: Bytes,
    /// As the producer sent it.
    pub payload: Bytes,
}

impl TaskRecord {
    /// The row's value.
    pub fn encode(&self) -> Bytes {
        let retried = self.last_retry_ms != 0 || !self.last_error.is_empty();
        let mut out = Vec::with_capacity(56 + self.last_error.len() + self.metadata.len() + self.payload.len());
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(self.rewritten, REWRITTEN) | flag(retried, RETRIED) | flag(self.asked_ms != 0, ASKED);
        let flags = flags | flag(self.fence != 0, FENCED);
        out.extend_from_slice(&[VERSION, flags]);
        put_varint(&mut out, u64::from(self.attempts));
        put_varint(&mut out, u64::from(self.version));
        put_varint(&mut out, self.id_due_ms);
        put_varint(&mut out, self.created_ms);
        if self.asked_ms != 0 {
            put_varint(&mut out, self.asked_ms);
        }
        if self.fence != 0 {
            put_varint(&mut out, self.fence);
        }
        if retried {
            put_varint(&mut out, self.last_retry_ms);
            put_bytes(&mut out, &self.last_error);
        }
        put_bytes(&mut out, &self.metadata);
        out.extend_from_slice(&self.payload);
        Bytes::from(out)
    }

    /// The inverse of [`TaskRecord::encode`]; the parts are slices of `row`, not copies.
    ///
    /// # Errors
    /// Bytes that are no record of a version that this z4 knows.
    pub fn decode(row: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        let head = Head::take(&mut reader)?;
        let version = reader.varint_u32()?;
        let (id_due_ms, created_ms) = (reader.varint()?, reader.varint()?);
        let asked_ms = if head.asked { reader.varint()? } else { 0 };
        let fence = if head.fenced { reader.varint()? } else { 0 };
        let (last_retry_ms, last_error) = if head.retried { (reader.varint()?, reader.bytes()?) } else { (0, Bytes::new()) };
        Ok(TaskRecord {
            id_due_ms,
            created_ms,
            asked_ms,
            fence,
            last_retry_ms,
            attempts: head.attempts,
            version,
            rewritten: head.rewritten,
            last_error,
            metadata: reader.bytes()?,
            payload: reader.rest(),
        })
    }

    /// When the task is (or was) due, as people see it: `key` is where the row is.
    pub fn due_ms(&self, key: TaskKey) -> u64 {
        if self.asked_ms == 0 { key.due_ms } else { self.asked_ms }
    }

    /// Leaves the payload away, and holds nothing of its memory: the rest is copied out of what it is a slice of.
    pub fn drop_payload(&mut self) {
        self.payload = Bytes::new();
        self.metadata = Bytes::copy_from_slice(&self.metadata);
        self.last_error = Bytes::copy_from_slice(&self.last_error);
    }

    /// The task's id: `group` owns the row, `key` is where it is.
    pub fn id(&self, group: GroupId, key: TaskKey) -> TaskId {
        TaskId { due_ms: self.id_due_ms, group, sequence: key.sequence }
    }
}

/// The first fields of a row, for those who need no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// See [`TaskRecord::attempts`].
    pub attempts: u32,
    /// See [`TaskRecord::rewritten`].
    pub rewritten: bool,
    /// See [`TaskRecord::id_due_ms`].
    pub id_due_ms: u64,
    retried: bool,
    asked: bool,
    fenced: bool,
}

impl Head {
    /// Reads them.
    ///
    /// # Errors
    /// As [`TaskRecord::decode`], as far as it read.
    pub fn decode(row: &Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(row);
        let mut head = Head::take(&mut reader)?;
        reader.varint_u32()?;
        head.id_due_ms = reader.varint()?;
        Ok(head)
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.u8()? != VERSION {
            return Err(Malformed("unknown version"));
        }
        let flags = reader.u8()?;
        if flags & !(REWRITTEN | RETRIED | ASKED | FENCED) != 0 {
            return Err(Malformed("unknown flag"));
        }
        let attempts = reader.varint_u32()?;
        Ok(Head {
            attempts,
            rewritten: flags & REWRITTEN != 0,
            id_due_ms: 0,
            retried: flags & RETRIED != 0,
            asked: flags & ASKED != 0,
            fenced: flags & FENCED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Rows outlive the binary that wrote them, so their bytes are golden; and a damaged row must be an error, never a panic.

    use proptest::prelude::*;

    use super::super::metadata::pack_metadata;
    use super::*;

    #[test]
    fn records_are_golden() {
        let mut record = TaskRecord {
            id_due_ms: 300,
            created_ms: 2,
            version: 1,
            metadata: pack_metadata([("k", "v")].into_iter()),
            payload: Bytes::from_static(b"hello"),
            ..Default::default()
        };
        assert_eq!(record.encode(), Bytes::from_static(b"\x01\x00\x00\x01\xac\x02\x02\x05\x01\x01k\x01vhello"));
        record.rewritten = true;
        record.attempts = 3;
        record.last_retry_ms = 5;
        record.last_error = Bytes::from_static(b"no");
        assert_eq!(record.encode(), Bytes::from_static(b"\x01\x03\x03\x01\xac\x02\x02\x05\x02no\x05\x01\x01k\x01vhello"));
        record.asked_ms = 7;
        assert_eq!(record.encode(), Bytes::from_static(b"\x01\x07\x03\x01\xac\x02\x02\x07\x05\x02no\x05\x01\x01k\x01vhello"));
        record.fence = 301;
        assert_eq!(
            record.encode(),
            Bytes::from_static(b"\x01\x0f\x03\x01\xac\x02\x02\x07\xad\x02\x05\x02no\x05\x01\x01k\x01vhello")
        );
    }

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
    }

    proptest! {
        #[test]
        fn records_round_trip(
            (id_due_ms, created_ms, asked_ms, fence, last_retry_ms) in any::<(u64, u64, u64, u64, u64)>(),
            (attempts, version, rewritten) in any::<(u32, u32, bool)>(),
            (last_error, metadata, payload) in (bytes(), bytes(), bytes()),
        ) {
            let record = TaskRecord {
                id_due_ms, created_ms, asked_ms, fence, last_retry_ms, attempts, version, rewritten, last_error, metadata, payload,
            };
            let row = record.encode();
            let head = Head::decode(&row).expect("a record");
            prop_assert_eq!((head.attempts, head.rewritten, head.id_due_ms), (attempts, rewritten, id_due_ms));
            prop_assert_eq!(TaskRecord::decode(&row), Ok(record));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in bytes()) {
            if let Ok(record) = TaskRecord::decode(&bytes) {
                prop_assert_eq!(TaskRecord::decode(&record.encode()), Ok(record));
            }
        }
    }
}
