//! A namespace's row: its codec, and the rows that are kept in memory.
//!
//! ```text
//! 1 (version, u8)  flags (u8: 1 paused)  created_ms  live  dead  low_water_ms  lease_ms  max_attempts  backoff_first_ms
//! backoff_ceiling_ms  idempotency_window_ms  backoff_factor (f64)  backoff_jitter (f64)
//! ```
//!
//! Numbers are varints unless said otherwise.

use std::collections::HashMap;

use bytes::Bytes;

use super::hash::Hashed;
use super::plan::Write;
use super::record::RecordError;
use super::{Store, keys};
use crate::command::wire::{Reader, put_varint};
use crate::command::{NamespaceRow, Settings};
use crate::ids::Namespace;
use crate::machine::ApplyError;

const VERSION: u8 = 1;
const PAUSED: u8 = 1;

/// A namespace that no command has touched yet.
pub fn absent() -> NamespaceRow {
    NamespaceRow { settings: Settings::default(), created_ms: 0, live: 0, dead: 0, low_water_ms: 0 }
}

/// The row's value.
pub fn encode(row: &NamespaceRow) -> Bytes {
    let s = &row.settings;
    let mut out = Vec::with_capacity(80);
    out.extend_from_slice(&[VERSION, if s.paused { PAUSED } else { 0 }]);
    for n in [row.created_ms, row.live, row.dead, row.low_water_ms, u64::from(s.lease_ms), u64::from(s.max_attempts)] {
        put_varint(&mut out, n);
    }
    for n in [s.backoff_first_ms, s.backoff_ceiling_ms, s.idempotency_window_ms] {
        put_varint(&mut out, n);
    }
    for x in [s.backoff_factor, s.backoff_jitter] {
        out.extend_from_slice(&x.to_le_bytes());
    }
    Bytes::from(out)
}

/// The inverse of [`encode`].
///
/// # Errors
/// Bytes that are no namespace's row of a version that this z4 knows.
pub fn decode(value: &Bytes) -> Result<NamespaceRow, RecordError> {
    let mut reader = Reader::new(value);
    if reader.u8()? != VERSION {
        return Err(RecordError("unknown version of a namespace's row"));
    }
    let flags = reader.u8()?;
    if flags & !PAUSED != 0 {
        return Err(RecordError("unknown flag in a namespace's row"));
    }
    let (created_ms, live, dead, low_water_ms) = (reader.varint()?, reader.varint()?, reader.varint()?, reader.varint()?);
    let (lease_ms, max_attempts) = (reader.varint_u32()?, reader.varint_u32()?);
    let (backoff_first_ms, backoff_ceiling_ms, idempotency_window_ms) = (reader.varint()?, reader.varint()?, reader.varint()?);
    let (backoff_factor, backoff_jitter) = (reader.f64()?, reader.f64()?);
    reader.finish()?;
    let settings = Settings {
        lease_ms,
        max_attempts,
        backoff_first_ms,
        backoff_factor,
        backoff_ceiling_ms,
        backoff_jitter,
        paused: flags & PAUSED != 0,
        idempotency_window_ms,
    };
    Ok(NamespaceRow { settings, created_ms, live, dead, low_water_ms })
}

/// How many namespaces the store has.
pub(super) fn count(store: &mut impl Store) -> Result<u64, ApplyError> {
    let mut range = keys::namespaces_after(None);
    let mut count = 0;
    loop {
        let page = store.scan(&range.from, &range.until, COUNTED_AT_ONCE)?;
        count += page.len() as u64;
        let Some((last, _)) = page.last().filter(|_| page.len() == COUNTED_AT_ONCE) else { return Ok(count) };
        // The first key after it.
        range.from = [last, &[0][..]].concat().into();
    }
}

/// Rows are counted so many at a time.
const COUNTED_AT_ONCE: usize = 1_000;

/// How many rows one generation of the cache holds; there are two.
const GENERATION: usize = 512;

