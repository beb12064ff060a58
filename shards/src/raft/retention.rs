//! How much of the log stays behind the last applied entry, and what of it a leader keeps for followers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use z4_model::ids::PeerNumber;

use crate::runtime::clock;
use crate::runtime::clock::Instant;

/// So many applied entries stay in any case: in this version of openraft a purge up to the last applied entry can overtake an apply
/// that is queued, and stop the replica (databendlabs/openraft#2116).
const MARGIN_ENTRIES: u64 = 16;

/// When a snapshot was installed, the follower has so long to show that it goes on from there.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// How much of the log a replica keeps, bytes of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Behind the last applied entry, for followers that were away. A leader keeps less when every replica has it already.
    pub retained_bytes: u64,
    /// What a leader keeps at most for a follower that is there and catches up; who is further behind gets a snapshot. For one that is
    /// at that it keeps more, see `Retention::snapshot_bytes_max`.
    pub held_bytes_max: u64,
}

/// While a follower gets a snapshot, and until it has caught up from there, at least so many times more of the log is kept: else a
/// transfer that takes longer than writers need to fill the bound would be in vain, and so would be the next one.
const SNAPSHOT_HOLDS: u64 = 8;

impl Retention {
    /// What is kept for a follower that gets a snapshot, and until it has caught up from there, bytes. With `free_bytes` left on the disk the
    /// log may take as much again.
    pub(super) fn snapshot_bytes_max(&self, free_bytes: u64) -> u64 {
        self.held_bytes_max.saturating_mul(SNAPSHOT_HOLDS).max(free_bytes)
    }
}

/// From so much of that on writers have to wait: what they still write has room until the follower is there.
pub(super) fn brake_bytes(snapshot_bytes_max: u64) -> u64 {
    snapshot_bytes_max / 4 * 3
}

/// What a leader knows of a follower, voter or learner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Follower {
    pub(super) peer: PeerNumber,
    /// The last entry that it is known to have.
    pub(super) matched: Option<u64>,
    /// It answers.
    pub(super) answers: bool,
    /// A snapshot up to this entry is on its way to it.
    pub(super) sending: Option<u64>,
    /// It installed one, and has not caught up yet.
    pub(super) catches_up: bool,
}

/// Where the log stands, as far as keeping it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) applied: u64,
    pub(super) purged: Option<u64>,
    /// From this entry on the applied ones take at most [`Retention::retained_bytes`].
    pub(super) retained_from: u64,
    /// From this entry on they take at most [`Retention::held_bytes_max`].
    pub(super) held_from: u64,
    /// From this entry on they take at most [`Retention::snapshot_bytes_max`].
    pub(super) snapshot_from: u64,
    /// From this entry on they take at most [`brake_bytes`] of that.
    pub(super) brake_from: u64,
}

/// What a trim may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// Entries up to here may go, if any.
    pub upto: Option<u64>,
    /// More could go, were it not for a follower.
    pub held: bool,
    /// Snapshots on their way whose followers will not find what comes next in the log.
    pub in_vain: usize,
    /// A follower that gets a snapshot, or catches up from one, will soon be behind what may be kept: writers have to wait for it.
    pub brakes: bool,
}

fn after(index: Option<u64>) -> u64 {
    index.map_or(0, |index| index + 1)
}

impl Follower {
    /// The first entry that may be kept for it.
    fn kept_from(&self, standing: &Standing) -> u64 {
        if self.sending.is_some() || self.catches_up { standing.snapshot_from } else { standing.held_from }
    }

    /// It answers, and the log has what comes next for it, but that goes: it lacks more than may be kept.
    fn is_outrun(&self, standing: &Standing, upto: u64) -> bool {
        let next = after(self.matched);
        self.answers && self.sending.is_none() && next >= after(standing.purged) && next <= upto
    }
}

impl Standing {
    /// To whom no more entries may be sent, or nothing of the log can go.
    pub(super) fn outrun(&self, followers: &[Follower], purge: Purge) -> impl Iterator<Item = PeerNumber> {
        let upto = purge.upto.unwrap_or_default();
        followers.iter().filter(move |follower| follower.is_outrun(self, upto)).map(|follower| follower.peer)
    }

