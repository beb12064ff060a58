//! A tree of keys in memory: rows of several moments at once, so that snapshots stay as they were, and beside them what is durable.
//!
//! A commit is durable with the next sync. A process that ends loses any number of the last commits that were not synced, whole: that is what
//! fjall's journal does in a killed process and after a power cut.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::partition::PartitionOptions;
use crate::partition::directory::Directory;
use crate::partition::layer::{Change, Layer, Row};
use crate::partition::trouble::{Trouble, Troubles};
use crate::runtime::fs;
use crate::runtime::sim::world::{self, Local};
use z4_model::keys;

/// What a tree of a simulated world fails with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The simulated disk.
    #[error("the disk")]
    Io(#[from] io::Error),
    /// It is open already.
    #[error("it is open elsewhere")]
    Locked,
    /// Its file names no tree.
    #[error("the file that names it is not what was written there")]
    Unknown,
}

/// As the standard library's.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Troubles for Error {
    fn trouble(&self) -> Trouble {
        match self {
            Error::Io(error) if error.kind() == io::ErrorKind::NotFound => Trouble::Missing,
            Error::Io(_) => Trouble::Storage,
            Error::Locked => Trouble::Locked,
            Error::Unknown => Trouble::Damaged,
        }
    }
}

/// Rows of task keys, and all others.
const KEYSPACES: usize = 2;

type Name = u64;
/// Rows of both keyspaces.
type Both = [BTreeMap<Bytes, Bytes>; KEYSPACES];
/// Values of one key with the commits that wrote them, the newest last. `None`: it was removed.
type Values = Vec<(u64, Option<Bytes>)>;
type Write = (usize, Bytes, Option<Bytes>);

/// What is left of a tree when its process ends.
#[derive(Default)]
struct Kept {
    durable: Both,
    /// Commits that were not synced.
    unsynced: Vec<Vec<Write>>,
    /// The place and life of the process that has it open.
    open: Option<(world::Place, u64)>,
    /// It was closed, and lost nothing.
    closed: bool,
}

static TREES: Local<BTreeMap<Name, Kept>> = Local::of_world(BTreeMap::new);

/// The file that names the tree in a directory.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("tree")
}

