//! The way to the other voters of a group. A peer alone has none: every call says that the target cannot be reached.

use std::future::Future;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};

use super::types::{RaftVote, Snapshot, TypeConfig};
use crate::partition::View;

/// Makes connections to peers.
pub struct Network;

/// A connection to a peer for which there is no link.
pub struct NoLink {
    target: u64,
    address: String,
}

impl NoLink {
    fn unreachable(&self) -> Unreachable<TypeConfig> {
        Unreachable::new(&std::io::Error::new(
            std::io::ErrorKind::NotConnected,
            format!("no link to peer {} at {}", self.target, self.address),
        ))
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = NoLink;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> NoLink {
        NoLink { target, address: node.addr.clone() }
    }
}

impl RaftNetworkV2<TypeConfig> for NoLink {
    type SnapshotData = View;

    async fn append_entries(
        &mut self,
        _: AppendEntriesRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn vote(&mut self, _: VoteRequest<TypeConfig>, _: RPCOption) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn pre_vote(
        &mut self,
        _: VoteRequest<TypeConfig>,
        _: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        Err(RPCError::Unreachable(self.unreachable()))
    }

    async fn full_snapshot(
        &mut self,
        _: RaftVote,
        _: Snapshot,
        _: impl Future<Output = ReplicationClosed> + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }
}
