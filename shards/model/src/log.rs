//! What the raft log stores, said without openraft's types: the log, the partition and the raft adapters meet here.

use bytes::Bytes;

use crate::ids::PeerNumber;

/// Identifies one entry of one group's log: the leader's term and number, and the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The term of the leader that proposed it.
    pub term: u64,
    /// The leader that proposed it.
    pub leader: PeerNumber,
    /// Counts from 0 without holes.
    pub index: u64,
}

/// A vote, as Raft makes it durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Vote {
    /// The term.
    pub term: u64,
    /// For whom.
    pub leader: PeerNumber,
    /// A quorum granted it.
    pub committed: bool,
}

/// One log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it stands.
    pub position: LogPosition,
    /// What it says.
    pub payload: LogPayload,
}

/// The content of a log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPayload {
    /// A new leader's first entry.
    Blank,
    /// An encoded [`Entry`](crate::command::Entry).
    Normal(Bytes),
    /// A membership, encoded by the raft adapters.
    Membership(Bytes),
}

impl LogPayload {
    /// Bytes of content.
    pub fn len(&self) -> usize {
        match self {
            LogPayload::Blank => 0,
            LogPayload::Normal(bytes) | LogPayload::Membership(bytes) => bytes.len(),
        }
    }

    /// No content.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
