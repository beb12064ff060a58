//! What the operating system is told and asked about files, beside reading and writing them. Everything here blocks.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Advice, fadvise, statvfs};

/// Makes a file durable and has its cached pages dropped, so that what is read next comes from the disk. After a write-back that
/// failed, pages stay in the cache as if they had been written: who reads them believes what the disk never got.
pub fn read_from_disk(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    file.sync_data()?;
    // Advice: where it is not taken (some file systems keep everything in memory) there is nothing else to read.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    Ok(())
}

/// Bytes that may still be written to the file system of `path`, without those that are reserved for the superuser.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
