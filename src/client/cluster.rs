//! The cluster and its members.

use tonic::transport::Channel;
use z4_proto::admin_client::AdminClient;
use z4_proto::{
    AddClusterMemberRequest, CheckHealthRequest, ClusterInfo, GetClusterInfoRequest, GetStateHashRequest, RebalanceRequest,
    RemoveClusterMemberRequest, StateHash, TransferLeaderRequest,
};

use super::call::Call;
use super::error::Error;
use super::{Client, proto};

/// How a peer is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adding {
    /// Also when nobody answers at its address.
    pub force: bool,
    /// In the place of a member with its id whose disk is lost.
    pub replace: bool,
}

impl Client {
    fn admin(&self, channel: Channel) -> AdminClient<Channel> {
        AdminClient::new(channel).max_decoding_message_size(self.options().answer_bytes_max)
    }

    /// The cluster as one of the peers sees it; it says which one it is.
    pub async fn info(&self) -> Result<ClusterInfo, Error> {
        let send = |channel| async move { self.admin(channel).get_cluster_info(GetClusterInfoRequest {}).await };
        Ok(self.call(Call::read("GetClusterInfo", None), send).await?.0)
    }

    /// The cluster as the peer at one address sees it: asked once, and nobody else instead.
    pub async fn info_at(&self, address: &str) -> Result<ClusterInfo, Error> {
        let send = |channel| async move { self.admin(channel).get_cluster_info(GetClusterInfoRequest {}).await };
        self.call_at(address, "GetClusterInfo", send).await
    }

    /// Waits until one of the peers serves; returns the address of that one.
    pub async fn check_health(&self) -> Result<String, Error> {
        let send = |channel| async move { self.admin(channel).check_health(CheckHealthRequest::default()).await };
        let (proto::Status {}, peer) = self.call(Call::read("CheckHealth", None), send).await?;
        Ok(peer.to_string())
    }

    /// Whether the peer at one address serves: asked once, and nobody else instead.
    ///
    /// # Errors
    /// It does not, or cannot be reached.
    pub async fn check_health_at(&self, address: &str) -> Result<(), Error> {
        let send = |channel| async move { self.admin(channel).check_health(CheckHealthRequest::default()).await };
        self.call_at(address, "CheckHealth", send).await.map(|proto::Status {}| ())
    }

    /// Wishes a peer into the cluster: its id, and `HOST:PORT` of its peer port. Answers when the wish is stored; [`Client::info`]
    /// tells how far the groups are.
    pub async fn add_member(&self, id: &str, address: &str) -> Result<(), Error> {
        self.add_member_as(id, address, Adding::default()).await
    }

    /// The same, in another way.
    pub async fn add_member_as(&self, id: &str, address: &str, Adding { force, replace }: Adding) -> Result<(), Error> {
        let request = AddClusterMemberRequest { member_address: address.to_owned(), member_id: id.to_owned(), force, replace };
        let send = |channel| {
            let request = request.clone();
            async move { self.admin(channel).add_cluster_member(request).await }
        };
        self.call(Call::safe("AddClusterMember", None), send).await?;
        Ok(())
    }

    /// Wishes a peer out of the cluster. Answers when the wish is stored.
    pub async fn remove_member(&self, id: &str) -> Result<(), Error> {
        let request = RemoveClusterMemberRequest { member_id: id.to_owned() };
        let send = |channel| {
            let request = request.clone();
            async move { self.admin(channel).remove_cluster_member(request).await }
        };
        self.call(Call::safe("RemoveClusterMember", None), send).await?;
        Ok(())
    }

    /// Moves the leadership of a group to a voter of it. Answers when that peer leads.
    pub async fn transfer_leader(&self, group: u32, id: &str) -> Result<(), Error> {
        let request = TransferLeaderRequest { group, member_id: id.to_owned() };
        let send = |channel| {
            let request = request.clone();
            async move { self.admin(channel).transfer_leader(request).await }
        };
        self.call(Call::safe("TransferLeader", None), send).await?;
        Ok(())
    }

    /// Has the peers spread leadership evenly.
    pub async fn rebalance(&self) -> Result<(), Error> {
        let send = |channel| async move { self.admin(channel).rebalance(RebalanceRequest {}).await };
        self.call(Call::safe("Rebalance", None), send).await?;
        Ok(())
    }

    /// Applied index and state hash of the replica that the peer at one address has of a group: asked once.
    pub async fn state_hash_at(&self, address: &str, group: u32) -> Result<StateHash, Error> {
        let send = |channel| async move { self.admin(channel).get_state_hash(GetStateHashRequest { group }).await };
        self.call_at(address, "GetStateHash", send).await
    }
}
