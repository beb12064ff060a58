//! The writes of one run of entries: first the machine's overlay while the run is applied, then, sealed, a queued write batch that
//! reads still see.

use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::OnceLock;

use crate::runtime::maps::HashMap;
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;
use z4_model::keys;

/// A key and its value.
pub(super) type Row = (Bytes, Bytes);

/// What a layer does to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The key has this value.
    Put(Bytes),
    /// The key is gone.
    Delete,
    /// The key is gone, and one tombstone may cancel one write (see [`z4_model::machine::Store::delete`]).
    WeakDelete,
}

impl Change {
    /// The value as a reader sees it.
    pub(super) fn value(&self) -> Option<&Bytes> {
        match self {
            Change::Put(value) => Some(value),
            Change::Delete | Change::WeakDelete => None,
        }
    }
}

/// One key and its change.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) key: Bytes,
    pub(super) change: Change,
}

/// An ordered set of writes with at most one per key: all items of a fjall batch share one sequence number, so a key that was
/// written twice in a batch would keep either value. For the same reason the order within the batch says nothing.
#[derive(Debug, Default)]
pub(super) struct Layer {
    writes: Vec<Write>,
    /// From the key's hash to its place in `writes`. Keys are looked up by hash and compared in `writes`, so that no key is stored
    /// twice; a key whose hash is taken by another goes to the next free number.
    index: HashMap<u64, u32, BuildHasherDefault<AlreadyHashed>>,
    /// `writes` in the order of keys, made when it is first asked for.
    sorted: OnceLock<Box<[u32]>>,
    bytes: usize,
}

impl Layer {
    /// Bytes of keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many keys are written.
    #[cfg(not(z4_sim))]
    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    /// What the layer does to `key`, if anything.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Change> {
        let mut hash = xxh3_64(key);
        loop {
            let write = &self.writes[*self.index.get(&hash)? as usize];
            if write.key == key {
                return Some(&write.change);
            }
            hash = hash.wrapping_add(1);
        }
    }

    /// Sets `key`.
    pub(super) fn put(&mut self, key: Bytes, value: Bytes) {
        self.write(key, Change::Put(value));
    }

    /// Removes `key`. It becomes a strong delete when the layer wrote the key before: the one tombstone of the batch then stands
    /// for more than one write.
    pub(super) fn delete(&mut self, key: Bytes, weak: bool) {
        self.write(key, if weak { Change::WeakDelete } else { Change::Delete });
    }

    fn write(&mut self, key: Bytes, change: Change) {
        let mut hash = xxh3_64(&key);
        loop {
            match self.index.entry(hash) {
                Entry::Vacant(free) => {
                    free.insert(self.writes.len() as u32);
                    self.bytes += key.len() + change.value().map_or(0, Bytes::len);
                    self.writes.push(Write { key, change });
                    self.sorted.take();
                    return;
                }
                Entry::Occupied(taken) => {
                    let write = &mut self.writes[*taken.get() as usize];
                    if write.key == key {
                        self.bytes += change.value().map_or(0, Bytes::len);
                        self.bytes -= write.change.value().map_or(0, Bytes::len);
                        write.change = if change == Change::WeakDelete { Change::Delete } else { change };
                        return;
                    }
                    hash = hash.wrapping_add(1);
                }
            }
        }
    }

    /// The writes, in no order that means anything.
    pub(super) fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The writes in the order of keys.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Write> {
        self.sorted().iter().map(|at| &self.writes[*at as usize])
    }

    /// The writes with `from <= key < until`, in the order of keys; `None` when there are none.
    pub(super) fn range<'a>(&'a self, from: &[u8], until: &[u8]) -> Option<impl Iterator<Item = &'a Write> + use<'a>> {
        let inside = |write: &Write| write.key >= from && write.key < until;
        // Most layers have nothing for a reader (a scan for due tasks passes by acks): looking at each key once tells, for a tenth of
        // what sorting costs.
        if self.sorted.get().is_none() && !self.writes.iter().any(inside) {
            return None;
        }
        let sorted = self.sorted();
        let start = sorted.partition_point(|at| self.writes[*at as usize].key < from);
        let end = sorted.partition_point(|at| self.writes[*at as usize].key < until);
        (start < end).then(|| sorted[start..end].iter().map(|at| &self.writes[*at as usize]))
    }

    fn sorted(&self) -> &[u32] {
        self.sorted.get_or_init(|| {
            let mut places: Box<[u32]> = (0..self.writes.len() as u32).collect();
            places.sort_unstable_by(|a, b| self.writes[*a as usize].key.cmp(&self.writes[*b as usize].key));
            places
        })
    }
}

