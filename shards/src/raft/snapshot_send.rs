//! A snapshot on its way to another replica: begin, chunks in order with a few unanswered, end.
//!
//! What goes wrong is told to openraft as *unreachable*: only then it waits before it tries again, from the start and with a new view.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_channel::{mpsc, oneshot};
use futures_util::StreamExt as _;
use futures_util::future::{Either, LocalBoxFuture, select};
use openraft::errors::{ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::SnapshotResponse;
use openraft::{ErrorSubject, ErrorVerb, StorageError};
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto::peer::{Failure, SnapshotBegin, SnapshotChunk, SnapshotEnd};

use super::membership;
use super::retention::Sending;
use super::types::{RaftVote, Snapshot, SnapshotData, SnapshotMeta, TypeConfig};
use super::wire;
use crate::link::{Body, LinkError, Links};
use crate::partition::{Chunk, PartitionError, View};
use crate::runtime::{clock, executor, random};

/// Chunks that are sent and not answered. The receiver refuses more than [`super::snapshot_receive::QUEUED_CHUNKS_MAX`].
const UNANSWERED_CHUNKS_MAX: usize = 8;

/// The same in bytes; a chunk that is larger goes alone. It bounds the memory on both sides, and how long an append waits behind them.
const UNANSWERED_BYTES_MAX: usize = 4 << 20;

/// Chunks that are read before they are asked for.
const READ_AHEAD: usize = 2;

/// How long the answer to a step of a rebuild may take: the last one applies what was written since the first.
const REBUILD_STEP_MAX: Duration = Duration::from_secs(600);

/// In [`SnapshotEnd`]: the sender has given up.
pub(super) const GIVEN_UP: u64 = u64::MAX;

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the receiver refused it: {0}")]
    Refused(String),
    #[error("the answer is of another kind than the request")]
    Unexpected,
    #[error("only a view can be sent")]
    NoView,
    #[error("the thread that reads the partition ended")]
    ReaderGone,
    #[error(transparent)]
    Partition(#[from] PartitionError),
    /// Not an error: the receiver has said all that there is to say.
    #[error("the receiver has a higher vote")]
    Answered(RaftVote),
}

/// Sends a snapshot and waits until it is installed, or until `cancel` says that it is not wanted any more.
///
/// # Errors
/// `Closed` when it was cancelled, `StorageError` when the disk here does not read, else `Unreachable`: try again later. That is so for
/// damage as well, which others may have whole: whoever found it sees to it, see `shard/damage.rs`, and this replica need not end for it.
pub async fn send(
    (links, sending): (&Links, &Sending),
    (to, group): (PeerNumber, GroupId),
    vote: RaftVote,
    snapshot: Snapshot,
    cancel: impl Future<Output = ReplicationClosed>,
    option: RPCOption,
) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
    let transfer = Transfer { links, to, group, id: random::number(), within: option.hard_ttl(), rebuild: false };
    let guard = snapshot.meta.last_log_id.as_ref().map(|last| sending.begin(to, last.index, transfer.id));
    let sent = match select(pin!(transfer.run(vote, snapshot)), pin!(cancel)).await {
        Either::Left((sent, _)) => sent,
        Either::Right((closed, _)) => return Err(StreamingError::Closed(closed)),
    };
    match sent {
        Ok(vote) => {
            guard.into_iter().for_each(super::retention::SendingGuard::installed);
            Ok(SnapshotResponse::new(vote))
        }
        Err(SendError::Answered(vote)) => Ok(SnapshotResponse::new(vote)),
        Err(SendError::Partition(error)) if !matches!(error, PartitionError::Damaged { .. }) => {
            let error = std::io::Error::other(error);
            Err(StorageError::from_io_error(ErrorSubject::StateMachine, ErrorVerb::Read, error).into())
        }
        // It is tried five times a second for as long as the peer is away, which others tell.
        Err(error @ SendError::Link(LinkError::Down { .. })) => Err(Unreachable::new(&error).into()),
        Err(error) => {
            tracing::warn!(%group, peer = to, %error, "a snapshot could not be sent; it will be tried again");
            Err(Unreachable::new(&error).into())
        }
    }
}

/// Sends a snapshot that the receiver asked for, because its own rows are damaged.
pub(super) async fn send_rebuild(
    links: &Links,
    (to, group): (PeerNumber, GroupId),
    vote: RaftVote,
    snapshot: Snapshot,
) -> Result<(), impl std::error::Error> {
    let transfer = Transfer { links, to, group, id: random::number(), within: REBUILD_STEP_MAX, rebuild: true };
    transfer.run(vote, snapshot).await.map(drop)
}

/// One attempt.
struct Transfer<'a> {
    links: &'a Links,
    to: PeerNumber,
    group: GroupId,
    id: u64,
    /// How long each answer may take.
    within: Duration,
    /// It replaces damaged rows.
    rebuild: bool,
}

type Answer = LocalBoxFuture<'static, Result<Body, LinkError>>;

