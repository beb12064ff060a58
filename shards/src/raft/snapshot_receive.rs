//! Snapshots that arrive: at most one at a time for each replica. Rows go to a thread of their own, which writes them into a draft
//! beside the partition; the last step only switches to it.
//!
//! Memory is bounded by what the sender may have unanswered: a chunk is answered when it was written. A transfer ends, and its draft
//! goes, at the first thing that is wrong, when a newer one begins, when the sender is not reached any more, or says nothing for a while.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt as _;
use openraft::async_runtime::WatchReceiver;
use z4_model::ids::{GroupId, PeerNumber};
use z4_model::log::LogPosition;
use z4_proto::peer::{self, Failure, SnapshotInstalled, SnapshotTaken, failure::Kind};

use super::membership::{self, MembershipError};
use super::rebuild::RebuildError;
use super::replica::Replica;
use super::snapshot_send::GIVEN_UP;
use super::types::{RaftVote, Snapshot, SnapshotData, SnapshotMeta, StoredMembership};
use super::wire::{self, WireError};
use crate::link::{Body, Links};
use crate::partition::{Draft, Drafts, ImportError, PartitionError, Prepared};
use crate::runtime::clock::Instant;
use crate::runtime::{clock, executor};
use crate::storage::Storage;

/// Chunks that wait to be written; a sender that sends more does not keep to the protocol.
pub(super) const QUEUED_CHUNKS_MAX: usize = 16;

/// A transfer of which nothing was heard for so long is over.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How often that is looked at, and whether the sender is still reached.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// After the disk here refused a transfer the next one may begin so much later.
const DISK_REST: Duration = Duration::from_secs(10);

/// How long what was committed before may take to be applied, in front of an install.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// Why a transfer ended.
#[derive(Debug, thiserror::Error)]
enum ReceiveError {
    #[error("no such transfer; it was ended, or another one has begun")]
    Unknown,
    #[error("a transfer of a later leader is under way")]
    Outdated,
    #[error("chunk {found} came instead of {expected}")]
    Order { expected: u64, found: u64 },
    #[error("the checksum of chunk {0} is wrong")]
    Checksum(u64),
    #[error("{expected} {what} were announced, {found} came")]
    Incomplete { what: &'static str, expected: u64, found: u64 },
    #[error("more than {QUEUED_CHUNKS_MAX} chunks wait to be written")]
    TooMany,
    #[error("the sender has given up")]
    GivenUp,
    #[error("the transfer was ended while it waited")]
    Ended,
    #[error("the disk refused an earlier transfer a moment ago")]
    Resting,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Membership(#[from] MembershipError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("nobody asked for it")]
    Unwanted,
    #[error("the disk has less than {0} bytes left (disk_reserve_bytes)")]
    Short(u64),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error("the replica has stopped: {0}")]
    Stopped(String),
}

impl From<PartitionError> for ReceiveError {
    fn from(error: PartitionError) -> Self {
        ReceiveError::Import(error.into())
    }
}

impl ReceiveError {
    fn is_of_the_disk(&self) -> bool {
        matches!(self, ReceiveError::Import(ImportError::Partition(_)))
    }

