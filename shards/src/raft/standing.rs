//! How the replicas of a group are, beyond their logs: what followers tell their leader with each answer, and whether a replica applies
//! what was committed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use z4_model::ids::PeerNumber;
use z4_proto::peer::Appended;

use super::config;
use super::replica::Replica;
use crate::runtime::clock::Instant;
use crate::runtime::{clock, pace};

/// A follower that has not applied what was committed for so long should not lead.
const STALLED_MAX: Duration = Duration::from_secs(2);

/// What one follower told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// It votes for nobody for so long after a heartbeat.
    pub lease: Duration,
    /// Up to where it has applied the log.
    pub applied: u64,
    /// For how long it has applied nothing although something was committed.
    pub stalled: Duration,
}

/// What the followers told.
#[derive(Clone, Default)]
pub(super) struct Followers(Rc<RefCell<BTreeMap<PeerNumber, Told>>>);

impl Followers {
    /// Takes what a follower told with an answer.
    pub(super) fn heard(&self, from: PeerNumber, answer: &Appended) {
        let lease = Duration::from_millis(answer.lease_ms.into()).max(config::LEASE);
        let told = Told { lease, applied: answer.applied, stalled: Duration::from_millis(answer.stalled_ms) };
        self.0.borrow_mut().insert(from, told);
    }

    fn get(&self, peer: PeerNumber) -> Option<Told> {
        self.0.borrow().get(&peer).copied()
    }
}

/// Whether a replica applies what was committed. Time is an input.
#[derive(Debug, Default)]
pub(super) struct Progress {
    applied: Cell<u64>,
    /// Since when it stands there although more was committed.
    since: Cell<Option<Instant>>,
}

impl Progress {
    /// Looks. Returns for how long nothing was applied although something was committed.
    pub(super) fn look(&self, now: Instant, applied: u64, committed: u64) -> Duration {
        let moved = self.applied.replace(applied) != applied;
        if committed <= applied {
            self.since.set(None);
        } else if moved || self.since.get().is_none() {
            self.since.set(Some(now));
        }
        self.since.get().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }
}

impl Replica {
    /// For how long this replica has applied nothing although something was committed.
    pub fn stalled(&self) -> Duration {
        let (applied, committed) = {
            let metrics = self.raft.metrics();
            let m = metrics.borrow_watched();
            // What is committed and here: a follower that lacks entries, or waits for a snapshot, does not hang.
            (m.last_applied.map_or(0, |at| at.index), m.local_committed.map_or(0, |at| at.index))
        };
        self.progress.look(clock::monotonic(), applied, committed)
    }

    /// What this replica tells a leader with an answer, beyond its log; taken when the request came.
    pub(super) fn tell(&self) -> Appended {
        let applied = self.raft.metrics().borrow_watched().last_applied.map_or(0, |at| at.index);
        Appended {
            lease_ms: u32::try_from(pace::granted(config::LEASE).as_millis()).unwrap_or(u32::MAX),
            applied,
            stalled_ms: self.stalled().as_millis() as u64,
            ..Appended::default()
        }
    }

    /// As the leader: another replica could serve at once. Its disk is quick, and it lacks at most so many applied entries.
    pub fn is_well(&self, peer: PeerNumber, lag_max: u64) -> bool {
        let applied = self.status().applied_index.unwrap_or(0);
        self.followers_told.get(peer).is_some_and(|told| {
            pace::is_quick_lease(told.lease, config::LEASE)
                && told.stalled < STALLED_MAX
                && told.applied.saturating_add(lag_max) >= applied
        })
    }

    /// As the leader: another replica said that it does not apply what was committed.
    pub fn hangs(&self, peer: PeerNumber) -> bool {
        self.followers_told.get(peer).is_some_and(|told| told.stalled >= STALLED_MAX)
    }

    /// While this replica leads: until when no other one can be elected, because a quorum answered what was sent then, and votes for nobody
    /// for a lease from when it came. `None`: it does not lead, or never heard from a quorum.
    pub fn lease_until(&self) -> Option<Instant> {
        let metrics = self.raft.metrics();
        let m = metrics.borrow_watched();
        if m.state != openraft::ServerState::Leader {
            return None;
        }
        let own = clock::monotonic() + pace::stretch(config::LEASE);
        let until = |peer: &PeerNumber| {
            if *peer == m.id {
                return Some(own);
            }
            let sent = m.heartbeat.as_ref().and_then(|heartbeat| *heartbeat.get(peer)?)?.real();
            Some(sent + self.followers_told.get(*peer).map_or(config::LEASE, |told| told.lease))
        };
        let configs = m.membership_config.membership().get_joint_config();
        configs.iter().map(|voters| quorum(voters.iter().map(until).collect())).min().flatten()
    }
}

/// Until when a majority keeps what it promised; `None`: too few promised anything.
fn quorum(mut until: Vec<Option<Instant>>) -> Option<Instant> {
    until.sort_unstable_by(|a, b| b.cmp(a));
    until.get(until.len() / 2).copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A leader that counts on fewer than a majority delivers what another one may have delivered.
    #[test]
    fn a_lease_is_what_a_majority_keeps() {
        let now = clock::monotonic();
        let at = |ms| Some(now + Duration::from_millis(ms));
        assert_eq!(quorum(vec![at(5)]), at(5));
        assert_eq!(quorum(vec![at(5), at(9)]), at(5));
        assert_eq!(quorum(vec![at(5), None]), None);
        assert_eq!(quorum(vec![None, at(5), at(9)]), at(5));
        assert_eq!(quorum(vec![at(1), at(5), at(9)]), at(5));
        assert_eq!(quorum(vec![at(1), at(9), at(5), at(7)]), at(5));
        assert_eq!(quorum(vec![None, None, at(5), at(7), at(9)]), at(5));
        assert_eq!(quorum(Vec::new()), None);
    }

    /// A replica that applies slowly goes on; one that applies nothing hangs, from when there was something to apply.
    #[test]
    fn a_replica_stalls_when_nothing_is_applied_that_was_committed() {
        let (progress, start) = (Progress::default(), clock::monotonic());
        let look = |ms, applied, committed| progress.look(start + Duration::from_millis(ms), applied, committed).as_millis();
        assert_eq!(look(0, 0, 0), 0);
        assert_eq!(look(60_000, 5, 5), 0);
        assert_eq!((look(70_000, 5, 6), look(75_000, 5, 9)), (0, 5_000));
        assert_eq!((look(76_000, 6, 9), look(79_000, 6, 9)), (0, 3_000));
        assert_eq!((look(80_000, 9, 9), look(90_000, 9, 9)), (0, 0));
    }
}
