//! What grows is refused while disks are short of their reserve; what shrinks goes on, and brings the space back.
//!
//! The group's leader decides. It looks at its own disks, and at those of the other voters, as they say with each answer to a ping: one
//! that is full would end its process at the last byte. A minority may, the group goes on without it; a majority must not be driven to it.

use z4_model::command::{Command, Op};

use crate::link::{Reach, Space};
use crate::shard::api::Rejection;
use crate::shard::batcher::Route;
use crate::shard::group::Group;

/// Whose disk it is that has no room, as a refusal says it.
pub(super) const LEADERS: &str = "the disk of the group's leader has";
pub(super) const MAJORITYS: &str = "the disks of most of the group's peers have";

/// What is full while writers wait for a peer that gets a snapshot, or catches up from one.
pub(super) const HELD: &str = "the raft log that is kept for a peer that gets a snapshot (log_held_bytes_max)";

/// The command makes the group larger, as far as one can tell from it.
fn grows(command: &Command) -> bool {
    command.ops.iter().any(|op| match op {
        Op::Create(_) => true,
        Op::Update(update) => update.payload.is_some() || update.metadata.is_some(),
        _ => false,
    })
}

/// Too few of the voters have room to make a majority.
fn is_crowded(voters: usize, with_room: usize) -> bool {
    with_room <= voters / 2
}

impl Group {
    /// Refuses a command that grows when this replica leads and there is no room for it.
    pub(super) fn check_room(&self, command: &Command) -> Result<(), Rejection> {
        if !matches!(self.batcher.route(), Route::Here { .. }) {
            return Ok(());
        }
        let short = match (self.links.reach().space().short_of(), self.crowded.get()) {
            (Some(reserve_bytes), _) => Rejection::DiskFull { whose: LEADERS, reserve_bytes },
            (None, Some(reserve_bytes)) => Rejection::DiskFull { whose: MAJORITYS, reserve_bytes },
            (None, None) if self.brakes.get() => Rejection::Overloaded { what: HELD, limit: self.held_bytes_max },
            (None, None) => return Ok(()),
        };
        if grows(command) { Err(short) } else { Ok(()) }
    }

    /// Looks at what the other voters say of their disks.
    pub(super) fn look_at_disks(&self) {
        let Some(voters) = self.replica().map(|replica| replica.status().voters) else { return };
        self.crowded.set(crowded_by(self.links.reach(), self.links.reach().space(), self.me, &voters));
    }
}

/// The largest reserve that a majority of the voters is short of.
fn crowded_by(reach: &Reach, own: &Space, me: u64, voters: &[u64]) -> Option<u64> {
    let table = reach.table();
    let short_of = |peer: &u64| match *peer == me {
        true => own.short_of(),
        false => table.get(peer).and_then(|reach| reach.short_of),
    };
    let short: Vec<u64> = voters.iter().filter_map(short_of).collect();
    let crowded = !voters.is_empty() && is_crowded(voters.len(), voters.len() - short.len());
    short.into_iter().max().filter(|_| crowded)
}

#[cfg(test)]
mod tests {
    //! A leader that goes on while most disks are full drives a majority of the processes to their end; one that stops for a single full
    //! follower gives every cluster the space of its smallest disk.
    use super::*;

    #[test]
    fn a_majority_without_room_stops_creates_and_a_minority_does_not() {
        let reach = Reach::default();
        let look = |voters: &[u64]| crowded_by(&reach, reach.space(), 1, voters);
        assert_eq!(look(&[1, 2, 3]), None);
        reach.update(2, |reach| reach.short_of = Some(512));
        assert_eq!(look(&[1, 2, 3]), None);
        assert_eq!(look(&[1, 2]), Some(512), "of two voters both are needed");
        reach.update(3, |reach| reach.short_of = Some(1024));
        assert_eq!(look(&[1, 2, 3]), Some(1024));
        assert_eq!(look(&[1, 2, 3, 4, 5]), None);
        reach.update(2, |reach| reach.short_of = None);
        assert_eq!(look(&[1, 2, 3]), None);
        reach.space().set_short_of(Some(2048));
        assert_eq!(look(&[1, 2, 3]), Some(2048));
        assert_eq!(look(&[]), None);
    }
}
