//! How far the disk of each peer is known to have got: so that an older one is told from it, a backup that was put back or a copy that
//! runs beside the original.
//!
//! The frames of a raft log are numbered, and one is told of only once it is durable. So whoever has heard of frame n from a disk, and
//! meets it again with fewer, meets one that has forgotten votes and entries. Starts are counted on the disk as well: of two processes
//! with copies of one disk the one that was started later goes on, if it has forgotten nothing, and the other one is over. A disk has a
//! key, which its copies have too and which is told to members only: a stranger in its name ends nobody.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use z4_model::ids::PeerNumber;
use z4_model::rows::incarnation::Incarnation;

/// A process on a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Which start of the disk it is, counted from 1; 0: of a version that did not count.
    pub start: u64,
    /// Made up by the process.
    pub process: u64,
}

/// What a peer says of its disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskState {
    /// The process that says so.
    pub life: Life,
    /// Made up once per disk.
    pub key: u64,
    /// The number of the last durable frame of each shard's raft log.
    pub log_ends: Vec<u64>,
}

/// What somebody is known to have said of a peer's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenDisk {
    /// Whose.
    pub peer: PeerNumber,
    /// The disk.
    pub incarnation: Incarnation,
    /// The farthest that it said.
    pub state: DiskState,
}

/// How far the logs of a peer's own disk were when it was found, for those who have not said since that they have seen no more of it. A
/// process that starts finds what the one before has written, and that proves nothing to somebody who was away: so of all starts since
/// his last word the smallest ends count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unproven {
    /// For everybody who is not in `since`: the end of each shard's log. `None`: nobody else has a word to say.
    pub log_ends: Option<Vec<u64>>,
    /// Those who have said so once since then, each with the ends that count for it; `None`: it was said to this process.
    pub since: BTreeMap<PeerNumber, Option<Vec<u64>>>,
}

fn smaller(a: &[u64], b: &[u64]) -> Vec<u64> {
    // A log that one of the two does not have has nothing.
    a.iter().zip(b).map(|(a, b)| *a.min(b)).collect()
}

impl Unproven {
    /// A process has found the logs with these ends, and has not written to them yet.
    pub fn started(&mut self, opened: &[u64]) {
        self.log_ends = Some(self.log_ends.as_ref().map_or_else(|| opened.to_vec(), |before| smaller(before, opened)));
        for ends in self.since.values_mut() {
            *ends = Some(ends.as_ref().map_or_else(|| opened.to_vec(), |before| smaller(before, opened)));
        }
    }

    /// Another peer has said to this process that it has seen no more.
    pub fn believed_by(&mut self, peer: PeerNumber) {
        self.since.insert(peer, None);
    }

    /// It has said so already, or nobody has to.
    pub fn is_believed_by(&self, peer: PeerNumber) -> bool {
        self.log_ends.is_none() || self.since.get(&peer).is_some_and(Option::is_none)
    }

    /// The ends to tell a peer; `None`: those that the process found.
    fn told_to(&self, peer: PeerNumber) -> Option<&Vec<u64>> {
        match self.since.get(&peer) {
            Some(ends) => ends.as_ref(),
            None => self.log_ends.as_ref(),
        }
    }
}

/// Why a disk must not go on as what it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outdated {
    /// It lacks what it once had.
    #[error("its raft log of shard {shard} ends with frame {told}, and it was seen with frame {seen}")]
    Log {
        /// Which log.
        shard: usize,
        /// Where it ends.
        told: u64,
        /// Where it ended before.
        seen: u64,
    },
    /// A process on this disk, or on a copy of it, was started later.
    #[error("this is start {told} of the disk, and start {seen} was seen")]
    Start {
        /// Which start it is.
        told: u64,
        /// The latest one.
        seen: u64,
    },
    /// It is none of this disk's copies.
    #[error("it is not the disk that was seen")]
    Stranger,
    /// Two copies of a disk were started.
    #[error("another process has made start {start} of the disk")]
    Twice {
        /// Which start.
        start: u64,
    },
}

/// What is known of a peer's disk in its present life. Written by the links to it.
#[derive(Debug)]
pub struct Seen {
    incarnation: Incarnation,
    life: Life,
    key: u64,
    log_ends: Box<[AtomicU64]>,
    /// A later life is known.
    over: AtomicBool,
}

impl Seen {
    fn new(incarnation: Incarnation, state: DiskState) -> Self {
        let log_ends = state.log_ends.into_iter().map(AtomicU64::new).collect();
        Seen { incarnation, life: state.life, key: state.key, log_ends, over: AtomicBool::new(false) }
    }