/// The keys of the index are hashes already.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// What the layers of a view do to task rows, as if they were one: there may be thousands, and each page would look at all of them.
#[derive(Debug, Default)]
pub(super) struct Overlay(Vec<Write>);

impl Overlay {
    /// Of layers, the newest first.
    pub(super) fn of<'a>(layers: impl Iterator<Item = &'a Layer>) -> Self {
        let is_row = |write: &&Write| matches!(write.key.first(), Some(&(keys::TASK | keys::DEAD)));
        let mut writes: Vec<&Write> = layers.flat_map(Layer::writes).filter(is_row).collect();
        // Stable: of the writes of one key the newest comes first, and stays.
        writes.sort_by(|a, b| a.key.cmp(&b.key));
        writes.dedup_by(|older, newer| older.key == newer.key);
        Overlay(writes.into_iter().cloned().collect())
    }

    /// The writes with `from <= key < until`, in the order of keys.
    pub(super) fn between(&self, from: &[u8], until: &[u8]) -> &[Write] {
        let start = self.0.partition_point(|write| write.key < from);
        let end = self.0.partition_point(|write| write.key < until);
        &self.0[start..end]
    }
}

#[cfg(test)]
mod tests {
    //! A layer must behave as a map in which the last write wins, and name each key once: were one named twice, fjall would keep
    //! either value.

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key(n: u8) -> Bytes {
        Bytes::copy_from_slice(&[n])
    }

    #[test]
    fn one_write_per_key_and_the_last_one_counts() {
        let mut layer = Layer::default();
        layer.put(key(9), key(1));
        layer.delete(key(3), true);
        layer.put(key(9), key(2));
        let names: Vec<u8> = layer.in_order().map(|w| w.key[0]).collect();
        assert_eq!(names, [3, 9]);
        assert_eq!(layer.get(&[9]), Some(&Change::Put(key(2))));
        assert_eq!(layer.get(&[3]), Some(&Change::WeakDelete));
        assert_eq!(layer.get(&[4]), None);
        assert_eq!(layer.bytes(), 3);
    }

    #[test]
    fn a_weak_delete_of_a_key_that_the_layer_wrote_is_a_strong_one() {
        let mut layer = Layer::default();
        layer.put(key(1), key(1));
        layer.delete(key(1), true);
        layer.delete(key(2), true);
        layer.delete(key(2), true);
        assert_eq!(layer.get(&[1]), Some(&Change::Delete));
        assert_eq!(layer.get(&[2]), Some(&Change::Delete));
    }

    proptest! {
        #[test]
        fn it_is_a_map(ops in proptest::collection::vec((0u8..20, proptest::option::of(any::<u8>()), any::<bool>()), 0..60), from: u8, until: u8) {
            let mut layer = Layer::default();
            let mut model = BTreeMap::new();
            for (k, v, weak) in ops {
                match v {
                    Some(v) => layer.put(key(k), key(v)),
                    None => layer.delete(key(k), weak),
                }
                model.insert(k, v);
                // Asking in between must not freeze the order.
                let _ = layer.range(&[k], &[255]);
            }
            let bytes: usize = model.values().map(|v| 1 + usize::from(v.is_some())).sum();
            prop_assert_eq!(layer.bytes(), bytes);
            let got: Vec<_> = layer.range(&[from], &[until]).into_iter().flatten().map(|w| (w.key[0], w.change.value().map(|v| v[0]))).collect();
            let want: Vec<_> = model.iter().filter(|(k, _)| (from..until).contains(k)).map(|(k, v)| (*k, *v)).collect();
            prop_assert_eq!(got, want);
        }
    }
}