impl Transfer<'_> {
    async fn run(&self, vote: RaftVote, snapshot: Snapshot) -> Result<RaftVote, SendError> {
        let SnapshotData::View(view) = snapshot.snapshot else { return Err(SendError::NoView) };
        let since = clock::monotonic();
        taken(self.post(begin((self.id, self.rebuild), &vote, &snapshot.meta)).await?)?;
        let given_up = GivenUp(Some(self));
        tracing::info!(group = %self.group, peer = self.to, "sending a snapshot");
        let (chunks, rows, bytes) = self.send_chunks(view).await?;
        let end = SnapshotEnd { transfer: self.id, chunks, rows };
        let installed = match self.post(Body::SnapshotEnd(end)).await? {
            Body::SnapshotInstalled(answer) => wire::vote(answer.vote.as_ref()).map_err(|_| SendError::Unexpected)?,
            Body::Failure(Failure { text, .. }) => return Err(SendError::Refused(text)),
            _ => return Err(SendError::Unexpected),
        };
        given_up.not();
        let seconds = since.elapsed().as_secs_f64();
        tracing::info!(group = %self.group, peer = self.to, rows, bytes, seconds, "a snapshot was sent and installed");
        Ok(installed)
    }

    fn post(&self, body: Body) -> Answer {
        Box::pin(self.links.post(self.to, self.group, body, self.within))
    }

    /// Returns how many chunks, rows and bytes there were.
    async fn send_chunks(&self, view: View) -> Result<(u64, u64, u64), SendError> {
        let mut reader = Reader::start(view);
        let mut unanswered = VecDeque::<(Answer, usize)>::new();
        let (mut number, mut rows, mut bytes, mut waiting) = (0, 0, 0, 0);
        while let Some(chunk) = reader.next().await? {
            let size = chunk.rows.len();
            while unanswered.len() >= UNANSWERED_CHUNKS_MAX || (waiting > 0 && waiting + size > UNANSWERED_BYTES_MAX) {
                waiting -= next_taken(&mut unanswered).await?;
            }
            self.links.room(self.to).await;
            (rows, bytes, waiting) = (rows + chunk.count, bytes + size as u64, waiting + size);
            let body = SnapshotChunk { transfer: self.id, number, rows: chunk.rows, crc: chunk.crc };
            unanswered.push_back((self.post(Body::SnapshotChunk(body)), size));
            number += 1;
        }
        while !unanswered.is_empty() {
            next_taken(&mut unanswered).await?;
        }
        Ok((number, rows, bytes))
    }
}

/// Waits for the oldest answer; returns the size of its chunk.
async fn next_taken(unanswered: &mut VecDeque<(Answer, usize)>) -> Result<usize, SendError> {
    let Some((answer, size)) = unanswered.pop_front() else { return Ok(0) };
    taken(answer.await?)?;
    Ok(size)
}

fn taken(answer: Body) -> Result<(), SendError> {
    match answer {
        Body::SnapshotTaken(_) => Ok(()),
        Body::SnapshotInstalled(answer) => {
            Err(wire::vote(answer.vote.as_ref()).map_or(SendError::Unexpected, SendError::Answered))
        }
        Body::Failure(Failure { text, .. }) => Err(SendError::Refused(text)),
        _ => Err(SendError::Unexpected),
    }
}

fn begin((transfer, rebuild): (u64, bool), vote: &RaftVote, meta: &SnapshotMeta) -> Body {
    Body::SnapshotBegin(SnapshotBegin {
        transfer,
        vote: Some(wire::put_vote(vote)),
        last: meta.last_log_id.as_ref().map(wire::put_log_id),
        membership_at: meta.last_membership.log_id().as_ref().map(wire::put_log_id),
        membership: membership::encode(meta.last_membership.membership()),
        rebuild,
    })
}

/// Tells the receiver, when dropped, that no more will come: its draft need not wait until it has heard nothing for a while.
struct GivenUp<'a>(Option<&'a Transfer<'a>>);

impl GivenUp<'_> {
    fn not(mut self) {
        self.0 = None;
    }
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(transfer) = self.0 {
            let end = SnapshotEnd { transfer: transfer.id, chunks: GIVEN_UP, rows: 0 };
            // When the link is down the receiver sees that.
            let _ = transfer.links.tell(transfer.to, transfer.group, Body::SnapshotEnd(end));
        }
    }
}

type Read = Option<Result<Chunk, PartitionError>>;

/// The thread that reads the view: each order is answered with the next chunk. It ends when nobody can order any more.
struct Reader {
    orders: mpsc::UnboundedSender<oneshot::Sender<Read>>,
    ordered: VecDeque<oneshot::Receiver<Read>>,
}

impl Reader {
    fn start(view: View) -> Self {
        let (orders, mut taken) = mpsc::unbounded::<oneshot::Sender<Read>>();
        executor::spawn(async move {
            let read = move || async move {
                let mut chunks = view.chunks();
                while let Some(order) = taken.next().await {
                    // Who ordered may have gone.
                    let _ = order.send(chunks.next());
                }
            };
            if let Err(error) = executor::run_beside(read).await {
                tracing::error!(%error, "the thread that reads a snapshot failed");
            }
        });
        let mut reader = Reader { orders, ordered: VecDeque::new() };
        (0..READ_AHEAD).for_each(|_| reader.order());
        reader
    }

    fn order(&mut self) {
        let (tx, rx) = oneshot::channel();
        // A thread that has ended drops the order, and whoever waits for it sees that.
        let _ = self.orders.unbounded_send(tx);
        self.ordered.push_back(rx);
    }

    async fn next(&mut self) -> Result<Option<Chunk>, SendError> {
        self.order();
        let Some(next) = self.ordered.pop_front() else { return Ok(None) };
        let read = next.await.map_err(|_| SendError::ReaderGone)?;
        Ok(read.transpose()?)
    }
}
