//! A replica's durable state: one fjall database in one directory, and the only place that names fjall.
//!
//! Everything here blocks: it runs on the shard's storage thread, never on an executor. The life of a run of committed entries:
//!
//! 1. [`Partition::apply`] gives each entry to the machine, whose writes go into a layer over what is there;
//! 2. the layer gets the last applied position (and membership) and is queued: apply is done, reads see the layer;
//! 3. the writer thread commits the layer to fjall as one batch; fjall's memtable holds it now, its journal file has it unsynced;
//! 4. [`Persister::persist`] waits for 3 and syncs the journal. Until then the raft log is what makes the entries durable.
//!
//! So whatever was lost by a crash is a whole number of runs at the end, the position says where, and the log has them again.

mod chunk;
mod directory;
mod draft;
mod engine;
mod error;
#[cfg(not(z4_sim))]
mod fjall;
mod generation;
mod layer;
mod layout;
mod manifest;
mod options;
mod queue;
mod rows;
#[cfg(z4_sim)]
mod simulated;
mod span;
mod stand_in;
mod store;
mod trouble;
#[cfg(not(z4_sim))]
mod upkeep;
mod view;
mod viewer;
mod whole;
#[cfg(not(z4_sim))]
mod writer;

#[cfg(all(test, not(z4_sim)))]
mod tests;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use chunk::{CHUNK_BYTES_MAX, Chunk, Chunks};
pub use draft::{Draft, Drafts, Filling, ImportError, Prepared};
pub use error::{Cause, PartitionError};
pub use options::PartitionOptions;
pub use rows::{Due, DuePart, ListPage, ListRange, Window};
pub use span::Span;
pub use stand_in::Logged;
pub use view::View;
pub use viewer::Viewer;

use crate::runtime::fs;
use directory::Directory;
use engine::{Threads, Tree};
use error::Place;
use layout::Applied;
use manifest::Record;
use queue::Queue;
use stand_in::Damaged;
use store::BatchStore;
use viewer::Source;
use z4_model::ids::{GroupId, Namespace, TaskId, TaskKey};
use z4_model::keys;
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::{Claimable, Machine, Outcome, Totals};
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::task::TaskRow;

/// A replica's durable state. `Send`; owned by the storage thread of its shard. Dropping it writes what is queued, unsynced.
pub struct Partition {
    place: Place,
    options: PartitionOptions,
    machine: Machine,
    tree: Tree,
    queue: Arc<Queue>,
    threads: Threads,
    viewer: Viewer,
    record: Arc<Record>,
    applied: Option<LogPosition>,
    membership: Option<(Option<LogPosition>, Bytes)>,
    /// An apply has failed, and the machine is ahead of the rows; or there are no rows. Nothing more is applied.
    broken: Option<PartitionError>,
    /// It stands in the place of a partition that is damaged.
    stands_in: Option<Damaged>,
}

impl Partition {
    /// Opens the partition of `group` in `dir`, or creates an empty one; loads the machine.
    ///
    /// The caller compares [`Partition::applied`] with the log's purge point: a partition that is behind it is not served.
    ///
    /// # Errors
    /// [`PartitionError::Damaged`] when what is there fails a checksum or belongs to another group, [`PartitionError::Locked`] when
    /// it is open elsewhere.
    pub fn open(dir: &Path, group: GroupId, options: &PartitionOptions) -> Result<Self, PartitionError> {
        Partition::open_in(Arc::new(Directory::kept(dir)), group, options)
    }

    fn open_in(directory: Arc<Directory>, group: GroupId, options: &PartitionOptions) -> Result<Self, PartitionError> {
        let place = Place::new(group, Arc::from(directory.path()));
        fs::create_directories(&place.dir).map_err(|error| place.storage(error))?;
        let manifest = manifest::check(&place.dir, &place)?;
        let journals = engine::audit_journals(&place.dir, &place)?;
        let tree = Tree::open_in(directory, options).map_err(|error| place.tree(error))?;
        let view = View::without_queue(&tree, &place);
        let found = view.applied()?;
        let applied = found.as_ref().map(|found| found.position);
        let membership = found.and_then(|found| found.membership);
        let machine = Machine::load(group, &mut BatchStore::new(&view)).map_err(|error| place.reading(error))?;
        drop(view);
        whole::check(&tree, &place, whole::Said { manifest: manifest.clone(), journals, applied, totals: machine.totals() })?;
        if manifest.is_none() {
            directory::sync_names(&place.dir).map_err(|error| place.storage(error))?;
        }
        let record = Arc::new(Record::new(manifest));
        record.raise(&place, None)?;
        let queue = Arc::new(Queue::new(options.queue_bytes_max, applied));
        let threads = Threads::start(&tree, &queue, &place)?;
        let partition = Partition {
            place,
            options: options.clone(),
            machine,
            tree,
            queue,
            threads,
            viewer: Viewer::default(),
            record,
            applied,
            membership,
            broken: None,
            stands_in: None,
        };
        partition.viewer.show(partition.source());
        Ok(partition)
    }

