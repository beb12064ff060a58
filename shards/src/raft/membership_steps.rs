//! The steps by which a leader changes its group's membership, one at a time, and what it knows when it decides on one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::impls::BasicNode;
use z4_model::ids::PeerNumber;

use super::replica::Replica;

/// A group's membership as one of its replicas knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The voters. Two sets while a change from the first to the second is under way: each needs a majority. Never empty in a group
    /// that was initialized.
    pub configs: Vec<BTreeSet<PeerNumber>>,
    /// Everybody who has a replica: voters and learners.
    pub nodes: BTreeSet<PeerNumber>,
    /// This membership is committed. Else the next change has to wait.
    pub committed: bool,
    /// The last index of the log.
    pub last_log_index: u64,
    /// On the leader: up to where each replica is known to have the log; 0: nothing is known. Empty elsewhere.
    pub matched: BTreeMap<PeerNumber, u64>,
}

impl Members {
    /// The voters that the group will have once a change that is under way is done.
    pub fn voters(&self) -> BTreeSet<PeerNumber> {
        self.configs.last().cloned().unwrap_or_default()
    }

    /// A vote of this peer counts.
    pub fn is_voter(&self, peer: PeerNumber) -> bool {
        self.configs.iter().any(|config| config.contains(&peer))
    }

    /// A replica has acknowledged some of the log to this leader. One that was never heard of may lack few entries as well, where there
    /// are few.
    pub fn has_answered(&self, peer: PeerNumber) -> bool {
        self.matched.get(&peer).is_some_and(|matched| *matched > 0)
    }

    /// How many entries a replica lacks, as far as the leader knows; `None`: nothing is known.
    pub fn lag(&self, peer: PeerNumber) -> Option<u64> {
        self.matched.get(&peer).map(|matched| self.last_log_index.saturating_sub(*matched))
    }
}

/// A step that was not made, or not to its end: what is there now tells what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StepError(String);

impl Replica {
    /// The membership as this replica knows it now.
    pub fn members(&self) -> Members {
        let metrics = self.raft.metrics();
        let m = metrics.borrow_watched();
        let membership = m.membership_config.membership();
        let matched = m.replication.iter().flatten().map(|(peer, at)| (*peer, at.as_ref().map_or(0, |at| at.index))).collect();
        Members {
            configs: membership.get_joint_config().clone(),
            nodes: membership.nodes().map(|(peer, _)| *peer).collect(),
            committed: m.membership_config.log_id() == m.committed_membership_config.log_id(),
            last_log_index: m.last_log_index.unwrap_or(0),
            matched,
        }
    }

    /// Ends a change that an earlier leader began: the second of the two sets of voters is the only one. Who was a voter before and is
    /// none any more has no replica any more.
    pub async fn finish_change(&self) -> Result<(), StepError> {
        self.change(ChangeMembers::AddVoterIds(BTreeSet::new()), false).await
    }

    /// Gives a peer a replica that has no vote yet. One that it has already is left alone.
    pub async fn add_learner(&self, peer: PeerNumber, address: &str) -> Result<(), StepError> {
        let added = self.raft.add_learner(peer, BasicNode { addr: address.to_owned() }, false).await;
        added.map(|_| ()).map_err(|e| StepError(e.to_string()))
    }

    /// Gives a learner a vote.
    pub async fn promote(&self, peer: PeerNumber) -> Result<(), StepError> {
        // `retain` speaks of voters that go, and none does.
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([peer])), true).await
    }

    /// Takes vote and replica from a voter.
    pub async fn remove_voter(&self, peer: PeerNumber) -> Result<(), StepError> {
        self.change(ChangeMembers::RemoveVoters(BTreeSet::from([peer])), false).await
    }

    /// Takes the replica from a learner.
    pub async fn remove_learner(&self, peer: PeerNumber) -> Result<(), StepError> {
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([peer])), false).await
    }

    async fn change(&self, change: ChangeMembers<PeerNumber, BasicNode>, retain: bool) -> Result<(), StepError> {
        self.raft.change_membership(change, retain).await.map(|_| ()).map_err(|e| StepError(e.to_string()))
    }

    /// Asks a voter to lead. From now on this replica takes no proposals and sends no heartbeats: when the voter does not take over,
    /// the others elect a leader once they have heard nothing for long enough.
    pub async fn ask_to_lead(&self, peer: PeerNumber) -> Result<(), StepError> {
        self.raft.trigger().transfer_leader(peer).await.map_err(|e| StepError(e.to_string()))
    }

    /// Waits until another peer leads, and says which; `None`: none does within the time.
    pub async fn other_leader(&self, within: Duration) -> Option<PeerNumber> {
        let wait = self.raft.wait(Some(within));
        let leads = wait.metrics(|m| m.current_leader.is_some_and(|leader| leader != m.id), "another peer leads").await;
        leads.ok()?.current_leader
    }
}