/// The name of the tree in a directory.
pub(super) fn name(dir: &Path) -> io::Result<Option<Name>> {
    match fs::read(&path(dir)) {
        Ok(bytes) => Ok(bytes.try_into().ok().map(u64::from_be_bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn holds_rows(name: Name) -> bool {
    TREES.with_borrow(|trees| {
        trees.get(&name).is_some_and(|kept| !kept.unsynced.is_empty() || kept.durable.iter().any(|rows| !rows.is_empty()))
    })
}

pub(super) fn is_open(name: Name) -> bool {
    TREES.with_borrow(|trees| trees.get(&name).is_some_and(|kept| kept.open.is_some_and(world::is_running)))
}

/// The open tree.
#[derive(Clone)]
pub(crate) struct Tree {
    keyspaces: [Keyspace; KEYSPACES],
    /// Last, so that the tree is closed when its directory may go.
    directory: Arc<Directory>,
}

/// Task rows, or all others.
#[derive(Clone)]
pub(crate) struct Keyspace {
    shared: Arc<Shared>,
    number: usize,
}

struct Shared {
    name: Name,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of the last commit.
    last: u64,
    rows: [BTreeMap<Bytes, Values>; KEYSPACES],
    /// Snapshots by their commit, and how many there are of each.
    snapshots: BTreeMap<u64, usize>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        TREES.with_borrow_mut(|trees| {
            if let Some(kept) = trees.get_mut(&self.name) {
                // What a process does while it is killed does not count.
                kept.closed = world::is_alive();
                kept.open = None;
            }
        });
    }
}

impl State {
    fn write(&mut self, (keyspace, key, value): Write) {
        let oldest = self.snapshots.keys().next().copied().unwrap_or(self.last);
        let values = self.rows[keyspace].entry(key.clone()).or_default();
        values.push((self.last, value));
        // What the oldest snapshot sees, and everything after it.
        let seen = values.iter().rposition(|(commit, _)| *commit <= oldest).unwrap_or(0);
        values.drain(..seen);
        if let [(commit, None)] = values[..]
            && commit <= oldest
        {
            self.rows[keyspace].remove(&key);
        }
    }
}

impl Tree {
    /// Creates or recovers the tree in a directory, which is in use until the last clone of the tree is dropped.
    pub(crate) fn open_in(directory: Arc<Directory>, _options: &PartitionOptions) -> Result<Self> {
        let path = path(directory.path());
        if !fs::exists(&path) {
            fs::create_directories(directory.path())?;
            fs::write(&path, &world::draw().to_be_bytes())?;
            let made = name(directory.path())?.ok_or(Error::Unknown)?;
            TREES.with_borrow_mut(|trees| trees.insert(made, Kept::default()));
        }
        let name = name(directory.path())?.ok_or(Error::Unknown)?;
        let rows = TREES.with_borrow_mut(|trees| {
            let kept = trees.get_mut(&name).ok_or(Error::Unknown)?;
            if kept.open.is_some_and(world::is_running) {
                return Err(Error::Locked);
            }
            kept.recover();
            kept.open = Some(world::process());
            kept.closed = false;
            Ok(kept.durable.clone())
        })?;
        let state = State {
            rows: rows.map(|rows| rows.into_iter().map(|(key, value)| (key, vec![(0, Some(value))])).collect()),
            ..State::default()
        };
        let shared = Arc::new(Shared { name, state: Mutex::new(state) });
        let keyspaces = std::array::from_fn(|number| Keyspace { shared: Arc::clone(&shared), number });
        Ok(Tree { keyspaces, directory })
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Whether a key is one of task rows.
    pub(crate) fn is_task(&self, key: &[u8]) -> bool {
        key.first() == Some(&keys::TASK)
    }

    fn number(&self, key: &[u8]) -> usize {
        usize::from(!self.is_task(key))
    }

    /// The keyspace of a key.
    pub(crate) fn keyspace(&self, key: &[u8]) -> &Keyspace {
        &self.keyspaces[self.number(key)]
    }

    /// Both keyspaces, task rows first.
    pub(crate) fn keyspaces(&self) -> [&Keyspace; KEYSPACES] {
        self.keyspaces.each_ref()
    }

    /// The keyspaces that may hold keys with `from <= key < until`.
    pub(crate) fn keyspaces_between(&self, from: &[u8], until: &[u8]) -> impl Iterator<Item = &Keyspace> {
        let (first, end): (&[u8], &[u8]) = (&[keys::TASK], &[keys::TASK + 1]);
        let tasks = from < end && until > first;
        let only_tasks = from >= first && until <= end;
        let [task_rows, others] = &self.keyspaces;
        tasks.then_some(task_rows).into_iter().chain((!only_tasks).then_some(others))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.keyspaces[0].shared
    }

    /// A consistent view; it sees every batch that was committed before.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut state = self.shared().lock();
        let commit = state.last;
        *state.snapshots.entry(commit).or_default() += 1;
        drop(state);
        Snapshot(Arc::new(Seen { shared: Arc::clone(self.shared()), commit }))
    }

    /// Writes a layer as one batch.
    pub(crate) fn commit(&self, layer: &Layer) -> Result<()> {
        let value = |change: &Change| change.value().cloned();
        let writes = layer.in_order().map(|write| (self.number(&write.key), write.key.clone(), value(&write.change)));
        self.put(writes.collect());
        Ok(())
    }

    fn put(&self, writes: Vec<Write>) {
        if !world::is_alive() {
            return;
        }
        let mut state = self.shared().lock();
        state.last += 1;
        writes.iter().cloned().for_each(|write| state.write(write));
        TREES.with_borrow_mut(|trees| {
            if let Some(kept) = trees.get_mut(&self.shared().name) {
                kept.unsynced.push(writes);
            }
        });
    }

    /// Everything that was committed is on the disk when this returns.
    pub(crate) fn sync(&self) -> Result<()> {
        if world::is_alive() {
            TREES.with_borrow_mut(|trees| trees.get_mut(&self.shared().name).map(Kept::sync));
        }
        Ok(())
    }

    /// There are not more task rows than these.
    pub(crate) fn task_rows_max(&self) -> u64 {
        self.shared().lock().rows[0].len() as u64
    }

    /// Bytes on disk.
    pub(crate) fn disk_bytes(&self) -> Result<u64> {
        Ok(self.shared().lock().rows.iter().map(|rows| rows.len() as u64 * 100).sum())
    }

    /// There are no tables.
    pub(crate) fn flushed(&self) -> [Option<u64>; KEYSPACES] {
        [None, None]
    }

    /// There are no tables.
    pub(crate) fn flushed_row(&self, _key: &[u8]) -> Result<Option<Bytes>> {
        Ok(None)
    }
}

impl Kept {
    /// A process has ended without closing it: any number of the last commits that were not synced are gone.
    fn recover(&mut self) {
        if !self.closed {
            let left = world::below(self.unsynced.len() as u64 + 1) as usize;
            self.unsynced.truncate(left);
        }
        self.sync();
    }

    fn sync(&mut self) {
        for (keyspace, key, value) in self.unsynced.drain(..).flatten() {
            match value {
                Some(value) => self.durable[keyspace].insert(key, value),
                None => self.durable[keyspace].remove(&key),
            };
        }
    }
}

/// What the tree held at one moment.
#[derive(Clone)]
pub(crate) struct Snapshot(Arc<Seen>);

struct Seen {
    shared: Arc<Shared>,
    commit: u64,
}

impl Drop for Seen {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(count) = state.snapshots.get_mut(&self.commit) {
            *count -= 1;
            if *count == 0 {
                state.snapshots.remove(&self.commit);
            }
        }
    }
}

fn visible(values: &[(u64, Option<Bytes>)], commit: u64) -> Option<&Bytes> {
    values.iter().rev().find(|(at, _)| *at <= commit)?.1.as_ref()
}

impl Snapshot {
    /// The value at a key.
    pub(crate) fn get(&self, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Bytes>> {
        let state = self.0.shared.lock();
        Ok(state.rows[keyspace.number].get(key).and_then(|values| visible(values, self.0.commit)).cloned())
    }

    /// The rows with `from <= key < until`, which must be a range.
    pub(crate) fn range(&self, keyspace: &Keyspace, from: &[u8], until: &[u8]) -> Rows {
        assert!(from <= until, "a range that ends before it starts");
        Rows {
            snapshot: self.clone(),
            keyspace: keyspace.number,
            from: Bound::Included(Bytes::copy_from_slice(from)),
            until: Bytes::copy_from_slice(until),
        }
    }
}

/// Rows in the order of their keys, or backwards.
pub(crate) struct Rows {
    snapshot: Snapshot,
    keyspace: usize,
    from: Bound<Bytes>,
    until: Bytes,
}

impl Rows {
    fn is_empty(&self) -> bool {
        match &self.from {
            Bound::Included(from) => *from >= self.until,
            Bound::Excluded(from) => *from >= self.until,
            Bound::Unbounded => false,
        }
    }

    fn at(&self, backwards: bool) -> Option<Row> {
        if self.is_empty() {
            return None;
        }
        let seen = &self.snapshot.0;
        let state = seen.shared.lock();
        let rows = state.rows[self.keyspace].range((self.from.clone(), Bound::Excluded(self.until.clone())));
        let row = |(key, values): (&Bytes, &Vec<_>)| Some((key.clone(), visible(values, seen.commit)?.clone()));
        if backwards { rows.rev().find_map(row) } else { rows.into_iter().find_map(row) }
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        let (key, value) = self.at(false)?;
        self.from = Bound::Excluded(key.clone());
        Some(Ok((key, value)))
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Result<Row>> {
        let (key, value) = self.at(true)?;
        self.until = key.clone();
        Some(Ok((key, value)))
    }
}

/// Writes sorted rows of one keyspace, durably.
pub(crate) struct Sorted<'a> {
    keyspace: &'a Keyspace,
    rows: Vec<Row>,
}

impl<'a> Sorted<'a> {
    /// The keyspace must be empty.
    pub(crate) fn start(keyspace: &'a Keyspace) -> Result<Self> {
        Ok(Sorted { keyspace, rows: Vec::new() })
    }

    /// Writes a row, whose key must be above the one before.
    pub(crate) fn write(&mut self, row: Row) -> Result<()> {
        self.rows.push(row);
        Ok(())
    }

    /// The rows are durable and can be read when this returns.
    pub(crate) fn finish(self) -> Result<()> {
        if !world::is_alive() {
            return Ok(());
        }
        let (shared, number) = (&self.keyspace.shared, self.keyspace.number);
        let mut state = shared.lock();
        state.last += 1;
        TREES.with_borrow_mut(|trees| {
            let Some(kept) = trees.get_mut(&shared.name) else { return };
            for (key, value) in self.rows {
                kept.durable[number].insert(key.clone(), value.clone());
                state.write((number, key, Some(value)));
            }
        });
        Ok(())
    }
}
