//! The way to the other replicas of a group: openraft's requests over the links between peers.

use std::future::Future;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use openraft::AnyError;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError, StreamAppendResult};
use openraft::raft::{TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse};
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto::peer::{Appended, Failure};

use super::retention::{Outrun, Sending};
use super::standing::Followers;
use super::types::{RaftVote, Snapshot, SnapshotData, TypeConfig};
use super::{sane, snapshot_send, wire};
use crate::link::{Body, LinkError, Links};
use crate::runtime::pace;

/// Appends to one follower that are sent and not answered.
const APPENDS_IN_FLIGHT: usize = 8;

/// An append may wait for the follower's disk so long.
const APPEND_MAX: Duration = Duration::from_secs(10);

/// A vote that comes later is for an election that is over.
const VOTE_MAX: Duration = Duration::from_secs(1);

/// How long openraft waits before it tries an unreachable peer again.
const BACKOFF: Duration = Duration::from_millis(200);

/// Boxed futures and streams that stay on their thread, as openraft's `single-threaded` wants them.
type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + 'a>>;
type BoxStream<'a, T> = std::pin::Pin<Box<dyn Stream<Item = T> + 'a>>;
type AppendResult = Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// Makes the way to peers for one group.
pub struct Network {
    pub group: GroupId,
    pub links: Links,
    pub sending: Sending,
    pub outrun: Outrun,
    pub followers: Followers,
}

/// The way to one replica.
pub struct ReplicaLink {
    group: GroupId,
    links: Links,
    sending: Sending,
    outrun: Outrun,
    followers: Followers,
    target: PeerNumber,
    /// Appends without entries, which leave with those of other groups.
    beats: bool,
}

impl Network {
    fn link(&self, target: PeerNumber, beats: bool) -> ReplicaLink {
        let (links, sending, outrun) = (self.links.clone(), self.sending.clone(), self.outrun.clone());
        ReplicaLink { group: self.group, links, sending, outrun, followers: self.followers.clone(), target, beats }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = ReplicaLink;

    async fn new_client(&mut self, target: u64, _: &BasicNode) -> ReplicaLink {
        self.link(target, false)
    }

    async fn new_heartbeat_client(&mut self, target: u64, _: &BasicNode) -> ReplicaLink {
        self.link(target, true)
    }
}

impl ReplicaLink {
    fn appended(&self, answer: &Appended) -> AppendResult {
        self.followers.heard(self.target, answer);
        wire::appended(answer).map_err(|e| network_error(AnyError::new(&e)))
    }

    /// Asks as a replica of this term.
    async fn ask(&self, term: u64, body: Body, within: Duration) -> Result<Body, RPCError<TypeConfig>> {
        answered(self.links.ask(self.target, self.group, body, within).await, term)
    }
}

/// An answer to a replica of this term, unless it says that nothing was done, or what no replica says.
fn answered(answer: Result<Body, LinkError>, term: u64) -> Result<Body, RPCError<TypeConfig>> {
    match answer {
        Ok(body) if sane::check(&body, sane::term_max(term, true)).is_err() => Err(unexpected()),
        Ok(Body::Failure(Failure { text, .. })) => Err(network_error(AnyError::error(text))),
        Ok(body) => Ok(body),
        Err(e) if e.was_not_sent() => Err(RPCError::Unreachable(Unreachable::new(&e))),
        Err(e) => Err(network_error(AnyError::new(&e))),
    }
}

fn network_error(e: AnyError) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(&e))
}

fn unexpected() -> RPCError<TypeConfig> {
    network_error(AnyError::error("the answer is of another kind than the request"))
}

impl RaftNetworkV2<TypeConfig> for ReplicaLink {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let term = request.vote.leader_id.term;
        match self.ask(term, Body::Append(wire::put_append(request)), APPEND_MAX).await? {
            Body::Appended(answer) => Ok(match self.appended(&answer)? {
                Ok(at) => AppendEntriesResponse::PartialSuccess(at),
                Err(StreamAppendError::Conflict(_)) => AppendEntriesResponse::Conflict,
                Err(StreamAppendError::HigherVote(vote)) => AppendEntriesResponse::HigherVote(vote),
            }),
            _ => Err(unexpected()),
        }
    }

    /// Several appends are on their way at a time; the link keeps their order.
    #[allow(clippy::async_yields_async, reason = "what is on its way is awaited apart, so that the next one can leave")]
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, AppendResult>, RPCError<TypeConfig>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin + 'static,
    {
        let (links, target, group, beats) = (self.links.clone(), self.target, self.group, self.beats);
        let beat_max = option.hard_ttl();
        let sent = input.then(move |request| {
            let (links, term) = (links.clone(), request.vote.leader_id.term);
            async move {
                if beats && request.entries.is_empty() {
                    let answer = links.beat(target, group, wire::put_append(request), beat_max);
                    return futures_util::future::Either::Left(answer.map(move |answer| answered(answer, term)));
                }
                links.room(target).await;
                let body = Body::Append(wire::put_append(request));
                let answer = links.post(target, group, body, APPEND_MAX);
                futures_util::future::Either::Right(answer.map(move |answer| answered(answer, term)))
            }
        });
        let (outrun, followers) = (self.outrun.clone(), self.followers.clone());
        let answers = sent.buffered(APPENDS_IN_FLIGHT).map(move |answer| match answer? {
            // What it says is learned again, behind the snapshot.
            Body::Appended(_) if !beats && outrun.take(target) => {
                Err(network_error(AnyError::error("the entries that it needs next are to be purged")))
            }
            Body::Appended(answer) => {
                followers.heard(target, &answer);
                wire::appended(&answer).map_err(|e| network_error(AnyError::new(&e)))
            }
            _ => Err(unexpected()),
        });
        Box::pin(std::future::ready(Ok(Box::pin(answers) as BoxStream<'s, AppendResult>)))
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ballot(&request, false).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.ballot(&request, true).await
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let ways = (&self.links, &self.sending);
        snapshot_send::send(ways, (self.target, self.group), vote, snapshot, cancel, option).await
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let term = request.from_leader().leader_id.term;
        match self.ask(term, Body::Transfer(wire::put_transfer(&request)), APPEND_MAX).await? {
            Body::Transferred(answer) if answer.refused.is_empty() => Ok(Ok(())),
            Body::Transferred(answer) => Err(network_error(AnyError::error(answer.refused))),
            _ => Err(unexpected()),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(BACKOFF)))
    }
}

impl ReplicaLink {
    async fn ballot(
        &self,
        request: &VoteRequest<TypeConfig>,
        pre: bool,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let term = request.vote.leader_id.term;
        match self.ask(term, Body::Ballot(wire::put_ballot(request, pre)), pace::stretch(VOTE_MAX)).await? {
            Body::Vote(answer) => wire::voted(&answer).map_err(|e| network_error(AnyError::new(&e))),
            _ => Err(unexpected()),
        }
    }
}