    fn source(&self) -> Source {
        Source { tree: self.tree.clone(), queue: self.queue.clone(), place: self.place.clone() }
    }

    /// Calls `tell` with any damage that is found from now on, whoever finds it: apply, reads, views, the threads behind. On the thread
    /// that found it, which must not be held up. It goes with the state when another takes its place.
    pub fn on_damage(&self, tell: impl Fn(&PartitionError) + Send + Sync + 'static) {
        self.place.tell(Arc::new(tell));
    }

    /// The last entry that was applied, durable or not.
    pub fn applied(&self) -> Option<LogPosition> {
        self.applied
    }

    /// The membership as last applied, opaque bytes of the raft adapter, and the position of the entry that set it.
    pub fn membership(&self) -> Option<(Option<LogPosition>, Bytes)> {
        self.membership.clone()
    }

    /// Applies committed entries in their order; one outcome for each (empty for blank and membership entries). Reads see them when
    /// this returns. Blocks while more than [`PartitionOptions::queue_bytes_max`] waits for the disk.
    ///
    /// # Errors
    /// After any error the machine and the disk disagree, and every later call fails the same way: other rows must take the place of
    /// these. Until then reads see what was applied before this call.
    pub fn apply(&mut self, run: &[LogEntry]) -> Result<Vec<Outcome>, PartitionError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let before = (self.applied, self.membership.clone());
        let outcomes = self.apply_all(run);
        if let Err(error) = &outcomes {
            (self.applied, self.membership) = before;
            self.broken = Some(error.clone());
        }
        outcomes
    }

    fn apply_all(&mut self, run: &[LogEntry]) -> Result<Vec<Outcome>, PartitionError> {
        let Some(last) = run.last() else { return Ok(Vec::new()) };
        let before = self.applied.map(|position| position.index);
        let view = self.view();
        let mut store = BatchStore::new(&view);
        let mut outcomes = Vec::with_capacity(run.len());
        for LogEntry { position, payload } in run {
            if self.applied.is_some_and(|applied| position.index <= applied.index) {
                // Another replica's rows took the place of this one's, and it was further.
                outcomes.push(Outcome::default());
                continue;
            }
            self.applied = Some(*position);
            outcomes.push(match payload {
                LogPayload::Blank => Outcome::default(),
                LogPayload::Normal(entry) => self
                    .machine
                    .apply(&mut store, position.index, entry)
                    .map_err(|error| self.place.applying(position.index, error))?,
                LogPayload::Membership(bytes) => {
                    self.membership = Some((Some(*position), Bytes::copy_from_slice(bytes)));
                    Outcome::default()
                }
            });
        }
        let mut layer = store.layer;
        // The push may wait; nothing that was removed meanwhile need be kept for this view.
        drop(view);
        let position = self.applied.unwrap_or(last.position);
        let applied = Applied { group: self.place.group, position, before, membership: self.membership.clone() };
        layer.put(keys::raft(), applied.encode());
        self.queue.push(layer, self.applied)?;
        Ok(outcomes)
    }

    /// Makes everything that was applied durable here, so that the raft log can go; returns up to where. Blocks for a sync, tens of
    /// milliseconds; [`Partition::persister`] does the same beside applies.
    pub fn persist(&mut self) -> Result<Option<LogPosition>, PartitionError> {
        self.persister().persist()
    }

    /// Its rows are all there, and what was to be applied was.
    ///
    /// # Errors
    /// The damage.
    pub fn whole(&self) -> Result<(), PartitionError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// A handle that persists from another thread while this one goes on to apply.
    pub fn persister(&self) -> Persister {
        let record = Arc::clone(&self.record);
        Persister { place: self.place.clone(), tree: self.tree.clone(), queue: self.queue.clone(), record }
    }

    /// Holds up its syncs.
    #[cfg(test)]
    pub(crate) fn sync_gate(&self) -> Arc<engine::SyncGate> {
        self.tree.sync_gate()
    }

    /// A consistent view of everything applied so far.
    pub fn view(&self) -> View {
        View::new(&self.tree, &self.queue, &self.place)
    }

    /// Makes views from other threads, of this partition and of what takes its place by [`Partition::adopt`], until it is dropped.
    pub fn viewer(&self) -> Viewer {
        self.viewer.clone()
    }

    /// See [`View::get`].
    pub fn get(&self, namespace: &Namespace, id: TaskId) -> Result<Option<TaskRow>, PartitionError> {
        self.view().get(namespace, id)
    }

    /// See [`View::list`].
    pub fn list(&self, range: &ListRange) -> Result<ListPage, PartitionError> {
        self.view().list(range)
    }

    /// See [`View::scan_window`].
    pub fn scan_window(
        &self,
        namespace: &Namespace,
        from: TaskKey,
        until_ms: u64,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Window, PartitionError> {
        self.view().scan_window(namespace, from, until_ms, rows_max, bytes_max)
    }

    /// See [`View::namespace`].
    pub fn namespace(&self, namespace: &Namespace) -> Result<Option<NamespaceRow>, PartitionError> {
        self.view().namespace(namespace)
    }

    /// See [`View::namespaces`].
    pub fn namespaces(&self, after: Option<&Namespace>, limit: usize) -> Result<Vec<(Namespace, NamespaceRow)>, PartitionError> {
        self.view().namespaces(after, limit)
    }

    /// See [`View::registered`].
    pub fn registered(&self, key: &[u8]) -> Result<Option<Bytes>, PartitionError> {
        self.view().registered(key)
    }

    /// See [`View::registry`].
    pub fn registry(&self, prefix: &[u8]) -> Result<Vec<(Bytes, Bytes)>, PartitionError> {
        self.view().registry(prefix)
    }

    /// See [`View::oldest_due`].
    pub fn oldest_due(&self, namespace: &Namespace, from: TaskKey) -> Result<Option<TaskKey>, PartitionError> {
        self.view().oldest_due(namespace, from)
    }

    /// Counts over the group.
    pub fn totals(&self) -> Totals {
        self.machine.totals()
    }

    /// How many namespaces the group has.
    pub fn namespaces_count(&self) -> u64 {
        self.machine.namespaces_count()
    }

    /// Which deliveries of earlier leaders may be claimed.
    pub fn claimable(&self) -> Claimable {
        self.machine.claimable().clone()
    }

    /// The delivery of the row `sequence` under `token` was acked (`true`) or nacked lately; `None`: that is not known.
    pub fn verdict(&self, token: u64, sequence: u64) -> Option<bool> {
        self.machine.settled().verdict(token, sequence)
    }

    /// The stamp of the last entry, milliseconds; 0 before the first.
    pub fn last_stamp_ms(&self) -> u64 {
        self.machine.last_stamp_ms()
    }

    /// Equal on all replicas that applied the same entries.
    pub fn state_hash(&self) -> u64 {
        self.machine.state_hash()
    }

    /// Bytes on disk, fjall's journals included.
    pub fn disk_bytes(&self) -> Result<u64, PartitionError> {
        self.tree.disk_bytes().map_err(|error| self.place.tree(error))
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        self.viewer.close();
        self.queue.close();
        self.threads.end(&self.place);
    }
}

/// Makes a partition durable from any plain thread; clones are cheap. While one lives the partition's directory stays in use.
#[derive(Clone)]
pub struct Persister {
    place: Place,
    tree: Tree,
    queue: Arc<Queue>,
    record: Arc<Record>,
}

impl Persister {
    /// Everything that was applied when this was called is on the disk when it returns; returns up to where that is. What stands in the
    /// place of a damaged partition has nothing to persist.
    pub fn persist(&self) -> Result<Option<LogPosition>, PartitionError> {
        if self.place.lost {
            return Ok(None);
        }
        let position = self.queue.drained()?;
        let state = View::without_queue(&self.tree, &self.place).applied()?;
        self.tree.sync().map_err(|error| self.place.tree(error))?;
        self.record.raise(&self.place, state)?;
        Ok(position)
    }
}
