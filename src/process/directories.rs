//! The two data directories and the locks that keep a second process out of them.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::ready::PORTS_FILE;

/// The file in each directory that carries the lock and the process id of its holder. It stays when the process ends; the lock does
/// not, whatever ended the process.
pub const LOCK_FILE: &str = "lock";

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another process uses it.
    #[error("another z4 process (pid {pid}) holds {}", directory.display())]
    Held {
        /// The directory.
        directory: PathBuf,
        /// What the lock file tells about the holder.
        pid: String,
    },
    /// It cannot be made, opened or locked.
    #[error("{} cannot be used as a data directory", directory.display())]
    Unusable {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A directory that belongs to this process until the value is dropped.
#[derive(Debug)]
pub struct LockedDirectory {
    path: PathBuf,
    _lock: File,
}

impl LockedDirectory {
    /// Makes the directory when it is missing (for its owner alone) and locks it. Never waits.
    pub fn lock(path: &Path) -> Result<Self, DirectoryError> {
        let unusable = |source| DirectoryError::Unusable { directory: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(LOCK_FILE));
        let mut file = open.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DirectoryError::Held { directory: path.to_owned(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        record_holder(&mut file).map_err(unusable)?;
        Ok(LockedDirectory { path: path.to_owned(), _lock: file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing was ever kept here.
    pub fn is_fresh(&self) -> io::Result<bool> {
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name != LOCK_FILE && name != PORTS_FILE && name != "lost+found" {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The holder writes its process id after it has the lock, so a reader may come too early.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}

fn record_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The directories of a peer.
#[derive(Debug)]
pub struct Directories {
    /// Partitions.
    pub db: LockedDirectory,
    /// Identity and raft logs.
    pub peer: LockedDirectory,
}

impl Directories {
    /// Locks both, or none, and removes the ports file that an earlier process left.
    pub fn lock(db: &Path, peer: &Path) -> Result<Self, DirectoryError> {
        let directories = Directories { peer: LockedDirectory::lock(peer)?, db: LockedDirectory::lock(db)? };
        match std::fs::remove_file(peer.join(PORTS_FILE)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(DirectoryError::Unusable { directory: peer.to_owned(), source })
            }
            _ => Ok(directories),
        }
    }

    /// Nothing was ever kept in either of them.
    pub fn are_fresh(&self) -> Result<bool, DirectoryError> {
        let fresh =
            |d: &LockedDirectory| d.is_fresh().map_err(|source| DirectoryError::Unusable { directory: d.path.clone(), source });
        Ok(fresh(&self.db)? && fresh(&self.peer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two processes on one log would destroy it. The lock belongs to the open file, so a second open in this process stands for
    /// another process here; `tests/process.rs` does it with two real ones.
    #[test]
    fn a_second_holder_is_refused_at_once_and_told_who_has_it() {
        let root = tempfile::tempdir().expect("dir");
        let (db, peer) = (root.path().join("a/db"), root.path().join("a/peer"));
        let first = Directories::lock(&db, &peer).expect("free");
        assert!(first.are_fresh().expect("readable"));
        let error = Directories::lock(&db, &peer).expect_err("held");
        assert_eq!(error.to_string(), format!("another z4 process (pid {}) holds {}", std::process::id(), peer.display()));
        // The same database with a peer directory of its own is as bad.
        let error = Directories::lock(&db, &root.path().join("other")).expect_err("held");
        assert!(error.to_string().ends_with(&format!("holds {}", db.display())));
        drop(first);
        std::fs::write(peer.join(PORTS_FILE), "stale").expect("written");
        std::fs::write(db.join("partition"), "").expect("written");
        let again = Directories::lock(&db, &peer).expect("free again");
        assert!(!peer.join(PORTS_FILE).exists(), "the ports of an earlier process lead nowhere");
        assert!(!again.are_fresh().expect("readable"));
    }

    #[test]
    fn a_path_that_is_no_directory_is_named() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let error = LockedDirectory::lock(file.path()).expect_err("a file").to_string();
        assert!(error.contains(&file.path().display().to_string()), "{error}");
    }
}
