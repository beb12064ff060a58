//! What adding or removing a peer comes to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use z4_model::command::{Before, Command, Op};
use z4_model::ids::{GroupId, PeerNumber};
use z4_model::rows::incarnation::{self, Incarnation};
use z4_model::rows::peer_row::{self, PeerRow};
use z4_model::rows::registry;

use super::{Member, Registry, Roster};

/// A cluster has at most so many members.
pub const MEMBERS_MAX: usize = 63;

/// Why the membership is not changed. The texts name the fields of the rpcs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// No id.
    #[error("member_id {0:?} is malformed: it takes 1 to 64 letters, digits, '.', '_' and '-'")]
    MalformedId(String),
    /// No address.
    #[error(
        "member_address {0:?} is malformed: it takes host:port (an IPv6 address in brackets, none that stands for all addresses of a machine), with a port from 1 to 65535"
    )]
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
    /// There are too many.
    #[error("member_id {0:?} cannot be added: the cluster has {MEMBERS_MAX} members, and that is the limit")]
    Full(String),
    /// Nobody has this id.
    #[error("member_id {0:?} is not a member of this cluster, and never was")]
    Unknown(String),
    /// Nobody would be left.
    #[error("member_id {0:?} is the last member of the cluster and cannot be removed")]
    Last(String),
    /// Nobody who is left would have what the group has.
    #[error(
        "member_id {id:?} cannot be removed now: no other member has a vote in group {group}, so nobody else is known to have its tasks; wait \
         until another one votes there (z4t info tells), or remove the ones that do not come"
    )]
    OnlyVoter {
        /// Who is to go.
        id: String,
        /// Where.
        group: GroupId,
    },
}

/// Whose votes count in each group, as far as it is known; nobody's: it is not known.
pub type Voters = BTreeMap<GroupId, BTreeSet<PeerNumber>>;

/// A change of peers' rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The number of the peer that it is about.
    pub number: PeerNumber,
    /// The rows to write, together; none: they say so already.
    pub rows: Vec<(PeerNumber, PeerRow)>,
}

impl Change {
    fn nothing(number: PeerNumber) -> Self {
        Change { number, rows: Vec::new() }
    }
}

fn row(member: &Member) -> PeerRow {
    PeerRow { id: member.id.clone(), address: member.address.clone(), removed: member.removed }
}

impl Roster {
    /// The member that has this id now.
    pub fn by_id(&self, id: &str) -> Option<&Member> {
        self.present().find(|member| member.id == id)
    }

    /// What has to be written for a peer to be a member. The same peer again changes nothing.
    pub fn add(&self, id: &str, address: &str) -> Result<Change, MemberError> {
        Roster::check_form(id, address)?;
        match self.by_id(id) {
            Some(member) if member.address.eq_ignore_ascii_case(address) => return Ok(Change::nothing(member.number)),
            Some(member) => return Err(MemberError::IdTaken { id: id.to_owned(), address: member.address.clone() }),
            None => {}
        }
        self.check_free(address, None)?;
        if self.present().count() >= MEMBERS_MAX {
            return Err(MemberError::Full(id.to_owned()));
        }
        Ok(self.newcomer_row(id, address, Vec::new()))
    }

    /// What has to be written for another disk to take the place of a member: that one goes, and one of the same id comes, under a number
    /// of its own. Where nobody has the id, it is added.
    pub fn replace(&self, id: &str, address: &str) -> Result<Change, MemberError> {
        let Some(lost) = self.by_id(id) else { return self.add(id, address) };
        Roster::check_form(id, address)?;
        self.check_free(address, Some(lost.number))?;
        if self.present().count() == 1 {
            return Err(MemberError::Last(id.to_owned()));
        }
        Ok(self.newcomer_row(id, address, vec![(lost.number, PeerRow { removed: true, ..row(lost) })]))
    }

    /// What has to be written for a member to be reached elsewhere.
    pub fn relocate(&self, number: PeerNumber, address: &str) -> Result<Change, MemberError> {
        let known = self.member(number).filter(|member| !member.removed);
        let member = known.ok_or_else(|| MemberError::Unknown(self.name(number)))?;
        if member.address.eq_ignore_ascii_case(address) {
            return Ok(Change::nothing(number));
        }
        Roster::check_form(&member.id, address)?;
        self.check_free(address, Some(number))?;
        Ok(Change { number, rows: vec![(number, PeerRow { address: address.to_owned(), ..row(member) })] })
    }

