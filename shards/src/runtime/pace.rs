//! The pace of a shard's replicas: how fast the clock of openraft goes there.
//!
//! Votes, entries and with them the answers to heartbeats wait for the log's disk. openraft's timeouts are for disks that sync within some
//! ten milliseconds; on one that takes half a second an election is over before the ballots are. So the clock by which openraft
//! measures goes slower as the disk does: every timeout, lease and interval grows with it, and on a disk that is quick nothing changes.
//!
//! A lease that a follower granted must last at least as long as it said, or a leader would deliver while another one was elected. So
//! what is *told* follows a disk that became quicker at once, and the clock only after everything that was granted before has
//! run out. A process that starts anew on the same log must wait for it as well, so nothing is told that is not *assured*: written down, as a
//! whole number of times, where the next process looks.

use std::collections::VecDeque;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use super::clock;
use crate::runtime::clock::Instant;

/// Up to here openraft's timeouts suit a disk: its shortest election is 400 ms, and holds four writes that wait for each other
/// (a candidate's vote and a voter's, each behind a frame that is under way), with some room.
const QUICK: Duration = Duration::from_millis(75);

/// A disk that is slower than this many times [`QUICK`] is not waited for any longer.
const FACTOR_MAX: f64 = 40.0;

/// A disk that slows the clock by more is slow.
const QUICK_FACTOR_MAX: f64 = 2.0;

/// The median of so many writes counts: one that stalls does not slow anything down.
const WRITES: usize = 5;

/// What was measured longer ago says nothing.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// How the clock goes, and why. Time is an input.
#[derive(Debug)]
struct Pace {
    writes: VecDeque<Duration>,
    measured: Instant,
    /// What the writes ask for.
    wanted: f64,
    /// Real time per time of openraft's clock, from 1 on.
    factor: f64,
    /// At most [`Pace::factor`]: what a lease granted now can count on.
    told: f64,
    /// When the clock may go as quickly as was told.
    quicken_at: Option<Instant>,
    /// A moment, and what openraft's clock showed then.
    since: (Instant, Duration),
    /// What the longest lease of openraft is, by its own clock.
    lease: Duration,
    /// What is written down: no lease that is told counts on more.
    assured: f64,
    /// When this process began, and what was written down before.
    before: (Instant, f64),
}

impl Pace {
    fn new(now: Instant) -> Self {
        Pace {
            writes: VecDeque::new(),
            measured: now,
            wanted: 1.0,
            factor: 1.0,
            told: 1.0,
            quicken_at: None,
            // openraft looks back from its present.
            since: (now, Duration::from_secs(86_400)),
            lease: Duration::ZERO,
            assured: 1.0,
            before: (now, 1.0),
        }
    }

    /// One write took so long until it was durable.
    fn measure(&mut self, now: Instant, took: Duration) {
        if self.writes.len() == WRITES {
            self.writes.pop_front();
        }
        self.writes.push_back(took);
        let mut sorted: Vec<_> = self.writes.iter().collect();
        sorted.sort_unstable();
        // The quicker one of two in the middle: one slow write of two proves nothing.
        let median = sorted[(sorted.len() - 1) / 2].as_secs_f64();
        self.wanted = (median / QUICK.as_secs_f64()).clamp(1.0, FACTOR_MAX);
        self.measured = now;
        self.settle(now);
    }

    /// What the disk asks for.
    fn wanted(&self, now: Instant) -> f64 {
        let forgotten = now.saturating_duration_since(self.measured) >= FORGOTTEN_AFTER;
        if forgotten { 1.0 } else { self.wanted }
    }

    /// Adapts what is told and how the clock goes.
    fn settle(&mut self, now: Instant) {
        let wanted = self.wanted(now);
        if wanted >= self.factor {
            if wanted > self.factor {
                self.turn(now, wanted);
            }
            (self.told, self.quicken_at) = (wanted, None);
            return;
        }
        if wanted < self.told {
            self.quicken_at = Some(now + self.lease.mul_f64(self.factor));
        }
        self.told = wanted;
        if self.quicken_at.is_some_and(|at| now >= at) {
            self.turn(now, self.told);
            self.quicken_at = None;
        }
    }

    fn turn(&mut self, now: Instant, factor: f64) {
        self.since = (now, self.shown(now));
        self.factor = factor;
    }

    /// What a lease granted now can count on.
    fn told(&self) -> f64 {
        self.told.min(self.assured)
    }

    /// When all that an earlier process granted is over.
    fn over_at(&self, lease: Duration) -> Instant {
        self.before.0 + lease.mul_f64(self.before.1)
    }

    /// What should be written down instead of `written`. Less only after a while, or a disk that is now quick and now slow would write it again
    /// and again; and not before what was granted is over.
    fn to_assure(&self, now: Instant, written: f64) -> Option<f64> {
        let level = self.factor.log2().ceil().exp2().min(FACTOR_MAX);
        let calm = now.saturating_duration_since(self.since.0) >= FORGOTTEN_AFTER && now >= self.over_at(self.lease);
        (level > written || (level < written && calm)).then_some(level)
    }

