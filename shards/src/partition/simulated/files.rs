//! Which file a simulated tree has: one, that names it.

use std::io;
use std::path::{Path, PathBuf};

use super::tree;
use crate::runtime::fs;

/// There is nothing else that must be there.
pub(crate) fn ensure_lock(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// Rows were committed here once.
pub(crate) fn hold_rows(dir: &Path) -> io::Result<bool> {
    Ok(tree::name(dir)?.is_some_and(tree::holds_rows))
}

/// The first file without which a tree would be taken for new.
pub(crate) fn first_missing(dir: &Path) -> io::Result<Option<PathBuf>> {
    let path = tree::path(dir);
    Ok(if fs::exists(&path) { None } else { Some(path) })
}

/// Somebody has the tree open.
pub(crate) fn is_in_use(dir: &Path) -> bool {
    matches!(tree::name(dir), Ok(Some(name)) if tree::is_open(name))
}
