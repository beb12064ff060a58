//! How a log behaves, and what it tells about itself.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::error::LogError;
use crate::runtime::files::{BLOCK_BYTES, Disk};

/// No entry's payload is larger than this, bytes; the log of every peer takes one that is not, whatever its segment size.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;

/// What the log tells after each frame.
#[derive(Clone, Copy, Debug)]
pub struct LogObservation {
    /// How long the frame's fdatasync took.
    pub fdatasync: Duration,
    /// How many records it made durable.
    pub records: usize,
    /// How many bytes were written, header and padding included.
    pub bytes: usize,
}

/// Who is told after each frame.
pub type Observer = Rc<dyn Fn(&LogObservation)>;

/// How a log behaves. Sizes are in bytes.
#[derive(Clone)]
pub struct LogOptions {
    /// The size of new segment files. Default 64 MiB; 1 MiB to 1 GiB, a multiple of 4096. One whose first entry is larger than that is
    /// as large as it must be.
    pub segment_bytes: u64,
    /// A frame takes no further record beyond this size. Default 4 MiB; from 4096 on. One record may be larger.
    pub batch_bytes_max: u64,
    /// How much of the recently appended payloads stays in memory, over all groups. Default 64 MiB. Entries that are not yet durable
    /// stay in any case.
    pub cache_bytes_max: u64,
    /// How many purged segments are kept for reuse beside the next one. Default 2.
    pub spare_segments_max: usize,
    /// From how many segments on the live entries of the oldest are moved to the log's end when they are few. Default 8; from 3 on.
    pub copy_forward_segments_min: usize,
    /// A directory without a log is an error: it had one. Default false.
    pub must_exist: bool,
    /// Is called after each frame.
    pub observe: Option<Observer>,
    /// Where the files are.
    pub disk: Disk,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            segment_bytes: 64 << 20,
            batch_bytes_max: 4 << 20,
            cache_bytes_max: 64 << 20,
            spare_segments_max: 2,
            copy_forward_segments_min: 8,
            must_exist: false,
            observe: None,
            disk: Disk::default(),
        }
    }
}

impl fmt::Debug for LogOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogOptions")
            .field("segment_bytes", &self.segment_bytes)
            .field("batch_bytes_max", &self.batch_bytes_max)
            .field("cache_bytes_max", &self.cache_bytes_max)
            .field("spare_segments_max", &self.spare_segments_max)
            .field("copy_forward_segments_min", &self.copy_forward_segments_min)
            .finish_non_exhaustive()
    }
}

impl LogOptions {
    pub(crate) fn validate(&self) -> Result<(), LogError> {
        if !(1 << 20..=1 << 30).contains(&self.segment_bytes) || !self.segment_bytes.is_multiple_of(BLOCK_BYTES as u64) {
            let range = "it must be a multiple of 4096 from 1048576 to 1073741824";
            return Err(LogError::Option { option: "segment_bytes", value: self.segment_bytes, range });
        }
        if self.batch_bytes_max < BLOCK_BYTES as u64 {
            let range = "it must be at least 4096";
            return Err(LogError::Option { option: "batch_bytes_max", value: self.batch_bytes_max, range });
        }
        if self.copy_forward_segments_min < 3 {
            let value = self.copy_forward_segments_min as u64;
            return Err(LogError::Option { option: "copy_forward_segments_min", value, range: "it must be at least 3" });
        }
        Ok(())
    }
}
