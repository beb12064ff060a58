//! Frames on the wire: a length and a checksum, each u32 big endian, and so many bytes of one `Frame` message, of which the checksum is
//! the CRC-32C. TCP's own checksum lets one damaged segment in some ten thousand pass, and what comes here goes into the raft log.

use bytes::{Buf, BufMut, BytesMut};
use prost::Message;
use z4_proto::peer::Frame;

/// No frame is larger: an append holds a few MiB and one entry, an entry at most the largest batch that the options allow.
pub const FRAME_BYTES_MAX: usize = 128 << 20;

/// Length and checksum.
const HEAD_BYTES: usize = 8;

/// Room that is made at once for a frame that has begun to come.
const ROOM_BYTES_MAX: usize = 1 << 20;

/// Bytes that are no frame: the other end is broken, or none of ours.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than any frame.
    #[error("a frame of {0} bytes; the largest has {FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// It is not what was sent.
    #[error("a frame of {0} bytes with a wrong checksum")]
    Damaged(usize),
    /// Not a `Frame`.
    #[error("a frame that cannot be read")]
    Malformed(#[from] prost::DecodeError),
}

/// Appends a frame.
pub fn put(out: &mut BytesMut, frame: &Frame) {
    let length = frame.encoded_len();
    out.reserve(HEAD_BYTES + length);
    out.put_u32(length as u32);
    let crc_at = out.len();
    out.put_u32(0);
    // Fails only without room, and there is.
    let _ = frame.encode(out);
    let crc = crc32c::crc32c(&out[crc_at + 4..]);
    out[crc_at..crc_at + 4].copy_from_slice(&crc.to_be_bytes());
}

/// Takes the first frame; `None`: more bytes are needed. Its byte fields share the buffer's memory.
pub fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some([l0, l1, l2, l3, crc @ ..]) = buffer.first_chunk::<HEAD_BYTES>().copied() else { return Ok(None) };
    let (length, crc): (usize, [u8; 4]) = (u32::from_be_bytes([l0, l1, l2, l3]) as usize, crc);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    if buffer.len() < HEAD_BYTES + length {
        // A length is not believed before the bytes are there: room grows with them.
        buffer.reserve((HEAD_BYTES + length - buffer.len()).min(ROOM_BYTES_MAX));
        return Ok(None);
    }
    buffer.advance(HEAD_BYTES);
    let bytes = buffer.split_to(length).freeze();
    if crc32c::crc32c(&bytes) != u32::from_be_bytes(crc) {
        return Err(FrameError::Damaged(length));
    }
    Ok(Some(Frame::decode(bytes)?))
}

#[cfg(test)]
mod tests {
    //! Frames arrive in pieces of any size; a broken or hostile length must not be believed.
    use z4_proto::peer::frame::Body;
    use z4_proto::peer::{Ping, Submit};

    use super::*;

    #[test]
    fn frames_are_found_in_pieces_of_any_size() {
        let frames = [
            Frame { id: 7, answer: false, group: 3, log_end: 4, body: Some(Body::Ping(Ping { clock_ms: 1 })) },
            Frame {
                id: 8,
                answer: true,
                group: 0,
                log_end: 0,
                body: Some(Body::Submit(Submit { commands: vec![5; 70_000].into() })),
            },
            Frame::default(),
        ];
        let mut all = BytesMut::new();
        frames.iter().for_each(|frame| put(&mut all, frame));
        for piece in [1, 3, 1_000, all.len()] {
            let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
            for part in all.chunks(piece) {
                buffer.extend_from_slice(part);
                while let Some(frame) = take(&mut buffer).expect("whole frames") {
                    found.push(frame);
                }
            }
            assert_eq!(found, frames, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_length_alone_takes_no_memory() {
        let mut begun = BytesMut::from(&[(FRAME_BYTES_MAX as u32).to_be_bytes(), [0; 4]].concat()[..]);
        assert!(matches!(take(&mut begun), Ok(None)));
        assert!(begun.capacity() < 4 * ROOM_BYTES_MAX, "{} bytes", begun.capacity());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut long = BytesMut::from(&[0xff; 8][..]);
        assert!(matches!(take(&mut long), Err(FrameError::TooLong(_))));
        let crc = crc32c::crc32c(&[0xff, 0xff]).to_be_bytes();
        let mut garbage = BytesMut::from(&[&[0, 0, 0, 2][..], &crc, &[0xff, 0xff]].concat()[..]);
        assert!(matches!(take(&mut garbage), Err(FrameError::Malformed(_))));
    }

    /// One bit that changed on the way would be stored, and applied by one replica alone.
    #[test]
    fn a_frame_with_a_changed_bit_is_refused() {
        let body = Body::Submit(Submit { commands: vec![5; 100].into() });
        let mut whole = BytesMut::new();
        put(&mut whole, &Frame { id: 8, group: 1, body: Some(body), ..Frame::default() });
        for bit in HEAD_BYTES / 2 * 8..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(take(&mut changed), Err(FrameError::Damaged(_))), "bit {bit}");
        }
    }
}
