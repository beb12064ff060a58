//! The file that says up to which number there are segments, and which frame was surely durable. A log whose last segments are gone, or
//! whose last frames are zeros, looks like one that ends earlier: without this file nobody could tell.
//!
//! `newest` holds the text `z4 raft log, segments up to N`, `frames up to M` and a checksum, in one block. It is written after a segment's
//! file is there and before the segment is used, before one that was never used is removed, when the log is opened, and when it is
//! closed. So a log that was stopped is known to its last frame; of one that crashed what came after the last writing of this file is not.
//! A log of an earlier z4 has none, or no line with frames.

use std::io;

use super::error::LogError;
use super::note;
use super::options::LogOptions;
use super::segments::SegmentNumber;
use crate::runtime::files::Directory;

const NAME: &str = "newest";
const TITLE: &str = "z4 raft log, segments up to ";
const FRAMES: &str = "frames up to ";

/// What must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// The last segment.
    pub(crate) segment: SegmentNumber,
    /// A frame that was durable; there may be later ones. 0: not known.
    pub(crate) frame: u64,
}

impl Newest {
    pub(crate) fn text(self) -> String {
        let Newest { segment, frame } = self;
        let lines = match frame {
            0 => format!("{TITLE}{segment}\n"),
            _ => format!("{TITLE}{segment}\n{FRAMES}{frame}\n"),
        };
        note::sealed(&lines)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_prefix(TITLE)?.lines();
        let segment = lines.next()?.parse().ok()?;
        let frame = lines.next()?.strip_prefix(FRAMES).map_or(Some(0), |frame| frame.parse().ok())?;
        Some(Newest { segment, frame }).filter(|newest| newest.text() == text)
    }
}

/// What must be there; `None` when nobody said. Blocks for one small read.
pub(crate) fn read(directory: &Directory) -> Result<Option<Newest>, LogError> {
    note::read(directory, NAME, Newest::parse)
}

/// The log says that the file was there, and it is not: how far the log was is not known.
pub(crate) fn missing(directory: &Directory) -> LogError {
    LogError::Damaged {
        file: directory.path().join(NAME),
        offset: 0,
        reason: "it is missing, and the log's frames say that there is one".to_owned(),
    }
}

/// Says so, durably.
pub(crate) async fn write(directory: &Directory, options: &LogOptions, newest: Newest) -> io::Result<()> {
    note::write(directory, options, NAME, &newest.text()).await
}
