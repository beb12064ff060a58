//! What must be on disk: looked at before fjall is.
//!
//! fjall takes a keyspace whose `current` is gone for one that was never finished: it removes the directory and makes an empty one
//! in its place. Without its `version` a database is new, without its keyspace 0 all others are unreferenced and removed. So a
//! partition has a manifest, written when everything was made, and from then on everything must be there:
//!
//! ```text
//! z4 partition 1
//! group 1
//! applied 1234        the last entry that was durable when this was written, or "none"
//! state 02000100..    the partition's own row of then (`layout.rs`), in hexadecimal digits
//! crc32c 0123abcd     of the lines before
//! ```
//! The row is said here as well so that a replica whose rows are damaged still knows how far it was and who votes. An earlier z4 left it out.
//! A partition of an earlier z4 has none. It is whole when everything is there, holds nothing when no row was ever written, and is
//! damaged otherwise.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::audit;
use super::directory;
use super::error::{PartitionError, Place};
use super::layout::Applied;

const NAME: &str = "manifest";
const DRAFT: &str = "manifest.draft";
/// fjall's, held while the database is open.
const LOCK: &str = "lock";
const TITLE: &str = "z4 partition 1";

/// fjall's own keyspace, which has the names of the others, and ours.
const KEYSPACES: u8 = 3;

/// What a partition says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The last entry that was durable.
    pub(super) applied: Option<u64>,
    /// What the partition's own row said then; `None`: there was none, or an earlier z4 wrote the manifest.
    pub(super) state: Option<Applied>,
}

/// Looks at a partition's directory before it is opened. What a crash left when it was being made is removed.
///
/// # Errors
/// [`PartitionError::Damaged`] names the file that is missing or empty.
pub(super) fn check(dir: &Path, place: &Place) -> Result<Option<Manifest>, PartitionError> {
    let failed = |error| place.storage(error);
    let manifest = read(dir, place)?;
    let Some(missing) = first_missing(dir).map_err(failed)? else {
        // Nothing is in it; fjall does not make it again by itself.
        OpenOptions::new().create(true).append(true).open(dir.join(LOCK)).map_err(failed)?;
        return Ok(manifest);
    };
    if is_in_use(dir) {
        return Err(place.locked());
    }
    if manifest.is_some() || holds_rows(dir, place)? {
        return Err(place.missing(format!("{} is missing or empty", missing.display())));
    }
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() { directory::remove(&path) } else { fs::remove_file(&path) }.map_err(failed)?;
    }
    Ok(None)
}

/// The directory may hold rows: they were in a journal or a table once.
pub(super) fn holds_rows(dir: &Path, place: &Place) -> Result<bool, PartitionError> {
    let failed = |error| place.storage(error);
    if read(dir, place)?.is_some_and(|manifest| manifest.applied.is_some()) {
        return Ok(true);
    }
    for keyspace in 1..KEYSPACES {
        let tables = dir.join("keyspaces").join(keyspace.to_string()).join("tables");
        if listed(&tables).map_err(failed)?.iter().any(|table| !is_empty(table)) {
            return Ok(true);
        }
    }
    audit::any_batch(dir).map_err(failed)
}

/// An open partition's manifest.
#[derive(Debug)]
pub(super) struct Record(Mutex<Option<Manifest>>);

impl Record {
    pub(super) fn new(found: Option<Manifest>) -> Self {
        Record(Mutex::new(found))
    }

    /// Everything up to this state is durable: says so, durably, unless it is said already.
    pub(super) fn raise(&self, place: &Place, state: Option<Applied>) -> Result<(), PartitionError> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let applied = state.as_ref().map(|state| state.position.index);
        let is_said = |written: &Manifest| written.applied >= applied && (written.state.is_some() || state.is_none());
        if written.as_ref().is_some_and(is_said) {
            return Ok(());
        }
        let manifest = Manifest { applied, state };
        write(&place.dir, place, &manifest).map_err(|error| place.storage(error))?;
        *written = Some(manifest);
        Ok(())
    }
}

fn write(dir: &Path, place: &Place, manifest: &Manifest) -> io::Result<()> {
    let applied = manifest.applied.map_or_else(|| "none".to_owned(), |index| index.to_string());
    let mut text = format!("{TITLE}\ngroup {}\napplied {applied}\n", place.group.0);
    if let Some(state) = &manifest.state {
        text += &format!("state {}\n", hexadecimal(&state.encode()));
    }
    text += &format!("crc32c {:08x}\n", crc32c::crc32c(text.as_bytes()));
    let draft = dir.join(DRAFT);
    let mut file = File::create(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, dir.join(NAME))?;
    File::open(dir)?.sync_all()
}

/// There is a manifest, whatever is in it.
pub(super) fn is_there(dir: &Path) -> bool {
    dir.join(NAME).exists()
}

/// What a partition's directory says of itself, whatever else is in it.
pub(super) fn read(dir: &Path, place: &Place) -> Result<Option<Manifest>, PartitionError> {
    let path = dir.join(NAME);
    match fs::read_to_string(&path) {
        Ok(text) => match parse(&text, place) {
            Some(manifest) => Ok(Some(manifest)),
            None => Err(place.finding(format!("{} is not what was written there", path.display()))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(place.damaged(error)),
        Err(error) => Err(place.storage(error)),
    }
}

fn parse(text: &str, place: &Place) -> Option<Manifest> {
    let at = text.rfind("crc32c ")?;
    let crc = u32::from_str_radix(text[at..].strip_prefix("crc32c ")?.strip_suffix('\n')?, 16).ok()?;
    if crc != crc32c::crc32c(&text.as_bytes()[..at]) {
        return None;
    }
    let mut lines = text[..at].lines();
    if lines.next()? != TITLE || lines.next()? != format!("group {}", place.group.0) {
        return None;
    }
    let applied = match lines.next()?.strip_prefix("applied ")? {
        "none" => None,
        index => Some(index.parse().ok()?),
    };
    let state = match lines.next() {
        Some(line) => Some(Applied::decode(&bytes_of(line.strip_prefix("state ")?)?)?),
        None => None,
    };
    Some(Manifest { applied, state })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_of(digits: &str) -> Option<Bytes> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

/// The first file without which fjall would take something for new.
fn first_missing(dir: &Path) -> io::Result<Option<PathBuf>> {
    let version = dir.join("version");
    if is_empty(&version) {
        return Ok(Some(version));
    }
    if audit::journals(dir)?.is_empty() {
        return Ok(Some(dir.join("*.jnl")));
    }
    for keyspace in 0..KEYSPACES {
        let keyspace = dir.join("keyspaces").join(keyspace.to_string());
        let current = keyspace.join("current");
        let mut number = [0; 8];
        match File::open(&current).and_then(|mut file| file.read_exact(&mut number)) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
                return Ok(Some(current));
            }
            Err(error) => return Err(error),
        }
        let tables = keyspace.join(format!("v{}", u64::from_le_bytes(number)));
        if is_empty(&tables) {
            return Ok(Some(tables));
        }
    }
    Ok(None)
}

/// Somebody has the database open, and changes its files.
fn is_in_use(dir: &Path) -> bool {
    File::open(dir.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |metadata| metadata.len() == 0)
}

fn listed(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
