//! The rows of namespaces that are kept in memory.

use std::collections::HashMap;

use bytes::Bytes;

use super::error::ApplyError;
use super::hash::Hashed;
use super::meta::Totals;
use super::store::Store;
use super::write::Write;
use crate::ids::Namespace;
use crate::keys;
use crate::rows::namespace::NamespaceRow;

/// How many namespaces the store has.
pub(super) fn count(store: &mut impl Store) -> Result<u64, ApplyError> {
    let mut count = 0;
    each_page(store, |page| {
        count += page.len() as u64;
        Ok(())
    })?;
    Ok(count)
}

/// The sums over all namespaces.
pub(super) fn totals(store: &mut impl Store) -> Result<Totals, ApplyError> {
    let mut totals = Totals::default();
    each_page(store, |page| {
        for (_, row) in page {
            let NamespaceRow { live, dead, .. } = NamespaceRow::decode(row)?;
            totals = Totals { live: totals.live + live, dead: totals.dead + dead };
        }
        Ok(())
    })?;
    Ok(totals)
}

/// Shows the rows of all namespaces, some at a time.
fn each_page(store: &mut impl Store, mut see: impl FnMut(&[(Bytes, Bytes)]) -> Result<(), ApplyError>) -> Result<(), ApplyError> {
    let mut range = keys::namespaces_after(None);
    loop {
        let page = store.scan(&range.from, &range.until, READ_AT_ONCE)?;
        see(&page)?;
        let Some((last, _)) = page.last().filter(|_| page.len() == READ_AT_ONCE) else { return Ok(()) };
        // The first key after it.
        range.from = [last, &[0][..]].concat().into();
    }
}

/// So many rows are in memory at a time.
const READ_AT_ONCE: usize = 1_000;

/// How many rows one generation of the cache holds; there are two.
const GENERATION: usize = 512;

const _: () = assert!(READ_AT_ONCE > 0 && GENERATION > 0, "something is read, and something is kept");

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

    /// What must hold between two entries: the rows are those of the store.
    ///
    /// # Panics
    /// It does not, or the store cannot be read.
    pub(super) fn check(&self, store: &mut impl Store) {
        assert!(self.young.len() <= GENERATION && self.old.len() <= GENERATION, "the cache is bounded");
        for (name, row) in self.young.iter().chain(&self.old) {
            let stored = store.get(&keys::namespace(name)).expect("readable").map(|value| NamespaceRow::decode(&value));
            assert_eq!(*row, stored.map_or_else(NamespaceRow::default, |row| row.expect("a row")), "{name}");
        }
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
                    Some(value) => NamespaceRow::decode(&value)?,
                    None => NamespaceRow::default(),
                };
                (Namespace::from_bytes(Bytes::copy_from_slice(name.as_bytes())).unwrap_or_else(|_| name.clone()), row)
            }
        };
        self.by_name.insert(name.clone(), self.rows.len());
        self.rows.push(TouchedRow { name, before: row.clone(), now: row });
        Ok(self.rows.len() - 1)
    }

    /// Between two entries there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.by_name.is_empty()
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
                write(if now.created_ms == 0 { Write::Delete(key, false) } else { Write::Put(key, now.encode()) });
            }
            cache.put(name, now);
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A million namespaces must not grow memory.
    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let mut cache = Cache::default();
        let name = |i: usize| Namespace::new(&format!("n{i}")).expect("valid");
        for i in 0..10 * GENERATION {
            cache.put(name(i), NamespaceRow::default());
            let (used, row) = cache.take(&name(0)).expect("used all the time");
            cache.put(used, row);
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
    }
}
