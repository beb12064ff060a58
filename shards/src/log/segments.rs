//! The segment files of a log and how much of each is still needed.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::record::ENTRY_HEADER_BYTES;
use crate::runtime::files::File;

/// A segment's number. The first is 1, and they follow each other without a hole.
pub(crate) type SegmentNumber = u32;

/// A file that is still being filled with zeros.
pub(crate) const UNFINISHED: &str = "unfinished.new";

const SEGMENT: &str = ".log";
const SPARE: &str = ".spare";

/// What a segment's file is called.
pub(crate) fn segment_name(number: SegmentNumber) -> String {
    format!("{number:010}{SEGMENT}")
}

/// What the file of a purged segment is called until it is reused.
pub(crate) fn spare_name(number: SegmentNumber) -> String {
    format!("{number:010}{SPARE}")
}

/// The number in a segment's file name.
pub(crate) fn segment_number(name: &str) -> Option<SegmentNumber> {
    name.strip_suffix(SEGMENT)?.parse().ok().filter(|number| *number > 0 && segment_name(*number) == name)
}

/// The name is a purged segment's.
pub(crate) fn is_spare(name: &str) -> bool {
    name.ends_with(SPARE)
}

/// An entry's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The segment's number; 0: it is in no frame yet.
    pub(crate) segment: u32,
    /// Where the record begins in the segment.
    pub(crate) offset: u32,
    /// Bytes of payload.
    pub(crate) payload_bytes: u32,
    /// Which of the ballots in the group's index, see there.
    pub(super) ballot: u32,
}

impl Slot {
    /// Bytes of the record.
    pub(crate) fn record_bytes(&self) -> usize {
        ENTRY_HEADER_BYTES + self.payload_bytes as usize
    }
}

/// A segment that holds frames.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Its file. Who reads it holds a clone; a segment goes only when nobody does.
    pub(crate) file: Rc<File>,
    /// The file's size.
    pub(crate) bytes: u64,
    /// The file was used before.
    pub(crate) recycled: bool,
    /// Entries whose newest place is here and that are neither purged nor truncated.
    pub(crate) live_entries: u64,
    /// Bytes of their records.
    pub(crate) live_bytes: u64,
}

/// A file that holds no frames yet.
#[derive(Debug)]
pub(crate) struct EmptyFile {
    /// The file.
    pub(crate) file: Rc<File>,
    /// Its size.
    pub(crate) bytes: u64,
    /// It was used before, and may hold what was in it.
    pub(crate) recycled: bool,
}

/// Entries that stopped to live, per segment. Applied to the segments only after the record that says why is durable.
#[derive(Debug, Default)]
pub(crate) struct Released(Vec<(SegmentNumber, u64, u64)>);

impl Released {
    /// One more entry.
    pub(crate) fn add(&mut self, slot: &Slot) {
        match self.0.last_mut() {
            _ if slot.segment == 0 => {}
            Some((segment, entries, bytes)) if *segment == slot.segment => {
                *entries += 1;
                *bytes += slot.record_bytes() as u64;
            }
            _ => self.0.push((slot.segment, 1, slot.record_bytes() as u64)),
        }
    }

    /// Takes over what another one has.
    pub(crate) fn append(&mut self, mut other: Released) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the entries off their segments.
    pub(crate) fn apply(self, segments: &mut BTreeMap<SegmentNumber, Segment>) {
        for (number, entries, bytes) in self.0 {
            if let Some(segment) = segments.get_mut(&number) {
                segment.live_entries = segment.live_entries.saturating_sub(entries);
                segment.live_bytes = segment.live_bytes.saturating_sub(bytes);
            }
        }
    }
}
