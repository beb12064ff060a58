//! The cluster through `z4.Admin`.

use tonic::Status;
use z4_proto::*;

use super::client::Client;
use super::wait::{until, within};

/// GetClusterInfo, which is never refused. The first call after a restart of the peer may still go to the connection of before.
pub async fn info(client: &Client) -> ClusterInfo {
    let answer = async || client.admin.clone().get_cluster_info(GetClusterInfoRequest {}).await.ok();
    until("GetClusterInfo is answered", answer).await.into_inner()
}

/// AddClusterMember.
pub async fn add(client: &Client, id: &str, address: &str) -> Result<(), Status> {
    add_as(client, id, address, "").await
}

/// The same with options: "force", "replace".
pub async fn add_as(client: &Client, id: &str, address: &str, options: &str) -> Result<(), Status> {
    let (force, replace) = (options.contains("force"), options.contains("replace"));
    let request = AddClusterMemberRequest { member_address: address.to_owned(), member_id: id.to_owned(), force, replace };
    within("AddClusterMember", client.admin.clone().add_cluster_member(request)).await.map(drop)
}

/// RemoveClusterMember.
pub async fn remove(client: &Client, id: &str) -> Result<(), Status> {
    let request = RemoveClusterMemberRequest { member_id: id.to_owned() };
    within("RemoveClusterMember", client.admin.clone().remove_cluster_member(request)).await.map(drop)
}

/// TransferLeader.
pub async fn transfer(client: &Client, group: u32, id: &str) -> Result<(), Status> {
    let request = TransferLeaderRequest { group, member_id: id.to_owned() };
    within("TransferLeader", client.admin.clone().transfer_leader(request)).await.map(drop)
}

/// GetStateHash.
pub async fn state_hash(client: &Client, group: u32) -> Result<StateHash, Status> {
    let answer = within("GetStateHash", client.admin.clone().get_state_hash(GetStateHashRequest { group })).await;
    answer.map(tonic::Response::into_inner)
}

/// The replicas of each group, as `id` or `id+` for a voter.
pub fn replicas(info: &ClusterInfo) -> Vec<Vec<String>> {
    let name = |replica: &Replica| format!("{}{}", replica.peer_id, if replica.voter { "+" } else { "" });
    info.groups.iter().map(|group| group.replicas.iter().map(name).collect()).collect()
}

/// Waits until every group has these replicas, see [`replicas`].
pub async fn until_replicas(client: &Client, wanted: &[&str]) -> ClusterInfo {
    until(&format!("every group has the replicas {wanted:?}"), async || {
        let info = info(client).await;
        replicas(&info).iter().all(|replicas| replicas == wanted).then_some(info)
    })
    .await
}
