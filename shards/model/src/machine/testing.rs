//! A store in memory and a few words to write entries with. For tests and benches, here and in other crates.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bytes::Bytes;

use super::store::{Store, StoreError};
use crate::command::{Command, Create, Entry, Op, encode_entry};
use crate::ids::Namespace;

/// An ordered map that is a [`Store`].
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rows: BTreeMap<Bytes, Bytes>,
    /// How often each key was written, when that is watched.
    written: Option<HashMap<Bytes, u32>>,
    /// Keys that were deleted: on a real store each is passed by every scan over its place.
    tombstones: BTreeSet<Bytes>,
    passed: u64,
}

impl MemoryStore {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty, and panics at a weak delete of a key that was not written exactly once: on a real store the first value could come
    /// back.
    pub fn strict() -> Self {
        MemoryStore { written: Some(HashMap::new()), ..Self::default() }
    }

    /// How many deleted keys all scans so far have passed.
    pub fn tombstones_passed(&self) -> u64 {
        self.passed
    }

    /// Every row.
    pub fn rows(&self) -> &BTreeMap<Bytes, Bytes> {
        &self.rows
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// No rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Store for MemoryStore {
    fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn put(&mut self, key: Bytes, value: Bytes) {
        if let Some(written) = &mut self.written {
            *written.entry(key.clone()).or_default() += 1;
        }
        self.tombstones.remove(&key);
        self.rows.insert(key, value);
    }

    fn delete(&mut self, key: Bytes, weak: bool) {
        if let Some(written) = &self.written
            && weak
        {
            assert_eq!(written.get(&key), Some(&1), "weak delete of {key:?}");
        }
        self.rows.remove(&key);
        self.tombstones.insert(key);
    }

    fn scan(&mut self, from: &[u8], until: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if from >= until {
            return Ok(Vec::new());
        }
        let range = self.rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(until)));
        let found: Vec<_> = range.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect();
        let end = found.last().filter(|_| found.len() == limit).map_or(until, |(key, _)| key);
        self.passed += self.tombstones.range::<[u8], _>((Bound::Included(from), Bound::Excluded(end))).count() as u64;
        Ok(found)
    }
}

/// The bytes of an entry of an older z4, whose one time was the stamp.
pub fn entry(stamp_ms: u64, commands: Vec<Command>) -> Bytes {
    encode_entry(&Entry { stamp_ms, now_ms: None, commands })
}

/// The bytes of an entry.
pub fn entry_at((stamp_ms, now_ms): (u64, u64), commands: Vec<Command>) -> Bytes {
    encode_entry(&Entry { stamp_ms, now_ms: Some(now_ms), commands })
}

/// A command.
///
/// # Panics
/// When `namespace` is none.
pub fn command(namespace: &str, ops: Vec<Op>) -> Command {
    Command { namespace: Namespace::new(namespace).expect("a valid namespace"), ops }
}

/// The create of a task without metadata or request id.
pub fn create(due_ms: u64, payload: &[u8]) -> Op {
    let payload = Bytes::copy_from_slice(payload);
    Op::Create(Create { request: None, due_ms, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload })
}
