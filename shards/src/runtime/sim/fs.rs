//! Files of the caller's place as code that blocks uses them, on its simulated disk. Nothing here takes time.

use std::io;
use std::path::Path;

use super::platter::{self, Named};
use crate::runtime::Found;

/// The names right below a directory, in their order.
pub fn list(directory: &Path) -> io::Result<Vec<Found>> {
    let found = platter::here().borrow().list(directory)?;
    Ok(found.into_iter().map(|(name, is_directory)| Found { name, is_directory }).collect())
}

/// There is a directory under this name.
pub fn is_directory(path: &Path) -> bool {
    platter::here().borrow().named(path) == Some(Named::Directory)
}

/// There is something under this name.
pub fn exists(path: &Path) -> bool {
    platter::here().borrow().named(path).is_some()
}

/// Makes a directory, which must not be there yet.
pub fn create_directory(path: &Path) -> io::Result<()> {
    platter::here().borrow_mut().create_directory(path)
}

/// Makes a directory and those above it, where they are not there.
pub fn create_directories(path: &Path) -> io::Result<()> {
    let disk = platter::here();
    let mut disk = disk.borrow_mut();
    let missing: Vec<_> = path.ancestors().take_while(|path| disk.named(path).is_none()).collect();
    missing.into_iter().rev().try_for_each(|path| disk.create_directory(path))
}

/// All bytes of a file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let disk = platter::here();
    let disk = disk.borrow();
    let inode = disk.inode(path)?;
    disk.read(inode, 0, disk.len(inode) as usize)
}

/// Makes a file with these bytes, or replaces what is in it; the bytes are durable, the name need not be.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let disk = platter::here();
    let mut disk = disk.borrow_mut();
    let inode = disk.put(path)?;
    disk.write(inode, 0, bytes)?;
    let upto = disk.writes();
    disk.sync(inode, upto);
    Ok(())
}

/// Gives a file another name, over what has that.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    platter::here().borrow_mut().rename(from, to)
}

/// Makes the names in a directory durable.
pub fn sync_names(directory: &Path) -> io::Result<()> {
    platter::here().borrow_mut().sync_names(directory);
    Ok(())
}

/// Removes a file.
pub fn remove_file(path: &Path) -> io::Result<()> {
    platter::here().borrow_mut().remove_file(path)
}

/// Removes a directory with everything in it.
pub fn remove_directory(path: &Path) -> io::Result<()> {
    platter::here().borrow_mut().remove_all(path)
}
