//! The cluster as an operator changes it: members come and go, leaders move.

use futures_channel::oneshot;

use crate::ids::{GroupId, PeerNumber};
use crate::roster::change::{Change, MemberError};
use crate::roster::{Registry, Roster};
use crate::shard::api::Rejection;
use crate::shard::handle::Shards;
use crate::shard::message::Message;

/// So often a change is tried while others are faster.
const TRIES_MAX: usize = 16;

/// Why the membership was not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    /// It must not be.
    #[error(transparent)]
    Member(#[from] MemberError),
    /// It could not be.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Others changed the membership at the same time, again and again.
    #[error("the membership was changed {TRIES_MAX} times by others meanwhile; try again")]
    Crowded,
}

/// Why a leader was not moved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MoveError {
    /// No such group.
    #[error("group {0} does not exist in this cluster")]
    UnknownGroup(GroupId),
    /// No such peer.
    #[error("member_id {0:?} is not a member of this cluster")]
    UnknownMember(String),
    /// It cannot lead now, and why.
    #[error("{0}")]
    Unfit(String),
    /// Nobody leads the group now.
    #[error("group {0} has no leader now that could hand over; try again")]
    NoLeader(GroupId),
    /// It did not happen in time.
    #[error("group {group}: {to} does not lead after {seconds} s; the group has the leader that it elects")]
    TimedOut {
        /// Which.
        group: GroupId,
        /// Who should lead.
        to: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The leader could not be asked, or did not answer.
    #[error("{0}")]
    Unreachable(String),
}

impl Shards {
    /// Makes a peer a member: every group will get a replica there. Answers when the wish is stored, with the peer's number; the same
    /// peer again is fine.
    pub async fn add_member(&self, id: &str, address: &str) -> Result<PeerNumber, ChangeError> {
        self.change_members(|roster| roster.add(id, address)).await
    }

    /// Takes a member out of every group. Answers when the wish is stored; the same peer again is fine.
    pub async fn remove_member(&self, id: &str) -> Result<PeerNumber, ChangeError> {
        self.change_members(|roster| roster.remove(id)).await
    }

    async fn change_members(&self, decide: impl Fn(&Roster) -> Result<Change, MemberError>) -> Result<PeerNumber, ChangeError> {
        for _ in 0..TRIES_MAX {
            let registry = self.registry().await?;
            let Change { number, row } = decide(&registry.roster)?;
            let Some(row) = row else { return Ok(number) };
            match self.registry_write(registry.command(number, &row)).await {
                Ok(()) => return Ok(number),
                // Another change was faster, or this one may have been made: what is there now tells.
                Err(Rejection::Refused(_) | Rejection::Unknown { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(ChangeError::Crowded)
    }

    /// The registry, linearizable.
    pub async fn registry(&self) -> Result<Registry, Rejection> {
        self.read_barrier(GroupId::REGISTRY).await?;
        self.ask(GroupId::REGISTRY, Message::Registry).await
    }

    /// Every group of the cluster, the registry first.
    pub fn all_groups(&self) -> Vec<GroupId> {
        let mut groups = vec![GroupId::REGISTRY];
        groups.extend(self.groups_of_tasks().unwrap_or_default());
        groups
    }

    /// Has another peer lead a group; answers when it does.
    pub async fn transfer_leader(&self, group: GroupId, to: &str) -> Result<(), MoveError> {
        let roster = self.roster();
        let member = roster.present().find(|member| member.id == to);
        let to = member.ok_or_else(|| MoveError::UnknownMember(to.to_owned()))?.number;
        if !self.all_groups().contains(&group) {
            return Err(MoveError::UnknownGroup(group));
        }
        let (tx, rx) = oneshot::channel();
        self.post(group, Message::MoveLeader(group, to, tx))
            .map_err(|e| MoveError::Unreachable(self.overloaded(&e).to_string()))?;
        rx.await.unwrap_or_else(|_| Err(MoveError::Unreachable(Rejection::Stopping.to_string())))
    }

    /// Has every peer that is reached spread leaders evenly again.
    pub fn rebalance(&self) -> Result<(), Rejection> {
        self.post(GroupId::REGISTRY, Message::Rebalance).map_err(|e| self.overloaded(&e))
    }

    /// The last applied index of this peer's replica of a group (`None`: nothing is applied), and the hash over its state there.
    pub async fn state_hash(&self, group: GroupId) -> Result<(Option<u64>, u64), Rejection> {
        self.ask(group, |answer| Message::StateHash(group, answer)).await
    }
}
