//! Small files beside the segments: a few lines of text that end with their checksum, in one block.

use std::io;

use super::error::LogError;
use super::options::LogOptions;
use crate::runtime::files::{BLOCK_BYTES, Directory};
use crate::runtime::fs;

/// The lines with their checksum.
pub(super) fn sealed(lines: &str) -> String {
    format!("{lines}crc32c {:08x}\n", crc32c::crc32c(lines.as_bytes()))
}

/// What the file says; `None` when there is none. Blocks for one small read.
///
/// # Errors
/// It cannot be read, or `parse` does not know what it says.
pub(super) fn read<T>(directory: &Directory, name: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, LogError> {
    let file = directory.path().join(name);
    let found = match fs::read(&file) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LogError::Io { directory: directory.path().to_owned(), source }),
    };
    let found = String::from_utf8_lossy(&found);
    match parse(found.trim_end_matches('\0')) {
        Some(said) => Ok(Some(said)),
        None => Err(LogError::Damaged { file, offset: 0, reason: "it is not what was written there".to_owned() }),
    }
}

/// Says so, durably.
pub(super) async fn write(directory: &Directory, options: &LogOptions, name: &str, text: &str) -> io::Result<()> {
    let draft = format!("{name}.new");
    let path = directory.path().join(&draft);
    let file = match options.disk.open(&path, true).await {
        // Left over from a try that failed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            directory.remove(&draft).await?;
            options.disk.open(&path, true).await?
        }
        opened => opened?,
    };
    let written = async {
        let mut block = file.buffer(BLOCK_BYTES);
        block.as_bytes_mut().fill(0);
        block.as_bytes_mut()[..text.len()].copy_from_slice(text.as_bytes());
        file.write_at(block, 0).await?;
        file.fdatasync().await?;
        directory.rename(&file, name).await
    };
    let written = written.await;
    file.close().await?;
    written
}
