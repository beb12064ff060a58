//! `z4.Admin`: is the peer there, and what does it know of the cluster.

use std::sync::Arc;

use send_wrapper::SendWrapper;
use tonic::{Request, Response, Status, async_trait};
use z4_proto as proto;
use z4_shards::ids::{GroupId, PeerNumber};

use super::services::Context;

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number inside Raft.
    pub number: PeerNumber,
    /// Its id, as the operator chose it.
    pub id: String,
    /// Where the other peers reach it, `host:port`.
    pub address: String,
}

/// What the edge asks about the cluster.
pub trait ClusterView: Send + Sync {
    /// The id of this peer.
    fn server_id(&self) -> String;

    /// Every member, this peer included.
    fn members(&self) -> Vec<Member>;
}

/// The service.
pub(super) struct Admin {
    context: Arc<Context>,
}

impl Admin {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    async fn cluster_info(&self) -> proto::ClusterInfo {
        let members = self.context.cluster.members();
        let name = |number: PeerNumber| match members.iter().find(|m| m.number == number) {
            Some(member) => member.id.clone(),
            None => number.to_string(),
        };
        let groups = self.context.shards.groups().await;
        let leader = groups.iter().find(|g| g.group == GroupId::REGISTRY).and_then(|g| g.leader);
        let leader = leader.and_then(|number| members.iter().find(|m| m.number == number));
        proto::ClusterInfo {
            server_id: self.context.cluster.server_id(),
            leader_address: leader.map(|m| m.address.clone()).unwrap_or_default(),
            groups: groups
                .into_iter()
                .map(|g| proto::Group {
                    id: g.group.0.into(),
                    leader: g.leader.map(name).unwrap_or_default(),
                    term: g.term,
                    last_log_index: g.last_log_index.unwrap_or(0),
                    applied_index: g.applied_index.unwrap_or(0),
                    members: g.voters.into_iter().map(name).collect(),
                    shard: g.shard as u32,
                    ..Default::default()
                })
                .collect(),
            members: members
                .iter()
                .map(|m| proto::Server { id: m.id.clone(), address: m.address.clone(), ..Default::default() })
                .collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Default::default()
        }
    }
}

fn no_membership_changes() -> Status {
    Status::unimplemented(
        "membership changes are not available in this version: a cluster has exactly the one peer that started it",
    )
}

#[async_trait]
impl proto::admin_server::Admin for Admin {
    async fn check_health(&self, _: Request<proto::CheckHealthRequest>) -> Result<Response<proto::Status>, Status> {
        Ok(Response::new(proto::Status {}))
    }

    async fn get_cluster_info(&self, _: Request<proto::GetClusterInfoRequest>) -> Result<Response<proto::ClusterInfo>, Status> {
        Ok(Response::new(SendWrapper::new(self.cluster_info()).await))
    }

    async fn add_cluster_member(&self, _: Request<proto::AddClusterMemberRequest>) -> Result<Response<()>, Status> {
        Err(no_membership_changes())
    }

    async fn remove_cluster_member(&self, _: Request<proto::RemoveClusterMemberRequest>) -> Result<Response<()>, Status> {
        Err(no_membership_changes())
    }

    async fn transfer_leader(&self, _: Request<proto::TransferLeaderRequest>) -> Result<Response<()>, Status> {
        Err(no_membership_changes())
    }

    async fn rebalance(&self, _: Request<proto::RebalanceRequest>) -> Result<Response<()>, Status> {
        Err(no_membership_changes())
    }

    async fn get_state_hash(&self, _: Request<proto::GetStateHashRequest>) -> Result<Response<proto::StateHash>, Status> {
        Err(no_membership_changes())
    }
}
