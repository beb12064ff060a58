//! A simulated disk: what was written, what of it is durable, and what a power cut leaves.
//!
//! Every write and every name goes to a cache first. A sync of a file makes the writes before it durable, a sync of a directory its names.
//! A killed process loses nothing of that; a power cut keeps any subset of the sectors of writes that were not synced, and of each
//! directory the changes up to some point.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::world::{self, Local, Place};

/// What a write reaches wholly or not at all.
const SECTOR_BYTES: usize = 512;

/// A file's number on its disk.
pub(super) type Inode = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Directory,
    File(Inode),
}

/// A change to the names of one directory. Both names of a rename are in it.
enum Change {
    Put(PathBuf, Named),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Default)]
struct Content {
    /// As it is read.
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync, in their order: where, how long, and their number.
    unsynced: Vec<Written>,
}

struct Written {
    number: u64,
    at: usize,
    bytes: Vec<u8>,
}

/// How a disk behaves from now on.
#[derive(Clone, Debug)]
pub struct Manners {
    /// The longest that a write or a read takes, microseconds.
    pub io_us_max: u64,
    /// The longest that a sync takes, microseconds.
    pub sync_us_max: u64,
    /// There is room for so many bytes; writes of new bytes beyond fail.
    pub bytes_max: u64,
    /// One sync in so many fails and says so, with what it should have made durable lost; 0: none.
    pub sync_fails_once_in: u64,
}

impl Default for Manners {
    fn default() -> Self {
        Manners { io_us_max: 200, sync_us_max: 2_000, bytes_max: u64::MAX, sync_fails_once_in: 0 }
    }
}

/// One disk.
#[derive(Default)]
pub(super) struct Platter {
    pub(super) manners: Manners,
    names: BTreeMap<PathBuf, Named>,
    durable_names: BTreeMap<PathBuf, Named>,
    changes: BTreeMap<PathBuf, Vec<Change>>,
    contents: BTreeMap<Inode, Content>,
    next: u64,
}

static DISKS: Local<BTreeMap<Place, Rc<RefCell<Platter>>>> = Local::of_world(BTreeMap::new);

/// The disk of the caller's place.
pub(super) fn here() -> Rc<RefCell<Platter>> {
    of(world::here())
}

