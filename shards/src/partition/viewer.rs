//! Views of a partition for threads that are no part of its shard: they need no visit to the storage thread, and nothing that an
//! executor waits for waits for them.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::engine::Tree;
use super::error::Place;
use super::queue::Queue;
use super::view::View;

/// Where views of a partition come from. While it is there the partition's directory is in use.
pub(super) struct Source {
    pub(super) tree: Tree,
    pub(super) queue: Arc<Queue>,
    pub(super) place: Place,
}

/// Makes views of a partition from any thread, for as long as that is open, whatever takes its place meanwhile. Cheap to clone; it
/// keeps nothing open itself.
#[derive(Clone, Default)]
pub struct Viewer(Arc<ArcSwapOption<Source>>);

impl Viewer {
    /// A consistent view of what is applied now; `None`: the partition is closed.
    pub fn view(&self) -> Option<View> {
        let source = self.0.load();
        source.as_ref().map(|source| View::new(&source.tree, &source.queue, &source.place))
    }

    /// Views come from here from now on.
    pub(super) fn show(&self, source: Source) {
        self.0.store(Some(Arc::new(source)));
    }

    /// There are no more views.
    pub(super) fn close(&self) {
        self.0.store(None);
    }
}
