//! `z4.Admin`: is the peer there, what does it know of the cluster, and what should the cluster be.

use std::sync::Arc;
use std::time::Duration;

use send_wrapper::SendWrapper;
use tonic::{Request, Response, Status, async_trait};
use z4_model::ids::GroupId;
use z4_proto as proto;
use z4_shards::roster::Roster;
use z4_shards::roster::change::MemberError;
use z4_shards::runtime::executor;
use z4_shards::shard::members::{ChangeError, MoveError};

use super::adding::{self, Deed, NotAdded};
use super::cluster_info::{self, Seen};
use super::services::Context;
use super::status;
use crate::links::Found;

/// A change of the members is seen on this peer within moments: so often, and after so long each time, it is looked for.
const PUBLISHED_LOOKS: u32 = 400;
const PUBLISHED_AGAIN: Duration = Duration::from_millis(5);

/// The service.
pub(super) struct Admin {
    context: Arc<Context>,
}

impl Admin {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }

    async fn cluster_info(&self) -> proto::ClusterInfo {
        let shards = &self.context.shards;
        let groups = shards.groups().await;
        let roster = shards.roster();
        let table = shards.reach().table();
        let reach = |number| table.get(&number).cloned();
        let clocks = shards.reach().clocks();
        cluster_info::cluster_info(self.context.cluster.me(), Seen { roster: &roster, reach: &reach, groups, clocks })
    }

    /// Refuses what only a member can do.
    fn check_membership(&self) -> Result<(), Status> {
        let (me, roster) = (self.context.cluster.me(), self.context.shards.roster());
        let name = |what: &str| Status::failed_precondition(format!("peer {:?} {what}; ask another peer", me.id));
        match cluster_info::membership(&me, &roster) {
            proto::Membership::NotYet => Err(name("belongs to no cluster yet")),
            proto::Membership::Removed => Err(name("was removed from the cluster")),
            proto::Membership::Member | proto::Membership::Unspecified => Ok(()),
        }
    }

    /// The group of a request, if the cluster has it.
    fn group(&self, group: u32) -> Result<GroupId, Status> {
        let known = self.context.shards.all_groups();
        let found = known.iter().find(|known| u32::from(known.0) == group);
        found.copied().ok_or_else(|| {
            let last = known.last().copied().unwrap_or_default();
            Status::not_found(format!("group {group} does not exist in this cluster: it has the groups 0 to {last}"))
        })
    }

    async fn add(&self, request: proto::AddClusterMemberRequest) -> Result<(), Status> {
        self.check_membership()?;
        let (shards, id, address) = (&self.context.shards, &request.member_id, &request.member_address);
        // What cannot be is refused before anybody is called.
        let roster = shards.roster();
        let checked = if request.replace { Roster::check_form(id, address) } else { roster.add(id, address).map(drop) };
        checked.map_err(|error| changed(error.into()))?;
        let found = match request.force {
            true => Found::Nobody(String::new()),
            false => self.context.cluster.who_is_at(address, id).await,
        };
        let registry = shards.registry().await.map_err(status::status)?;
        let groups = shards.groups().await;
        let votes = |number| groups.iter().any(|group| group.voters.contains(&number));
        let number = match adding::decide(&registry.roster, &request, found, votes).map_err(not_added)? {
            Deed::Nothing(number) => number,
            Deed::Add => shards.add_member(id, address).await.map_err(changed)?,
            Deed::Replace => shards.replace_member(id, address).await.map_err(changed)?,
        };
        tracing::info!(peer = id, number, address, replace = request.replace, "a peer is to be a member");
        // Whoever asks this peer next finds what was stored.
        for _ in 0..PUBLISHED_LOOKS {
            if shards.roster().member(number).is_some() {
                break;
            }
            executor::sleep(PUBLISHED_AGAIN).await;
        }
        Ok(())
    }

    async fn remove(&self, request: proto::RemoveClusterMemberRequest) -> Result<(), Status> {
        self.check_membership()?;
        let number = self.context.shards.remove_member(&request.member_id).await.map_err(changed)?;
        tracing::info!(peer = request.member_id, number, "a peer is to be a member no more");
        Ok(())
    }

    async fn state_hash(&self, request: proto::GetStateHashRequest) -> Result<proto::StateHash, Status> {
        let group = self.group(request.group)?;
        let (applied, hash) = self.context.shards.state_hash(group).await.map_err(status::status)?;
        Ok(proto::StateHash { applied_index: applied.unwrap_or(0), hash })
    }

    async fn transfer(&self, request: proto::TransferLeaderRequest) -> Result<(), Status> {
        self.check_membership()?;
        let group = self.group(request.group)?;
        let moving = self.context.shards.transfer_leader(group, &request.member_id).await;
        moving.map_err(|error| moved(&request.member_id, &error))
    }
}

