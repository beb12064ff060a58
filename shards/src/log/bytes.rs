//! The log's bytes as they are, for benches: what a writer and a recovery do per entry, without a disk.

use z4_model::ids::GroupId;
use z4_model::log::LogEntry;

use super::record::{Change, Payload, decode};

/// Puts the record of an entry into `out` and returns its length. `out` must be long enough: payload and 64 bytes.
pub fn encode_entry_record(group: GroupId, entry: &LogEntry, out: &mut [u8]) -> usize {
    Change::Entry(entry.position, Payload::new(&entry.payload)).encode(group, out)
}

/// Reads the records in `bytes` one after the other, with their checksums; returns how many there are before the first that is
/// none.
pub fn scan_records(mut bytes: &[u8]) -> usize {
    let mut records = 0;
    while let Ok((_, _, length)) = decode(bytes) {
        records += 1;
        bytes = &bytes[length..];
        if bytes.is_empty() {
            break;
        }
    }
    records
}
