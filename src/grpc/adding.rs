//! Whether a peer is added, replaced or left alone, after somebody was called at its address. Pure.

use z4_model::ids::PeerNumber;
use z4_proto::AddClusterMemberRequest;
use z4_shards::roster::change::MemberError;
use z4_shards::roster::{Newcomer, Roster};
use z4_shards::shard::members::COPY;

use crate::links::Found;

/// What is done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It is a member already, or about to become one.
    Nothing(PeerNumber),
    /// It is added.
    Add,
    /// It takes the place of the member with its id, whose disk is lost.
    Replace,
}

/// Why nothing is done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAdded {
    /// It could not be, whoever answers.
    #[error(transparent)]
    Member(#[from] MemberError),
    #[error(
        "nobody answers as a peer at member_address {address}: {reason}; nothing was stored. Start the peer first, or store it all the same \
         (force, z4t add-peer --force)"
    )]
    Nobody { address: String, reason: String },
    #[error(
        "the peer at member_address {address} has the id {found:?} in its own configuration (peer_id), not member_id {id:?}; nothing was stored"
    )]
    OtherId { address: String, found: String, id: String },
    #[error(
        "the peer at member_address {address} is {found} of the cluster {cluster}; nothing was stored. A peer changes its cluster with both \
         of its directories empty and without bootstrap_cluster"
    )]
    OtherCluster { address: String, found: String, cluster: String },
    #[error(
        "the peer at member_address {address} still has the disk of {found} (number {number}), which {what}; nothing was stored. It comes back \
         with both of its directories empty"
    )]
    Former { address: String, found: String, number: PeerNumber, what: &'static str },
    #[error(
        "member_id {id:?} is a member whose disk was another one than the empty one at {address}; nothing was stored. Is that disk lost? Then \
         this one takes its place with `replace` (z4t add-peer --replace)"
    )]
    LostDisk { id: String, address: String },
    #[error(
        "the empty disk at member_address {address} is that of peer {of}, so one of the two is a copy; nothing was stored: {COPY}"
    )]
    Copy { address: String, of: String },
}

/// Decides. `votes`: some group counts the votes of this number.
pub(super) fn decide(
    roster: &Roster,
    request: &AddClusterMemberRequest,
    found: Found,
    votes: impl Fn(PeerNumber) -> bool,
) -> Result<Deed, NotAdded> {
    let (id, address) = (request.member_id.clone(), request.member_address.clone());
    let deed = || match request.replace {
        true => roster.replace(&id, &address).map(|change| (Deed::Replace, change)),
        false => roster.add(&id, &address).map(|change| (Deed::Add, change)),
    };
    if request.force {
        return Ok(deed()?.0);
    }
    match found {
        Found::Nobody(reason) => match deed()?.1 {
            // Whoever is a member already may be away: nothing is stored.
            change if change.rows.is_empty() => Ok(Deed::Nothing(change.number)),
            _ => Err(NotAdded::Nobody { address, reason }),
        },
        Found::Empty { id: found, .. } if !found.is_empty() && found != id => Err(NotAdded::OtherId { address, found, id }),
        Found::Empty { disk, .. } => {
            let member = roster.by_id(&id);
            match member.map(|member| (member, roster.newcomer(member.number, disk, votes(member.number)))) {
                // Its place is kept for it: it is joining.
                Some((member, Newcomer::Invite)) => Ok(Deed::Nothing(member.number)),
                Some((member, Newcomer::Claim)) if member.address == address => Ok(Deed::Nothing(member.number)),
                Some((_, Newcomer::Lost)) if !request.replace => Err(NotAdded::LostDisk { id, address }),
                _ => match roster.owner(disk) {
                    Some(other) => Err(NotAdded::Copy { address, of: roster.name(other) }),
                    None => Ok(deed()?.0),
                },
            }
        }
        Found::Member { id: found, cluster, .. } if cluster != roster.cluster => {
            Err(NotAdded::OtherCluster { address, found, cluster })
        }
        Found::Member { id: found, number, .. } => match roster.member(number) {
            Some(member) if !member.removed && member.id == id => Ok(Deed::Nothing(number)),
            Some(member) if !member.removed => Err(NotAdded::Former { address, found, number, what: "is a member" }),
            Some(_) => Err(NotAdded::Former { address, found, number, what: "was removed from the cluster" }),
            None => Err(NotAdded::Former { address, found, number, what: "this peer does not know yet" }),
        },
    }
}

