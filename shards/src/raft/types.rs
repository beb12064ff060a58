//! openraft's type config, and the conversions between its types and ours.

use std::fmt;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::impls::{BasicNode, leader_id_adv};
use openraft::raft::ClientWriteResult;
use openraft::raft::responder::Responder;
use openraft::vote::RaftLeaderId;
use z4_model::command::Reply;
use z4_model::log::{LogEntry, LogPayload, LogPosition, Vote};

use super::membership;
use crate::partition::{Prepared, View};
use crate::runtime::ExecutorRuntime;

/// An encoded entry (see [`z4_model::command::encode_entry`]), opaque to Raft.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryBytes(pub Bytes);

impl fmt::Debug for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One answer per command of an entry.
#[derive(Debug, Default)]
pub struct Replies(pub Vec<Reply>);

impl fmt::Display for Replies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} replies", self.0.len())
    }
}

/// Hands a proposal's outcome to a closure, on the executor, right where it was applied: no channel, no further task.
pub struct Callback<T>(pub Box<dyn FnOnce(T)>);

impl<T: 'static> Responder<TypeConfig, T> for Callback<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

/// A snapshot's rows: here to be sent, or received and ready to take the old state's place.
pub enum SnapshotData {
    View(View),
    Received(Box<Prepared>),
}

/// z4's choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeConfig;

impl openraft::RaftTypeConfig for TypeConfig {
    type D = EntryBytes;
    type R = Replies;
    type NodeId = u64;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = leader_id_adv::LeaderId<u64, u64>;
    type Vote = openraft::impls::Vote<Self::LeaderId>;
    type Payload = EntryPayload<EntryBytes, u64, BasicNode>;
    type Entry = openraft::impls::Entry<<Self::LeaderId as RaftLeaderId>::Committed, Self::Payload>;
    type AsyncRuntime = ExecutorRuntime;
    type Responder<T>
        = Callback<T>
    where
        T: 'static;
    type Batch<T>
        = openraft::impls::InlineBatch<T>
    where
        T: 'static;
    type ErrorSource = openraft::AnyError;
}

pub type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub type RaftVote = openraft::type_config::alias::VoteOf<TypeConfig>;
pub type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub type Membership = openraft::Membership<u64, BasicNode>;
pub type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub type Snapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotData>;
pub type WriteResult = ClientWriteResult<TypeConfig>;

pub fn position(id: &LogId) -> LogPosition {
    LogPosition { term: id.leader_id.term, leader: id.leader_id.node_id, index: id.index }
}

/// A leader as log entries name it.
pub fn leader_id(term: u64, node_id: u64) -> openraft::type_config::alias::CommittedLeaderIdOf<TypeConfig> {
    leader_id_adv::LeaderId { term, node_id }.to_committed()
}

pub fn log_id(position: LogPosition) -> LogId {
    LogId::new(leader_id(position.term, position.leader), position.index)
}

pub fn vote(vote: &RaftVote) -> Vote {
    Vote { term: vote.leader_id.term, leader: vote.leader_id.node_id, committed: vote.committed }
}

pub fn raft_vote(vote: Vote) -> RaftVote {
    RaftVote { leader_id: leader_id_adv::LeaderId { term: vote.term, node_id: vote.leader }, committed: vote.committed }
}

pub fn log_entry(entry: Entry) -> LogEntry {
    let position = position(&entry.log_id());
    let payload = match entry.payload {
        EntryPayload::Blank => LogPayload::Blank,
        EntryPayload::Normal(bytes) => LogPayload::Normal(bytes.0),
        EntryPayload::Membership(m) => LogPayload::Membership(membership::encode(&m)),
    };
    LogEntry { position, payload }
}

/// # Errors
/// A membership that cannot be read: the log holds something else than this version wrote.
pub fn raft_entry(entry: LogEntry) -> Result<Entry, membership::MembershipError> {
    let payload = match entry.payload {
        LogPayload::Blank => EntryPayload::Blank,
        LogPayload::Normal(bytes) => EntryPayload::Normal(EntryBytes(bytes)),
        LogPayload::Membership(bytes) => EntryPayload::Membership(membership::decode(&bytes)?),
    };
    Ok(Entry::new(log_id(entry.position), payload))
}