    fn kind(&self) -> Kind {
        match self {
            ReceiveError::Resting | ReceiveError::Short(_) => Kind::Storage,
            ReceiveError::TooMany => Kind::Overloaded,
            ReceiveError::Stopped(_) => Kind::Stopping,
            error if error.is_of_the_disk() => Kind::Storage,
            _ => Kind::Invalid,
        }
    }
}

/// What a replica receives. Cheap to clone.
#[derive(Clone)]
pub(super) struct SnapshotReceiver {
    group: GroupId,
    storage: Storage,
    pub(super) links: Links,
    /// Who waits for a snapshot that replaces damaged rows.
    wanted: Rc<RefCell<Weak<Cell<bool>>>>,
    incoming: Rc<RefCell<Option<Incoming>>>,
    installing: Rc<Cell<bool>>,
    disk_failed: Rc<Cell<Option<Instant>>>,
}

/// A snapshot came whole and is being made the partition.
struct Installing(Rc<Cell<bool>>);

impl Installing {
    fn begin(flag: &Rc<Cell<bool>>) -> Self {
        flag.set(true);
        Installing(Rc::clone(flag))
    }
}

impl Drop for Installing {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Says when damaged rows were replaced.
pub(super) struct Rebuilt(Rc<Cell<bool>>);

impl Rebuilt {
    pub(super) fn is_done(&self) -> bool {
        self.0.get()
    }
}

/// A transfer under way.
struct Incoming {
    transfer: u64,
    /// It replaces damaged rows.
    rebuild: bool,
    vote: RaftVote,
    meta: SnapshotMeta,
    /// The number of the chunk that comes next.
    next: u64,
    heard: Instant,
    orders: mpsc::Sender<Order>,
}

/// What the writing thread is told. Without anybody to tell it more it removes the draft and ends.
enum Order {
    Chunk(Bytes, oneshot::Sender<Result<(), ImportError>>),
    Finish(Finish),
}

struct Finish {
    applied: Option<LogPosition>,
    membership: (Option<LogPosition>, Bytes),
    rows: u64,
    done: oneshot::Sender<Result<Prepared, Unfinished>>,
}

enum Unfinished {
    Rows(u64),
    Import(ImportError),
}

impl SnapshotReceiver {
    pub(super) fn new(group: GroupId, storage: Storage, links: Links) -> Self {
        SnapshotReceiver {
            group,
            storage,
            links,
            wanted: Rc::default(),
            incoming: Rc::default(),
            installing: Rc::default(),
            disk_failed: Rc::default(),
        }
    }

    /// A snapshot that replaces damaged rows is taken for as long as the answer lives.
    pub(super) fn want(&self) -> Rebuilt {
        let rebuilt = Rc::new(Cell::new(false));
        *self.wanted.borrow_mut() = Rc::downgrade(&rebuilt);
        Rebuilt(rebuilt)
    }

    /// A transfer is under way, or being installed.
    pub(super) fn is_receiving(&self) -> bool {
        self.incoming.borrow().is_some() || self.installing.get()
    }

    /// Answers one step of a transfer. Steps are taken in the order in which these futures are first polled.
    pub(super) async fn take(&self, replica: &Replica, body: Body) -> Body {
        let (transfer, answer) = match body {
            Body::SnapshotBegin(begin) => (begin.transfer, self.begin(replica, begin).await),
            Body::SnapshotChunk(chunk) => (chunk.transfer, self.chunk(chunk).await),
            Body::SnapshotEnd(end) => (end.transfer, self.end(replica, end).await),
            _ => (0, Err(ReceiveError::Unknown)),
        };
        answer.unwrap_or_else(|error| self.failed(transfer, &error))
    }

    fn failed(&self, transfer: u64, error: &ReceiveError) -> Body {
        if error.is_of_the_disk() {
            self.disk_failed.set(Some(clock::monotonic()));
        }
        if self.remove(transfer).is_some() || error.is_of_the_disk() {
            tracing::warn!(group = %self.group, transfer, error = error as &dyn std::error::Error, "a snapshot was not received");
        }
        Body::Failure(Failure { kind: error.kind().into(), text: error.to_string(), limit: 0 })
    }

    fn remove(&self, transfer: u64) -> Option<Incoming> {
        self.incoming.borrow_mut().take_if(|incoming| incoming.transfer == transfer)
    }

