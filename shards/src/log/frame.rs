//! The frame: what one write and one sync make durable together.
//!
//! ```text
//!  0 magic "z4rl"           16 frame number   u64     32 records        u32
//!  4 format version u16     24 segment number u32     36 CRC-32C of the frame before
//!  6 flags          u16     28 payload bytes  u32     40 CRC-32C of all other bytes, padding included
//!  8 log identity   u64                               44 zero
//! 48 records, then zeros up to the next 4096-byte boundary
//! ```
//! Numbers are little-endian. The identity is random per log, so that neither another log's file nor a task's payload that was
//! made up to look like a frame validates.

use crate::runtime::files::BLOCK_BYTES;

/// The version that this code writes.
pub(crate) const VERSION: u16 = 1;

/// Bytes before the records.
pub(crate) const HEADER_BYTES: usize = 48;

/// The frame is its segment's first and begins with the state of every group.
pub(crate) const CHECKPOINT: u16 = 1;

/// The segment's file had an earlier life, so what is behind the last frame need not be zeros.
pub(crate) const RECYCLED: u16 = 2;

/// Before this frame was written the file `newest` was: where it is missing, it was lost.
pub(crate) const NEWEST: u16 = 4;

const MAGIC: [u8; 4] = *b"z4rl";
const CRC_AT: usize = 40;

/// A frame's header, without magic and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) version: u16,
    pub(crate) flags: u16,
    pub(crate) log: u64,
    pub(crate) frame: u64,
    pub(crate) segment: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) records: u32,
    pub(crate) previous_crc: u32,
}

/// How many bytes a frame with so many bytes of records takes in the file.
pub(crate) fn frame_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(BLOCK_BYTES)
}

impl FrameHeader {
    /// How many bytes it takes in the file.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.payload_bytes as usize)
    }

    /// Writes header and checksum over the begin of a complete frame, whose records and padding are there. Returns the checksum.
    pub(crate) fn seal(&self, frame: &mut [u8]) -> u32 {
        frame[0..4].copy_from_slice(&MAGIC);
        frame[4..6].copy_from_slice(&self.version.to_le_bytes());
        frame[6..8].copy_from_slice(&self.flags.to_le_bytes());
        frame[8..16].copy_from_slice(&self.log.to_le_bytes());
        frame[16..24].copy_from_slice(&self.frame.to_le_bytes());
        frame[24..28].copy_from_slice(&self.segment.to_le_bytes());
        frame[28..32].copy_from_slice(&self.payload_bytes.to_le_bytes());
        frame[32..36].copy_from_slice(&self.records.to_le_bytes());
        frame[36..40].copy_from_slice(&self.previous_crc.to_le_bytes());
        frame[44..48].fill(0);
        let crc = checksum(frame);
        frame[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// Reads a header; `None` when the bytes do not begin with the magic. Nothing else is checked.
    pub(crate) fn parse(block: &[u8]) -> Option<Self> {
        if block.len() < HEADER_BYTES || block[0..4] != MAGIC {
            return None;
        }
        Some(Self::fields(block))
    }

    /// Reads a header without asking for the magic.
    pub(crate) fn fields(block: &[u8]) -> Self {
        FrameHeader {
            version: u16::from_le_bytes(array(block, 4)),
            flags: u16::from_le_bytes(array(block, 6)),
            log: u64::from_le_bytes(array(block, 8)),
            frame: u64::from_le_bytes(array(block, 16)),
            segment: u32::from_le_bytes(array(block, 24)),
            payload_bytes: u32::from_le_bytes(array(block, 28)),
            records: u32::from_le_bytes(array(block, 32)),
            previous_crc: u32::from_le_bytes(array(block, 36)),
        }
    }
}

/// The checksum that a complete frame carries.
pub(crate) fn stored_crc(frame: &[u8]) -> u32 {
    u32::from_le_bytes(array(frame, CRC_AT))
}

/// The checksum that a complete frame should carry.
pub(crate) fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..CRC_AT]), &frame[CRC_AT + 4..])
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout is on disks: these bytes must never change for version 1.
    #[test]
    fn layout_is_golden() {
        let mut frame = vec![0u8; BLOCK_BYTES];
        frame[HEADER_BYTES..HEADER_BYTES + 3].copy_from_slice(b"abc");
        let header = FrameHeader {
            version: 1,
            flags: CHECKPOINT,
            log: 0x0102_0304_0506_0708,
            frame: 9,
            segment: 10,
            payload_bytes: 3,
            records: 11,
            previous_crc: 12,
        };
        let crc = header.seal(&mut frame);
        let mut expected =
            b"z4rl\x01\0\x01\0\x08\x07\x06\x05\x04\x03\x02\x01\x09\0\0\0\0\0\0\0\x0a\0\0\0\x03\0\0\0\x0b\0\0\0\x0c\0\0\0"
                .to_vec();
        expected.extend_from_slice(&crc.to_le_bytes());
        expected.extend_from_slice(b"\0\0\0\0abc\0");
        assert_eq!(frame[..52], expected);
        assert_eq!(FrameHeader::parse(&frame), Some(header));
        assert_eq!(checksum(&frame), stored_crc(&frame));
        frame[4095] = 1;
        assert_ne!(checksum(&frame), stored_crc(&frame), "padding is covered too");
    }
}