    /// What openraft's clock shows.
    fn shown(&self, now: Instant) -> Duration {
        self.since.1 + now.saturating_duration_since(self.since.0).div_f64(self.factor)
    }
}

executor_local!(PACE: Pace = Pace::new(clock::monotonic()));

fn with<T>(act: impl FnOnce(&mut Pace, Instant) -> T) -> T {
    PACE.with_borrow_mut(|pace| {
        let now = clock::monotonic();
        pace.settle(now);
        act(pace, now)
    })
}

/// Tells how long a write to this thread's log took until it was durable.
pub fn measure(took: Duration) {
    PACE.with_borrow_mut(|pace| pace.measure(clock::monotonic(), took));
}

/// Says what the longest lease of openraft is, by its own clock.
pub fn set_lease(lease: Duration) {
    PACE.with_borrow_mut(|pace| pace.lease = pace.lease.max(lease));
}

/// So long is this time of openraft's clock now.
pub fn stretch(time: Duration) -> Duration {
    with(|pace, _| time.mul_f64(pace.factor))
}

/// A lease of this length by openraft's clock, granted now, lasts at least so long.
pub fn granted(lease: Duration) -> Duration {
    with(|pace, _| lease.mul_f64(pace.told()))
}

/// A process that starts: what was written down, in times of what a lease is on a quick disk.
pub fn remember(times: u32) {
    with(|pace, now| {
        let times = f64::from(times);
        pace.assured = pace.assured.max(times);
        pace.before = (now, pace.before.1.max(times));
    });
}

/// When leases of this length by openraft's clock are over that a process before, or this one until now, may have granted.
pub fn over_at(lease: Duration) -> Instant {
    with(|pace, now| pace.over_at(lease).max(now + lease.mul_f64(pace.factor)))
}

/// `written` times is what is written down; something else should be. From then on [`assure`] holds.
pub fn to_assure(written: u32) -> Option<u32> {
    with(|pace, now| pace.to_assure(now, f64::from(written)).map(|level| level as u32))
}

/// So many times is what the next process will read, or less.
pub fn assure(times: u32) {
    with(|pace, _| pace.assured = f64::from(times));
}

/// The disk is about as quick as openraft's timeouts want it: elections take no longer than twice what they should.
pub fn is_quick() -> bool {
    with(|pace, _| pace.factor <= QUICK_FACTOR_MAX)
}

/// A lease of this length says that the disk of whoever grants it is quick.
pub fn is_quick_lease(granted: Duration, lease: Duration) -> bool {
    granted <= lease.mul_f64(QUICK_FACTOR_MAX)
}

/// A moment by openraft's clock.
#[derive(Clone, Copy, Debug)]
pub struct PacedInstant {
    shown: Duration,
    /// The moment by the real clock; exact for what [`openraft_rt::Instant::now`] returned.
    real: Instant,
}

impl PacedInstant {
    /// The moment by the real clock, if it was read from openraft's clock and not computed.
    pub fn real(&self) -> Instant {
        self.real
    }

    /// How long it is until then, in real time.
    pub fn wait(&self) -> Duration {
        with(|pace, now| self.shown.saturating_sub(pace.shown(now)).mul_f64(pace.factor))
    }
}

impl openraft_rt::Instant for PacedInstant {
    fn now() -> Self {
        with(|pace, now| PacedInstant { shown: pace.shown(now), real: now })
    }
}

impl PartialEq for PacedInstant {
    fn eq(&self, other: &Self) -> bool {
        self.shown == other.shown
    }
}

impl Eq for PacedInstant {}

impl PartialOrd for PacedInstant {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PacedInstant {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.shown.cmp(&other.shown)
    }
}

impl Add<Duration> for PacedInstant {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        PacedInstant { shown: self.shown + time, real: self.real + time }
    }
}

impl AddAssign<Duration> for PacedInstant {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

impl Sub<Duration> for PacedInstant {
    type Output = Self;

    fn sub(self, time: Duration) -> Self {
        // Before the clock began there is nothing.
        PacedInstant { shown: self.shown.saturating_sub(time), real: self.real.checked_sub(time).unwrap_or(self.real) }
    }
}

impl SubAssign<Duration> for PacedInstant {
    fn sub_assign(&mut self, time: Duration) {
        *self = *self - time;
    }
}

impl Sub for PacedInstant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.shown.saturating_sub(earlier.shown)
    }
}

#[cfg(test)]
mod tests {
    //! A clock that goes back, or a lease that is shorter than was told, gives two leaders; a clock that does not slow down, none.
    use proptest::prelude::*;

    use super::*;

    const LEASE: Duration = Duration::from_millis(700);

