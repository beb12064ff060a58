//! The idempotency window: which request ids were seen lately, and the tasks that they made.
//!
//! It is kept in memory. Each entry that brings new ids leaves one row with all of them, its block, from which the window is loaded
//! again:
//!
//! ```text
//! 1 (version, u8)  created_ms  count  (hash (u128, little-endian)  due_ms  sequence  window_ms)*            the stamp is created_ms
//! 2 (version, u8)  stamp_ms  created_ms  count  (hash (u128, little-endian)  due_ms  sequence  window_ms)*
//! ```
//!
//! A block goes when all its ids have expired, or when the window has grown over its bound: then the oldest goes first. Both depend
//! on nothing but the entries, so all replicas forget the same ids at the same index.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use super::error::ApplyError;
use super::hash::Hashed;
use super::sequences::SEQUENCES_PER_INDEX;
use super::store::Store;
use super::write::Write;
use crate::encoding::{Malformed, Reader, put_varint};
use crate::ids::{RequestHash, TaskKey};
use crate::keys;

/// What the window of one group may take in memory.
pub const WINDOW_BYTES_MAX: usize = 64 << 20;

/// What one id takes at most: 64 bytes in the map, which may be no more than half full, one byte of its own there, and 16 bytes
/// in its block.
const ID_BYTES: usize = 160;

/// An entry deletes at most so many expired blocks. It adds one at most, so they cannot pile up.
const EXPIRED_BLOCKS_MAX: usize = 4;

/// How many blocks are read at once when the window is loaded.
const LOAD_BLOCKS: usize = 64;

const _: () = {
    assert!(WINDOW_BYTES_MAX / ID_BYTES >= SEQUENCES_PER_INDEX as usize, "what one entry brings is not forgotten at its end");
    assert!(EXPIRED_BLOCKS_MAX >= 1 && LOAD_BLOCKS >= 1, "something goes, and something is read");
};

const VERSION_ONE_TIME: u8 = 1;
const VERSION: u8 = 2;
/// The fewest bytes of an id in a block.
const BLOCK_ID_BYTES_MIN: usize = 16 + 3;

/// The task that a request id made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Where the task was created.
    pub(super) home: TaskKey,
    pub(super) created_ms: u64,
    /// From this stamp on the id is as good as new.
    pub(super) expires_ms: u64,
    /// Log index of the entry, which names the block.
    index: u64,
}

struct Block {
    ids: Vec<RequestHash>,
    /// When the last of its ids expires.
    expires_ms: u64,
}

/// See the module.
pub(super) struct Window {
    known: HashMap<RequestHash, Known, Hashed>,
    blocks: BTreeMap<u64, Block>,
    by_expiry: BTreeSet<(u64, u64)>,
    /// Ids in all blocks, those that a later block took over included.
    ids: usize,
    ids_max: usize,
    /// The ids that the present entry brought, each with what the window knew before.
    fresh: Vec<(RequestHash, Option<Known>)>,
}

impl Window {
    pub(super) fn new() -> Self {
        Self::bounded(WINDOW_BYTES_MAX / ID_BYTES)
    }

    fn bounded(ids_max: usize) -> Self {
        Window {
            known: HashMap::default(),
            blocks: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            ids: 0,
            ids_max,
            fresh: Vec::new(),
        }
    }

    /// Reads all blocks.
    pub(super) fn load(store: &mut impl Store) -> Result<Self, ApplyError> {
        let mut window = Self::new();
        let mut range = keys::idempotency_from(0);
        loop {
            let rows = store.scan(&range.from, &range.until, LOAD_BLOCKS)?;
            for (key, value) in &rows {
                let index = keys::parse_idempotency(key).ok_or(Malformed("the key of a block of request ids is none"))?;
                let ids = decode_block(index, value)?;
                window.known.extend(ids.iter().copied());
                window.add_block(index, &ids);
                range = keys::idempotency_from(index + 1);
            }
            if rows.len() < LOAD_BLOCKS {
                return Ok(window);
            }
        }
    }

    /// The task that this id made, if it did within its window.
    pub(super) fn find(&self, id: RequestHash, stamp_ms: u64) -> Option<Known> {
        self.known.get(&id).copied().filter(|known| known.expires_ms > stamp_ms)
    }

    /// Takes an id that [`Window::find`] did not know. The entry at `index` brings it.
    pub(super) fn insert(
        &mut self,
        id: RequestHash,
        home: TaskKey,
        (stamp_ms, created_ms): (u64, u64),
        window_ms: u64,
        index: u64,
    ) {
        if window_ms > 0 {
            let known = Known { home, created_ms, expires_ms: stamp_ms.saturating_add(window_ms), index };
            let before = self.known.insert(id, known);
            self.fresh.push((id, before));
        }
    }

    /// How many ids the present entry has brought so far.
    pub(super) fn fresh(&self) -> usize {
        self.fresh.len()
    }

    /// Takes all ids back that came after `fresh` was that number.
    pub(super) fn undo(&mut self, fresh: usize) {
        for (id, before) in self.fresh.drain(fresh..).rev() {
            match before {
                Some(known) => self.known.insert(id, known),
                None => self.known.remove(&id),
            };
        }
    }