    /// Writers are about to outrun its snapshot, which is not lost yet.
    fn is_slow(&self, follower: &Follower, keep_from: u64) -> bool {
        let next = after(follower.sending.or(follower.matched));
        follower.answers && (follower.sending.is_some() || follower.catches_up) && next >= keep_from && next < self.brake_from
    }

    /// What may go. `followers`: of the leader; nobody else knows any.
    pub(super) fn purge(&self, followers: Option<&[Follower]>) -> Purge {
        let margin_from = (self.applied + 1).saturating_sub(MARGIN_ENTRIES);
        let first = after(self.purged);
        let mut keep_from = self.retained_from.min(margin_from);
        let mut held = false;
        if let Some(followers) = followers {
            let lacked_from = followers.iter().map(|follower| after(follower.matched)).min().unwrap_or(u64::MAX);
            keep_from = keep_from.max(lacked_from.min(margin_from));
            // A follower that lacks more than the log has waits for a snapshot.
            let needs =
                |follower: &&Follower| follower.answers && (follower.sending.is_some() || after(follower.matched) >= first);
            let needed = |follower: &Follower| after(follower.sending.or(follower.matched)).max(follower.kept_from(self));
            let needed_from = followers.iter().filter(needs).map(needed).min();
            if let Some(needed_from) = needed_from.filter(|from| *from < keep_from) {
                keep_from = needed_from;
                held = true;
            }
        }
        let lost = |follower: &&Follower| {
            follower.answers && follower.sending.is_some_and(|upto| upto + 1 >= first && upto + 1 < keep_from)
        };
        let in_vain = followers.map_or(0, |followers| followers.iter().filter(lost).count());
        let brakes = followers.is_some_and(|followers| followers.iter().any(|follower| self.is_slow(follower, keep_from)));
        Purge { upto: (keep_from > first).then(|| keep_from - 1), held, in_vain, brakes }
    }
}

/// Followers to whom entries must not be sent any more, because the log that they need is to be purged. openraft postpones a purge,
/// the whole of it, for as long as it streams entries of it to anybody; a stream that fails lets go, and a snapshot follows. Cheap to
/// clone.
#[derive(Clone, Default)]
pub(super) struct Outrun(Rc<RefCell<BTreeSet<PeerNumber>>>);

impl Outrun {
    /// These are, and no others.
    pub(super) fn set(&self, peers: impl Iterator<Item = PeerNumber>) {
        let mut outrun = self.0.borrow_mut();
        outrun.clear();
        outrun.extend(peers);
    }

    /// Whether the stream to a peer has to fail; once.
    pub(super) fn take(&self, peer: PeerNumber) -> bool {
        self.0.borrow_mut().remove(&peer)
    }
}

/// The snapshots that a group's leader sends: to whom, and from which entry on each will need the log. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Sending(Rc<RefCell<BTreeMap<PeerNumber, Sent>>>);

struct Sent {
    index: u64,
    /// Which attempt.
    attempt: u64,
    installed: Option<Instant>,
    /// It went on from there.
    settled: bool,
}

impl Sending {
    /// A snapshot up to `index` is on its way, until the guard is dropped.
    pub(super) fn begin(&self, to: PeerNumber, index: u64, attempt: u64) -> SendingGuard {
        self.0.borrow_mut().insert(to, Sent { index, attempt, installed: None, settled: false });
        SendingGuard { sending: self.clone(), to, attempt }
    }

    /// Up to where the snapshot is that is on its way to a follower, or was installed there a moment ago.
    pub(super) fn index(&self, to: PeerNumber, matched: Option<u64>) -> Option<u64> {
        let mut all = self.0.borrow_mut();
        let sent = all.get_mut(&to)?;
        let installed = sent.installed;
        sent.settled |= installed.is_some() && matched >= Some(sent.index);
        if sent.settled {
            return None;
        }
        if installed.is_some_and(|at| clock::monotonic().duration_since(at) > SETTLE_MAX) {
            all.remove(&to);
            return None;
        }
        Some(sent.index)
    }

    /// It installed a snapshot, went on from there, and is not [known](Sending::caught_up) to have caught up.
    pub(super) fn catches_up(&self, to: PeerNumber) -> bool {
        self.0.borrow().get(&to).is_some_and(|sent| sent.settled)
    }