fn not_added(error: NotAdded) -> Status {
    match error {
        NotAdded::Member(error) => changed(error.into()),
        error => Status::failed_precondition(error.to_string()),
    }
}

fn changed(error: ChangeError) -> Status {
    let text = error.to_string();
    match error {
        ChangeError::Rejected(rejection) => status::status(rejection),
        ChangeError::Crowded => Status::aborted(text),
        ChangeError::Copy { .. } => Status::failed_precondition(text),
        ChangeError::Member(error) => match error {
            MemberError::MalformedId(_) | MemberError::MalformedAddress(_) => Status::invalid_argument(text),
            MemberError::IdTaken { .. } | MemberError::AddressTaken { .. } => Status::already_exists(text),
            MemberError::Unknown(_) => Status::not_found(text),
            MemberError::Full(_) | MemberError::Last(_) | MemberError::OnlyVoter { .. } => Status::failed_precondition(text),
        },
    }
}

fn moved(id: &str, error: &MoveError) -> Status {
    // Groups know peers by their numbers.
    let text = format!("member_id {id:?}: {error}");
    match error {
        MoveError::UnknownGroup(_) | MoveError::UnknownMember(_) => Status::not_found(error.to_string()),
        MoveError::Unfit(_) => Status::failed_precondition(text),
        MoveError::TimedOut { .. } => Status::deadline_exceeded(text),
        MoveError::NoLeader(_) | MoveError::Unreachable(_) | MoveError::Leaving(_) => Status::unavailable(text),
    }
}

#[async_trait]
impl proto::admin_server::Admin for Admin {
    async fn check_health(&self, _: Request<proto::CheckHealthRequest>) -> Result<Response<proto::Status>, Status> {
        self.context.cluster.serving().map_err(Status::unavailable)?;
        Ok(Response::new(proto::Status {}))
    }

    async fn get_cluster_info(&self, _: Request<proto::GetClusterInfoRequest>) -> Result<Response<proto::ClusterInfo>, Status> {
        Ok(Response::new(SendWrapper::new(self.cluster_info()).await))
    }

    async fn add_cluster_member(&self, request: Request<proto::AddClusterMemberRequest>) -> Result<Response<()>, Status> {
        SendWrapper::new(self.add(request.into_inner())).await.map(Response::new)
    }

    async fn remove_cluster_member(&self, request: Request<proto::RemoveClusterMemberRequest>) -> Result<Response<()>, Status> {
        SendWrapper::new(self.remove(request.into_inner())).await.map(Response::new)
    }

    async fn transfer_leader(&self, request: Request<proto::TransferLeaderRequest>) -> Result<Response<()>, Status> {
        SendWrapper::new(self.transfer(request.into_inner())).await.map(Response::new)
    }

    async fn rebalance(&self, _: Request<proto::RebalanceRequest>) -> Result<Response<()>, Status> {
        self.check_membership()?;
        self.context.shards.rebalance().map(Response::new).map_err(status::status)
    }

    async fn get_state_hash(&self, request: Request<proto::GetStateHashRequest>) -> Result<Response<proto::StateHash>, Status> {
        SendWrapper::new(self.state_hash(request.into_inner())).await.map(Response::new)
    }
}
