//! What the machine reads while it applies must be what it wrote, whether that is still in the layer of this run, in a layer that
//! waits for the writer, in fjall's memtable or in a table, and a view must not change under its reader. A wrong merge would apply
//! the same entries differently on two replicas.

use std::collections::BTreeMap;

use fjall::AbstractTree;
use proptest::prelude::*;
use z4_model::log::LogPosition;
use z4_model::machine::Store;

use super::*;
use crate::partition::store::BatchStore;

/// What happens between two runs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// The layer stays in the queue.
    Queued,
    /// The layer, and all before it, reach the memtable.
    Written,
    /// They reach a table.
    Flushed,
}

fn any_key() -> impl Strategy<Value = Bytes> {
    (any::<bool>(), 0u8..24).prop_map(|(task, n)| if task { task_key(n) } else { state_key(n) })
}

type Ops = Vec<(Bytes, Option<u8>)>;

fn any_run() -> impl Strategy<Value = (Ops, Fate)> {
    let ops = proptest::collection::vec((any_key(), proptest::option::weighted(0.6, any::<u8>())), 1..20);
    let fate = prop_oneof![3 => Just(Fate::Queued), 3 => Just(Fate::Written), 1 => Just(Fate::Flushed)];
    (ops, fate)
}

impl Parts {
    /// Does the writer thread's work.
    fn write_queued(&self) {
        for layer in self.queue.layers().into_iter().rev() {
            self.tree.commit(&layer).expect("it commits");
            self.queue.written(&layer);
        }
    }

    pub(super) fn finish(&self, layer: Layer, fate: Fate) {
        self.queue.push(layer, None).expect("there is room");
        if !matches!(fate, Fate::Queued) {
            self.write_queued();
        }
        if matches!(fate, Fate::Flushed) {
            self.flush();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reads_are_those_of_a_map(runs in proptest::collection::vec(any_run(), 1..8), from in any_key(), until in any_key(), limit in 0usize..30) {
        let dir = temp();
        let parts = Parts::open(dir.path());
        let mut model = BTreeMap::new();
        let mut views = Vec::new();
        for (ops, fate) in runs {
            let view = parts.view();
            let mut store = BatchStore::new(&view);
            for (key, value) in ops {
                match value {
                    Some(v) => {
                        store.put(key.clone(), Bytes::copy_from_slice(&[v]));
                        model.insert(key.clone(), v);
                    }
                    None => {
                        store.delete(key.clone(), false);
                        model.remove(&key);
                    }
                }
                prop_assert_eq!(store.get(&key).expect("reads").map(|v| v[0]), model.get(&key).copied());
            }
            let got = store.scan(&from, &until, limit).expect("scans");
            let got: Vec<_> = got.into_iter().map(|(k, v)| (k, v[0])).collect();
            // `BTreeMap::range` panics where the store finds nothing.
            let want: Vec<_> = model.iter().filter(|(k, _)| **k >= from && **k < until).take(limit).map(|(k, v)| (k.clone(), *v)).collect();
            prop_assert_eq!(got, want);
            parts.finish(store.layer, fate);
            views.push((parts.view(), model.clone()));
        }
        for (view, model) in views {
            let got: Result<Vec<_>, _> = view.range(&[0], &[255]).collect();
            let got: Vec<_> = got.expect("reads").into_iter().map(|(k, v)| (k, v[0])).collect();
            prop_assert_eq!(got, model.into_iter().collect::<Vec<_>>());
        }
    }
}

/// A weak delete cancels one write; the row must be gone however many runs and flushes are between the two, and a row that is
/// written again afterwards must be there.
#[test]
fn weak_deletes_hide_their_row_and_nothing_else() {
    let dir = temp();
    let parts = Parts::open(dir.path());
    for round in 0..4u8 {
        for n in 0..20 {
            parts.commit(&[(&task_key(n), &[round])]);
        }
        if round % 2 == 0 {
            parts.flush();
        }
        let mut layer = Layer::default();
        (0..20).filter(|n| n % 2 == 0).for_each(|n| layer.delete(task_key(n), true));
        (0..20).filter(|n| n % 2 == 1).for_each(|n| layer.delete(task_key(n), false));
        parts.tree.commit(&layer).expect("it commits");
        assert_eq!(parts.view().range(&[0], &[255]).count(), 0, "round {round}");
        parts.flush();
        while parts.tree.compact().expect("it compacts") {}
        assert_eq!(parts.view().range(&[0], &[255]).count(), 0, "round {round}, compacted");
    }
}

/// A full queue makes apply wait, an error of the writer ends the wait and is the answer to everything after it. A wait that nobody
/// ends would hang the storage thread.
#[test]
fn a_full_queue_waits_for_the_writer_and_hears_of_its_failure() {
    let dir = temp();
    let place = Place::new(GroupId(1), Arc::from(dir.path()));
    let queue = Arc::new(Queue::new(10, None));
    let layer = || {
        let mut layer = Layer::default();
        layer.put(task_key(1), Bytes::from_static(b"123456"));
        layer
    };
    let at = Some(LogPosition { term: 1, leader: 1, index: 1 });
    queue.push(layer(), at).expect("there is room");
    let (pushing, drained) = (queue.clone(), queue.clone());
    let second = std::thread::spawn(move || pushing.push(layer(), at));
    let drained = std::thread::spawn(move || drained.drained());
    assert_eq!(queue.layers().len(), 1);
    queue.fail(place.finding("a test says so"));
    assert!(second.join().expect("no panic").is_err());
    assert!(drained.join().expect("no panic").is_err());
    assert!(queue.push(layer_of_nothing(), at).is_err());
}

fn layer_of_nothing() -> Layer {
    Layer::default()
}

/// A merge keeps one block of what it has read in memory for each entry of the index that it is to write at the table's end: that index is
/// written in pieces.
#[test]
fn a_merged_table_has_its_index_in_pieces() {
    let dir = temp();
    let parts = Parts::open(dir.path());
    for n in 0..160u8 {
        // Tables of keys that do not overlap would be moved, not merged.
        let key = (u16::from(n) * 37 % 160) as u8;
        parts.commit(&[(&task_key(key), &[n; 20 << 10])]);
        if n % 10 == 9 {
            parts.flush();
        }
    }
    while parts.tree.compact().expect("it compacts") {}
    let [tasks, _] = parts.tree.keyspaces();
    let pieces: Vec<u64> = tasks.tree.current_version().iter_tables().map(|table| table.metadata.index_block_count).collect();
    assert!(pieces.iter().any(|pieces| *pieces > 1), "{pieces:?}");
}
