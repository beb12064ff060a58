//! The file that says up to which number there are segments. A log whose last segments are gone looks like one that ends earlier:
//! without this file nobody could tell.
//!
//! `newest` holds the text `z4 raft log, segments up to N` and a checksum, in one block. It is raised after a segment's file is there
//! and before the segment is used, and lowered before one that was never used is removed. A log of an earlier z4 has none.

use std::io;

use super::error::LogError;
use super::options::LogOptions;
use super::segments::SegmentNumber;
use crate::runtime::files::{BLOCK_BYTES, Directory};

const NAME: &str = "newest";
const DRAFT: &str = "newest.new";
const TITLE: &str = "z4 raft log, segments up to ";

pub(crate) fn text(newest: SegmentNumber) -> String {
    let line = format!("{TITLE}{newest}\n");
    let crc = crc32c::crc32c(line.as_bytes());
    format!("{line}crc32c {crc:08x}\n")
}

/// Up to which number there must be segments; `None` when nobody said. Blocks for one small read.
pub(crate) fn read(directory: &Directory) -> Result<Option<SegmentNumber>, LogError> {
    let file = directory.path().join(NAME);
    let found = match std::fs::read(&file) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LogError::Io { directory: directory.path().to_owned(), source }),
    };
    let found = String::from_utf8_lossy(&found);
    let found = found.trim_end_matches('\0');
    let newest = found.strip_prefix(TITLE).and_then(|rest| rest.lines().next()?.parse().ok());
    match newest.filter(|newest| found == text(*newest)) {
        Some(newest) => Ok(Some(newest)),
        None => Err(LogError::Damaged { file, offset: 0, reason: "it is not what was written there".to_owned() }),
    }
}

/// Says so, durably.
pub(crate) async fn write(directory: &Directory, options: &LogOptions, newest: SegmentNumber) -> io::Result<()> {
    let path = directory.path().join(DRAFT);
    let file = match options.disk.open(&path, true).await {
        // Left over from a try that failed.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            directory.remove(DRAFT).await?;
            options.disk.open(&path, true).await?
        }
        opened => opened?,
    };
    let written = async {
        let mut block = file.buffer(BLOCK_BYTES);
        block.as_bytes_mut().fill(0);
        let text = text(newest);
        block.as_bytes_mut()[..text.len()].copy_from_slice(text.as_bytes());
        file.write_at(block, 0).await?;
        file.fdatasync().await?;
        directory.rename(&file, NAME).await
    };
    let written = written.await;
    file.close().await?;
    written
}
