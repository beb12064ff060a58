//! The partition's own row, under [`z4_model::keys::raft`]: what of the raft log is applied. Its layout never changes.

use bytes::{BufMut, Bytes, BytesMut};
use z4_model::ids::GroupId;
use z4_model::log::LogPosition;

/// Without what came before; an earlier z4 wrote it.
const FIRST_VERSION: u8 = 1;
const VERSION: u8 = 2;
/// There was nothing before.
const NOTHING: u64 = u64::MAX;
const POSITION_BYTES: usize = 24;

/// What of the raft log a partition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Whose log it is.
    pub(super) group: GroupId,
    /// The last entry.
    pub(super) position: LogPosition,
    /// The last entry before those that were written together with this row; `None`: there was none, or an earlier z4 wrote the row.
    pub(super) before: Option<u64>,
    /// The last membership, and the entry that brought it when there was one.
    pub(super) membership: Option<(Option<LogPosition>, Bytes)>,
}

impl Applied {
    /// `version 2, group u16, term u64, leader u64, index u64, before u64, membership u8`, and when that is not 0 its bytes, behind its entry's
    /// `term u64, leader u64, index u64` when it is 2. Integers are big-endian.
    pub(super) fn encode(&self) -> Bytes {
        let mut row = BytesMut::with_capacity(64 + self.membership.as_ref().map_or(0, |(_, bytes)| bytes.len()));
        row.put_u8(VERSION);
        row.put_u16(self.group.0);
        put_position(&mut row, self.position);
        row.put_u64(self.before.unwrap_or(NOTHING));
        match &self.membership {
            None => row.put_u8(0),
            Some((None, bytes)) => {
                row.put_u8(1);
                row.put_slice(bytes);
            }
            Some((Some(at), bytes)) => {
                row.put_u8(2);
                put_position(&mut row, *at);
                row.put_slice(bytes);
            }
        }
        row.freeze()
    }

    /// The inverse of [`Applied::encode`]. Version 1 had no `before`.
    pub(super) fn decode(row: &Bytes) -> Option<Self> {
        let (&[version, high, low], rest) = row.split_first_chunk()?;
        let position = take_position(rest)?;
        let rest = row.slice(3 + POSITION_BYTES..);
        let (before, rest) = match version {
            FIRST_VERSION => (None, rest),
            VERSION => {
                let before = u64::from_be_bytes(*rest.first_chunk()?);
                (Some(before).filter(|before| *before != NOTHING), rest.slice(8..))
            }
            _ => return None,
        };
        let membership = match rest.first()? {
            0 if rest.len() == 1 => None,
            1 => Some((None, rest.slice(1..))),
            2 => Some((Some(take_position(&rest[1..])?), rest.slice(1 + POSITION_BYTES..))),
            _ => return None,
        };
        Some(Applied { group: GroupId(u16::from_be_bytes([high, low])), position, before, membership })
    }
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
    fn the_row_is_golden() {
        let applied = Applied { group: GroupId(3), position: AT, before: Some(0x0506), membership: None };
        let row = applied.encode();
        let position = [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 2, 3, 4];
        assert_eq!(row[..], [&[2, 0, 3], &position[..], &[0, 0, 0, 0, 0, 0, 5, 6, 0]].concat());
        assert_eq!(Applied::decode(&row), Some(applied.clone()));
        let first = Bytes::from([&[1, 0, 3], &position[..], &[0]].concat());
        assert_eq!(Applied::decode(&first), Some(Applied { before: None, ..applied }));
    }

    #[test]
    fn it_round_trips_and_refuses_what_is_cut() {
        for at in [None, Some(AT)] {
            for membership in [None, Some((at, Bytes::from_static(b"voters")))] {
                let applied = Applied { group: GroupId(3), position: AT, before: at.map(|at| at.index), membership };
                let row = applied.encode();
                assert_eq!(Applied::decode(&row), Some(applied));
                assert_eq!(Applied::decode(&row.slice(..35)), None);
            }
        }
    }
}
