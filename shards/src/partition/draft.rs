//! A partition that is being made of another one's rows, beside the one that counts.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use z4_model::encoding::Malformed;
use z4_model::ids::GroupId;
use z4_model::keys;
use z4_model::log::{LogEntry, LogPosition};

use super::chunk::take_row;
use super::directory::{Directory, sync_names};
use super::engine::{Sorted, Tree};
use super::error::{PartitionError, Place};
use super::generation::{self, Number};
use super::layer::Layer;
use super::layout::Applied;
use super::stand_in::Damaged;
use super::{Partition, PartitionOptions};
use crate::runtime::executor;

/// Why rows were not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ImportError {
    /// Who sent them is wrong.
    #[error("malformed rows: {0}")]
    Chunk(Malformed),
    /// The disk here.
    #[error(transparent)]
    Partition(#[from] PartitionError),
}

impl From<Malformed> for ImportError {
    fn from(rows: Malformed) -> Self {
        ImportError::Chunk(rows)
    }
}

/// Where drafts for a group are made. `Send` and cheap to clone.
#[derive(Clone, Debug)]
pub struct Drafts {
    base: Arc<Path>,
    group: GroupId,
    options: PartitionOptions,
}

impl Partition {
    /// Where a replacement for this partition is made.
    ///
    /// # Errors
    /// The partition is in no generation's directory.
    pub fn drafts(&self) -> Result<Drafts, PartitionError> {
        let base = self.base()?;
        Ok(Drafts { base: base.into(), group: self.place.group, options: self.options.clone() })
    }

    /// Becomes what `prepared` holds; what it was stays readable for its views and is removed after them. A crash leaves the old
    /// state or the new one.
    ///
    /// # Errors
    /// Which of the two counts is in doubt until the next open.
    pub fn adopt(&mut self, mut prepared: Prepared) -> Result<(), PartitionError> {
        let base = self.base()?;
        let Some(mut new) = prepared.partition.take() else { return Ok(()) };
        // From here on either may be the one that counts after a crash.
        new.tree.directory().keep();
        generation::switch(&base, prepared.number).map_err(|error| self.place.storage(error))?;
        self.tree.directory().doom();
        if let Some(Damaged { directory: Some(damaged), .. }) = self.stands_in.take() {
            damaged.doom();
        }
        // Who makes views of this partition makes them of the new one from here on.
        new.place.tell_like(&self.place);
        std::mem::swap(&mut self.viewer, &mut new.viewer);
        new.viewer.show(new.source());
        close_aside(std::mem::replace(self, new));
        Ok(())
    }
}

/// Closing waits for threads, and writes what is queued.
fn close_aside(partition: Partition) {
    executor::aside("z4-close", move || drop(partition));
}

impl Drafts {
    /// Begins a draft in a directory of its own. Blocks.
    pub fn begin(&self) -> Result<Draft, PartitionError> {
        let place = Place::new(self.group, self.base.clone());
        let (number, dir) = generation::create_next(&self.base).map_err(|error| place.storage(error))?;
        let place = Place::new(self.group, Arc::from(dir.as_path()));
        let tree = Tree::open_in(Arc::new(Directory::doomed(&dir)), &self.options).map_err(|error| place.tree(error))?;
        Ok(Draft { place, number, tree, options: self.options.clone() })
    }
}

/// A partition under construction. Its directory goes when it is dropped unfinished.
pub struct Draft {
    place: Place,
    number: Number,
    tree: Tree,
    options: PartitionOptions,
}

impl Draft {
    /// Rows may be written now, once.
    pub fn fill(&self) -> Result<Filling<'_>, PartitionError> {
        let [tasks, state] = self.tree.keyspaces();
        let start = |keyspace| Sorted::start(keyspace).map_err(|error| self.place.tree(error));
        Ok(Filling {
            tree: &self.tree,
            place: &self.place,
            tasks: start(tasks)?,
            state: start(state)?,
            last: Bytes::new(),
            rows: 0,
        })
    }

    /// Makes the rows durable as the state after `applied`, with this membership, and opens it. Blocks.
    pub fn finish(
        self,
        applied: Option<LogPosition>,
        membership: (Option<LogPosition>, Bytes),
    ) -> Result<Prepared, PartitionError> {
        let Draft { place, number, tree, options } = self;
        let failed = |error| place.tree(error);
        let row = applied.map(|position| Applied { group: place.group, position, before: None, membership: Some(membership) });
        if let Some(row) = &row {
            let mut layer = Layer::default();
            layer.put(keys::raft(), row.encode());
            tree.commit(&layer).map_err(failed)?;
        }
        tree.sync().map_err(failed)?;
        let directory = tree.directory().clone();
        drop(tree);
        sync_names(directory.path()).map_err(|error| place.storage(error))?;
        // What cannot be opened again must not take the place of what can.
        let partition = Partition::open_in(directory, place.group, &options)?;
        partition.record.raise(&place, row)?;
        Ok(Prepared { partition: Some(partition), number })
    }
}

/// Takes a draft's rows, all keyspaces in one order of keys. They go straight into sorted tables: no journal, no memtable, no merging.
pub struct Filling<'a> {
    tree: &'a Tree,
    place: &'a Place,
    tasks: Sorted<'a>,
    state: Sorted<'a>,
    last: Bytes,
    rows: u64,
}

impl Filling<'_> {
    /// Writes a chunk's rows, which must follow those of the chunk before.
    ///
    /// # Errors
    /// The draft is of no use any more.
    pub fn write(&mut self, mut rows: Bytes) -> Result<(), ImportError> {
        while let Some((key, value)) = take_row(&mut rows)? {
            // fjall would panic.
            if key <= self.last {
                return Err(Malformed("rows are not in the order of their keys").into());
            }
            if key == keys::raft() {
                return Err(Malformed("the partition's own row").into());
            }
            let keyspace = if self.tree.is_task(&key) { &mut self.tasks } else { &mut self.state };
            keyspace.write((key.clone(), value)).map_err(|error| self.place.tree(error))?;
            self.last = key;
            self.rows += 1;
        }
        Ok(())
    }

    /// No more rows come; returns how many there were.
    pub fn close(self) -> Result<u64, PartitionError> {
        for keyspace in [self.tasks, self.state] {
            keyspace.finish().map_err(|error| self.place.tree(error))?;
        }
        Ok(self.rows)
    }
}

/// A partition that is durable, open, and waits to take another one's place. Dropped instead, it is removed.
pub struct Prepared {
    partition: Option<Partition>,
    number: Number,
}

impl Prepared {
    /// Applies what came after it.
    ///
    /// # Errors
    /// It is of no use any more.
    pub fn apply(&mut self, run: &[LogEntry]) -> Result<(), PartitionError> {
        self.partition.as_mut().map_or(Ok(()), |partition| partition.apply(run).map(drop))
    }

    /// Up to where the log is in it.
    pub fn applied(&self) -> Option<LogPosition> {
        self.partition.as_ref().and_then(Partition::applied)
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(partition) = self.partition.take() {
            close_aside(partition);
        }
    }
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("number", &self.number).field("applied", &self.applied()).finish()
    }
}
