//! Files as code that blocks uses them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::runtime::Found;

/// The names right below a directory, in no order.
///
/// # Errors
/// The system's.
pub fn list(directory: &Path) -> io::Result<Vec<Found>> {
    let found = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        Ok(Found { name, is_directory: entry.file_type()?.is_dir() })
    };
    fs::read_dir(directory)?.map(found).collect()
}

/// There is a directory under this name.
pub fn is_directory(path: &Path) -> bool {
    path.is_dir()
}

/// There is something under this name.
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// Makes a directory, which must not be there yet.
///
/// # Errors
/// The system's; `AlreadyExists`.
pub fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)
}

/// Makes a directory and those above it, where they are not there.
///
/// # Errors
/// The system's.
pub fn create_directories(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// All bytes of a file.
///
/// # Errors
/// The system's; `NotFound`.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Makes a file with these bytes, or replaces what is in it. The bytes are durable, the name need not be.
///
/// # Errors
/// The system's.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a file another name, over what has that.
///
/// # Errors
/// The system's.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Makes the names in a directory durable.
///
/// # Errors
/// The system's.
pub fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Removes a file.
///
/// # Errors
/// The system's; `NotFound`.
pub fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// Removes a directory with everything in it.
///
/// # Errors
/// The system's; `NotFound`.
pub fn remove_directory(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}
