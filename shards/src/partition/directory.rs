//! A partition's directory on disk, and when it goes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::runtime::{executor, fs};

/// A directory that a database has open. Whoever uses the database holds a clone of one `Arc`; when the last is dropped and the
/// directory was doomed, it is removed. So a state that was replaced stays readable for its views, and gives its space back after them.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    doomed: AtomicBool,
}

impl Directory {
    /// A directory that stays.
    pub(super) fn kept(path: &Path) -> Self {
        Directory { path: path.to_owned(), doomed: AtomicBool::new(false) }
    }

    /// A directory that goes with its last user, unless it is kept before.
    pub(super) fn doomed(path: &Path) -> Self {
        Directory { path: path.to_owned(), doomed: AtomicBool::new(true) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It stays when its last user is gone.
    pub(super) fn keep(&self) {
        self.doomed.store(false, Ordering::Release);
    }

    /// It goes when its last user is gone.
    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.doomed.load(Ordering::Acquire) {
            return;
        }
        // The last user may be an executor, and freeing gigabytes takes a while. What a crash leaves goes at the next open.
        let path = std::mem::take(&mut self.path);
        let remove = move || {
            if let Err(error) = remove(&path) {
                tracing::warn!(directory = %path.display(), %error, "cannot remove a partition that is no longer needed");
            }
        };
        executor::aside("z4-remove", remove);
    }
}

/// Removes a directory with everything in it; fine when it is gone already.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_directory(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes the names in a directory, and in all below it, durable.
pub(super) fn sync_names(path: &Path) -> io::Result<()> {
    for found in fs::list(path)?.into_iter().filter(|found| found.is_directory) {
        sync_names(&path.join(found.name))?;
    }
    fs::sync_names(path)
}