/// The disk of a place; empty when it was never asked for.
pub(super) fn of(place: Place) -> Rc<RefCell<Platter>> {
    DISKS.with_borrow_mut(|disks| Rc::clone(disks.entry(place).or_default()))
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{} is not there", path.display()))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

impl Platter {
    fn change(&mut self, directory: PathBuf, change: Change) {
        apply(&mut self.names, &change);
        self.changes.entry(directory).or_default().push(change);
    }

    pub(super) fn named(&self, path: &Path) -> Option<Named> {
        if path.as_os_str().is_empty() || path == Path::new("/") { Some(Named::Directory) } else { self.names.get(path).copied() }
    }

    pub(super) fn inode(&self, path: &Path) -> io::Result<Inode> {
        match self.named(path) {
            Some(Named::File(inode)) => Ok(inode),
            Some(Named::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => Err(not_found(path)),
        }
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<Inode> {
        if self.named(path).is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.put(path)
    }

    /// An empty file under this name, whatever was there.
    pub(super) fn put(&mut self, path: &Path) -> io::Result<Inode> {
        let directory = parent(path);
        if self.named(&directory) != Some(Named::Directory) {
            return Err(not_found(&directory));
        }
        self.next += 1;
        let inode = self.next;
        self.contents.insert(inode, Content::default());
        self.change(directory, Change::Put(path.to_owned(), Named::File(inode)));
        Ok(inode)
    }

    pub(super) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        if self.named(path).is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let above = parent(path);
        if self.named(&above) != Some(Named::Directory) {
            return Err(not_found(&above));
        }
        self.change(above, Change::Put(path.to_owned(), Named::Directory));
        Ok(())
    }

    /// The names right below a directory, and whether each is a directory.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        if self.named(path) != Some(Named::Directory) {
            return Err(not_found(path));
        }
        let below = self.names.iter().filter(|(name, _)| name.parent() == Some(path));
        Ok(below.filter_map(|(name, named)| Some((name.file_name()?.to_str()?.to_owned(), *named == Named::Directory))).collect())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.inode(from)?;
        self.change(parent(to), Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.inode(path)?;
        self.change(parent(path), Change::Remove(path.to_owned()));
        Ok(())
    }

    pub(super) fn remove_all(&mut self, path: &Path) -> io::Result<()> {
        if self.named(path).is_none() {
            return Err(not_found(path));
        }
        let below: Vec<_> = self.names.keys().filter(|name| name.starts_with(path)).cloned().collect();
        for name in below.into_iter().rev() {
            self.change(parent(&name), Change::Remove(name));
        }
        Ok(())
    }

    /// Makes the names in a directory durable.
    pub(super) fn sync_names(&mut self, path: &Path) {
        for change in self.changes.remove(path).unwrap_or_default() {
            apply(&mut self.durable_names, &change);
        }
    }

    pub(super) fn len(&self, inode: Inode) -> u64 {
        self.contents.get(&inode).map_or(0, |content| content.seen.len() as u64)
    }

    pub(super) fn read(&self, inode: Inode, at: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let content = self.contents.get(&inode).ok_or(ErrorKind::NotFound)?;
        let end = content.seen.len().min(at as usize + bytes);
        Ok(content.seen.get(at as usize..end).unwrap_or_default().to_vec())
    }

    pub(super) fn write(&mut self, inode: Inode, at: u64, bytes: &[u8]) -> io::Result<()> {
        let used: u64 = self.contents.values().map(|content| content.seen.len() as u64).sum();
        let content = self.contents.get_mut(&inode).ok_or(ErrorKind::NotFound)?;
        let end = at as usize + bytes.len();
        let more = end.saturating_sub(content.seen.len()) as u64;
        if more > 0 && used + more > self.manners.bytes_max {
            return Err(ErrorKind::StorageFull.into());
        }
        put(&mut content.seen, at as usize, bytes);
        self.next += 1;
        content.unsynced.push(Written { number: self.next, at: at as usize, bytes: bytes.to_vec() });
        Ok(())
    }

    /// Writes that come from now on have higher numbers.
    pub(super) fn writes(&self) -> u64 {
        self.next
    }

    /// Makes the writes up to this number durable.
    pub(super) fn sync(&mut self, inode: Inode, upto: u64) {
        let Some(content) = self.contents.get_mut(&inode) else { return };
        let later = content.unsynced.iter().position(|written| written.number > upto).unwrap_or(content.unsynced.len());
        for written in content.unsynced.drain(..later) {
            put(&mut content.durable, written.at, &written.bytes);
        }
    }

    /// A sync has failed: the cache takes what it could not write for clean, and who reads sees it until the next start.
    pub(super) fn lose(&mut self, inode: Inode, upto: u64) {
        if let Some(content) = self.contents.get_mut(&inode) {
            content.unsynced.retain(|written| written.number > upto);
        }
    }

    /// Makes what was written durable; reads what is on the disk from now on.
    pub(super) fn drop_cache(&mut self, inode: Inode) {
        let upto = self.next;
        self.sync(inode, upto);
        if let Some(content) = self.contents.get_mut(&inode) {
            content.seen = content.durable.clone();
        }
    }

    /// Bytes that may still be written.
    pub(super) fn free_bytes(&self) -> u64 {
        let used: u64 = self.contents.values().map(|content| content.seen.len() as u64).sum();
        self.manners.bytes_max.saturating_sub(used)
    }

    /// The power goes, and what was not durable goes with it, by luck.
    pub(super) fn cut_power(&mut self) {
        for changes in std::mem::take(&mut self.changes).into_values() {
            let kept = world::below(changes.len() as u64 + 1) as usize;
            changes.iter().take(kept).for_each(|change| apply(&mut self.durable_names, change));
        }
        self.names = self.durable_names.clone();
        let alive: Vec<Inode> =
            self.names.values().filter_map(|named| if let Named::File(inode) = named { Some(*inode) } else { None }).collect();
        self.contents.retain(|inode, _| alive.contains(inode));
        for content in self.contents.values_mut() {
            let unsynced = std::mem::take(&mut content.unsynced);
            // All, none, or any of the sectors.
            let luck = world::below(3);
            for written in unsynced {
                for (n, sector) in written.bytes.chunks(SECTOR_BYTES).enumerate() {
                    if luck == 0 || (luck == 1 && world::once_in(2)) {
                        put(&mut content.durable, written.at + n * SECTOR_BYTES, sector);
                    }
                }
            }
            content.seen = content.durable.clone();
        }
    }

    /// Everything is gone: another disk is in its place.
    pub(super) fn wipe(&mut self) {
        *self = Platter { manners: self.manners.clone(), next: self.next, ..Platter::default() };
    }

    /// Turns one bit of one file below `path` over, durably. `false`: there is nothing.
    pub(super) fn flip_a_bit(&mut self, path: &Path) -> bool {
        let files: Vec<Inode> = self
            .names
            .iter()
            .filter(|(name, _)| name.starts_with(path))
            .filter_map(|(_, named)| if let Named::File(inode) = named { Some(*inode) } else { None })
            .filter(|inode| self.len(*inode) > 0)
            .collect();
        if files.is_empty() {
            return false;
        }
        let inode = files[world::below(files.len() as u64) as usize];
        let Some(content) = self.contents.get_mut(&inode) else { return false };
        let at = world::below(content.seen.len() as u64) as usize;
        let bit = 1 << world::below(8);
        content.seen[at] ^= bit;
        if let Some(byte) = content.durable.get_mut(at) {
            *byte ^= bit;
        }
        true
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Named>, change: &Change) {
    match change {
        Change::Put(path, named) => {
            names.insert(path.clone(), *named);
        }
        Change::Remove(path) => {
            names.remove(path);
        }
        Change::Rename(from, to) => {
            if let Some(named) = names.remove(from) {
                names.insert(to.clone(), named);
            }
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}
