//! The fjall database of a partition: how it is opened, which keyspace holds a key, and its background work.
//!
//! Two keyspaces. Task rows have one to themselves; every other row (position, counts, namespaces, request ids) is small and hot, is
//! written with nearly every batch, and would stretch the key range of every flushed table over the whole order of keys, so that no
//! table could ever be moved down a level without being merged with all the others. Measured, tasks due in the order of their
//! creation: 1.6 µs of CPU per task with two keyspaces, 2.8 µs with one. A write batch spans both atomically.

use std::io::ErrorKind;
#[cfg(test)]
use std::path::Path;
use std::sync::Arc;
#[cfg(test)]
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use fjall::compaction::Leveled;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry, PartitioningPolicy,
    PinningPolicy,
};
use fjall::{
    AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode, Readable as _,
};
pub(crate) use fjall::{Error, Result};
use z4_model::keys;

use crate::partition::PartitionOptions;
use crate::partition::directory::Directory;
use crate::partition::layer::{Change, Layer, Row};
use crate::partition::trouble::{Trouble, Troubles};

/// Blocks of task rows, bytes before compression: about 50 rows of a 256-byte payload.
const TASK_BLOCK_BYTES: u32 = 16 * 1024;

/// Blocks of the other rows: small, so that a read of one row reads little.
const STATE_BLOCK_BYTES: u32 = 4 * 1024;

/// The open database.
#[derive(Clone)]
pub(crate) struct Tree {
    db: Database,
    tasks: Keyspace,
    state: Keyspace,
    memtable_bytes: u64,
    memtables_sealed_max: usize,
    compaction: Arc<Leveled>,
    #[cfg(test)]
    gate: Arc<SyncGate>,
    /// Last, so that the database is closed when its directory may go.
    directory: Arc<Directory>,
}

impl Tree {
    /// Creates or recovers the database in `dir`.
    #[cfg(test)]
    pub(crate) fn open(dir: &Path, options: &PartitionOptions) -> Result<Self> {
        Tree::open_in(Arc::new(Directory::kept(dir)), options)
    }

    /// The same; the directory is in use until the last clone of the tree is dropped.
    pub(crate) fn open_in(directory: Arc<Directory>, options: &PartitionOptions) -> Result<Self> {
        let db = Database::builder(directory.path())
            .cache_size(options.cache_bytes)
            .max_cached_files(Some(options.files_max))
            // Nothing is synced per batch: what is lost is applied again from the raft log.
            .manual_journal_persist(true)
            // The rows are compressed when they reach a table for good; the journal is read at most once.
            .journal_compression(CompressionType::None)
            .max_journaling_size(options.journal_bytes_max)
            .worker_threads(options.worker_threads)
            .open()?;
        let tasks = db.keyspace("tasks", || task_options(options))?;
        let state = db.keyspace("state", || state_options(options))?;
        let compaction =
            Leveled::default().with_l0_threshold(options.compaction_tables).with_table_target_size(options.table_bytes);
        Ok(Tree {
            db,
            tasks,
            state,
            memtable_bytes: options.memtable_bytes,
            memtables_sealed_max: options.memtables_sealed_max,
            compaction: Arc::new(compaction),
            #[cfg(test)]
            gate: Arc::default(),
            directory,
        })
    }

    #[cfg(test)]
    pub(crate) fn sync_gate(&self) -> Arc<SyncGate> {
        Arc::clone(&self.gate)
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Whether a key is one of task rows.
    pub(crate) fn is_task(&self, key: &[u8]) -> bool {
        key.first() == Some(&keys::TASK)
    }

    /// The keyspace of a key.
    pub(crate) fn keyspace(&self, key: &[u8]) -> &Keyspace {
        if self.is_task(key) { &self.tasks } else { &self.state }
    }

    /// Both keyspaces, task rows first.
    pub(crate) fn keyspaces(&self) -> [&Keyspace; 2] {
        [&self.tasks, &self.state]
    }

    /// The keyspaces that may hold keys with `from <= key < until`.
    pub(crate) fn keyspaces_between(&self, from: &[u8], until: &[u8]) -> impl Iterator<Item = &Keyspace> {
        let (first, end): (&[u8], &[u8]) = (&[keys::TASK], &[keys::TASK + 1]);
        let tasks = from < end && until > first;
        let only_tasks = from >= first && until <= end;
        tasks.then_some(&self.tasks).into_iter().chain((!only_tasks).then_some(&self.state))
    }

    /// A consistent view; it sees every batch that was committed before.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(self.db.snapshot())
    }