    async fn begin(&self, replica: &Replica, begin: peer::SnapshotBegin) -> Result<Body, ReceiveError> {
        let vote = wire::vote(begin.vote.as_ref())?;
        let ours = replica.vote();
        if ours > vote {
            return Ok(installed(&ours));
        }
        if self.incoming.borrow().as_ref().is_some_and(|incoming| incoming.vote > vote) {
            return Err(ReceiveError::Outdated);
        }
        if self.disk_failed.get().is_some_and(|at| at.elapsed() < DISK_REST) {
            return Err(ReceiveError::Resting);
        }
        self.check_room()?;
        if begin.rebuild && self.wanted.borrow().upgrade().is_none() {
            return Err(ReceiveError::Unwanted);
        }
        let membership = membership::decode(&begin.membership)?;
        let meta = SnapshotMeta {
            last_log_id: begin.last.as_ref().map(wire::log_id),
            last_membership: StoredMembership::new(begin.membership_at.as_ref().map(wire::log_id), membership),
        };
        let (orders, todo) = mpsc::channel(QUEUED_CHUNKS_MAX - 1);
        let leader = vote.leader_id.node_id;
        let incoming =
            Incoming { transfer: begin.transfer, rebuild: begin.rebuild, vote, meta, next: 0, heard: clock::monotonic(), orders };
        // The one before ends here: its thread hears of it by its channel.
        self.incoming.replace(Some(incoming));
        let group = self.group;
        let drafts = self.storage.call(move |partitions| partitions.get(&group).map(crate::partition::Partition::drafts)).await;
        let drafts = drafts.flatten().ok_or_else(|| ReceiveError::Stopped("the partition is closed".to_owned()))??;
        let (ready, begun) = oneshot::channel();
        executor::spawn(async move {
            if let Err(error) = executor::run_beside(move || write(drafts, todo, ready)).await {
                tracing::error!(%error, "the thread that writes a snapshot failed");
            }
        });
        begun.await.map_err(|_| ReceiveError::Ended)??;
        executor::spawn(self.clone().watch(begin.transfer, leader));
        tracing::info!(group = %self.group, peer = leader, "receiving a snapshot");
        Ok(taken())
    }

    /// A second copy of the rows must not use up the space that the log needs: without it the process would end.
    fn check_room(&self) -> Result<(), ReceiveError> {
        self.links.reach().space().short_of().map_or(Ok(()), |reserve| Err(ReceiveError::Short(reserve)))
    }

    async fn chunk(&self, chunk: peer::SnapshotChunk) -> Result<Body, ReceiveError> {
        self.check_room()?;
        let written = {
            let mut incoming = self.incoming.borrow_mut();
            let incoming =
                incoming.as_mut().filter(|incoming| incoming.transfer == chunk.transfer).ok_or(ReceiveError::Unknown)?;
            if chunk.number != incoming.next {
                return Err(ReceiveError::Order { expected: incoming.next, found: chunk.number });
            }
            if crc32c::crc32c(&chunk.rows) != chunk.crc {
                return Err(ReceiveError::Checksum(chunk.number));
            }
            incoming.next += 1;
            incoming.heard = clock::monotonic();
            let (tx, rx) = oneshot::channel();
            let refused = |refused: mpsc::TrySendError<Order>| match refused.is_full() {
                true => ReceiveError::TooMany,
                false => ReceiveError::Ended,
            };
            incoming.orders.try_send(Order::Chunk(chunk.rows, tx)).map_err(refused)?;
            rx
        };
        written.await.map_err(|_| ReceiveError::Ended)??;
        if let Some(incoming) = self.incoming.borrow_mut().as_mut().filter(|incoming| incoming.transfer == chunk.transfer) {
            incoming.heard = clock::monotonic();
        }
        Ok(taken())
    }