    /// What has to be written for a peer not to be a member any more. Removing it again changes nothing.
    pub fn remove(&self, id: &str) -> Result<Change, MemberError> {
        let Some(member) = self.by_id(id) else {
            let last = self.members.iter().rfind(|member| member.id == id);
            return last.map(|member| Change::nothing(member.number)).ok_or_else(|| MemberError::Unknown(id.to_owned()));
        };
        if self.present().count() == 1 {
            return Err(MemberError::Last(id.to_owned()));
        }
        Ok(Change { number: member.number, rows: vec![(member.number, PeerRow { removed: true, ..row(member) })] })
    }

    /// Who goes leaves a member with a vote in each group: it has what was acknowledged there, and can let others in.
    pub fn check_left(&self, change: &Change, voters: &Voters) -> Result<(), MemberError> {
        let goes = |number| change.rows.iter().any(|(row_of, row)| *row_of == number && row.removed);
        let Some(gone) = self.members.iter().find(|member| goes(member.number)) else { return Ok(()) };
        let stays = |number: &PeerNumber| !goes(*number) && self.present().any(|member| member.number == *number);
        match voters.iter().find(|(_, voters)| !voters.iter().any(stays)) {
            Some((group, _)) => Err(MemberError::OnlyVoter { id: gone.id.clone(), group: *group }),
            None => Ok(()),
        }
    }

    /// Id and address have their form.
    pub fn check_form(id: &str, address: &str) -> Result<(), MemberError> {
        if !peer_row::is_id(id) {
            return Err(MemberError::MalformedId(id.to_owned()));
        }
        if !peer_row::is_address(address) {
            return Err(MemberError::MalformedAddress(address.to_owned()));
        }
        Ok(())
    }

    /// The address is nobody else's than `owner`'s.
    fn check_free(&self, address: &str, owner: Option<PeerNumber>) -> Result<(), MemberError> {
        let mut others = self.present().filter(|member| Some(member.number) != owner);
        match others.find(|member| member.address.eq_ignore_ascii_case(address)) {
            Some(other) => Err(MemberError::AddressTaken { address: address.to_owned(), id: other.id.clone() }),
            None => Ok(()),
        }
    }

    /// Another row, after these: removed peers count, their numbers are not given out again.
    fn newcomer_row(&self, id: &str, address: &str, mut rows: Vec<(PeerNumber, PeerRow)>) -> Change {
        let number = 1 + self.members.iter().map(|member| member.number).max().unwrap_or(0);
        rows.push((number, PeerRow { id: id.to_owned(), address: address.to_owned(), removed: false }));
        Change { number, rows }
    }
}

impl Registry {
    /// The command that makes a change, unless another one was made since this was read.
    pub fn command(&self, change: &Change) -> Command {
        let mut ops = vec![self.revised(1)];
        ops.extend(change.rows.iter().map(|(number, row)| Op::Register {
            key: peer_row::name(*number),
            value: row.encode(),
            before: Before::Any,
        }));
        Command { namespace: registry::namespace(), ops }
    }

    /// The command that writes down which disk a peer is, unless one is written down already, or peers were changed since this was read. It
    /// counts as such a change: else two who have read the same could write one disk under two numbers.
    pub fn claim(&self, number: PeerNumber, disk: Incarnation) -> Command {
        let claim = Op::Register { key: incarnation::name(number), value: Bytes::from(disk.to_string()), before: Before::Absent };
        Command { namespace: registry::namespace(), ops: vec![self.revised(1), claim] }
    }

    /// Expects that no peer's row was changed since this was read, and counts so many changes.
    fn revised(&self, changes: u64) -> Op {
        let count = |revision: u64| Bytes::from(revision.to_string());
        Op::Register {
            key: Bytes::from_static(registry::PEERS_REVISION.as_bytes()),
            value: count(self.revision.unwrap_or(0) + changes),
            before: self.revision.map_or(Before::Absent, |revision| Before::Value(count(revision))),
        }
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