    /// Writes a layer as one batch, in the order of keys: neighbours take the same way through the memtable.
    pub(crate) fn commit(&self, layer: &Layer) -> Result<()> {
        let mut batch = OwnedWriteBatch::with_capacity(self.db.clone(), layer.len());
        for write in layer.in_order() {
            let keyspace = self.keyspace(&write.key);
            match &write.change {
                Change::Put(value) => batch.insert(keyspace, write.key.clone(), value.clone()),
                Change::Delete => batch.remove(keyspace, write.key.clone()),
                Change::WeakDelete => batch.remove_weak(keyspace, write.key.clone()),
            }
        }
        batch.commit()
    }

    /// Everything that was committed is on the disk when this returns.
    pub(crate) fn sync(&self) -> Result<()> {
        #[cfg(test)]
        self.gate.pass();
        self.db.persist(PersistMode::SyncAll)
    }

    /// The memtable is full and should be sealed.
    pub(crate) fn memtable_is_full(&self) -> bool {
        self.tasks.tree.active_memtable().size() + self.state.tree.active_memtable().size() > self.memtable_bytes
    }

    /// Fails when fjall's worker has failed.
    pub(crate) fn check_worker(&self) -> Result<()> {
        // It writes out the journal's buffer of a few KiB, and is the cheapest call that looks.
        self.db.persist(PersistMode::Buffer)
    }

    /// Memtables are being flushed.
    pub(crate) fn flushes(&self) -> bool {
        self.keyspaces().iter().any(|keyspace| keyspace.tree.sealed_memtable_count() > 0)
    }

    /// Too many sealed memtables wait for their flush: writes must wait.
    pub(crate) fn flush_lags(&self) -> bool {
        self.tasks.tree.sealed_memtable_count().max(self.state.tree.sealed_memtable_count()) >= self.memtables_sealed_max
    }

    /// Seals the memtables and asks fjall's worker to flush them. Both at once: a journal can go when everything in it was flushed.
    pub(crate) fn seal_memtables(&self) -> Result<()> {
        self.tasks.rotate_memtable()?;
        self.state.rotate_memtable()?;
        Ok(())
    }

    /// Does one step of compaction. Returns whether there was something to do.
    pub(crate) fn compact(&self) -> Result<bool> {
        let mut worked = false;
        for keyspace in self.keyspaces() {
            let tree = &keyspace.tree;
            let shape = || (tree.next_table_id(), (0..7).map(|level| tree.level_table_count(level)).collect::<Vec<_>>());
            let before = shape();
            // Nothing that an open view can see may be dropped.
            let oldest_seen = self.db.supervisor.snapshot_tracker.get_seqno_safe_to_gc();
            tree.compact(self.compaction.clone(), oldest_seen)?;
            worked |= shape() != before;
        }
        Ok(worked)
    }

    /// The last sequence number in tables, of task rows and of all others.
    pub(crate) fn flushed(&self) -> [Option<u64>; 2] {
        self.keyspaces().map(|keyspace| keyspace.tree.get_highest_persisted_seqno())
    }

    /// A row of the state as tables have it, whatever a journal says.
    pub(crate) fn flushed_row(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let Some(flushed) = self.state.tree.get_highest_persisted_seqno() else { return Ok(None) };
        Ok(self.state.tree.get(key, flushed + 1)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// There are not more task rows than these.
    pub(crate) fn task_rows_max(&self) -> u64 {
        self.tasks.approximate_len() as u64
    }

    /// Bytes on disk, journals included.
    pub(crate) fn disk_bytes(&self) -> Result<u64> {
        self.db.disk_space()
    }
}

/// What the tree held at one moment. While it lives the space of rows that were removed since is not given back.
#[derive(Clone)]
pub(crate) struct Snapshot(fjall::Snapshot);

impl Snapshot {
    /// The value at a key.
    pub(crate) fn get(&self, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.get(keyspace, key)?.map(Bytes::from))
    }

    /// The rows with `from <= key < until`, which must be a range: fjall panics when one ends before it starts.
    pub(crate) fn range(&self, keyspace: &Keyspace, from: &[u8], until: &[u8]) -> Rows {
        Rows(self.0.range(keyspace, from..until))
    }
}

/// Rows in the order of their keys, or backwards. They share memory with the blocks that they were read from.
pub(crate) struct Rows(fjall::Iter);

fn row(guard: fjall::Guard) -> Result<Row> {
    let (key, value) = guard.into_inner()?;
    Ok((key.into(), value.into()))
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        self.0.next().map(row)
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Result<Row>> {
        self.0.next_back().map(row)
    }
}

impl Troubles for Error {
    fn trouble(&self) -> Trouble {
        match self {
            Error::Locked => Trouble::Locked,
            Error::Io(io) | Error::Storage(fjall::LsmError::Io(io)) => match io.kind() {
                // A file that ends early, is missing, or names an offset that no file has: what fjall wrote is not there any more.
                ErrorKind::NotFound => Trouble::Missing,
                ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => Trouble::Damaged,
                _ => Trouble::Storage,
            },
            Error::Poisoned | Error::KeyspaceDeleted => Trouble::Storage,
            _ => Trouble::Damaged,
        }
    }
}

/// Holds syncs up, as a disk does that hangs.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct SyncGate {
    closed: AtomicBool,
    waiting: AtomicUsize,
}

