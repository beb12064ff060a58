//! What time it is: by this peer's own clock as long as a majority of the members' clocks agree with it, and else by theirs.
//!
//! Each link measures the other end's clock against monotonic time, so a step of the own clock shows at once, and what is known of a
//! peer that went away stays true. Of n members a majority is n / 2 + 1. The time that at least so many clocks have reached is the
//! *least* time, the time that at most so many have not passed the *most*; with all clocks of an odd number known both are the median.
//! Nothing is early or late by one wrong clock, whosever it is: where the own clock is further than the limit from the least time,
//! the least time counts, as early as the measurements allow: another clock is known to within a round trip, and late can be made good.
//! Clocks that are wrong and agree are right.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwapOption;

use crate::runtime::clock::{self, WallClock};

/// How far a clock may be off before it does not count, unless [`Clocks::set_limit`] says otherwise, milliseconds.
const LIMIT_MS: i64 = 2_000;

/// A better measurement than this is not worth waiting for.
const GOOD_US: i64 = 250_000;

/// A measurement older than this gives way to any other.
const OLD_US: i64 = 3_000_000;

/// Another peer's clock, as measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its wall clock minus our monotonic one, microseconds.
    pub offset_us: i64,
    /// How wrong that may be, microseconds.
    error_us: i64,
    /// When it was measured, by our monotonic clock.
    taken_us: i64,
}

impl Reading {
    /// The other clock said `wall_ms` at some moment between `asked_us` and now, by our monotonic clock.
    pub fn between(asked_us: u64, wall_ms: u64) -> Self {
        Self::at(asked_us, clock::monotonic_us(), wall_ms)
    }

    /// It said so before now, nobody knows how long.
    pub fn before_now(wall_ms: u64) -> Self {
        let now_us = clock::monotonic_us().cast_signed();
        Reading { offset_us: us(wall_ms) - now_us, error_us: i64::MAX, taken_us: now_us }
    }

    fn at(asked_us: u64, now_us: u64, wall_ms: u64) -> Self {
        let half_us = (now_us.saturating_sub(asked_us) / 2).cast_signed();
        let taken_us = now_us.cast_signed();
        Reading { offset_us: us(wall_ms) - (taken_us - half_us), error_us: half_us, taken_us }
    }

    /// Its wall clock minus our monotonic one is not less than this, microseconds.
    fn earliest_us(&self) -> i64 {
        // What was said at some moment before now was read as if it were now: no later one is possible.
        if self.error_us == i64::MAX { self.offset_us } else { self.offset_us - self.error_us }
    }

    /// How far it is from another course, microseconds, where it cannot be within the limit of that, however well it was measured; else 0.
    pub(crate) fn surely_differs_us(&self, course_us: i64, limit_us: i64) -> i64 {
        let (least, most) = (course_us.saturating_sub(limit_us), course_us.saturating_add(limit_us));
        if self.earliest_us() > most {
            self.earliest_us() - course_us
        } else if self.error_us != i64::MAX && self.offset_us + self.error_us < least {
            self.offset_us + self.error_us - course_us
        } else {
            0
        }
    }

    /// What is known after this reading, when `before` was known.
    pub(super) fn or_better(self, before: Option<Reading>) -> Reading {
        match before {
            Some(before) if self.error_us > GOOD_US.max(before.error_us) && self.taken_us - before.taken_us < OLD_US => before,
            _ => self,
        }
    }
}

fn us(ms: u64) -> i64 {
    // Later than any date that a task can have, and far from overflowing.
    ms.min(u64::MAX >> 12).cast_signed() * 1_000
}

/// Where the own clock must be for a majority to agree: `least` and `most` of all clocks are its own reading, held within these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    least: (i64, i64),
    most: (i64, i64),
    /// As `least`, by the earliest that each clock can be.
    earliest: (i64, i64),
}

impl Bounds {
    /// `others`: what is known of the clocks of the `members` but the own one. `None`: too little is known.
    fn new(members: usize, others: &[Reading]) -> Option<Self> {
        let majority = members / 2 + 1;
        if members < 2 || others.len() + 1 < majority {
            return None;
        }
        let sorted = |of: fn(&Reading) -> i64| {
            let mut sorted: Vec<i64> = others.iter().map(of).collect();
            sorted.sort_unstable();
            sorted
        };
        let (known, earliest) = (sorted(|reading| reading.offset_us), sorted(Reading::earliest_us));
        // The j-th from below and from above, counted from 1.
        let low = |j: usize| known.get(j - 1).copied().unwrap_or(i64::MAX);
        let high = |of: &[i64], j: usize| of.len().checked_sub(j).map_or(i64::MIN, |at| of[at]);
        let least = |of: &[i64]| (high(of, majority), high(of, majority - 1));
        Some(Bounds { least: least(&known), most: (low(majority - 1), low(majority)), earliest: least(&earliest) })
    }

    /// The time that a majority's clocks have reached, when the own one says `own`.
    fn least(&self, own: i64) -> i64 {
        own.clamp(self.least.0, self.least.1)
    }

    /// The time that a majority's clocks have not passed.
    fn most(&self, own: i64) -> i64 {
        own.clamp(self.most.0, self.most.1)
    }