    /// Ends the entry at `index`: writes its block, deletes some that are over. `created_ms`: the entry's own time, if it has one.
    pub(super) fn close(&mut self, index: u64, (stamp_ms, created_ms): (u64, Option<u64>), mut write: impl FnMut(Write)) {
        for _ in 0..EXPIRED_BLOCKS_MAX {
            match self.by_expiry.first() {
                Some(&(expires_ms, over)) if expires_ms <= stamp_ms => self.drop_block(over, &mut write),
                _ => break,
            }
        }
        if self.fresh.is_empty() {
            return;
        }
        let fresh = std::mem::take(&mut self.fresh);
        assert!(self.blocks.last_key_value().is_none_or(|(last, _)| *last < index), "entry {index} is applied a second time");
        let ids: Vec<_> = fresh.iter().filter_map(|(id, _)| self.known.get(id).map(|known| (*id, *known))).collect();
        write(Write::Put(keys::idempotency(index), encode_block(stamp_ms, created_ms, &ids)));
        self.add_block(index, &ids);
        self.fresh = fresh;
        self.fresh.clear();
        while self.ids > self.ids_max
            && let Some((&oldest, _)) = self.blocks.first_key_value()
        {
            self.drop_block(oldest, &mut write);
        }
    }

    /// What must hold between two entries.
    ///
    /// # Panics
    /// It does not.
    pub(super) fn check(&self) {
        assert!(self.fresh.is_empty(), "the ids of an entry have their block when it ends");
        assert!(self.ids <= self.ids_max, "{} ids", self.ids);
        assert_eq!(self.ids, self.blocks.values().map(|block| block.ids.len()).sum::<usize>(), "each id is counted once");
        let by_expiry = self.blocks.iter().map(|(index, block)| (block.expires_ms, *index)).collect();
        assert_eq!(self.by_expiry, by_expiry, "each block goes when it has expired");
        for (id, known) in &self.known {
            let block = self.blocks.get(&known.index).expect("what is known stands in a block");
            assert!(block.ids.contains(id) && known.expires_ms <= block.expires_ms, "an id goes with its block, not later");
        }
    }

    /// This window answers as the one that was loaded from the same store.
    ///
    /// # Panics
    /// It does not.
    pub(super) fn check_against(&self, loaded: &Window, stamp_ms: u64) {
        // An id that expired may be known from an older block still, or not any more: no matter.
        let lasting = |window: &Window| -> BTreeMap<RequestHash, Known> {
            window.known.iter().filter(|(_, known)| known.expires_ms > stamp_ms).map(|(id, known)| (*id, *known)).collect()
        };
        assert_eq!(lasting(self), lasting(loaded), "a replica that starts again remembers the same");
        assert_eq!(self.by_expiry, loaded.by_expiry, "and forgets at the same entries");
        assert_eq!(self.ids, loaded.ids, "and has as much room");
    }

    fn add_block(&mut self, index: u64, ids: &[(RequestHash, Known)]) {
        let expires_ms = ids.iter().map(|(_, known)| known.expires_ms).max().unwrap_or(0);
        self.ids += ids.len();
        self.by_expiry.insert((expires_ms, index));
        self.blocks.insert(index, Block { ids: ids.iter().map(|(id, _)| *id).collect(), expires_ms });
    }

    fn drop_block(&mut self, index: u64, write: &mut impl FnMut(Write)) {
        let Some(block) = self.blocks.remove(&index) else { return };
        self.by_expiry.remove(&(block.expires_ms, index));
        self.ids -= block.ids.len();
        for id in block.ids {
            // A later block may have taken the id over.
            if self.known.get(&id).is_some_and(|known| known.index == index) {
                self.known.remove(&id);
            }
        }
        // A block is written once: its index never comes again.
        write(Write::Delete(keys::idempotency(index), true));
    }
}

fn encode_block(stamp_ms: u64, created_ms: Option<u64>, ids: &[(RequestHash, Known)]) -> Bytes {
    let mut out = Vec::with_capacity(24 + ids.len() * 36);
    out.push(if created_ms.is_some() { VERSION } else { VERSION_ONE_TIME });
    put_varint(&mut out, stamp_ms);
    if let Some(created_ms) = created_ms {
        put_varint(&mut out, created_ms);
    }
    put_varint(&mut out, ids.len() as u64);
    for (id, known) in ids {
        out.extend_from_slice(&id.0.to_le_bytes());
        put_varint(&mut out, known.home.due_ms);
        put_varint(&mut out, known.home.sequence);
        put_varint(&mut out, known.expires_ms.saturating_sub(stamp_ms));
    }
    Bytes::from(out)
}

fn decode_block(index: u64, value: &Bytes) -> Result<Vec<(RequestHash, Known)>, Malformed> {
    let mut reader = Reader::new(value);
    let version = reader.u8()?;
    if ![VERSION_ONE_TIME, VERSION].contains(&version) {
        return Err(Malformed("unknown version of a block of request ids"));
    }
    let stamp_ms = reader.varint()?;
    let created_ms = if version == VERSION { reader.varint()? } else { stamp_ms };
    let count = reader.count(BLOCK_ID_BYTES_MIN)?;
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        let id = RequestHash(reader.u128()?);
        let home = TaskKey { due_ms: reader.varint()?, sequence: reader.varint()? };
        let expires_ms = stamp_ms.saturating_add(reader.varint()?);
        ids.push((id, Known { home, created_ms, expires_ms, index }));
    }
    reader.finish()?;
    Ok(ids)
}

#[cfg(test)]
#[path = "idempotency_tests.rs"]
mod tests;