    /// A shard has said where its log ends.
    pub fn saw(&self, shard: usize, log_end: u64) {
        if let Some(seen) = self.log_ends.get(shard) {
            seen.fetch_max(log_end, Ordering::Relaxed);
        }
    }

    /// Another process has gone on with the disk: nothing that this one says counts any more.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn state(&self) -> DiskState {
        let log_ends = self.log_ends.iter().map(|end| end.load(Ordering::Relaxed)).collect();
        DiskState { life: self.life, key: self.key, log_ends }
    }

    fn judge(&self, told: &DiskState) -> Result<(), Outdated> {
        let (start, seen) = (told.life.start, self.life.start);
        if told.key != self.key {
            return Err(Outdated::Stranger);
        }
        if told.life == self.life {
            // What it said a moment ago may arrive after what it says now.
            return Ok(());
        }
        for (shard, seen) in self.state().log_ends.into_iter().enumerate() {
            let told = told.log_ends.get(shard).copied().unwrap_or(0);
            if told < seen {
                return Err(Outdated::Log { shard, told, seen });
            }
        }
        match start.cmp(&seen) {
            std::cmp::Ordering::Less => Err(Outdated::Start { told: start, seen }),
            std::cmp::Ordering::Equal => Err(Outdated::Twice { start }),
            std::cmp::Ordering::Greater => Ok(()),
        }
    }
}

/// This peer's own disk, and the others' as they were seen. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Disks(Arc<Inner>);

/// Where the log of a shard ends.
#[derive(Debug, Default)]
struct OwnLog {
    /// The number of its last durable frame.
    end: Arc<AtomicU64>,
    /// What that was when it was opened.
    opened_at: u64,
}

#[derive(Debug, Default)]
struct Inner {
    /// This process, and its disk's key.
    life: Mutex<(Life, u64)>,
    own: Mutex<BTreeMap<usize, OwnLog>>,
    unproven: Mutex<Unproven>,
    others: Mutex<BTreeMap<PeerNumber, Arc<Seen>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is one step: what a thread that panicked left is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disks {
    /// Says which process this is, and what the key of its disk is.
    pub fn live(&self, life: Life, key: u64) {
        *locked(&self.0.life) = (life, key);
    }

    /// Says where a shard's log is, which keeps the number of its last durable frame there. It has just been opened.
    pub(crate) fn watch(&self, shard: usize, log_end: Arc<AtomicU64>) {
        let opened_at = log_end.load(Ordering::Acquire);
        locked(&self.0.own).insert(shard, OwnLog { end: log_end, opened_at });
    }

    /// Where a shard's log keeps the number of its last durable frame.
    pub(crate) fn log_end(&self, shard: usize) -> Arc<AtomicU64> {
        Arc::clone(&locked(&self.0.own).entry(shard).or_default().end)
    }

    /// How far the logs were when this process found them.
    pub fn opened(&self) -> Vec<u64> {
        locked(&self.0.own).values().map(|log| log.opened_at).collect()
    }

    /// Says to whom this disk has still to prove itself, and with what. Returns what was said before.
    pub fn prove(&self, unproven: Unproven) -> Unproven {
        mem::replace(&mut locked(&self.0.unproven), unproven)
    }

    /// To whom this disk has still to prove itself.
    pub fn unproven(&self) -> Unproven {
        locked(&self.0.unproven).clone()
    }

    /// What this peer says of its own disk to another one: how far it was when it was found, by the first process since that one's last word.
    /// What was written since proves nothing: votes alone would let a disk that lacks entries grow past what it once was.
    pub fn own(&self, to: PeerNumber) -> DiskState {
        let told = locked(&self.0.unproven).told_to(to).cloned();
        let log_ends = told.unwrap_or_else(|| self.opened());
        let (life, key) = *locked(&self.0.life);
        DiskState { life, key, log_ends }
    }

    /// What was seen of a peer's disk. `None`: of whichever it has.
    pub fn seen_of(&self, peer: PeerNumber, incarnation: Option<Incarnation>) -> Option<DiskState> {
        let others = locked(&self.0.others);
        let is_it = |seen: &&Arc<Seen>| incarnation.is_none_or(|incarnation| seen.incarnation == incarnation);
        others.get(&peer).filter(is_it).map(|seen| seen.state())
    }

    /// Something was seen of a peer's disk. `None`: of whichever it has.
    pub fn has_seen(&self, peer: PeerNumber, incarnation: Option<Incarnation>) -> bool {
        let others = locked(&self.0.others);
        others.get(&peer).is_some_and(|seen| incarnation.is_none_or(|incarnation| seen.incarnation == incarnation))
    }

    /// Compares this peer's own disk with what another one has seen of it.
    ///
    /// # Errors
    /// More was seen of it; or it was another disk.
    pub fn check_own(&self, by: PeerNumber, seen: DiskState) -> Result<(), Outdated> {
        Seen::new(Incarnation::new(0), seen).judge(&self.own(by))
    }

    /// A peer, which is this disk in the registry, says how far it is. From now on its earlier lives are over.
    ///
    /// # Errors
    /// It is an older disk than the one that was seen; nothing is changed.
    pub fn meet(&self, peer: PeerNumber, incarnation: Incarnation, told: DiskState) -> Result<Arc<Seen>, Outdated> {
        let mut others = locked(&self.0.others);
        if let Some(seen) = others.get(&peer).filter(|seen| seen.incarnation == incarnation) {
            seen.judge(&told)?;
            if seen.life == told.life {
                return Ok(Arc::clone(seen));
            }
        }
        let seen = Arc::new(Seen::new(incarnation, told));
        if let Some(before) = others.insert(peer, Arc::clone(&seen)) {
            before.over.store(true, Ordering::Relaxed);
        }
        Ok(seen)
    }

    /// The same for a disk of which the registry does not say whose it is: nothing is kept.
    ///
    /// # Errors
    /// It is an older disk than the one that was seen.
    pub fn check(&self, peer: PeerNumber, incarnation: Incarnation, told: &DiskState) -> Result<(), Outdated> {
        match locked(&self.0.others).get(&peer).filter(|seen| seen.incarnation == incarnation) {
            Some(seen) => seen.judge(told),
            None => Ok(()),
        }
    }

    /// Everything that was seen, to be kept.
    pub fn seen(&self) -> Vec<SeenDisk> {
        let kept = |(peer, seen): (&PeerNumber, &Arc<Seen>)| SeenDisk {
            peer: *peer,
            incarnation: seen.incarnation,
            state: seen.state(),
        };
        locked(&self.0.others).iter().map(kept).collect()
    }

    /// What was kept before this process began.
    pub fn remember(&self, kept: Vec<SeenDisk>) {
        let mut others = locked(&self.0.others);
        for SeenDisk { peer, incarnation, state } in kept {
            others.insert(peer, Arc::new(Seen::new(incarnation, state)));
        }
    }
}

#[cfg(test)]
mod tests {
    //! A disk that has forgotten what it promised would break its promises, and one that has not must always come back.
    use super::*;

