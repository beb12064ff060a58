//! Leaders are spread evenly over the peers that are well, for a while after something changed. Outside of that time they stay where
//! they are, also where an operator put them.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::ids::{GroupId, PeerNumber};
use crate::runtime::{clock, executor};
use crate::shard::group::Group;
use crate::shard::hand_over::LAG_MAX;
use crate::shard::worker::Shard;

/// A peer is well once it was connected for so long.
const WELL_AFTER: Duration = Duration::from_secs(5);

/// Leaders are spread for so long after a change.
const ARMED: Duration = Duration::from_secs(30);

/// A change of who is well counts when nothing more changed for so long.
const CALM: Duration = Duration::from_secs(3);

/// A leader does not move before it has led for so long.
const LED_MIN: Duration = Duration::from_secs(5);

/// A leader does not hand over again before so long.
const MOVES_APART: Duration = Duration::from_secs(10);

/// Who should lead a group: with the same voters everywhere, each of them leads as many groups as any other, or one more.
pub fn preferred(group: GroupId, well: &BTreeSet<PeerNumber>) -> Option<PeerNumber> {
    let turn = usize::from(group.0).checked_rem(well.len())?;
    well.iter().nth(turn).copied()
}

/// When leaders are spread. Time is an input.
#[derive(Debug)]
pub struct Arming {
    until: Instant,
    well: BTreeSet<PeerNumber>,
    /// Who is well changed then, and leaders were not spread for it yet.
    changed: Option<Instant>,
}

impl Arming {
    /// Armed: the peer has just started.
    pub fn new(now: Instant) -> Self {
        Arming { until: now + ARMED, well: BTreeSet::new(), changed: None }
    }

    /// Spreads leaders from now on for a while.
    pub fn arm(&mut self, now: Instant) {
        self.until = now + ARMED;
    }

    /// Says who is well; tells whether leaders are to be spread now.
    pub fn observe(&mut self, now: Instant, well: &BTreeSet<PeerNumber>) -> bool {
        if self.well != *well {
            self.well.clone_from(well);
            self.changed = Some(now);
        }
        if self.changed.is_some_and(|at| now.duration_since(at) >= CALM) {
            self.changed = None;
            self.arm(now);
        }
        // Not while peers come and go: leaders would follow each of them.
        self.changed.is_none() && now < self.until
    }
}

impl Shard {
    /// Members that are well as this peer sees it, itself included.
    fn well(&self, now: Instant) -> BTreeSet<PeerNumber> {
        let (me, roster, table) = (self.me(), self.cluster.roster.borrow(), self.links.reach().table());
        let connected = |peer| table.get(&peer).is_some_and(|r| r.links > 0 && now.duration_since(r.since) >= WELL_AFTER);
        roster.present().map(|member| member.number).filter(|peer| *peer == me || connected(*peer)).collect()
    }

    /// Hands groups over that another peer should lead, if this is a time for it.
    pub(super) fn spread_leaders(&self, groups: &[Rc<Group>]) {
        let now = clock::monotonic();
        let well = self.well(now);
        if !self.cluster.arming.borrow_mut().observe(now, &well) {
            return;
        }
        for group in groups {
            if let Some(to) = group.better_leader(&well, now) {
                let group = Rc::clone(group);
                executor::spawn(async move {
                    if let Err(error) = group.hand_over(to).await {
                        tracing::info!(group = %group.id, to, %error, "the group keeps its leader");
                    }
                });
            }
        }
    }
}

impl Group {
    /// It was not handed over a moment ago.
    pub(super) fn may_hand_over(&self, now: Instant) -> bool {
        self.steering.moved.get().is_none_or(|at| now.duration_since(at) >= MOVES_APART)
    }

    /// Who should lead the group instead of this peer, and can take over.
    fn better_leader(&self, well: &BTreeSet<PeerNumber>, now: Instant) -> Option<PeerNumber> {
        let settled = self.steering.led_since.get().is_some_and(|since| now.duration_since(since) >= LED_MIN);
        if !settled || self.steering.busy.get() || !self.may_hand_over(now) {
            return None;
        }
        let members = self.replica()?.members();
        let candidates: BTreeSet<PeerNumber> = members.voters().intersection(well).copied().collect();
        let to = preferred(self.id, &candidates).filter(|to| *to != self.me)?;
        let ready = members.committed && members.configs.len() == 1 && members.lag(to).is_some_and(|lag| lag <= LAG_MAX);
        ready.then_some(to)
    }
}

#[cfg(test)]
mod tests {
    //! Leaders that are not spread make one peer do the work of all; leaders that flap make everybody wait.
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn leaders_are_even(groups in 0u16..70, well in proptest::collection::btree_set(1u64..80, 1..9)) {
            let mut leads = std::collections::BTreeMap::<PeerNumber, usize>::new();
            well.iter().for_each(|peer| { leads.insert(*peer, 0); });
            for group in 0..=groups {
                *leads.get_mut(&preferred(GroupId(group), &well).expect("somebody")).expect("one of them") += 1;
            }
            let (least, most) = (leads.values().min().expect("some"), leads.values().max().expect("some"));
            prop_assert!(most - least <= 1, "{leads:?}");
        }
    }

    #[test]
    fn nobody_is_preferred_when_nobody_is_well() {
        assert_eq!(preferred(GroupId(3), &BTreeSet::new()), None);
    }

    /// Armed at the start and after a change that has come to rest, for 30 s; never while peers come and go.
    #[test]
    fn spreading_has_its_time() {
        let start = clock::monotonic();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let sets = [BTreeSet::from([1]), BTreeSet::from([1, 2]), BTreeSet::from([1, 2, 3])];
        let mut arming = Arming::new(start);
        assert!(!arming.observe(at(0), &sets[0]), "the first sight is a change");
        assert!(arming.observe(at(3_000), &sets[0]));
        assert!(arming.observe(at(32_000), &sets[0]) && !arming.observe(at(33_000), &sets[0]));
        // A peer comes, and another one a second later: one change, three seconds after the last.
        assert!(!arming.observe(at(40_000), &sets[1]) && !arming.observe(at(41_000), &sets[2]));
        assert!(!arming.observe(at(43_500), &sets[2]) && arming.observe(at(44_000), &sets[2]));
        assert!(arming.observe(at(73_900), &sets[2]) && !arming.observe(at(74_000), &sets[2]));
        // Asked for.
        arming.arm(at(80_000));
        assert!(arming.observe(at(80_001), &sets[2]) && !arming.observe(at(110_000), &sets[2]));
        // A peer that flaps keeps everything where it is.
        arming.arm(at(120_000));
        for n in 0..20 {
            assert!(!arming.observe(at(120_000 + n * 1_000), &sets[1 + (n % 2) as usize]));
        }
    }
}