    /// What counts.
    fn now(&self, own: i64, limit: i64) -> i64 {
        if own.abs_diff(self.least(own)) <= limit.unsigned_abs() { own } else { own.clamp(self.earliest.0, self.earliest.1) }
    }

    /// How far the own clock is ahead of a majority's, or (negative) behind it; 0: neither by more than the limit.
    fn outside(&self, own: i64, limit: i64) -> i64 {
        let (least, most) = (self.least(own), self.most(own));
        if own > most.saturating_add(limit) {
            own - most
        } else if own < least.saturating_sub(limit) {
            own - least
        } else {
            0
        }
    }
}

/// See the module. Cheap to clone; shared by all shards of a peer.
#[derive(Clone, Default)]
pub struct Clocks(Arc<Inner>);

struct Inner {
    own: WallClock,
    limit_us: AtomicI64,
    bounds: ArcSwapOption<Bounds>,
    /// As [`Clocks::judged`] was told.
    outside_us: AtomicI64,
}

impl Default for Inner {
    fn default() -> Self {
        Inner {
            own: WallClock::default(),
            limit_us: AtomicI64::new(LIMIT_MS * 1_000),
            bounds: ArcSwapOption::empty(),
            outside_us: AtomicI64::new(0),
        }
    }
}

impl Clocks {
    /// The peer's own clock, right or wrong: what it tells the others.
    pub fn own(&self) -> &WallClock {
        &self.0.own
    }

    /// A clock that is further off, in milliseconds, does not count.
    pub fn set_limit(&self, ms: u64) {
        self.0.limit_us.store(us(ms), Ordering::Relaxed);
    }

    /// The times by which two members go differ by no more than this, milliseconds: each is within the limit of what a majority's clocks say, as
    /// well as it can be measured. That holds while clocks of a majority go on; who sets those, or a lone peer's, moves time itself.
    pub fn differ_ms(&self) -> u64 {
        2 * (self.limit_us() + GOOD_US).unsigned_abs() / 1_000
    }

    /// What is known of the clocks of the members of the cluster, of which the own one is one.
    pub(super) fn set_others(&self, members: usize, others: impl Iterator<Item = Reading>) {
        let bounds = Bounds::new(members, &others.collect::<Vec<_>>());
        self.0.bounds.store(bounds.map(Arc::new));
    }

    /// The time, milliseconds since 1970-01-01 UTC. It may jump both ways when clocks are set.
    pub fn now_ms(&self) -> u64 {
        self.now_us() / 1_000
    }

    /// The same in microseconds.
    pub fn now_us(&self) -> u64 {
        let mono_us = clock::monotonic_us().cast_signed();
        let now_us = match self.0.bounds.load().as_deref() {
            Some(bounds) => bounds.now(self.own_us(mono_us), self.limit_us()) + mono_us,
            None => self.0.own.us().cast_signed(),
        };
        now_us.max(0).cast_unsigned()
    }

    /// The time minus the monotonic one, microseconds: changes when a clock is set, and else hardly.
    pub fn course_us(&self) -> i64 {
        self.now_us().cast_signed() - clock::monotonic_us().cast_signed()
    }

    /// How far the own clock is from what a majority says, microseconds; 0: within the limit. It may be out of date by a second.
    /// `closely`: within half the limit.
    pub(crate) fn outside_now_us(&self, closely: bool) -> i64 {
        let own = self.own_course_us();
        let limit = if closely { self.limit_us() / 2 } else { self.limit_us() };
        self.0.bounds.load().as_deref().map_or(0, |bounds| bounds.outside(own, limit))
    }

    /// Another peer's clock is within the limit of what counts here.
    pub fn agrees(&self, reading: Reading) -> bool {
        reading.offset_us.abs_diff(self.course_us()) <= self.limit_us().unsigned_abs()
    }

    /// How far another peer's clock is from what counts here, milliseconds; 0: within the limit.
    pub fn outside_of(&self, reading: Reading) -> f64 {
        if self.agrees(reading) { 0.0 } else { (reading.offset_us - self.course_us()) as f64 / 1e3 }
    }

    /// How far it is for sure, however well it was measured, milliseconds; 0: it may be within the limit.
    pub fn surely_outside_ms(&self, reading: Reading) -> i64 {
        reading.surely_differs_us(self.course_us(), self.limit_us()) / 1_000
    }

    /// Says what was found after looking for a while.
    pub(crate) fn judged(&self, outside_us: i64) {
        self.0.outside_us.store(outside_us, Ordering::Relaxed);
    }

    /// The own clock is so far ahead of a majority's, or (negative) behind it, milliseconds: this peer should lead nothing. 0: it is
    /// not, or nobody can tell.
    pub fn outside_ms(&self) -> i64 {
        self.0.outside_us.load(Ordering::Relaxed) / 1_000
    }

    /// The own clock minus the monotonic one, microseconds.
    pub(crate) fn own_course_us(&self) -> i64 {
        self.own_us(clock::monotonic_us().cast_signed())
    }

    fn own_us(&self, mono_us: i64) -> i64 {
        self.0.own.us().cast_signed() - mono_us
    }

    fn limit_us(&self) -> i64 {
        self.0.limit_us.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
#[path = "clocks_tests.rs"]
mod tests;
