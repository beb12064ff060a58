//! Who is in the cluster, as the registry says: the desired membership of every group.

pub mod change;
mod rows;

pub use rows::{Registry, RowError};

use crate::ids::PeerNumber;

/// A peer of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number inside Raft; never given to another peer.
    pub number: PeerNumber,
    /// Its id, as the operator chose it; never given to another peer.
    pub id: String,
    /// Where the other peers reach it, `host:port`.
    pub address: String,
    /// It was removed: no group wants it any more, and its id stays taken.
    pub removed: bool,
}

/// Everybody who is or was in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The cluster's id; empty: not known yet.
    pub cluster: String,
    /// In the order of their numbers.
    pub members: Vec<Member>,
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
}
