//! Tests of the partition, one subject per file.

mod audit;
mod bounds;
mod damage;
mod history;
mod kill;
mod measure;
mod measure_bounds;
mod measure_span;
mod measure_transfer;
mod missing;
mod partition;
mod span;
mod stand_in;
mod store;
mod transfer;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use z4_model::ids::GroupId;
use z4_model::keys;

use super::PartitionOptions;
use super::engine::Tree;
use super::error::Place;
use super::layer::Layer;
use super::queue::Queue;
use super::view::View;

/// The parts of a partition below the machine, without its threads: a test decides when a queued layer is written.
struct Parts {
    place: Place,
    tree: Tree,
    queue: Arc<Queue>,
}

impl Parts {
    fn open(dir: &Path) -> Self {
        let place = Place::new(GroupId(1), Arc::from(dir));
        let tree = Tree::open(dir, &PartitionOptions::default()).expect("an intact database opens");
        Parts { place, tree, queue: Arc::new(Queue::new(usize::MAX, None)) }
    }

    fn view(&self) -> View {
        View::new(&self.tree, &self.queue, &self.place)
    }

    /// Writes pairs as one batch.
    fn commit(&self, pairs: &[(&[u8], &[u8])]) {
        let mut layer = Layer::default();
        for (key, value) in pairs {
            layer.put(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        }
        self.tree.commit(&layer).expect("it commits");
    }

    /// Moves everything from memtables into tables.
    fn flush(&self) {
        self.tree.seal_memtables().expect("memtables are sealed");
        while self.tree.flushes() {
            std::thread::yield_now();
        }
    }
}

/// A key among the task rows.
fn task_key(n: u8) -> Bytes {
    Bytes::copy_from_slice(&[keys::TASK, n])
}

/// A key among the other rows.
fn state_key(n: u8) -> Bytes {
    Bytes::copy_from_slice(&[keys::TASK + 1, n])
}

fn temp() -> TempDir {
    tempfile::tempdir().expect("a directory for the test")
}
