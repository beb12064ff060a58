//! Which step a group's leader takes next towards the roster. Pure.
//!
//! Every step is made whole or not at all, or leaves a change of voters half done, which the next leader finishes. None of them needs
//! memory of the steps before, so it does not matter who crashes when. One voter changes at a time, and only while a majority of the
//! voters before and after are reached: a group that has a quorum keeps it.

use std::collections::BTreeSet;

use z4_model::ids::PeerNumber;

use crate::raft::Members;
use crate::roster::Roster;

/// A learner that has acknowledged something and lacks no more entries than these has caught up.
pub const PROMOTE_LAG_MAX: u64 = 32;

/// What a leader does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The group is as the roster wants it.
    Nothing,
    /// Nothing can be done now.
    Wait(Wait),
    /// End the change of voters that is half done.
    FinishChange,
    /// Give a member a replica without a vote.
    AddLearner(PeerNumber),
    /// Give a learner that has caught up a vote.
    Promote(PeerNumber),
    /// This leader was removed from the cluster: have another voter lead.
    HandOver(PeerNumber),
    /// Take vote and replica from a peer that was removed from the cluster.
    RemoveVoter(PeerNumber),
    /// Take the replica from a peer that was removed from the cluster.
    RemoveLearner(PeerNumber),
}

/// What a group waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wait {
    /// The registry has not arrived on this peer.
    #[error("the registry is not known here yet")]
    Registry,
    /// A membership is on its way.
    #[error("a change of the members is not committed yet")]
    Commit,
    /// The replica of a member has not got the log yet.
    #[error("the replica of peer {0} has not caught up, or is not connected")]
    CatchUp(PeerNumber),
    /// Without this peer no majority of the voters would be reached.
    #[error("peer {0} was removed from the cluster, but without it no majority of the voters is connected")]
    Quorum(PeerNumber),
    /// This peer hears that it was removed from the registry alone, which it is a part of until no other group counts on it.
    #[error("peer {0} was removed from the cluster, and another group still names it")]
    Elsewhere(PeerNumber),
    /// Nobody can take over.
    #[error("this peer was removed from the cluster and leads: no other voter can take over now")]
    Successor,
}

/// What the decision is made from.
pub struct Situation<'a> {
    /// Who is in the cluster.
    pub roster: &'a Roster,
    /// The group, as its leader knows it.
    pub members: &'a Members,
    /// The leader's number.
    pub me: PeerNumber,
    /// Peers that the leader is connected with.
    pub connected: &'a BTreeSet<PeerNumber>,
    /// Who stays for now, removed or not. The registry is what tells a peer that it was removed, and that it is to hand over what it leads:
    /// it keeps a replica of it for as long as another group names it.
    pub needed: &'a BTreeSet<PeerNumber>,
    /// It is not too soon to hand over (again).
    pub may_hand_over: bool,
}

impl Situation<'_> {
    /// Decides.
    pub fn step(&self) -> Step {
        let members = self.members;
        let wanted: BTreeSet<PeerNumber> = self.roster.present().map(|member| member.number).collect();
        if wanted.is_empty() || members.configs.is_empty() {
            return Step::Wait(Wait::Registry);
        }
        if !members.committed {
            return Step::Wait(Wait::Commit);
        }
        if members.configs.len() > 1 {
            return Step::FinishChange;
        }
        let voters = members.voters();
        // A peer that this registry does not tell of may have come later than the registry that this peer has.
        let removed: BTreeSet<PeerNumber> = self.roster.members.iter().filter(|m| m.removed).map(|m| m.number).collect();
        if removed.contains(&self.me)
            && let Some(successor) = self.successor(&voters, &wanted)
        {
            return Step::HandOver(successor);
        }
        if let Some(missing) = wanted.difference(&members.nodes).next() {
            return Step::AddLearner(*missing);
        }
        let goes = |peer: &&PeerNumber| removed.contains(peer) && !self.needed.contains(peer);
        if let Some(learner) = members.nodes.difference(&voters).find(goes) {
            return Step::RemoveLearner(*learner);
        }
        let learners = || wanted.difference(&voters);
        if let Some(ready) = learners().find(|peer| self.has_caught_up(**peer) && self.holds(&voters, **peer, true)) {
            return Step::Promote(*ready);
        }
        let mut leaving: Vec<PeerNumber> = voters.iter().filter(goes).copied().filter(|peer| *peer != self.me).collect();
        // Those that are gone anyway first: each of them that goes makes the majority smaller.
        leaving.sort_by_key(|peer| self.is_reached(*peer));
        if let Some(peer) = leaving.iter().find(|peer| self.holds(&voters, **peer, false)) {
            return Step::RemoveVoter(*peer);
        }
        let stays = members.nodes.intersection(&removed).find(|peer| self.needed.contains(peer));
        match (leaving.first(), learners().next(), stays) {
            (Some(peer), ..) => Step::Wait(Wait::Quorum(*peer)),
            (None, Some(learner), _) => Step::Wait(Wait::CatchUp(*learner)),
            (None, None, _) if removed.contains(&self.me) => Step::Wait(Wait::Successor),
            (None, None, Some(peer)) => Step::Wait(Wait::Elsewhere(*peer)),
            (None, None, None) => Step::Nothing,
        }
    }

    fn is_reached(&self, peer: PeerNumber) -> bool {
        peer == self.me || self.connected.contains(&peer)
    }

    fn has_caught_up(&self, peer: PeerNumber) -> bool {
        self.is_reached(peer)
            && self.members.has_answered(peer)
            && self.members.lag(peer).is_some_and(|lag| lag <= PROMOTE_LAG_MAX)
    }

    /// A majority is reached of the voters as they are, and as they will be with or without `peer`.
    fn holds(&self, voters: &BTreeSet<PeerNumber>, peer: PeerNumber, joins: bool) -> bool {
        let mut after = voters.clone();
        if joins {
            after.insert(peer);
        } else {
            after.remove(&peer);
        }
        [voters, &after].into_iter().all(|voters| {
            let reached = voters.iter().filter(|peer| self.is_reached(**peer)).count();
            reached > voters.len() / 2
        })
    }

    /// The voter that is best to lead when this one goes.
    fn successor(&self, voters: &BTreeSet<PeerNumber>, wanted: &BTreeSet<PeerNumber>) -> Option<PeerNumber> {
        let fit = |peer: &&PeerNumber| **peer != self.me && self.may_hand_over && self.has_caught_up(**peer);
        let nearest = voters.intersection(wanted).filter(fit).min_by_key(|peer| self.members.lag(**peer));
        nearest.copied()
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
