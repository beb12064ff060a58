//! What the shards do for the rest of the peer: plain values in, plain values out. gRPC, SQL and the tools stand on these types.

use std::sync::Arc;

use bytes::Bytes;
use z4_model::command::Refusal;
use z4_model::ids::{GroupId, Namespace, PeerNumber, TaskId, TaskKey};
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::task::TaskRow;

use crate::shard::namespaces::NAMESPACES;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The state machine refused the command; nothing of it happened.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A bound was reached: the request was not started, and may be sent again later.
    #[error("{what} is full ({limit}); nothing was done, try again later")]
    Overloaded {
        /// Which bound, as in the configuration.
        what: &'static str,
        /// Its value.
        limit: usize,
    },
    /// What grows is refused while disks are short of their reserve; what shrinks is not. Nothing was done.
    #[error(
        "{whose} less than {reserve_bytes} bytes left (disk_reserve_bytes): nothing is created until there is more; acknowledge or \
         delete tasks, or give it space"
    )]
    DiskFull {
        /// Which disk, with a verb.
        whose: &'static str,
        /// The reserve.
        reserve_bytes: u64,
    },
    /// More than one entry of the raft log takes, which is the same on every peer: nothing was done, and never will be.
    #[error("the request is one entry of {found} {what} in the raft log; the limit is {limit}: send less in one request")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The group had no leader that this peer reaches, for as long as it may wait for one; nothing was done.
    #[error("group {group} has no leader that this peer reaches now; nothing was done, try again")]
    NoLeader {
        /// Which group.
        group: GroupId,
    },
    /// This peer does not know which group a namespace belongs to: it is in no cluster, or has just joined one.
    #[error(
        "this peer is not a member of a cluster yet: it waits to be added, or has just been; nothing was done, try another peer, or \
         this one later"
    )]
    NotMember,
    /// This peer was removed from its cluster.
    #[error("this peer was removed from its cluster; nothing was done, try another peer")]
    Removed,
    /// Leadership or the way to the leader was lost with the request on the way, or no quorum answered in time.
    #[error("group {group} lost its leader, or its quorum, with the request on the way; it may or may not have been done")]
    Unknown {
        /// Which group.
        group: GroupId,
    },
    /// This peer's replica has not caught up with the leader within the time that a read may wait.
    #[error("this peer's replica of group {group} is too far behind; nothing was read, try again or another peer")]
    Behind {
        /// Which group.
        group: GroupId,
    },
    /// The peer stops. The request may or may not have been done.
    #[error("the peer is stopping; the request may or may not have been done")]
    Stopping,
    /// The disk failed under the request; the process is about to end.
    #[error("storage failed: {0}")]
    Storage(Arc<str>),
}

impl Rejection {
    /// It is a bound of what is under way, and so passes by itself.
    pub fn passes(&self) -> bool {
        matches!(self, Rejection::Overloaded { what, .. } if *what != NAMESPACES)
    }
}

/// A task's state as its group's leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Due in the future.
    Scheduled,
    /// Due, not with a consumer.
    Ready,
    /// With a consumer.
    Leased,
    /// Attempts used up.
    Dead,
}

/// Tasks that are with consumers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leased {
    /// Their positions, in no order.
    pub keys: Vec<TaskKey>,
    /// There are more than an answer may have.
    pub truncated: bool,
}

/// A task and its state.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskView {
    /// The row.
    pub row: TaskRow,
    /// Its state when it was read.
    pub state: TaskState,
}

/// What a read must have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Everything that was acknowledged before it.
    #[default]
    Linearizable,
    /// What this peer has applied, without asking anybody: it works without a leader. Which tasks are leased only the leader knows.
    Stale,
}

/// An answer, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered<T> {
    /// The answer.
    pub value: T,
    /// The peer that did it, when it was another than this one.
    pub by: Option<PeerNumber>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    /// Whose tasks.
    pub namespace: Namespace,
    /// Due at or after, milliseconds.
    pub due_from_ms: u64,
    /// Due before, milliseconds; `u64::MAX`: no end.
    pub due_until_ms: u64,
    /// Only this state.
    pub state: Option<TaskState>,
    /// Where the page starts; the first page: `None`.
    pub after: Option<ListCursor>,
    /// At most so many tasks.
    pub limit: usize,
    /// No further task once payloads and metadata have so many bytes.
    pub bytes_max: usize,
    /// Rows come without payload.
    pub omit_payload: bool,
    /// What it must have seen.
    pub consistency: Consistency,
}