#[cfg(test)]
mod tests {
    //! A wish that cannot come true leaves a group waiting for a voter that never comes; one that is made twice takes out the disk that
    //! it has brought in.
    use z4_model::rows::incarnation::Incarnation;
    use z4_shards::roster::Member;

    use super::*;

    const LOST: Incarnation = Incarnation::new(1);
    const EMPTY: Incarnation = Incarnation::new(2);

    fn roster() -> Roster {
        let member = |number, id: &str, removed| Member { number, id: id.into(), address: format!("{id}:1"), removed };
        let members = vec![member(1, "a", false), member(2, "b", false), member(3, "c", true)];
        Roster { cluster: "c1".into(), members, incarnations: [(2, LOST)].into() }
    }

    fn asked(id: &str, address: &str, options: &str, found: Found) -> Result<Deed, NotAdded> {
        let (force, replace) = (options.contains("force"), options.contains("replace"));
        let request = AddClusterMemberRequest { member_address: address.into(), member_id: id.into(), force, replace };
        decide(&roster(), &request, found, |_| false)
    }

    fn empty(id: &str, disk: Incarnation) -> Found {
        Found::Empty { id: id.into(), disk }
    }

    fn member(id: &str, number: PeerNumber, cluster: &str) -> Found {
        Found::Member { id: id.into(), number, cluster: cluster.into() }
    }

    fn nobody() -> Found {
        Found::Nobody("refused".into())
    }

    #[test]
    fn who_does_not_answer_is_not_stored_unless_forced() {
        assert!(matches!(asked("d", "d:1", "", nobody()), Err(NotAdded::Nobody { .. })));
        assert!(matches!(asked("b", "b:1", "replace", nobody()), Err(NotAdded::Nobody { .. })));
        assert_eq!(asked("d", "d:1", "force", nobody()), Ok(Deed::Add));
        assert_eq!(asked("b", "b:1", "force replace", nobody()), Ok(Deed::Replace));
        assert_eq!(asked("b", "b:1", "", nobody()), Ok(Deed::Nothing(2)), "a member that is away stays one");
    }

    #[test]
    fn an_empty_disk_is_added_or_takes_the_place_of_a_lost_one() {
        for options in ["", "replace"] {
            assert_eq!(asked("d", "d:1", options, empty("", EMPTY)).map(|deed| deed != Deed::Nothing(4)), Ok(true));
            assert_eq!(
                asked("c", "c:1", options, empty("c", EMPTY)).map(|deed| deed != Deed::Nothing(3)),
                Ok(true),
                "free again"
            );
            assert_eq!(asked("b", "b:1", options, empty("b", LOST)), Ok(Deed::Nothing(2)), "it is joining");
            assert!(matches!(asked("d", "d:1", options, empty("e", EMPTY)), Err(NotAdded::OtherId { .. })));
        }
        assert_eq!(asked("b", "b:1", "replace", empty("b", EMPTY)), Ok(Deed::Replace));
        assert!(matches!(asked("b", "b:1", "", empty("b", EMPTY)), Err(NotAdded::LostDisk { .. })));
        assert_eq!(asked("a", "a:1", "replace", empty("a", EMPTY)), Ok(Deed::Nothing(1)), "nobody has joined there yet");
        let copy = asked("d", "d:1", "", empty("d", LOST)).expect_err("another peer's").to_string();
        assert!(copy.contains("is that of peer b") && copy.contains("empty both directories"), "{copy}");
    }

    #[test]
    fn a_disk_that_is_there_is_not_replaced() {
        let mut alone = roster();
        alone.members.truncate(1);
        let request =
            AddClusterMemberRequest { member_address: "a:1".into(), member_id: "a".into(), replace: true, force: false };
        let decided = decide(&alone, &request, member("a", 1, "c1"), |_| true);
        assert_eq!(decided, Ok(Deed::Nothing(1)), "the only member is there, and so is its disk");
        for options in ["", "replace"] {
            assert_eq!(asked("b", "b:1", options, member("b", 2, "c1")), Ok(Deed::Nothing(2)));
            assert!(matches!(asked("b", "b:1", options, member("b", 1, "c2")), Err(NotAdded::OtherCluster { .. })));
            let former = asked("c", "c:1", options, member("c", 3, "c1")).expect_err("it was removed").to_string();
            assert!(former.contains("was removed") && former.contains("empty"), "{former}");
        }
    }
}
