//! The one door of a shard: everything that another thread may ask of it. The mailbox is bounded; a request that finds it full comes
//! back to its sender, which answers RESOURCE_EXHAUSTED. What must arrive goes beside the bound ([`Shards::post_surely`]) and nobody
//! waits for room, so nothing is lost without a word and no two shards wait for each other.
//!
//! [`Shards::post_surely`]: crate::shard::handle::Shards

use std::sync::Arc;

use futures_channel::{mpsc, oneshot};
use z4_model::command::{Command, Created, Reply};
use z4_model::ids::{GroupId, Namespace, PeerNumber, TaskId};

use crate::account::{Full, Share};
use crate::link::Body;
use crate::roster::{Registry, Roster};
use crate::shard::api::{
    Answered, Consistency, Delivered, GroupInfo, Leased, ListQuery, NamespaceView, Rejection, Settle, Settled, TaskPage, TaskView,
};
use crate::shard::arrival::Arrival;
use crate::shard::consumer::{Kick, Kicker};
use crate::shard::delivery::{ConsumerId, Flow, Gone, Sent};
use crate::shard::gate::Gate;
use crate::shard::members::MoveError;
use crate::shard::relay::Taken;

/// Where the answer goes. Dropped unanswered: the shard is stopping.
pub type Answer<T> = oneshot::Sender<Result<T, Rejection>>;

/// A request to one group of the shard.
pub enum Message {
    /// Apply a command.
    Submit(GroupId, Command, Answer<Answered<Reply>>),
    /// Queue creates and answer with reserved ids. Once answered, only a crash of the leader loses it.
    SubmitAsync(GroupId, Command, Answer<Answered<Vec<Created>>>),
    /// Read tasks; those beyond so many bytes come without payload.
    Get(GroupId, (Namespace, Vec<TaskId>, usize), Consistency, Answer<Vec<Option<TaskView>>>),
    /// Answer when this peer's replica has applied everything that was committed before.
    Barrier(GroupId, Answer<()>),
    /// Read a page of tasks.
    List(GroupId, ListQuery, Answer<TaskPage>),
    /// Read a namespace.
    Namespace(GroupId, Namespace, Answer<NamespaceView>),
    /// Read the group's namespaces after a name, in order, at most so many.
    Namespaces(GroupId, Option<Namespace>, usize, Answer<Vec<NamespaceView>>),
    /// Tell which tasks of these namespaces are with consumers; none named: of all.
    Leased(GroupId, Vec<Namespace>, Answer<Leased>),
    /// Remove all tasks of a namespace.
    Purge(GroupId, Namespace, Answer<u64>),
    /// Read one registry row (group 0).
    Register(GroupId, bytes::Bytes, Answer<Option<bytes::Bytes>>),
    /// Settle deliveries.
    Settle(GroupId, Namespace, Vec<Settle>, oneshot::Sender<Vec<Settled>>),
    /// A consumer comes. Lost with the shard only; the consumer's stream ends then.
    Subscribe(GroupId, Box<Subscription>),
    /// A consumer goes; the sender is told when nothing more comes. Arrives surely.
    Unsubscribe(GroupId, ConsumerId, Gone, Option<oneshot::Sender<()>>),
    /// A consumer goes and keeps what was sent to its client; the rest is given back. Arrives surely.
    KeepSent(GroupId, ConsumerId),
    /// Deliveries that reached nobody, of a consumer that has gone and left its leases: they come again, and count no attempt. Arrives surely.
    GiveUp(GroupId, Vec<Held>),
    /// A consumer that was out of credit or room has some again. Arrives surely; there is one for each consumer and group at a time.
    Kick(Arc<Kick>),
    /// The peer is about to stop: consumers' streams end, so that nobody waits for tasks that will not come. Arrives surely.
    EndConsumers,
    /// The peer is about to stop: other voters lead what it leads, where there are any. Answered when that is so, or cannot be. Arrives
    /// surely.
    HandOver(oneshot::Sender<()>),
    /// Tell about every group of the shard. Arrives surely.
    Groups(oneshot::Sender<Vec<GroupInfo>>),
    /// Open a replica; with `voters`, make them the first voters of the group. Arrives surely.
    Open(GroupId, Vec<(PeerNumber, String)>, oneshot::Sender<Result<(), OpenError>>),
    /// Tell whether damage was found in the group's partition. Arrives surely.
    IsDamaged(GroupId, oneshot::Sender<bool>),
    /// From another peer's link, for a group of this shard. Without an answer's sender, none is expected, and it arrives surely.
    Inbound(PeerNumber, GroupId, Box<Body>, Option<oneshot::Sender<Body>>),
    /// A connection to another peer, for this shard. Arrives surely, like all that follows about the cluster.
    Link(crate::link::Established),
    /// A link to a peer is up, or none is left, on some shard.
    Reached(PeerNumber, bool),
    /// Says who this peer is; before the first group is opened.
    Identify(PeerNumber, String),
    /// The registry tells who is in the cluster.
    Roster(Arc<Roster>),
    /// Read the registry as it is applied on this peer (group 0).
    Registry(Answer<Registry>),
    /// Have another peer lead the group, if this one does.
    MoveLeader(GroupId, PeerNumber, oneshot::Sender<Result<(), MoveError>>),
    /// Spread leaders evenly again, on every peer (group 0).
    Rebalance,
    /// Spread the leaders of this shard evenly again. Arrives surely.
    Arm,
    /// Read the last applied index of a replica and the hash over its state, together.
    StateHash(GroupId, Answer<(Option<u64>, u64)>),
    /// Finish what is under way, make it durable, close everything. Arrives surely.
    Stop(oneshot::Sender<Result<(), String>>),
}