    const DISK: Incarnation = Incarnation::new(7);

    fn state(start: u64, process: u64, log_ends: &[u64]) -> DiskState {
        DiskState { life: Life { start, process }, key: 3, log_ends: log_ends.to_vec() }
    }

    #[test]
    fn a_restart_comes_back_and_ends_the_life_before() {
        let disks = Disks::default();
        let first = disks.meet(3, DISK, state(1, 10, &[5, 6])).expect("new");
        first.saw(1, 9);
        first.saw(2, 9);
        assert!(Arc::ptr_eq(&first, &disks.meet(3, DISK, state(1, 10, &[5, 6])).expect("the same, said before frame 9")));
        let second = disks.meet(3, DISK, state(2, 11, &[5, 9])).expect("started again");
        assert_eq!((first.is_over(), second.is_over()), (true, false));
        assert_eq!(disks.meet(3, DISK, state(1, 10, &[5, 9])).expect_err("over"), Outdated::Start { told: 1, seen: 2 });
    }

    #[test]
    fn a_disk_that_lacks_a_frame_is_an_older_one() {
        let disks = Disks::default();
        disks.meet(3, DISK, state(1, 10, &[5, 6])).expect("new").saw(1, 9);
        let older = Outdated::Log { shard: 1, told: 8, seen: 9 };
        assert_eq!(disks.meet(3, DISK, state(2, 11, &[5, 8])).expect_err("older"), older);
        assert_eq!(disks.check(3, DISK, &state(2, 11, &[5, 8])), Err(older));
        assert_eq!(disks.meet(3, DISK, state(2, 11, &[5])).expect_err("half"), Outdated::Log { shard: 1, told: 0, seen: 9 });
        assert_eq!(disks.seen()[0].state, state(1, 10, &[5, 9]), "nothing of it was kept");
        disks.meet(3, Incarnation::new(8), state(1, 12, &[0, 0])).expect("another disk");
    }