/// The rows used lately: at most `2 * GENERATION`, in two generations. A row that is used moves to the young one; when that is
/// full, the old one is dropped and the young one becomes old. What is in it changes no answer, only the number of reads.
#[derive(Default)]
pub(super) struct Cache {
    young: HashMap<Namespace, NamespaceRow, Hashed>,
    old: HashMap<Namespace, NamespaceRow, Hashed>,
}

impl Cache {
    fn take(&mut self, name: &Namespace) -> Option<(Namespace, NamespaceRow)> {
        self.young.remove_entry(name).or_else(|| self.old.remove_entry(name))
    }

    fn put(&mut self, name: Namespace, row: NamespaceRow) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, row);
    }
}

/// The namespaces that an entry touches, in the order in which it does; each is written once, when the entry ends.
#[derive(Default)]
pub(super) struct Touched {
    rows: Vec<TouchedRow>,
    by_name: HashMap<Namespace, usize, Hashed>,
}

struct TouchedRow {
    name: Namespace,
    before: NamespaceRow,
    now: NamespaceRow,
}

impl Touched {
    /// The row's place in this entry. The name that is kept with it is a copy of its own, never a slice of the whole entry.
    pub(super) fn open(&mut self, cache: &mut Cache, store: &mut impl Store, name: &Namespace) -> Result<usize, ApplyError> {
        if let Some(last) = self.rows.last()
            && last.name == *name
        {
            return Ok(self.rows.len() - 1);
        }
        if let Some(at) = self.by_name.get(name) {
            return Ok(*at);
        }
        let (name, row) = match cache.take(name) {
            Some(cached) => cached,
            None => {
                let row = match store.get(&keys::namespace(name))? {
                    Some(value) => decode(&value)?,
                    None => absent(),
                };
                (Namespace::from_bytes(Bytes::copy_from_slice(name.as_bytes())).unwrap_or_else(|_| name.clone()), row)
            }
        };
        self.by_name.insert(name.clone(), self.rows.len());
        self.rows.push(TouchedRow { name, before: row.clone(), now: row });
        Ok(self.rows.len() - 1)
    }

    pub(super) fn name(&self, at: usize) -> &Namespace {
        &self.rows[at].name
    }

    pub(super) fn row(&self, at: usize) -> &NamespaceRow {
        &self.rows[at].now
    }

    pub(super) fn set(&mut self, at: usize, row: NamespaceRow) {
        self.rows[at].now = row;
    }

    /// Writes the rows that changed and gives all of them to the cache. Ready for the next entry then. Returns how many namespaces there
    /// are more.
    pub(super) fn close(&mut self, cache: &mut Cache, mut write: impl FnMut(Write)) -> i64 {
        self.by_name.clear();
        let mut more = 0;
        for TouchedRow { name, before, now } in self.rows.drain(..) {
            if now != before {
                let key = keys::namespace(&name);
                more += i64::from(now.created_ms != 0) - i64::from(before.created_ms != 0);
                write(if now.created_ms == 0 { Write::Delete(key, false) } else { Write::Put(key, encode(&now)) });
            }
            cache.put(name, now);
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows outlive the binary that wrote them.
    #[test]
    fn rows_are_golden_and_round_trip() {
        let mut row = absent();
        row.created_ms = 1;
        row.live = 300;
        row.dead = 2;
        row.low_water_ms = 3;
        row.settings.paused = true;
        let value = encode(&row);
        let golden = b"\x01\x01\x01\xac\x02\x02\x03\xb0\xea\x01\x19\xe8\x07\x80\xdd\xdb\x01\xe0\xa7\x12\
            \x00\x00\x00\x00\x00\x00\x00\x40\x9a\x99\x99\x99\x99\x99\xb9\x3f";
        assert_eq!(value, Bytes::from_static(golden));
        assert_eq!(decode(&value), Ok(row));
        for len in 0..value.len() {
            assert!(decode(&value.slice(..len)).is_err(), "{len}");
        }
    }

    /// A million namespaces must not grow memory.
    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let mut cache = Cache::default();
        let name = |i: usize| Namespace::new(&format!("n{i}")).expect("valid");
        for i in 0..10 * GENERATION {
            cache.put(name(i), absent());
            let (used, row) = cache.take(&name(0)).expect("used all the time");
            cache.put(used, row);
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
    }
}