    async fn end(&self, replica: &Replica, end: peer::SnapshotEnd) -> Result<Body, ReceiveError> {
        let mut incoming = self.remove(end.transfer).ok_or(ReceiveError::Unknown)?;
        let _installing = Installing::begin(&self.installing);
        if end.chunks == GIVEN_UP {
            tracing::info!(group = %self.group, "the sender of a snapshot has given up");
            return Err(ReceiveError::GivenUp);
        }
        if end.chunks != incoming.next {
            return Err(ReceiveError::Incomplete { what: "chunks", expected: end.chunks, found: incoming.next });
        }
        let meta = incoming.meta.clone();
        let (done, prepared) = oneshot::channel();
        let last_membership = &meta.last_membership;
        let finish = Finish {
            applied: meta.last_log_id.as_ref().map(super::types::position),
            membership: (
                last_membership.log_id().as_ref().map(super::types::position),
                membership::encode(last_membership.membership()),
            ),
            rows: end.rows,
            done,
        };
        incoming.orders.try_send(Order::Finish(finish)).map_err(|_| ReceiveError::Ended)?;
        let prepared = prepared.await.map_err(|_| ReceiveError::Ended)?.map_err(|unfinished| match unfinished {
            Unfinished::Rows(found) => ReceiveError::Incomplete { what: "rows", expected: end.rows, found },
            Unfinished::Import(error) => error.into(),
        })?;
        if incoming.rebuild {
            replica.replace(prepared).await?;
            if let Some(wanted) = self.wanted.borrow().upgrade() {
                wanted.set(true);
            }
            return Ok(installed(&incoming.vote));
        }
        let snapshot = Snapshot { meta, snapshot: SnapshotData::Received(Box::new(prepared)) };
        replica.quiet(QUIET_MAX).await;
        let answer = replica.raft.install_full_snapshot(incoming.vote, snapshot).await;
        let answer = answer.map_err(|fatal| ReceiveError::Stopped(fatal.to_string()))?;
        tracing::info!(group = %self.group, "a snapshot was received and installed");
        Ok(installed(&answer.vote))
    }

    /// Ends the transfer when its sender is gone.
    async fn watch(self, transfer: u64, leader: PeerNumber) {
        loop {
            executor::sleep(LOOK_AGAIN).await;
            let heard = self.incoming.borrow().as_ref().filter(|incoming| incoming.transfer == transfer).map(|i| i.heard);
            let Some(heard) = heard else { return };
            if heard.elapsed() > SILENCE_MAX || !self.links.reach().is_up(leader) {
                tracing::info!(group = %self.group, peer = leader, "the sender of a snapshot is gone");
                self.remove(transfer);
                return;
            }
        }
    }
}

impl Replica {
    fn vote(&self) -> RaftVote {
        self.raft.metrics().borrow_watched().vote
    }

    /// Waits until everything that was committed is applied: an install must not overtake it (databendlabs/openraft#2116).
    async fn quiet(&self, within: Duration) {
        let wait = self.raft.wait(Some(within));
        // When it stays busy, or has stopped, the install says so.
        let _ = wait.metrics(|m| m.last_applied >= m.local_committed, "what was committed is applied").await;
    }
}

fn taken() -> Body {
    Body::SnapshotTaken(SnapshotTaken {})
}

fn installed(vote: &RaftVote) -> Body {
    Body::SnapshotInstalled(SnapshotInstalled { vote: Some(wire::put_vote(vote)) })
}

/// The writing thread.
async fn write(drafts: Drafts, mut orders: mpsc::Receiver<Order>, ready: oneshot::Sender<Result<(), PartitionError>>) {
    let begun = drafts.begin();
    let draft = match begun {
        Ok(draft) => draft,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let Some((Finish { applied, membership, rows, done }, written)) = write_rows(&draft, &mut orders).await else { return };
    let result = match written {
        Ok(written) if written == rows => draft.finish(applied, membership).map_err(|error| Unfinished::Import(error.into())),
        Ok(written) => Err(Unfinished::Rows(written)),
        Err(error) => Err(Unfinished::Import(error.into())),
    };
    // Who waited may have gone; what was prepared goes then.
    let _ = done.send(result);
}

/// Writes chunks until the end; `None`: the transfer was ended.
async fn write_rows(draft: &Draft, orders: &mut mpsc::Receiver<Order>) -> Option<(Finish, Result<u64, PartitionError>)> {
    let mut filling = Some(draft.fill());
    while let Some(order) = orders.next().await {
        match order {
            Order::Chunk(rows, answer) => {
                let result = match filling.as_mut()? {
                    Ok(filling) => filling.write(rows),
                    Err(error) => Err(error.clone().into()),
                };
                let failed = result.is_err();
                let _ = answer.send(result);
                if failed {
                    return None;
                }
            }
            Order::Finish(finish) => {
                let written = filling.take()?.and_then(crate::partition::Filling::close);
                return Some((finish, written));
            }
        }
    }
    None
}