    #[test]
    fn of_two_copies_one_goes_on() {
        let disks = Disks::default();
        let original = disks.meet(3, DISK, state(4, 10, &[5])).expect("new");
        disks.meet(3, DISK, state(5, 11, &[5])).expect("a copy that has forgotten nothing");
        assert!(original.is_over());
        assert_eq!(disks.meet(3, DISK, state(5, 12, &[5])).expect_err("a second"), Outdated::Twice { start: 5 });
    }

    /// A peer that can be called but does not reach who calls it hears that it is outdated from the call.
    #[test]
    fn who_is_called_hears_what_was_seen_of_it() {
        let (caller, called) = (Disks::default(), Disks::default());
        called.watch(0, Arc::new(AtomicU64::new(5)));
        called.live(Life { start: 2, process: 11 }, 3);
        let seen = |start, process, log_ends: &[u64]| {
            let _ = caller.meet(3, DISK, state(start, process, log_ends)).expect("later than before");
            called.check_own(1, caller.seen_of(3, Some(DISK)).expect("it was seen"))
        };
        assert_eq!(seen(1, 10, &[5]), Ok(()));
        assert_eq!(seen(2, 11, &[9]), Ok(()), "of this process, so it is there");
        assert_eq!(seen(3, 12, &[9]), Err(Outdated::Log { shard: 0, told: 5, seen: 9 }));
        called.log_end(0).store(20, Ordering::Release);
        assert_eq!(seen(4, 13, &[9]), Err(Outdated::Log { shard: 0, told: 5, seen: 9 }), "what it wrote since is no proof");
        assert_eq!(called.check_own(1, DiskState { key: 4, ..state(9, 1, &[9]) }), Err(Outdated::Stranger));
        assert_eq!(caller.seen_of(3, Some(Incarnation::new(8))), None);
        assert_eq!(caller.seen_of(3, None), caller.seen_of(3, Some(DISK)), "also where the registry does not say which it is");
        assert_eq!(caller.seen_of(4, None), None);
    }

    /// Somebody knows a peer's names, and says that he is a later start of its disk.
    #[test]
    fn a_stranger_without_the_key_ends_nobody() {
        let disks = Disks::default();
        let seen = disks.meet(3, DISK, state(4, 10, &[5])).expect("new");
        let stranger = DiskState { key: 4, ..state(u64::MAX, 11, &[u64::MAX]) };
        assert_eq!(disks.meet(3, DISK, stranger).expect_err("no copy"), Outdated::Stranger);
        assert!(!seen.is_over());
    }

    /// 2 says each time that it has seen no more, 3 is away. What is written meanwhile proves nothing to 3, however often the disk is started;
    /// and what 2 has seen meanwhile is held against nobody who has it.
    #[test]
    fn starts_prove_nothing_to_one_who_was_away() {
        let (disks, mut unproven) = (Disks::default(), Unproven::default());
        let told = |disks: &Disks, to| disks.own(to).log_ends;
        for (opened, to_2) in [(5, 5), (9, 9), (14, 14)] {
            disks.watch(0, Arc::new(AtomicU64::new(opened)));
            unproven.started(&disks.opened());
            disks.prove(unproven.clone());
            assert_eq!((told(&disks, 2), told(&disks, 3)), (vec![to_2], vec![5]), "opened at {opened}");
            unproven.believed_by(2);
            assert!(unproven.is_believed_by(2) && !unproven.is_believed_by(3));
        }
        // A crash has lost frames that 2 has seen, and 2 is away at that start.
        for opened in [11, 30] {
            disks.watch(0, Arc::new(AtomicU64::new(opened)));
            unproven.started(&disks.opened());
            disks.prove(unproven.clone());
            assert_eq!(told(&disks, 2), [11]);
        }
        disks.prove(Unproven::default());
        assert_eq!((told(&disks, 2), told(&disks, 3)), (vec![30], vec![30]), "all have said it");
    }

    #[test]
    fn what_was_seen_outlives_the_one_who_saw() {
        let (before, after) = (Disks::default(), Disks::default());
        before.meet(3, DISK, state(4, 10, &[5])).expect("new").saw(0, 8);
        after.remember(before.seen());
        assert_eq!(after.meet(3, DISK, state(5, 11, &[7])).expect_err("older"), Outdated::Log { shard: 0, told: 7, seen: 8 });
        after.meet(3, DISK, state(5, 11, &[8])).expect("all of it");
    }
}