#[cfg(test)]
impl SyncGate {
    /// Syncs wait until it is opened again.
    pub(crate) fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }

    /// How many syncs have come to it while it was closed.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    fn pass(&self) {
        if self.closed.load(Ordering::SeqCst) {
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
        while self.closed.load(Ordering::SeqCst) {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
        }
    }
}

/// Writes sorted rows of one keyspace straight into tables.
pub(crate) struct Sorted<'a>(Ingest<'a>);

/// fjall's `Ingestion`, whose type has no public name: a row, or the end.
type Ingest<'a> = Box<dyn FnMut(Option<Row>) -> Result<()> + 'a>;

impl<'a> Sorted<'a> {
    /// The keyspace must be empty.
    pub(crate) fn start(keyspace: &'a Keyspace) -> Result<Self> {
        let mut ingestion = Some(keyspace.start_ingestion()?);
        Ok(Sorted(Box::new(move |row| match (row, &mut ingestion) {
            (Some((key, value)), Some(ingestion)) => ingestion.write(key, value),
            (None, ended) => ended.take().map_or(Ok(()), |ingestion| ingestion.finish()),
            (Some(_), None) => Ok(()),
        })))
    }

    /// Writes a row; fjall panics when its key is not above the one before.
    pub(crate) fn write(&mut self, row: Row) -> Result<()> {
        (self.0)(Some(row))
    }

    /// The rows are durable and can be read when this returns.
    pub(crate) fn finish(mut self) -> Result<()> {
        (self.0)(None)
    }
}

/// The fixed choices for task rows. fjall stores them when the keyspace is created.
fn task_options(options: &PartitionOptions) -> KeyspaceCreateOptions {
    fixed_options(options)
        .data_block_size_policy(BlockSizePolicy::all(TASK_BLOCK_BYTES))
        // What is read while it is young (the level of flushed memtables) is not compressed.
        .data_block_compression_policy(CompressionPolicy::new([CompressionType::None, CompressionType::Lz4]))
        // A get by id mostly finds its row: no filter for the last level, which would be 90 % of all filters.
        .expect_point_read_hits(true)
}

fn state_options(options: &PartitionOptions) -> KeyspaceCreateOptions {
    fixed_options(options)
        .data_block_size_policy(BlockSizePolicy::all(STATE_BLOCK_BYTES))
        .data_block_compression_policy(CompressionPolicy::new([CompressionType::None, CompressionType::Lz4]))
}

fn fixed_options(options: &PartitionOptions) -> KeyspaceCreateOptions {
    let filter = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
    KeyspaceCreateOptions::default()
        .manual_journal_persist(true)
        // The partition seals memtables itself: fjall would ask its worker to, and write on without a bound until that has time.
        .max_memtable_size(options.memtable_bytes.saturating_mul(64))
        // fjall's worker must find nothing to compact, for a flush that waits behind a compaction of seconds stalls writes and lets
        // memory grow (measured: 490 MiB instead of 150). The partition's own thread compacts, with its own strategy.
        .compaction_strategy(Arc::new(Leveled::default().with_l0_threshold(u8::MAX).with_table_target_size(1 << 40)))
        .filter_policy(FilterPolicy::new([filter]))
        .index_block_pinning_policy(PinningPolicy::new([true, true, false]))
        // A table's index in one piece is written at the table's end, and until then lsm-tree keeps the last key of each block: a part of
        // the block that was read, which stays in memory whole. A merge of 64 KiB rows held all that it had read of a table (measured:
        // 160 MiB). In pieces, it holds one block in sixty. What memtables are flushed to has keys of its own.
        .index_block_partitioning_policy(PartitioningPolicy::new([false, true]))
}
