//! Reading the frames of one segment, and looking for frames behind a bad one.

use std::io;
use std::rc::Rc;

use super::frame::{FrameHeader, HEADER_BYTES, RECYCLED, VERSION, checksum, stored_crc};
use super::segments::SegmentNumber;
use crate::runtime::files::{BLOCK_BYTES, File};

/// What a disk writes whole or not at all, in bytes.
const SECTOR_BYTES: usize = 512;

/// How much is read at a time, in bytes.
const WINDOW_BYTES: u64 = 1 << 20;

/// What the next frame must be. A field that is `None` is not known, because there is no frame before it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected {
    /// The log's identity.
    pub(crate) log: Option<u64>,
    /// The frame's number, and the checksum of the frame before.
    pub(crate) frame: Option<(u64, u32)>,
}

/// What is at a block boundary.
pub(crate) enum Found {
    /// A whole frame: header, checksum, records.
    Frame(FrameHeader, u32, Vec<u8>),
    /// A whole frame of a format that this code does not know.
    Version(u16),
    /// Something else, and why it is no frame.
    Nothing(&'static str),
}

/// A segment that is read from its begin to its end.
pub(crate) struct Scanner {
    file: Rc<File>,
    number: SegmentNumber,
    bytes: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl Scanner {
    pub(crate) fn new(file: Rc<File>, number: SegmentNumber, bytes: u64) -> Self {
        Scanner { file, number, bytes, window: Vec::new(), window_at: 0 }
    }

    /// Bytes of the segment from `at` on. They must be within it.
    pub(crate) async fn bytes(&mut self, at: u64, bytes: usize) -> io::Result<&[u8]> {
        let end = at + bytes as u64;
        if at < self.window_at || end > self.window_at + self.window.len() as u64 {
            let until = end.max((at + WINDOW_BYTES).min(self.bytes));
            self.window.clear();
            while at + (self.window.len() as u64) < until {
                let from = at + self.window.len() as u64;
                let read = self.file.read_at(from, (until - from).min(WINDOW_BYTES) as usize).await?;
                self.window.extend_from_slice(&read);
            }
            self.window_at = at;
        }
        let begin = (at - self.window_at) as usize;
        Ok(&self.window[begin..begin + bytes])
    }

    /// The frame at a place of this segment, if it is the expected one.
    pub(crate) async fn frame(&mut self, at: u64, expected: Expected) -> io::Result<Found> {
        if at + BLOCK_BYTES as u64 > self.bytes {
            return Ok(Found::Nothing("the segment is full"));
        }
        let number = self.number;
        let Some(header) = FrameHeader::parse(self.bytes(at, HEADER_BYTES).await?) else {
            return Ok(Found::Nothing("there is no frame header"));
        };
        if header.segment != number {
            return Ok(Found::Nothing("the frame belongs to another segment"));
        }
        if at + header.frame_bytes() as u64 > self.bytes {
            return Ok(Found::Nothing("the frame is longer than the segment"));
        }
        let frame = self.bytes(at, header.frame_bytes()).await?;
        let crc = stored_crc(frame);
        if checksum(frame) != crc {
            return Ok(Found::Nothing("the frame's checksum does not match"));
        }
        if header.version != VERSION {
            return Ok(Found::Version(header.version));
        }
        if expected.log.is_some_and(|log| log != header.log) {
            return Ok(Found::Nothing("the frame belongs to another log"));
        }
        if expected.frame.is_some_and(|frame| frame != (header.frame, header.previous_crc)) {
            return Ok(Found::Nothing("the frame does not follow the one before"));
        }
        let records = frame[HEADER_BYTES..HEADER_BYTES + header.payload_bytes as usize].to_vec();
        Ok(Found::Frame(header, crc, records))
    }

    /// The first whole frame of this segment and log from `from` on whose number is at least `frame`: proof that the frame that is
    /// missing before it had been durable.
    pub(crate) async fn find_later(&mut self, from: u64, log: Option<u64>, frame: u64) -> io::Result<Option<(u64, u64)>> {
        let mut at = from;
        while at + BLOCK_BYTES as u64 <= self.bytes {
            if let Found::Frame(header, ..) = self.frame(at, Expected { log, frame: None }).await?
                && header.frame >= frame
            {
                return Ok(Some((at, header.frame)));
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(None)
    }

    /// What is at `at`, where no whole frame is, cannot be what a torn write left of the expected one in a file of zeros. Asked of the
    /// begin of a segment that may have had an earlier life: only a header that is this segment's says that it had none.
    pub(crate) async fn is_damaged(&mut self, at: u64, expected: Expected) -> io::Result<bool> {
        if at + BLOCK_BYTES as u64 > self.bytes {
            return Ok(false);
        }
        let number = self.number;
        let first = self.bytes(at, SECTOR_BYTES).await?;
        if first.iter().all(|byte| *byte == 0) {
            return Ok(false);
        }
        let header = FrameHeader::parse(first).filter(|header| header.segment == number);
        let Some(header) = header else { return Ok(at > 0) };
        if at == 0 && header.flags & RECYCLED != 0 {
            return Ok(false);
        }
        let (log, frame) = (expected.log.unwrap_or(header.log), expected.frame.unwrap_or((header.frame, header.previous_crc)));
        if (log, frame) != (header.log, (header.frame, header.previous_crc)) {
            return Ok(at > 0);
        }
        if at + header.frame_bytes() as u64 > self.bytes {
            return Ok(true);
        }
        let content = HEADER_BYTES + header.payload_bytes as usize;
        let sectors = self.bytes(at, content.next_multiple_of(SECTOR_BYTES)).await?.chunks(SECTOR_BYTES);
        Ok(!sectors.into_iter().any(|sector| sector.iter().all(|byte| *byte == 0)))
    }

    /// How many bytes from `from` on are not known to be clean: up to the last one that is not zero, or, when the file had an
    /// earlier life whose rest may be there, what a header at `from` that is of this segment says.
    pub(crate) async fn torn_bytes(&mut self, from: u64, recycled: bool, frame: u64) -> io::Result<u64> {
        if from + BLOCK_BYTES as u64 > self.bytes {
            return Ok(0);
        }
        if recycled {
            let header = FrameHeader::fields(self.bytes(from, HEADER_BYTES).await?);
            let ours = header.segment == self.number || header.frame == frame;
            return Ok(if ours { (header.frame_bytes() as u64).min(self.bytes - from) } else { 0 });
        }
        let (mut at, mut torn) = (from, 0);
        while at < self.bytes {
            let block = self.bytes(at, BLOCK_BYTES).await?;
            if let Some(last) = block.iter().rposition(|byte| *byte != 0) {
                torn = at - from + last as u64 + 1;
            }
            at += BLOCK_BYTES as u64;
        }
        Ok(torn)
    }
}
