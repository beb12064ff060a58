//! The bytes of a log entry.

use bytes::Bytes;

use super::Entry;

/// Bytes that are no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed entry: {0}")]
pub struct CodecError(pub &'static str);

/// The bytes of an entry.
pub fn encode_entry(_entry: &Entry) -> Bytes {
    unimplemented!()
}

/// The inverse; payload and metadata are slices of `bytes`, not copies.
pub fn decode_entry(_bytes: &Bytes) -> Result<Entry, CodecError> {
    unimplemented!()
}
