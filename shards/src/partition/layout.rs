//! The partition's own two rows: the last applied position, and the membership. Layouts never change; integers are big endian.

use bytes::{BufMut, Bytes, BytesMut};

use crate::command::LogPosition;
use crate::ids::GroupId;

/// The first byte of both values.
const VERSION: u8 = 1;
const POSITION_BYTES: usize = 24;

/// Where the position is.
pub(super) fn position_key() -> Bytes {
    Bytes::from_static(&[0x01])
}

/// Where the membership is.
pub(super) fn membership_key() -> Bytes {
    Bytes::from_static(&[0x02])
}

/// `version 1, group u16, term u64, leader u64, index u64`.
pub(super) fn encode_position(group: GroupId, position: LogPosition) -> Bytes {
    let mut row = BytesMut::with_capacity(3 + POSITION_BYTES);
    row.put_u8(VERSION);
    row.put_u16(group.0);
    put_position(&mut row, position);
    row.freeze()
}

/// The inverse of [`encode_position`].
pub(super) fn decode_position(row: &[u8]) -> Option<(GroupId, LogPosition)> {
    let (&[VERSION, high, low], rest) = row.split_first_chunk()? else { return None };
    let position = take_position(rest)?;
    (rest.len() == POSITION_BYTES).then_some((GroupId(u16::from_be_bytes([high, low])), position))
}

/// `version 1, known u8, term u64, leader u64, index u64, membership`; the position is zero when `known` is.
pub(super) fn encode_membership(at: Option<LogPosition>, membership: &[u8]) -> Bytes {
    let mut row = BytesMut::with_capacity(2 + POSITION_BYTES + membership.len());
    row.put_u8(VERSION);
    row.put_u8(u8::from(at.is_some()));
    put_position(&mut row, at.unwrap_or_default());
    row.put_slice(membership);
    row.freeze()
}

/// The inverse of [`encode_membership`].
pub(super) fn decode_membership(row: &Bytes) -> Option<(Option<LogPosition>, Bytes)> {
    let (&[VERSION, known @ 0..=1], rest) = row.split_first_chunk()? else { return None };
    let position = take_position(rest)?;
    Some(((known == 1).then_some(position), row.slice(2 + POSITION_BYTES..)))
}

fn put_position(row: &mut BytesMut, position: LogPosition) {
    row.put_u64(position.term);
    row.put_u64(position.leader);
    row.put_u64(position.index);
}

fn take_position(row: &[u8]) -> Option<LogPosition> {
    let number = |at: usize| row.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    Some(LogPosition { term: number(0)?, leader: number(8)?, index: number(16)? })
}

#[cfg(test)]
mod tests {
    //! Were these bytes to change, a partition could not tell any more where to go on in the log.

    use super::*;

    const AT: LogPosition = LogPosition { term: 7, leader: 2, index: 0x0102_0304 };

    #[test]
    fn positions_are_golden() {
        let row = encode_position(GroupId(3), AT);
        assert_eq!(row[..], [1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(decode_position(&row), Some((GroupId(3), AT)));
        assert_eq!(decode_position(&row[..26]), None);
        assert_eq!(decode_position(&[&row[..], &[0]].concat()), None);
    }

    #[test]
    fn memberships_round_trip() {
        for at in [None, Some(AT)] {
            let row = encode_membership(at, b"voters");
            assert_eq!(decode_membership(&row), Some((at, Bytes::from_static(b"voters"))));
            assert_eq!(decode_membership(&row.slice(..25)), None);
        }
    }
}