    fn pace() -> (Pace, Instant) {
        let start = clock::monotonic();
        (Pace { lease: LEASE, assured: FACTOR_MAX, ..Pace::new(start) }, start)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_quick_disk_and_a_single_stall_change_nothing() {
        let (mut pace, start) = pace();
        for (n, took) in [2, 70, 3, 900, 2, 1, 800, 3].into_iter().enumerate() {
            pace.measure(start + ms(n as u64), ms(took));
            assert!((pace.factor - 1.0).abs() < f64::EPSILON, "after write {n}");
        }
        assert_eq!(pace.shown(start + ms(5_000)) - pace.shown(start), ms(5_000));
    }

    #[test]
    fn a_slow_disk_slows_the_clock_and_a_quick_one_quickens_it_when_its_leases_are_over() {
        let (mut pace, start) = pace();
        pace.measure(start, ms(450));
        assert!((pace.factor - 6.0).abs() < 1e-9, "the first write of all counts: {}", pace.factor);
        let shown = pace.shown(start);
        assert_eq!(pace.shown(start + ms(6_000)) - shown, ms(1_000));
        (0..5).for_each(|n| pace.measure(start + ms(6_000 + n), ms(1)));
        assert!(pace.factor > 5.9 && pace.told < 1.1, "{} {}", pace.factor, pace.told);
        pace.settle(start + ms(6_000 + 4_190));
        assert!(pace.factor > 5.9, "a lease from before may not be over");
        pace.settle(start + ms(6_000 + 4_210));
        assert!(pace.factor < 1.1);
    }

    #[test]
    fn what_was_measured_long_ago_is_forgotten_until_the_next_write() {
        let (mut pace, start) = pace();
        (0..5).for_each(|n| pace.measure(start + ms(n), ms(300)));
        pace.settle(start + ms(31_000));
        pace.settle(start + ms(40_000));
        assert!(pace.factor < 1.1);
        pace.measure(start + ms(41_000), ms(300));
        assert!(pace.factor > 3.9, "one more slow write says that it is slow still");
    }

    /// A process that starts on the same log reads what is written down: a lease that was told and is longer could be broken by it.
    #[test]
    fn nothing_is_told_that_the_next_process_would_not_wait_for() {
        let (mut pace, start) = pace();
        pace.assured = 1.0;
        assert_eq!(pace.to_assure(start, 1.0), None, "a quick disk writes nothing");
        pace.measure(start, ms(450));
        assert!(
            pace.factor > 5.9 && (pace.told() - 1.0).abs() < f64::EPSILON,
            "the clock is slow at once, and nothing more is told"
        );
        assert_eq!(pace.to_assure(start, 1.0), Some(8.0));
        pace.assured = 8.0;
        assert!(pace.told() > 5.9);
        assert_eq!(pace.to_assure(start + ms(60_000), 8.0), None, "it is as slow as ever");
        (0..5).for_each(|n| pace.measure(start + ms(60_000 + n), ms(1)));
        pace.settle(start + ms(70_000));
        assert!(pace.factor < 1.1, "all leases are over");
        assert_eq!((pace.to_assure(start + ms(99_000), 8.0), pace.to_assure(start + ms(100_100), 8.0)), (None, Some(1.0)));
        (0..5).for_each(|n| pace.measure(start + ms(101_000 + n), ms(60_000)));
        assert_eq!(pace.to_assure(start + ms(101_010), 8.0), Some(40.0), "no more than the longest");
    }

    /// A process that starts on a disk that is quick by now: the leases of the one before are as long as that said.
    #[test]
    fn what_an_earlier_process_granted_is_waited_for() {
        let (mut pace, start) = pace();
        assert_eq!(pace.over_at(LEASE), start + LEASE);
        (pace.assured, pace.before) = (40.0, (start, 40.0));
        assert!(pace.over_at(LEASE) >= start + ms(28_000) && (pace.told() - 1.0).abs() < f64::EPSILON);
        pace.lease = ms(2_000);
        assert_eq!(pace.to_assure(start + ms(79_000), 40.0), None, "the longest of the process before may not be over");
        assert_eq!(pace.to_assure(start + ms(80_000), 40.0), Some(1.0));
    }

    proptest! {
        /// Whatever the disk does: openraft's clock goes on, never quicker than the real one, and a lease lasts as long as was told.
        #[test]
        fn leases_last_as_long_as_was_told(writes in proptest::collection::vec((0u64..3_000, 0u64..2_000, any::<bool>()), 1..60)) {
            let (mut pace, start) = pace();
            let (mut now, mut granted) = (start, Vec::new());
            let mut last = pace.shown(now);
            for (after, took, grant) in writes {
                for _ in 0..after / 50 {
                    now += ms(50);
                    pace.settle(now);
                    let shown = pace.shown(now);
                    prop_assert!(shown >= last && shown - last <= ms(51));
                    last = shown;
                    granted.retain(|(by_openraft, told): &(Duration, Instant)| {
                        assert!(shown < *by_openraft || now >= *told - ms(1), "a lease is over before its time");
                        shown < *by_openraft
                    });
                }
                if grant {
                    granted.push((pace.shown(now) + LEASE, now + LEASE.mul_f64(pace.told)));
                }
                pace.measure(now, ms(took));
            }
        }
    }
}