    /// Followers whose next entry is one of the last, as `from` says where those begin, and those that are gone, are held for no more.
    pub(super) fn caught_up(&self, followers: &[Follower], from: u64) {
        let keeps = |peer: &PeerNumber| {
            let follower = followers.iter().find(|follower| follower.peer == *peer);
            follower.is_some_and(|follower| follower.answers && after(follower.matched) < from)
        };
        self.0.borrow_mut().retain(|peer, sent| !sent.settled || keeps(peer));
    }
}

/// See [`Sending::begin`].
pub(super) struct SendingGuard {
    sending: Sending,
    to: PeerNumber,
    attempt: u64,
}

impl SendingGuard {
    /// The follower installed it. What it needs next stays until it is known to have gone on.
    pub(super) fn installed(self) {
        if let Some(sent) = self.sending.0.borrow_mut().get_mut(&self.to).filter(|sent| sent.attempt == self.attempt) {
            sent.installed = Some(clock::monotonic());
        }
    }
}

impl Drop for SendingGuard {
    fn drop(&mut self) {
        let mut all = self.sending.0.borrow_mut();
        if all.get(&self.to).is_some_and(|sent| sent.attempt == self.attempt && sent.installed.is_none()) {
            all.remove(&self.to);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Purged too much, a follower that was nearly there needs a snapshot of everything; too little, and the disk fills for a
    //! follower that will never come back.
    use super::*;

    /// The log holds 101 to 1000; the bounds allow what is behind 900 and behind 500.
    const STANDING: Standing =
        Standing { applied: 1000, purged: Some(100), retained_from: 901, held_from: 501, snapshot_from: 201, brake_from: 401 };

    fn follower(matched: u64) -> Follower {
        Follower { peer: 2, matched: Some(matched), answers: true, sending: None, catches_up: false }
    }

    fn purge(followers: &[Follower]) -> Purge {
        STANDING.purge(Some(followers))
    }

    fn gone(upto: u64, held: bool) -> Purge {
        Purge { upto: Some(upto), held, ..Purge::default() }
    }

    #[test]
    fn who_does_not_lead_keeps_its_bytes() {
        assert_eq!(STANDING.purge(None), gone(900, false));
        let short = Standing { retained_from: 101, ..STANDING };
        assert_eq!(short.purge(None), Purge::default());
    }

    #[test]
    fn the_margin_stays_whatever_the_bytes_say() {
        let large = Standing { retained_from: 1000, ..STANDING };
        assert_eq!(large.purge(None), gone(984, false));
        assert_eq!(large.purge(Some(&[])), gone(984, false));
        let young = Standing { applied: 3, purged: None, retained_from: 3, held_from: 0, snapshot_from: 0, brake_from: 0 };
        assert_eq!(young.purge(Some(&[])), Purge::default());
    }

    #[test]
    fn a_leader_keeps_nothing_that_everybody_has() {
        assert_eq!(purge(&[]), gone(984, false));
        assert_eq!(purge(&[follower(1000), follower(950)]), gone(950, false));
        assert_eq!(purge(&[follower(1000), follower(999)]), gone(984, false));
    }

    #[test]
    fn a_follower_that_catches_up_holds_the_log_up_to_the_bound() {
        assert_eq!(purge(&[follower(700), follower(1000)]), gone(700, true));
        assert_eq!(purge(&[follower(300)]), gone(500, true));
        let fresh = Standing { purged: None, held_from: 0, ..STANDING };
        let learner = Follower { matched: None, ..follower(0) };
        assert_eq!(fresh.purge(Some(&[learner])), Purge { held: true, ..Purge::default() });
    }

    /// openraft purges nothing while it sends entries of it to anybody: for that bound to hold the sending has to end.
    #[test]
    fn a_follower_behind_the_bound_is_outrun() {
        let outrun = |followers: &[Follower]| STANDING.outrun(followers, purge(followers)).collect::<Vec<_>>();
        assert_eq!(outrun(&[follower(300), Follower { peer: 3, ..follower(1000) }]), [2]);
        assert_eq!(outrun(&[follower(700)]), []);
        assert_eq!(outrun(&[Follower { answers: false, ..follower(300) }]), [], "it fails by itself");
        assert_eq!(outrun(&[follower(50)]), [], "a snapshot is on its way, or will be");
        assert_eq!(outrun(&[Follower { sending: Some(300), ..follower(200) }]), []);
        assert_eq!(STANDING.outrun(&[follower(300)], Purge::default()).count(), 0);
    }

    #[test]
    fn a_follower_that_is_not_there_or_waits_for_a_snapshot_holds_nothing() {
        assert_eq!(purge(&[Follower { answers: false, ..follower(700) }]), gone(900, false));
        assert_eq!(purge(&[follower(50)]), gone(900, false));
        assert_eq!(purge(&[Follower { matched: None, ..follower(0) }]), gone(900, false));
    }

    #[test]
    fn a_snapshot_on_its_way_holds_what_follows_it() {
        let receiving = |index| Follower { sending: Some(index), ..follower(50) };
        assert_eq!(purge(&[receiving(600)]), gone(600, true));
        assert_eq!(purge(&[receiving(990)]), gone(900, false));
        assert_eq!(purge(&[Follower { answers: false, ..receiving(600) }]), gone(900, false));
    }

    /// What was written during a transfer is more than may be held for others, and is kept all the same, until the follower has caught up
    /// from there; else the transfer would have been for nothing, and so would be the next. There is a bound to that, too.
    #[test]
    fn a_snapshot_that_takes_longer_than_the_bound_is_not_in_vain() {
        let receiving = |index| Follower { sending: Some(index), ..follower(50) };
        assert_eq!(purge(&[receiving(450)]), gone(450, true));
        let catches_up = Follower { catches_up: true, ..follower(450) };
        assert_eq!(purge(&[catches_up]), gone(450, true));
        assert_eq!(STANDING.outrun(&[catches_up], purge(&[catches_up])).count(), 0);
        assert_eq!(purge(&[receiving(150)]), Purge { upto: Some(200), held: true, in_vain: 1, brakes: false });

        let sending = Sending::default();
        sending.begin(2, 300, 1).installed();
        assert_eq!((sending.index(2, Some(300)), sending.catches_up(2)), (None, true));
        sending.caught_up(&[follower(400)], 501);
        assert!(sending.catches_up(2), "it lacks more than the bound");
        sending.caught_up(&[follower(500)], 501);
        assert!(!sending.catches_up(2));
    }

    /// Before the bound is reached writers wait: then the transfer ends in time however long it takes. Not for one that is lost already, or
    /// gone, or needs no snapshot.
    #[test]
    fn writers_wait_for_a_snapshot_that_they_would_outrun() {
        let receiving = |index| Follower { sending: Some(index), ..follower(50) };
        let catches_up = Follower { catches_up: true, ..follower(300) };
        assert_eq!(purge(&[receiving(300)]), Purge { brakes: true, ..gone(300, true) });
        assert_eq!(purge(&[catches_up]), Purge { brakes: true, ..gone(300, true) });
        for free in [receiving(400), receiving(150), follower(300), Follower { answers: false, ..receiving(300) }] {
            assert!(!purge(&[free]).brakes, "{free:?}");
        }
        let retention = Retention { retained_bytes: 1, held_bytes_max: 100 };
        assert_eq!([0, 700, 5_000].map(|free| retention.snapshot_bytes_max(free)), [800, 800, 5_000]);
    }

    /// The hold lasts from the begin of a transfer until the follower is known to have gone on, and ends with a failure at once; the
    /// end of an earlier attempt says nothing of a later one.
    #[test]
    fn a_hold_lasts_until_the_follower_went_on() {
        let sending = Sending::default();
        let first = sending.begin(2, 600, 1);
        let second = sending.begin(2, 700, 2);
        drop(first);
        assert_eq!(sending.index(2, Some(50)), Some(700));
        second.installed();
        assert_eq!(sending.index(2, Some(50)), Some(700), "its progress is not known yet");
        assert_eq!(sending.index(2, Some(700)), None);
        drop(sending.begin(2, 800, 3));
        assert_eq!(sending.index(2, Some(50)), None);
    }
}
