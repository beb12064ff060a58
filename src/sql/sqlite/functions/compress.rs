//! COMPRESS and its kin: zlib's bytes behind the length of what is in them, four bytes, the lowest first.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Body::Plain;
use super::Table;
use super::args::{Out, PACKET_MAX};
use super::patience::Patience;

pub(super) const TABLE: Table = &[
    ("my_compress", Plain(|args| compressed(&args.bytes(0)?).map(Out::Blob))),
    ("my_uncompress", Plain(|args| uncompressed(&args.bytes(0)?).map(Out::Blob))),
    ("my_uncompressed_length", Plain(|args| length(&args.bytes(0)?))),
];

/// Bytes that are packed or unpacked between two looks at whether the query must end.
const STEP: usize = 256 << 10;
/// The two highest bits of a length are not of it, as in MySQL.
const LENGTH_BITS: u32 = 0x3fff_ffff;

fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (mut zlib, mut patience) = (Compress::new(Compression::default(), true), Patience::default());
    let mut out = u32::try_from(bytes.len()).ok()?.to_le_bytes().to_vec();
    loop {
        let left = bytes.get(zlib.total_in() as usize..)?;
        let step = left.get(..STEP).unwrap_or(left);
        let flush = if step.len() == left.len() { FlushCompress::Finish } else { FlushCompress::None };
        out.reserve(STEP);
        let status = zlib.compress_vec(step, &mut out, flush).ok()?;
        if out.len() > PACKET_MAX || patience.look() {
            return None;
        }
        if status == Status::StreamEnd {
            break;
        }
    }
    // No space at the end, which a CHAR would lose.
    if out.last() == Some(&b' ') {
        out.push(b'.');
    }
    Some(out)
}

/// `None`: it is nothing that was compressed, or longer than [`PACKET_MAX`].
fn uncompressed(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (head, packed) = bytes.split_first_chunk::<4>()?;
    let length = (u32::from_le_bytes(*head) & LENGTH_BITS) as usize;
    if packed.is_empty() || length > PACKET_MAX {
        return None;
    }
    let (mut zlib, mut patience, mut out) = (Decompress::new(true), Patience::default(), Vec::new());
    loop {
        // Never more than is said: what holds more is no such thing.
        let room = length.saturating_sub(out.len()).clamp(1, STEP);
        let before = out.len();
        out.reserve_exact(room);
        let left = packed.get(zlib.total_in() as usize..)?;
        let status = zlib.decompress_vec(left, &mut out, FlushDecompress::None).ok()?;
        if out.len() > length || patience.look() {
            return None;
        }
        if status == Status::StreamEnd {
            return Some(out);
        }
        if out.len() == before {
            return None;
        }
    }
}

fn length(bytes: &[u8]) -> Option<Out> {
    match bytes.split_first_chunk::<4>() {
        Some((head, packed)) if !packed.is_empty() => Some(Out::Int(i64::from(u32::from_le_bytes(*head) & LENGTH_BITS))),
        _ => Some(Out::Int(0)),
    }
}

#[cfg(test)]
mod tests {
    //! Whatever is given, no more than is said comes out of it.
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bombs_are_refused() {
        let zeros = compressed(&vec![0; 8 << 20]).expect("packed");
        assert!(zeros.len() < 64 << 10);
        assert_eq!(uncompressed(&zeros).map(|bytes| bytes.len()), Some(8 << 20));
        let mut small = zeros.clone();
        small.splice(..4, 100_u32.to_le_bytes());
        assert_eq!(uncompressed(&small), None);
        let mut large = zeros;
        large.splice(..4, 0x3fff_ffff_u32.to_le_bytes());
        assert_eq!(uncompressed(&large), None);
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), noise in proptest::collection::vec(any::<u8>(), 0..40)) {
            let packed = compressed(&bytes).expect("packed");
            prop_assert_eq!(uncompressed(&packed), Some(bytes));
            let _ = uncompressed(&noise);
        }
    }
}
