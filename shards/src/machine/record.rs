//! The value of a task's row: layout, encode, decode.

use bytes::Bytes;

/// Everything about a task that its key does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskRecord {
    /// Due time at creation, milliseconds: with the group and the row's sequence it gives the task's id.
    pub id_due_ms: u64,
    /// When it was created, milliseconds.
    pub created_ms: u64,
    /// When its last attempt ended without an ack, milliseconds; 0: never.
    pub last_retry_ms: u64,
    /// How many attempts ended without an ack.
    pub attempts: u32,
    /// Counts updates; starts at 1.
    pub version: u32,
    /// The row was written more than once at its present key.
    pub rewritten: bool,
    /// What the last nack said (UTF-8).
    pub last_error: Bytes,
    /// Packed by [`pack_metadata`].
    pub metadata: Bytes,
    /// As the producer sent it.
    pub payload: Bytes,
}

/// A value that is no task record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed task record: {0}")]
pub struct RecordError(pub &'static str);

impl TaskRecord {
    /// The row's value.
    pub fn encode(&self) -> Bytes {
        unimplemented!()
    }

    /// The inverse of [`TaskRecord::encode`]; the parts are slices of `row`, not copies.
    pub fn decode(_row: &Bytes) -> Result<Self, RecordError> {
        unimplemented!()
    }
}

/// Packs metadata pairs, in their order (callers pass them sorted by key).
pub fn pack_metadata<'a>(_pairs: impl ExactSizeIterator<Item = (&'a str, &'a str)>) -> Bytes {
    unimplemented!()
}

/// The pairs that [`pack_metadata`] packed.
pub fn unpack_metadata(_packed: &Bytes) -> Result<Vec<(String, String)>, RecordError> {
    unimplemented!()
}
