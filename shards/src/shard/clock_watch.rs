//! A shard looks at the clock now and then. When it was set, forward or back, everything that waits for a time of day waits anew. And
//! when it is not what a majority of the members' clocks say, this peer leads nothing: it goes by their time (see
//! [`Clocks`](crate::link::Clocks)), but it knows that time only as well as its links are quick.

use std::rc::Rc;
use std::time::Duration;

use crate::runtime::clock::Instant;
use crate::runtime::{clock, executor};
use crate::shard::group::Group;
use crate::shard::hand_over::LAG_MAX;
use crate::shard::worker::Shard;
use z4_model::ids::PeerNumber;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(250);

/// A smaller change of the time's course is no step.
const STEP_US: u64 = 10_000;

/// The own clock is wrong, or right again, when it was so for so long: what is known of the others' is a second old.
const HOLD: Duration = Duration::from_secs(3);

/// A group that could not be handed over is tried again after this.
const MOVE_AGAIN: Duration = Duration::from_secs(2);

/// Whether the own clock is wrong, with some patience. Time is an input.
#[derive(Debug, Default)]
struct Judge {
    wrong: bool,
    /// Since when it looks otherwise.
    otherwise: Option<Instant>,
}

impl Judge {
    /// Says how it looks now; tells whether the judgement changed.
    fn observe(&mut self, now: Instant, wrong: bool) -> bool {
        if wrong == self.wrong {
            self.otherwise = None;
            return false;
        }
        let changed = now.duration_since(*self.otherwise.get_or_insert(now)) >= HOLD;
        if changed {
            *self = Judge { wrong, otherwise: None };
        }
        changed
    }
}

impl Shard {
    /// Looks at the clock, for as long as the shard runs.
    pub(super) async fn watch_clock(self: Rc<Self>) {
        let clocks = self.links.reach().clocks().clone();
        let (mut course_us, mut judge) = (clocks.course_us(), Judge::default());
        while !self.stopping.get() {
            executor::sleep(LOOK).await;
            let course_now_us = clocks.course_us();
            if course_now_us.abs_diff(course_us) > STEP_US {
                course_us = course_now_us;
                self.groups.borrow().values().for_each(|group| group.tick.call());
            }
            if self.index == 0 {
                self.judge_clock(&mut judge);
            }
            if clocks.outside_ms() != 0 {
                self.leave_groups();
            }
        }
    }

    /// The clock is the peer's: its first shard judges it for all.
    fn judge_clock(&self, judge: &mut Judge) {
        let clocks = self.links.reach().clocks();
        let outside_us = clocks.outside_now_us(judge.wrong);
        let changed = judge.observe(clock::monotonic(), outside_us != 0);
        let outside_ms = outside_us / 1_000;
        if judge.wrong && outside_us != 0 {
            clocks.judged(outside_us);
        }
        if changed && judge.wrong {
            tracing::warn!(
                outside_ms,
                limit_ms = self.options.clock_skew_max_ms,
                "this peer's clock is not what a majority of the members' clocks say: it goes by theirs and leads no group until its clock is set"
            );
        } else if changed {
            clocks.judged(0);
            tracing::info!("this peer's clock agrees with a majority of the members' clocks again");
        }
        self.options.metrics.set_clock(clocks.outside_ms());
    }

    /// Hands over every group that this peer leads.
    fn leave_groups(&self) {
        let now = clock::monotonic();
        let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
        for group in groups.into_iter().filter(|group| group.may_leave(now)) {
            let Some(to) = self.heir(&group) else { continue };
            executor::spawn(async move {
                if let Err(error) = group.hand_over(to).await {
                    tracing::info!(group = %group.id, to, %error, "the group keeps a leader whose clock is wrong");
                }
            });
        }
    }

    /// The voter with a right clock that has most of the group's log.
    fn heir(&self, group: &Group) -> Option<PeerNumber> {
        let (members, reach) = (group.replica()?.members(), self.links.reach());
        let table = reach.table();
        let right = |peer: &PeerNumber| {
            let known = table.get(peer).filter(|known| known.links > 0);
            known.and_then(|known| known.clock).is_some_and(|reading| reach.clocks().agrees(reading))
        };
        let others = members.voters().into_iter().filter(|peer| *peer != group.me && right(peer));
        others
            .filter_map(|peer| members.lag(peer).filter(|lag| *lag <= LAG_MAX).map(|lag| (lag, peer)))
            .min()
            .map(|(_, peer)| peer)
    }
}

impl Group {
    fn may_leave(&self, now: Instant) -> bool {
        let tried = self.steering.moved.get().is_some_and(|at| now.duration_since(at) < MOVE_AGAIN);
        self.leads() && !self.steering.busy.get() && !tried
    }
}

#[cfg(test)]
mod tests {
    //! A peer that called its clock wrong at each hiccup of a link would hand its groups to and fro.
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_lasts() {
        let start = clock::monotonic();
        let mut judge = Judge::default();
        let mut changes = Vec::new();
        for (ms, wrong) in [(0, false), (250, true), (3_000, true), (3_100, false), (4_000, true), (6_900, true), (7_000, true)] {
            if judge.observe(start + Duration::from_millis(ms), wrong) {
                changes.push((ms, judge.wrong));
            }
        }
        for ms in [7_500, 8_000, 9_000, 10_500, 11_000] {
            if judge.observe(start + Duration::from_millis(ms), ms == 8_000) {
                changes.push((ms, judge.wrong));
            }
        }
        assert_eq!(changes, [(7_000, true)], "and back only after three calm seconds");
        assert!(judge.observe(start + Duration::from_millis(12_000), false) && !judge.wrong);
    }
}
