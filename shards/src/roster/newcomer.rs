//! What becomes of an empty disk that answers where a member should be. Pure.

use z4_model::ids::PeerNumber;
use z4_model::rows::incarnation::Incarnation;

use super::Roster;

/// What a member does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// The registry has this disk as that member: it may come in.
    Invite,
    /// Nobody has joined under the number: the disk is to be written down first.
    Claim,
    /// Somebody has joined under the number and made promises that this disk knows nothing of.
    Lost,
    /// The disk is that of another number: one of the two is a copy.
    Copy(PeerNumber),
}

impl Roster {
    /// Decides. `votes`: some group counts the votes of this number, so somebody has joined under it, also when that was before disks were
    /// told apart.
    pub fn newcomer(&self, number: PeerNumber, disk: Incarnation, votes: bool) -> Newcomer {
        match self.incarnation(number) {
            Some(known) if known == disk => Newcomer::Invite,
            Some(_) => Newcomer::Lost,
            None if votes => Newcomer::Lost,
            None => self.owner(disk).map_or(Newcomer::Claim, Newcomer::Copy),
        }
    }

    /// The number under which a disk has joined, removed or not.
    pub fn owner(&self, disk: Incarnation) -> Option<PeerNumber> {
        self.incarnations.iter().find(|(_, known)| **known == disk).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    //! An empty disk that is taken for the one before it votes away what that one has acknowledged.
    use super::*;

    #[test]
    fn only_the_disk_that_joined_first_is_a_member() {
        let (first, second) = (Incarnation::new(1), Incarnation::new(2));
        let roster = Roster { incarnations: [(2, first)].into(), ..Roster::default() };
        for votes in [false, true] {
            assert_eq!(roster.newcomer(2, first, votes), Newcomer::Invite);
            assert_eq!(roster.newcomer(2, second, votes), Newcomer::Lost);
        }
        assert_eq!(roster.newcomer(3, second, false), Newcomer::Claim);
        assert_eq!(roster.newcomer(3, second, true), Newcomer::Lost, "it joined before disks were told apart");
    }

    /// An image of a machine in which a peer has waited once: all its clones have one disk.
    #[test]
    fn a_disk_is_one_member() {
        let (disk, other) = (Incarnation::new(1), Incarnation::new(2));
        let roster = Roster { incarnations: [(2, disk)].into(), ..Roster::default() };
        assert_eq!(roster.newcomer(3, disk, false), Newcomer::Copy(2));
        assert_eq!(roster.newcomer(3, other, false), Newcomer::Claim);
        assert_eq!((roster.owner(disk), roster.owner(other)), (Some(2), None));
    }
}
