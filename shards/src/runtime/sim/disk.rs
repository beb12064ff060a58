//! What is asked about files, beside reading and writing them.

use std::io;
use std::path::Path;

use super::platter;

/// Makes a file durable; what is read next comes from the disk, also where an earlier sync had failed.
pub fn read_from_disk(path: &Path) -> io::Result<()> {
    let disk = platter::here();
    let mut disk = disk.borrow_mut();
    let inode = disk.inode(path)?;
    disk.drop_cache(inode);
    Ok(())
}

/// Bytes that may still be written.
pub fn free_bytes(_path: &Path) -> io::Result<u64> {
    Ok(platter::here().borrow().free_bytes())
}
