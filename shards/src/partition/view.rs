//! A consistent view of a partition: fjall's snapshot below, the layers that fjall may not have yet above.

use std::iter::Peekable;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::engine::{self, Rows, Snapshot, Tree};
use super::error::{PartitionError, Place};
use super::layer::{Layer, Overlay, Row, Write};
use super::queue::Queue;

/// What a partition held at one moment, whatever is applied later. Cheap to make and to clone; `Send`. While it lives the space of
/// rows that were removed since is not given back, and the partition's directory stays in use.
#[derive(Clone)]
pub struct View {
    tree: Tree,
    snapshot: Snapshot,
    /// Newest first; usually there are none.
    layers: Vec<Arc<Layer>>,
    /// `layers` as one, made when it is first asked for.
    overlay: OnceLock<Arc<Overlay>>,
    pub(super) place: Place,
}

impl View {
    pub(super) fn new(tree: &Tree, queue: &Queue, place: &Place) -> Self {
        loop {
            // In this order: see `Queue::look`.
            let look = queue.look();
            let snapshot = tree.snapshot();
            if queue.stands(&look) {
                let layers = look.layers;
                return View { tree: tree.clone(), snapshot, layers, overlay: OnceLock::new(), place: place.clone() };
            }
        }
    }

    /// A view of what fjall has, before there is a queue.
    pub(super) fn without_queue(tree: &Tree, place: &Place) -> Self {
        let (layers, overlay) = (Vec::new(), OnceLock::new());
        View { tree: tree.clone(), snapshot: tree.snapshot(), layers, overlay, place: place.clone() }
    }

    /// What the layers do to task rows.
    pub(super) fn overlay(&self) -> &Overlay {
        self.overlay.get_or_init(|| Arc::new(Overlay::of(self.layers.iter().map(Arc::as_ref))))
    }

    /// What fjall has of task rows with `from <= key < until`, which must be a range.
    pub(super) fn rows_of_tree(&self, from: &[u8], until: &[u8]) -> Rows {
        self.snapshot.range(self.tree.keyspace(from), from, until)
    }

    /// There are rows, as many or few as they may be.
    pub(super) fn is_there(&self) -> Result<(), PartitionError> {
        if self.place.lost { Err(lost(&self.place)) } else { Ok(()) }
    }

    /// The value at `key`.
    pub(super) fn value(&self, key: &[u8]) -> Result<Option<Bytes>, PartitionError> {
        self.is_there()?;
        if let Some(change) = self.layers.iter().find_map(|layer| layer.get(key)) {
            return Ok(change.value().cloned());
        }
        let found = self.snapshot.get(self.tree.keyspace(key), key).map_err(|error| self.place.tree(error))?;
        Ok(found)
    }

    /// The pairs with `from <= key < until`, in the order of keys. After an error there is nothing more to come.
    pub(super) fn range(&self, from: &[u8], until: &[u8]) -> impl Iterator<Item = Result<Row, PartitionError>> + use<'_> {
        self.range_under(None, from, until)
    }

    /// The same, seen through one more layer.
    pub(super) fn range_under<'a>(
        &'a self,
        top: Option<&'a Layer>,
        from: &[u8],
        until: &[u8],
    ) -> impl Iterator<Item = Result<Row, PartitionError>> + use<'a> {
        let mut sources: Vec<Source<'a>> = Vec::new();
        // An empty range must not reach fjall, which panics when a range ends before it starts.
        if from < until {
            for layer in top.into_iter().chain(self.layers.iter().map(Arc::as_ref)) {
                let Some(writes) = layer.range(from, until) else { continue };
                let writes: Box<dyn Iterator<Item = &'a Write> + 'a> = Box::new(writes);
                sources.push(Source::Layer(writes.peekable()));
            }
            for keyspace in self.tree.keyspaces_between(from, until) {
                let rows = self.snapshot.range(keyspace, from, until);
                sources.push(Source::Tree(rows.peekable()));
            }
        }
        Merge { sources, place: &self.place, lost: self.place.lost }
    }
}

fn lost(place: &Place) -> PartitionError {
    place.finding("its rows are lost, and those of another peer are not here yet")
}

/// One ordered run of rows.
enum Source<'a> {
    Layer(Peekable<Box<dyn Iterator<Item = &'a Write> + 'a>>),
    Tree(Peekable<Rows>),
}

impl Source<'_> {
    /// The key that comes next. An error counts as the first of all keys, so that it is told at once.
    fn peek(&mut self) -> Option<&[u8]> {
        match self {
            Source::Layer(writes) => writes.peek().map(|write| write.key.as_ref()),
            Source::Tree(rows) => rows.peek().map(|row| row.as_ref().map_or(&[] as &[u8], |(key, _)| key)),
        }
    }

    /// The next row; `None` for a key that is removed.
    fn next(&mut self) -> Option<engine::Result<(Bytes, Option<Bytes>)>> {
        match self {
            Source::Layer(writes) => writes.next().map(|write| Ok((write.key.clone(), write.change.value().cloned()))),
            Source::Tree(rows) => rows.next().map(|row| row.map(|(key, value)| (key, Some(value)))),
        }
    }
}

/// Merges sources; where several have a key, the first source's word counts.
struct Merge<'a> {
    sources: Vec<Source<'a>>,
    place: &'a Place,
    /// Nothing can be read, which is still to be said.
    lost: bool,
}

impl Merge<'_> {
    fn step(&mut self) -> Option<engine::Result<(Bytes, Option<Bytes>)>> {
        if let [only] = &mut self.sources[..] {
            return only.next();
        }
        let mut first: Option<(usize, &[u8])> = None;
        for (at, source) in self.sources.iter_mut().enumerate() {
            let Some(key) = source.peek() else { continue };
            if first.is_none_or(|(_, least)| key < least) {
                first = Some((at, key));
            }
        }
        let (at, _) = first?;
        let row = self.sources[at].next()?;
        if let Ok((key, _)) = &row {
            for source in &mut self.sources[at + 1..] {
                if source.peek() == Some(key) {
                    source.next();
                }
            }
        }
        Some(row)
    }
}

impl Iterator for Merge<'_> {
    type Item = Result<Row, PartitionError>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::take(&mut self.lost) {
            self.sources.clear();
            return Some(Err(lost(self.place)));
        }
        loop {
            match self.step()? {
                Ok((key, Some(value))) => return Some(Ok((key, value))),
                Ok((_, None)) => {}
                Err(error) => {
                    self.sources.clear();
                    return Some(Err(self.place.tree(error)));
                }
            }
        }
    }
}
