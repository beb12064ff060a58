//! The cluster as an operator changes it: members come and go, leaders move.

use futures_channel::oneshot;
use z4_model::ids::{GroupId, PeerNumber};
use z4_model::rows::incarnation::Incarnation;

use crate::roster::change::{Change, MemberError, Voters};
use crate::roster::{Newcomer, Registry, Roster};
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
    /// A disk is one member.
    #[error("its disk is that of peer {of}, so one of the two is a copy: {COPY}")]
    Copy {
        /// Whose it is in the registry.
        of: String,
    },
}

/// How to go on with a copy of a disk.
pub const COPY: &str = "empty both directories of the one that has not joined and start it; it has a disk of its own then";

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
    /// It is about to stop, and leads nothing more.
    #[error("peer {0} is about to stop and leads nothing more")]
    Leaving(PeerNumber),
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

    /// Puts another disk in the place of a member that has lost its own: one wish, so that nobody stops half way. Answers with the
    /// number of the one that comes.
    pub async fn replace_member(&self, id: &str, address: &str) -> Result<PeerNumber, ChangeError> {
        self.change_members(|roster| roster.replace(id, address)).await
    }

    /// Writes down where a member is reached from now on.
    pub async fn relocate_member(&self, number: PeerNumber, address: &str) -> Result<PeerNumber, ChangeError> {
        self.change_members(|roster| roster.relocate(number, address)).await
    }

    /// Takes a member out of every group. Answers when the wish is stored; the same peer again is fine.
    pub async fn remove_member(&self, id: &str) -> Result<PeerNumber, ChangeError> {
        self.change_members(|roster| roster.remove(id)).await
    }

    async fn change_members(&self, decide: impl Fn(&Roster) -> Result<Change, MemberError>) -> Result<PeerNumber, ChangeError> {
        for _ in 0..TRIES_MAX {
            let registry = self.registry().await?;
            let change = decide(&registry.roster)?;
            if change.rows.is_empty() {
                return Ok(change.number);
            }
            registry.roster.check_left(&change, &self.voters().await)?;
            match self.registry_write(registry.command(&change)).await {
                Ok(()) => return Ok(change.number),
                // Another change was faster, or this one may have been made: what is there now tells.
                Err(Rejection::Refused(_)) => {}
                // Made twice, a replacement would take out the one that it has brought in.
                Err(Rejection::Unknown { .. }) if change.rows.len() == 1 => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(ChangeError::Crowded)
    }

    /// Writes down which disk a member is, unless one is written down: the first one that joins under a number is that member for ever.
    /// Answers with the registry as it is then; `None`: it is another disk than this one, or somebody has joined before disks were told
    /// apart, or the peer is no member.
    ///
    /// # Errors
    /// The disk is another number's already; or the registry cannot be read or written.
    pub async fn claim(&self, number: PeerNumber, disk: Incarnation, is_newcomer: bool) -> Result<Option<Registry>, ChangeError> {
        for _ in 0..TRIES_MAX {
            let registry = self.registry().await?;
            if registry.roster.member(number).is_none_or(|member| member.removed) {
                return Ok(None);
            }
            // Read behind the same barrier as the registry: what a group decided before is known here, as far as it is a voter's.
            let votes = is_newcomer && self.groups().await.iter().any(|group| group.voters.contains(&number));
            match registry.roster.newcomer(number, disk, votes) {
                Newcomer::Invite => return Ok(Some(registry)),
                Newcomer::Lost => return Ok(None),
                Newcomer::Copy(other) => return Err(ChangeError::Copy { of: registry.roster.name(other) }),
                Newcomer::Claim => {}
            }
            match self.registry_write(registry.claim(number, disk)).await {
                Ok(()) | Err(Rejection::Refused(_) | Rejection::Unknown { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(ChangeError::Crowded)
    }

    /// Who votes where, as the replicas here know it. A member that votes goes on to do so until it is removed, so what is old tells of too few.
    async fn voters(&self) -> Voters {
        let mut voters: Voters = self.all_groups().into_iter().map(|group| (group, Default::default())).collect();
        voters.extend(self.groups().await.into_iter().map(|group| (group.group, group.voters.into_iter().collect())));
        voters
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
