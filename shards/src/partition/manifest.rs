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

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::directory;
use super::engine::files;
use super::error::{PartitionError, Place};
use super::layout::Applied;
use crate::runtime::fs;

const NAME: &str = "manifest";
const DRAFT: &str = "manifest.draft";
const TITLE: &str = "z4 partition 1";

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
    let Some(missing) = files::first_missing(dir).map_err(failed)? else {
        files::ensure_lock(dir).map_err(failed)?;
        return Ok(manifest);
    };
    if files::is_in_use(dir) {
        return Err(place.locked());
    }
    if manifest.is_some() || holds_rows(dir, place)? {
        return Err(place.missing(format!("{} is missing or empty", missing.display())));
    }
    for found in fs::list(dir).map_err(failed)? {
        let path = dir.join(found.name);
        if found.is_directory { directory::remove(&path) } else { fs::remove_file(&path) }.map_err(failed)?;
    }
    Ok(None)
}

/// The directory may hold rows: they were in a journal or a table once.
pub(super) fn holds_rows(dir: &Path, place: &Place) -> Result<bool, PartitionError> {
    let failed = |error| place.storage(error);
    if read(dir, place)?.is_some_and(|manifest| manifest.applied.is_some()) {
        return Ok(true);
    }
    files::hold_rows(dir).map_err(failed)
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
    fs::write(&draft, text.as_bytes())?;
    fs::rename(&draft, &dir.join(NAME))?;
    fs::sync_names(dir)
}

/// There is a manifest, whatever is in it.
pub(super) fn is_there(dir: &Path) -> bool {
    fs::exists(&dir.join(NAME))
}

/// What a partition's directory says of itself, whatever else is in it.
pub(super) fn read(dir: &Path, place: &Place) -> Result<Option<Manifest>, PartitionError> {
    let path = dir.join(NAME);
    match fs::read(&path) {
        Ok(text) => match parse(&String::from_utf8_lossy(&text), place) {
            Some(manifest) => Ok(Some(manifest)),
            None => Err(place.finding(format!("{} is not what was written there", path.display()))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
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
