//! The record: one change to one group, as it stands in a frame.
//!
//! ```text
//!  0 CRC-32C of the rest u32      4 kind u8      5 payload kind u8      6 group u16      8 body bytes u32      12 body
//! ```
//! An entry's body is term, leader, index (u64 each) and the payload. A record has its own checksum because entries are read back
//! one by one, long after their frame was checked. Kinds and bodies never change once assigned.

use bytes::Bytes;
use z4_model::encoding::Malformed;
use z4_model::ids::GroupId;
use z4_model::log::{LogPayload, LogPosition, Vote};

use super::standing::{GroupState, Standing};

/// Bytes before the body.
pub(crate) const RECORD_HEADER_BYTES: usize = 12;

/// Bytes of an entry's record before the payload.
pub(crate) const ENTRY_HEADER_BYTES: usize = RECORD_HEADER_BYTES + 24;

const POSITION_BYTES: usize = 25;
const VOTE_BYTES: usize = 18;

/// Bytes of a record that holds a position or none.
pub(crate) const MARK_BYTES: usize = RECORD_HEADER_BYTES + POSITION_BYTES;

/// Bytes of a vote's record.
pub(crate) const VOTE_RECORD_BYTES: usize = RECORD_HEADER_BYTES + VOTE_BYTES;

/// Bytes of a checkpoint's record of one group.
pub(crate) const STANDING_BYTES: usize = RECORD_HEADER_BYTES + VOTE_BYTES + 3 * POSITION_BYTES + 8;

