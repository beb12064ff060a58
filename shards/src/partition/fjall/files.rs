//! Which files fjall must have on disk, looked at before it is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::audit;

/// fjall's, held while the database is open.
const LOCK: &str = "lock";

/// fjall's own keyspace, which has the names of the others, and ours.
const KEYSPACES: u8 = 3;

/// Makes the file that is held while the database is open, if it is not there: nothing is in it, and fjall does not make it again by itself.
pub(crate) fn ensure_lock(dir: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(dir.join(LOCK)).map(drop)
}

/// Rows were in a journal or a table of this directory once.
pub(crate) fn hold_rows(dir: &Path) -> io::Result<bool> {
    for keyspace in 1..KEYSPACES {
        let tables = dir.join("keyspaces").join(keyspace.to_string()).join("tables");
        if listed(&tables)?.iter().any(|table| !is_empty(table)) {
            return Ok(true);
        }
    }
    audit::any_batch(dir)
}

/// The first file without which fjall would take something for new.
pub(crate) fn first_missing(dir: &Path) -> io::Result<Option<PathBuf>> {
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
pub(crate) fn is_in_use(dir: &Path) -> bool {
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
