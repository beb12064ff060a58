//! What SQL sees of the peer: rows of groups, and who is who. Tests put their own behind it.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use z4_model::ids::{GroupId, Namespace, TaskKey};
use z4_model::rows::namespace::NamespaceRow;

use super::error::SqlError;

/// A range of one namespace's rows, live or dead, in due order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Whose.
    pub namespace: Namespace,
    /// The dead ones instead of the live ones.
    pub dead: bool,
    /// From this position on.
    pub from: TaskKey,
    /// Before this position.
    pub until: TaskKey,
    /// The last first.
    pub backwards: bool,
}

/// Some rows of a range: each its position and the encoded `TaskRecord`.
pub type RawRow = (TaskKey, Bytes);

/// The rows of one group at one moment. Every call blocks: it is made on a thread of the pool.
pub trait Rows: Send + Sync {
    /// Appends the first rows of a range, at most `rows_max`, and no more once `bytes_max` bytes of values are reached.
    /// Returns the range that is left; `None`: all was read.
    fn read(&self, range: &Range, limits: (usize, usize), into: &mut Vec<RawRow>) -> Result<Option<Range>, SqlError>;

    /// One namespace's row; `None`: nothing was ever written to it.
    fn namespace(&self, namespace: &Namespace) -> Result<Option<NamespaceRow>, SqlError>;

    /// Namespaces after a name, in order, at most `limit`.
    fn namespaces(&self, after: Option<&Namespace>, limit: usize) -> Result<Vec<(Namespace, NamespaceRow)>, SqlError>;
}

/// Which tasks of a group are with consumers, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    /// Their positions.
    pub keys: Arc<HashSet<TaskKey>>,
    /// The leader could not be asked: leased tasks look ready.
    pub unknown: bool,
}

/// A row of `peers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PeerRow {
    pub id: String,
    pub number: u64,
    pub address: String,
    pub service_address: Option<String>,
    pub connected: bool,
    pub me: bool,
    pub leads: u64,
    pub clock_skew_ms: Option<i64>,
    pub error: Option<String>,
}

/// A row of `groups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct GroupRow {
    pub id: u16,
    pub leader: Option<String>,
    pub leads: bool,
    pub term: u64,
    pub last_log_index: u64,
    pub applied_index: u64,
    pub lag: u64,
    pub stale_ms: Option<u64>,
    pub bytes: u64,
    pub shard: u64,
    pub voters: Vec<String>,
    pub learners: Vec<String>,
    pub slots: u64,
}

/// The peer. Every call may block for as long as a request of the peer may.
pub trait Data: Send + Sync {
    /// The groups that hold tasks, in order; an error when this peer belongs to no cluster.
    fn groups_of_tasks(&self) -> Result<Vec<GroupId>, SqlError>;

    /// The group of a namespace.
    fn group_of(&self, namespace: &Namespace) -> Result<GroupId, SqlError>;

    /// The rows of a group as they are applied here now; consistent whatever is applied later.
    fn rows(&self, group: GroupId) -> Result<Arc<dyn Rows>, SqlError>;

    /// Returns when this peer has applied everything that was acknowledged before the call, in each of the groups.
    fn barrier(&self, groups: &[GroupId]) -> Result<(), SqlError>;

    /// What is leased in a group, asked of its leader, of these namespaces.
    fn leases(&self, group: GroupId, namespaces: &[Namespace]) -> Result<Leases, SqlError>;

    /// The peers.
    fn peers(&self) -> Result<Vec<PeerRow>, SqlError>;

    /// The groups, group 0 too.
    fn groups(&self) -> Result<Vec<GroupRow>, SqlError>;

    /// Milliseconds since 1970-01-01 UTC by this peer's clock: what is ready and what is scheduled.
    fn now_ms(&self) -> u64;
}

/// A row of SHOW PROCESSLIST.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ProcessRow {
    pub id: u32,
    pub user: String,
    pub host: String,
    pub database: Option<String>,
    pub command: &'static str,
    /// Seconds in this state.
    pub seconds: u64,
    pub statement: Option<String>,
}

/// What the server itself knows: connections and counters. Never blocks.
pub trait Live: Send + Sync {
    /// The connections, in the order of their ids.
    fn processes(&self) -> Vec<ProcessRow>;

    /// Name and value of each status variable, in order.
    fn status(&self) -> Vec<(&'static str, String)>;
}