/// An entry's payload, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload<'a> {
    kind: u8,
    /// The content.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    pub(crate) fn new(payload: &'a LogPayload) -> Self {
        match payload {
            LogPayload::Blank => Payload { kind: 0, bytes: &[] },
            LogPayload::Normal(bytes) => Payload { kind: 1, bytes },
            LogPayload::Membership(bytes) => Payload { kind: 2, bytes },
        }
    }

    /// A copy on its own.
    pub(crate) fn to_owned(self) -> LogPayload {
        match self.kind {
            0 => LogPayload::Blank,
            1 => LogPayload::Normal(Bytes::copy_from_slice(self.bytes)),
            _ => LogPayload::Membership(Bytes::copy_from_slice(self.bytes)),
        }
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change<'a> {
    /// The group's next entry.
    Entry(LogPosition, Payload<'a>),
    /// An entry that stands further up too, moved here so that its segment can go.
    Moved(LogPosition, Payload<'a>),
    /// The vote.
    Vote(Vote),
    /// The commit mark.
    Committed(Option<LogPosition>),
    /// Entries after this one are gone.
    Truncate(Option<LogPosition>),
    /// Entries up to this one are gone.
    Purge(LogPosition),
    /// The group's state before the segment's first frame.
    Checkpoint(Standing),
}

impl Change<'_> {
    fn kind(&self) -> u8 {
        match self {
            Change::Entry(..) => 1,
            Change::Moved(..) => 2,
            Change::Vote(_) => 3,
            Change::Committed(_) => 4,
            Change::Truncate(_) => 5,
            Change::Purge(_) => 6,
            Change::Checkpoint(_) => 7,
        }
    }

    /// Writes the record to the begin of `out`, which must be long enough. Returns its length.
    pub(crate) fn encode(&self, group: GroupId, out: &mut [u8]) -> usize {
        let mut writer = Writer { out, at: RECORD_HEADER_BYTES };
        let mut payload_kind = 0;
        match self {
            Change::Entry(position, payload) | Change::Moved(position, payload) => {
                payload_kind = payload.kind;
                writer.position(*position);
                writer.put(payload.bytes);
            }
            Change::Vote(vote) => writer.vote(Some(*vote)),
            Change::Committed(mark) | Change::Truncate(mark) => writer.mark(*mark),
            Change::Purge(upto) => writer.mark(Some(*upto)),
            Change::Checkpoint(standing) => {
                writer.vote(standing.state.vote);
                writer.mark(standing.state.committed);
                writer.mark(standing.state.purged);
                writer.mark(standing.state.last);
                writer.put(&standing.first.to_le_bytes());
            }
        }
        let bytes = writer.at;
        out[4] = self.kind();
        out[5] = payload_kind;
        out[6..8].copy_from_slice(&group.0.to_le_bytes());
        out[8..12].copy_from_slice(&((bytes - RECORD_HEADER_BYTES) as u32).to_le_bytes());
        let crc = crc32c::crc32c(&out[4..bytes]);
        out[..4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

/// Reads the record at the begin of `bytes` and checks its checksum. Returns the group, what it says, and its length.
pub(crate) fn decode(bytes: &[u8]) -> Result<(GroupId, Change<'_>, usize), Malformed> {
    let mut reader = Reader { bytes };
    let stored = reader.u32()?;
    let [kind, payload_kind] = reader.take(2)? else { return Err(Malformed("record is cut off")) };
    let group = GroupId(u16::from_le_bytes(reader.array()?));
    let body_bytes = reader.u32()? as usize;
    reader.bytes = reader.take(body_bytes)?;
    let length = RECORD_HEADER_BYTES + body_bytes;
    if crc32c::crc32c(&bytes[4..length]) != stored {
        return Err(Malformed("record's checksum does not match"));
    }
    let change = match kind {
        1 | 2 => {
            let position = reader.position()?;
            if *payload_kind > 2 {
                return Err(Malformed("entry has an unknown payload kind"));
            }
            let payload = Payload { kind: *payload_kind, bytes: std::mem::take(&mut reader.bytes) };
            if *kind == 1 { Change::Entry(position, payload) } else { Change::Moved(position, payload) }
        }
        3 => Change::Vote(reader.vote()?.ok_or(Malformed("vote is empty"))?),
        4 => Change::Committed(reader.mark()?),
        5 => Change::Truncate(reader.mark()?),
        6 => Change::Purge(reader.mark()?.ok_or(Malformed("purge is empty"))?),
        7 => {
            let vote = reader.vote()?;
            let (committed, purged, last) = (reader.mark()?, reader.mark()?, reader.mark()?);
            Change::Checkpoint(Standing { state: GroupState { purged, last, vote, committed }, first: reader.u64()? })
        }
        _ => return Err(Malformed("record has an unknown kind")),
    };
    if !reader.bytes.is_empty() {
        return Err(Malformed("record is longer than its content"));
    }
    Ok((group, change, length))
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn position(&mut self, position: LogPosition) {
        self.put(&position.term.to_le_bytes());
        self.put(&position.leader.to_le_bytes());
        self.put(&position.index.to_le_bytes());
    }

    fn mark(&mut self, mark: Option<LogPosition>) {
        self.put(&[u8::from(mark.is_some())]);
        self.position(mark.unwrap_or_default());
    }

    fn vote(&mut self, vote: Option<Vote>) {
        let flags = vote.map_or(0, |vote| 1 | u8::from(vote.committed) << 1);
        let vote = vote.unwrap_or_default();
        self.put(&[flags, 0]);
        self.put(&vote.term.to_le_bytes());
        self.put(&vote.leader.to_le_bytes());
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(bytes).ok_or(Malformed("record is cut off"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed("record is cut off"))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn position(&mut self) -> Result<LogPosition, Malformed> {
        Ok(LogPosition { term: self.u64()?, leader: self.u64()?, index: self.u64()? })
    }

    fn mark(&mut self) -> Result<Option<LogPosition>, Malformed> {
        let [there] = self.array()?;
        let position = self.position()?;
        Ok((there != 0).then_some(position))
    }

    fn vote(&mut self) -> Result<Option<Vote>, Malformed> {
        let [flags, _] = self.array()?;
        let vote = Vote { term: self.u64()?, leader: self.u64()?, committed: flags & 2 != 0 };
        Ok((flags & 1 != 0).then_some(vote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(index: u64) -> LogPosition {
        LogPosition { term: 3, leader: 4, index }
    }

    /// Every kind reads back as it was written, and has exactly the length that the batch reserves for it.
    #[test]
    fn records_round_trip() {
        let normal = LogPayload::Normal(Bytes::from_static(b"content"));
        let membership = LogPayload::Membership(Bytes::from_static(b"m"));
        let vote = Vote { term: 7, leader: 8, committed: true };
        let state = GroupState { purged: None, last: Some(position(9)), vote: Some(vote), committed: Some(position(5)) };
        let cases = [
            (Change::Entry(position(1), Payload::new(&normal)), ENTRY_HEADER_BYTES + 7),
            (Change::Moved(position(2), Payload::new(&membership)), ENTRY_HEADER_BYTES + 1),
            (Change::Entry(position(1), Payload::new(&LogPayload::Blank)), ENTRY_HEADER_BYTES),
            (Change::Vote(vote), VOTE_RECORD_BYTES),
            (Change::Committed(None), MARK_BYTES),
            (Change::Truncate(Some(position(4))), MARK_BYTES),
            (Change::Purge(position(4)), MARK_BYTES),
            (Change::Checkpoint(Standing { state, first: 2 }), STANDING_BYTES),
        ];
        for (change, bytes) in cases {
            let mut out = vec![0; 200];
            assert_eq!(change.encode(GroupId(6), &mut out), bytes, "{change:?}");
            assert_eq!(decode(&out), Ok((GroupId(6), change, bytes)));
            for bit in 0..bytes * 8 {
                out[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(&out).is_err(), "{change:?} with bit {bit} flipped");
                out[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