/// A delivery that somebody holds: whose task, its name, the token.
pub type Held = (Namespace, TaskId, u64);

/// What goes down to a consumer.
pub enum Parcel {
    /// Deliveries, where to say that they were taken if a leader at another peer wants to know, when they came, and the charge for them until
    /// they are taken.
    Tasks(Vec<Delivered>, Option<Arc<Taken>>, Arrival, Option<Share>),
    /// There is no memory for deliveries: the consumer's last word.
    Cut(Full),
    /// For a consumer at another peer alone: a message to that peer, after the deliveries before it.
    Word(Body),
}

/// A consumer, as the groups of its namespaces know it.
#[derive(Clone)]
pub struct Subscription {
    /// Which.
    pub consumer: ConsumerId,
    /// Its namespaces in this group.
    pub namespaces: Vec<Namespace>,
    /// 0: each namespace's setting.
    pub lease_ms: u32,
    /// Its credit and room, shared between the groups.
    pub flow: Arc<Flow>,
    /// It has other groups, too.
    pub on_demand: bool,
    /// Where deliveries go.
    pub deliveries: mpsc::UnboundedSender<Parcel>,
    /// Tells all of its groups of credit that came back; `None`: it is at another peer.
    pub kicker: Option<Arc<Kicker>>,
    /// What lets deliveries through to it.
    pub gate: Arc<Gate>,
    /// How far its stream has sent what came of this group, whoever led.
    pub sent: Arc<Sent>,
    /// The names that it had at leaders before, and how many deliveries it received under each.
    pub seats: Vec<(ConsumerId, u64)>,
    /// Deliveries that it held when it came.
    pub held: Vec<Held>,
}

/// A replica that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its partition.
    #[error(transparent)]
    Partition(#[from] crate::partition::PartitionError),
    /// The partition lacks entries that the log has no longer: it lost writes that it had made durable, and must not be served.
    #[error(
        "the partition of group {group} in {} holds the entries up to {}, but the raft log begins after {}: it lost what it had made \
         durable, or the directory is not the one that belongs to this log",
        dir.display(), index(*applied), index(*purged)
    )]
    Behind {
        /// Whose.
        group: GroupId,
        /// Where.
        dir: std::path::PathBuf,
        /// The last applied index.
        applied: Option<u64>,
        /// The last purged index.
        purged: Option<u64>,
    },
    /// The log has entries of the group, so there was a partition.
    #[error("the partition of group {group} in {} is missing, but the raft log has entries of the group", dir.display())]
    Missing {
        /// Whose.
        group: GroupId,
        /// Where it should be.
        dir: std::path::PathBuf,
    },
    /// The partition holds something, and the log knows nothing of the group: entries that were acknowledged, and the vote, are lost.
    #[error(
        "the partition of group {group} in {} holds the entries up to {applied}, but the raft log knows nothing of the group: it was lost, or \
         the directory is not the one that belongs to this log",
        dir.display()
    )]
    LogGone {
        /// Whose.
        group: GroupId,
        /// Where.
        dir: std::path::PathBuf,
        /// The last applied index.
        applied: u64,
    },
    /// openraft.
    #[error(transparent)]
    Replica(#[from] crate::raft::ReplicaError),
    /// The shard is stopping.
    #[error("the shard is stopping")]
    Stopping,
}

fn index(index: Option<u64>) -> String {
    index.map_or_else(|| "none".to_owned(), |index| index.to_string())
}