/// The last task of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListCursor {
    /// It was among the dead tasks, which come after the live ones.
    pub dead: bool,
    /// Its position.
    pub key: TaskKey,
}

/// A page of tasks.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TaskPage {
    /// In due order; live ones first.
    pub tasks: Vec<TaskView>,
    /// Where the next page starts; `None`: this was the last.
    pub next: Option<ListCursor>,
}

/// A namespace and where it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceView {
    /// Its name.
    pub name: Namespace,
    /// The group that owns it.
    pub group: GroupId,
    /// Settings and counts.
    pub row: NamespaceRow,
    /// Tasks with a consumer now.
    pub leased: u64,
}

/// One task on its way to a consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// Whose.
    pub namespace: Namespace,
    /// The task's name.
    pub id: TaskId,
    /// Where its row is.
    pub key: TaskKey,
    /// The encoded [`TaskRecord`](z4_model::rows::record::TaskRecord).
    pub row: Bytes,
    /// 1 for the first delivery.
    pub attempt: u32,
    /// The fencing token.
    pub token: u64,
    /// The lease ends at this time, milliseconds since 1970-01-01 UTC.
    pub deadline_ms: u64,
}

/// What a consumer says about a delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Settle {
    /// The task.
    pub id: TaskId,
    /// The delivery's fencing token.
    pub token: u64,
    /// What should happen.
    pub verdict: Verdict,
}

/// The three things a consumer can say, and the one that is said when it has gone.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Done: the task goes.
    Ack,
    /// Not done: the attempt counts, the task comes again.
    Nack {
        /// Deliverable again after this; `None`: by the namespace's backoff.
        delay_ms: Option<u64>,
        /// Kept as the task's last error.
        reason: Bytes,
    },
    /// Still at it: a new deadline.
    Extend {
        /// From now; 0: the lease time of the delivery.
        lease_ms: u32,
    },
    /// The consumer has gone: the task comes again. What another consumer has claimed stays with that one.
    GivenUp {
        /// An attempt counts.
        blamed: bool,
    },
}

/// The answer to a [`Settle`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The lease is over, or the token is not this delivery's.
    #[error(
        "the lease of task {id} is over: it lapsed, or the task was delivered again, changed or deleted; token {token} is refused"
    )]
    LeaseLost {
        /// The task.
        id: TaskId,
        /// The refused token.
        token: u64,
    },
    /// It was not tried.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

/// A settled delivery: for an extension the new deadline in milliseconds since 1970-01-01 UTC, else 0.
pub type Settled = Result<u64, SettleError>;

/// What `info` tells about one group.
#[derive(Clone, Debug)]
pub struct GroupInfo {
    /// Which.
    pub group: GroupId,
    /// The leader's number, when there is one.
    pub leader: Option<u64>,
    /// This peer leads the group, has applied everything from before, and takes requests for it.
    pub serves: bool,
    /// The current term.
    pub term: u64,
    /// The last log index; `None`: the log is empty.
    pub last_log_index: Option<u64>,
    /// The last applied index.
    pub applied_index: Option<u64>,
    /// The last index that is committed, as far as this replica has heard; what is between the two is about to be applied.
    pub committed_index: Option<u64>,
    /// Milliseconds since this replica heard from its leader; as the leader: 0, or since it heard from a quorum when it could have lost its
    /// leadership meanwhile. `None`: it never did.
    pub stale_ms: Option<u64>,
    /// Bytes of the replica's partition on disk, as measured a second ago.
    pub bytes: u64,
    /// The voters' numbers.
    pub voters: Vec<u64>,
    /// The shard that hosts the replica here.
    pub shard: usize,
    /// Every replica, in the order of the peers' numbers.
    pub replicas: Vec<ReplicaInfo>,
}

/// What `info` tells about one replica of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaInfo {
    /// Whose it is.
    pub peer: u64,
    /// Its vote counts.
    pub voter: bool,
    /// On the leader: up to where it is known to have the log, and how many entries it lacks.
    pub matched: Option<(u64, u64)>,
}
