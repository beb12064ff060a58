//! Who is in the cluster, as the registry says: the desired membership of every group.

pub mod change;
mod newcomer;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

pub use newcomer::Newcomer;
pub use rows::{Registry, RowError};
use z4_model::ids::PeerNumber;
use z4_model::rows::incarnation::Incarnation;

/// A peer of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number inside Raft; never given to another peer.
    pub number: PeerNumber,
    /// Its id, as the operator chose it. Once it was removed, another peer may get it.
    pub id: String,
    /// Where the other peers reach it, `host:port`.
    pub address: String,
    /// It was removed: no group wants it any more.
    pub removed: bool,
}

/// Everybody who is or was in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The cluster's id; empty: not known yet.
    pub cluster: String,
    /// In the order of their numbers.
    pub members: Vec<Member>,
    /// The disk that joined under each number. None: nobody has joined yet, or did so before disks were told apart.
    pub incarnations: BTreeMap<PeerNumber, Incarnation>,
}

impl Roster {
    /// The member with this number, removed or not.
    pub fn member(&self, number: PeerNumber) -> Option<&Member> {
        self.members.iter().find(|member| member.number == number)
    }

    /// Those that belong to the cluster.
    pub fn present(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.removed)
    }

    /// The disk that joined under this number.
    pub fn incarnation(&self, number: PeerNumber) -> Option<Incarnation> {
        self.incarnations.get(&number).copied()
    }

    /// What people are told of a peer: its id, or when that is another one's by now, `id#number`. Its number, when it is nobody here.
    pub fn name(&self, number: PeerNumber) -> String {
        let Some(member) = self.member(number) else { return number.to_string() };
        let reused = member.removed && self.members.iter().any(|other| other.id == member.id && other.number > number);
        if reused { format!("{}#{number}", member.id) } else { member.id.clone() }
    }

    /// Links are kept with this peer: it is a member, or was removed and some group (`named`) still counts on it. Without it such a group
    /// might have no majority that could take it out.
    pub fn links_to(&self, number: PeerNumber, named: &BTreeSet<PeerNumber>) -> bool {
        self.member(number).is_some_and(|member| !member.removed || named.contains(&number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: PeerNumber, id: &str, removed: bool) -> Member {
        Member { number, id: id.into(), address: format!("{id}:1"), removed }
    }

    /// While a disk is replaced both of them are in the groups: one name for the two would tell that the new one votes already.
    #[test]
    fn two_peers_that_share_an_id_have_two_names() {
        let members = vec![member(1, "a", false), member(2, "b", true), member(3, "b", false), member(4, "c", true)];
        let roster = Roster { members, ..Roster::default() };
        assert_eq!([1, 2, 3, 4, 5].map(|number| roster.name(number)), ["a", "b#2", "b", "c", "5"]);
    }

    #[test]
    fn a_removed_peer_is_linked_as_long_as_a_group_names_it() {
        let roster = Roster { members: vec![member(1, "a", false), member(2, "b", true)], ..Roster::default() };
        assert!(roster.links_to(1, &BTreeSet::new()));
        assert!(roster.links_to(2, &BTreeSet::from([2])));
        assert!(!roster.links_to(2, &BTreeSet::from([1])));
        assert!(!roster.links_to(3, &BTreeSet::from([3])), "a number that the registry does not know is nobody");
    }
}
