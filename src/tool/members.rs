//! `add-peer` and `remove-peer`.

use serde::Serialize;
use z4_proto::{AddClusterMemberRequest, RemoveClusterMemberRequest};

use super::error::ToolError;
use super::output::{Output, Show};
use super::session::Session;

/// A change of the membership that the peer accepted.
#[derive(Serialize)]
struct Change {
    change: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

impl Show for Change {
    fn human(&self) -> String {
        match &self.address {
            Some(address) => format!("{} peer {} at {address}", self.change, self.id),
            None => format!("{} peer {}", self.change, self.id),
        }
    }
}

/// What `add-peer` needs: address and id. The flags are global, so the parser cannot require them for one subcommand.
pub fn addition(peer: Option<String>, id: Option<String>) -> Result<(String, String), ToolError> {
    match (peer, id) {
        (Some(peer), Some(id)) => Ok((peer, id)),
        _ => Err(ToolError::Usage("add-peer needs --peer HOST:PORT and --id ID".to_owned())),
    }
}

/// What `remove-peer` needs.
pub fn removal(id: Option<String>) -> Result<String, ToolError> {
    id.ok_or_else(|| ToolError::Usage("remove-peer needs --id ID".to_owned()))
}

/// Adds a peer to the cluster.
pub async fn add(session: &Session, out: &mut Output, peer: String, id: String) -> Result<(), ToolError> {
    let request = AddClusterMemberRequest { member_address: peer.clone(), member_id: id.clone() };
    session.answer(session.admin().add_cluster_member(request)).await?;
    out.show(&Change { change: "added", id, address: Some(peer) })
}

/// Removes a peer from the cluster.
pub async fn remove(session: &Session, out: &mut Output, id: String) -> Result<(), ToolError> {
    session.answer(session.admin().remove_cluster_member(RemoveClusterMemberRequest { member_id: id.clone() })).await?;
    out.show(&Change { change: "removed", id, address: None })
}
