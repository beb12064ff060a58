//! What adding or removing a peer comes to. Pure.

use super::{Member, Registry, Roster};
use crate::command::{Before, Command, Op};
use crate::ids::PeerNumber;
use crate::machine::peer_row::{self, PeerRow};
use crate::machine::registry;
use bytes::Bytes;

/// A cluster has at most so many members.
pub const MEMBERS_MAX: usize = 63;

/// Why the membership is not changed. The texts name the fields of the rpcs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// No id.
    #[error("member_id {0:?} is malformed: it takes 1 to 64 letters, digits, '.', '_' and '-'")]
    MalformedId(String),
    /// No address.
    #[error("member_address {0:?} is malformed: it takes host:port (an IPv6 address in brackets), with a port from 1 to 65535")]
    MalformedAddress(String),
    /// Another address is known for this id.
    #[error("member_id {id:?} is taken: that peer is a member at {address}; choose another id, or remove it first")]
    IdTaken {
        /// The id.
        id: String,
        /// Where that member is.
        address: String,
    },
    /// Another peer has this address.
    #[error("member_address {address:?} is taken by the member {id:?}")]
    AddressTaken {
        /// The address.
        address: String,
        /// Whose it is.
        id: String,
    },
    /// The id was a member's once.
    #[error("member_id {0:?} was removed from the cluster before; choose another id: ids are never used again")]
    WasRemoved(String),
    /// There are too many.
    #[error("member_id {0:?} cannot be added: the cluster has {MEMBERS_MAX} members, and that is the limit")]
    Full(String),
    /// Nobody has this id.
    #[error("member_id {0:?} is not a member of this cluster, and never was")]
    Unknown(String),
    /// Nobody would be left.
    #[error("member_id {0:?} is the last member of the cluster and cannot be removed")]
    Last(String),
}

/// A change of one peer's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub number: PeerNumber,
    /// The row to write; `None`: it says so already.
    pub row: Option<PeerRow>,
}

impl Roster {
    fn by_id(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// What has to be written for a peer to be a member. The same peer again changes nothing.
    pub fn add(&self, id: &str, address: &str) -> Result<Change, MemberError> {
        if !peer_row::is_id(id) {
            return Err(MemberError::MalformedId(id.to_owned()));
        }
        if !peer_row::is_address(address) {
            return Err(MemberError::MalformedAddress(address.to_owned()));
        }
        let same = |other: &str| other.eq_ignore_ascii_case(address);
        match self.by_id(id) {
            Some(member) if member.removed => return Err(MemberError::WasRemoved(id.to_owned())),
            Some(member) if same(&member.address) => return Ok(Change { number: member.number, row: None }),
            Some(member) => return Err(MemberError::IdTaken { id: id.to_owned(), address: member.address.clone() }),
            None => {}
        }
        if let Some(other) = self.present().find(|member| same(&member.address)) {
            return Err(MemberError::AddressTaken { address: address.to_owned(), id: other.id.clone() });
        }
        if self.present().count() >= MEMBERS_MAX {
            return Err(MemberError::Full(id.to_owned()));
        }
        // Removed peers count: their numbers are not given out again.
        let number = 1 + self.members.iter().map(|member| member.number).max().unwrap_or(0);
        let row = PeerRow { id: id.to_owned(), address: address.to_owned(), removed: false };
        Ok(Change { number, row: Some(row) })
    }

    /// What has to be written for a peer not to be a member any more. Removing it again changes nothing.
    pub fn remove(&self, id: &str) -> Result<Change, MemberError> {
        let member = self.by_id(id).ok_or_else(|| MemberError::Unknown(id.to_owned()))?;
        if member.removed {
            return Ok(Change { number: member.number, row: None });
        }
        if self.present().count() == 1 {
            return Err(MemberError::Last(id.to_owned()));
        }
        let row = PeerRow { id: member.id.clone(), address: member.address.clone(), removed: true };
        Ok(Change { number: member.number, row: Some(row) })
    }
}

impl Registry {
    /// The command that makes a change, unless another one was made since this was read.
    pub fn command(&self, number: PeerNumber, row: &PeerRow) -> Command {
        let count = |revision: u64| Bytes::from(revision.to_string());
        let revision = Op::Register {
            key: Bytes::from_static(registry::PEERS_REVISION.as_bytes()),
            value: count(self.revision.unwrap_or(0) + 1),
            before: self.revision.map_or(Before::Absent, |revision| Before::Value(count(revision))),
        };
        let peer = Op::Register { key: peer_row::name(number), value: row.encode(), before: Before::Any };
        Command { namespace: registry::namespace(), ops: vec![revision, peer] }
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
