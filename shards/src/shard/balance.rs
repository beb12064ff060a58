//! Leaders are spread evenly over the peers that are well, for a while after something changed. Outside of that time they stay where
//! they are, also where an operator put them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use z4_model::ids::PeerNumber;

use crate::link::Reachability;
use crate::runtime::clock::Instant;
use crate::runtime::{clock, executor, pace};
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

/// Who should lead each of the groups 0, 1, …: every voter takes its turn, and a voter that is not well is replaced by the one that
/// leads the least. So each of them leads as many groups as any other, or one more, and when a peer goes only its groups move. Empty
/// when nobody is well.
pub fn preferred(groups: usize, voters: &BTreeSet<PeerNumber>, well: &BTreeSet<PeerNumber>) -> Vec<PeerNumber> {
    let mut led: BTreeMap<PeerNumber, usize> = voters.intersection(well).map(|peer| (*peer, 0)).collect();
    if led.is_empty() {
        return Vec::new();
    }
    let mut leaders: Vec<PeerNumber> = voters.iter().copied().cycle().take(groups).collect();
    for peer in &leaders {
        led.entry(*peer).and_modify(|count| *count += 1);
    }
    for leader in &mut leaders {
        if !led.contains_key(leader)
            && let Some((idlest, count)) = led.iter_mut().min_by_key(|(_, count)| **count)
        {
            *leader = *idlest;
            *count += 1;
        }
    }
    leaders
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
    /// Members that are well as this peer sees it, itself included: connected for a while, with a clock that agrees.
    fn well(&self, now: Instant) -> BTreeSet<PeerNumber> {
        let (me, roster, table) = (self.me(), self.cluster.roster.borrow(), self.links.reach().table());
        let clocks = self.links.reach().clocks();
        let right = |r: &Reachability| r.clock.is_none_or(|reading| clocks.agrees(reading));
        let connected =
            |peer| table.get(&peer).is_some_and(|r| r.links > 0 && now.duration_since(r.since) >= WELL_AFTER && right(r));
        let well = |peer: &PeerNumber| if *peer == me { clocks.outside_ms() == 0 } else { connected(*peer) };
        roster.present().map(|member| member.number).filter(well).collect()
    }

    /// Hands groups over that another peer should lead, if this is a time for it.
    pub(super) fn spread_leaders(&self, groups: &[Rc<Group>]) {
        let now = clock::monotonic();
        let well = self.well(now);
        let mut arming = self.cluster.arming.borrow_mut();
        if !arming.observe(now, &well) {
            return;
        }
        if !pace::is_quick() {
            // An election may take longer than what it is good for. It is put off, not left out.
            return arming.arm(now);
        }
        drop(arming);
        let count = self.shards().map_or(0, |shards| shards.all_groups().len());
        // Mostly there is one set of voters, and one plan for all groups.
        let mut plans: BTreeMap<BTreeSet<PeerNumber>, Vec<PeerNumber>> = BTreeMap::new();
        for group in groups.iter().filter(|group| group.may_move(now)) {
            let Some(voters) = group.replica().map(|replica| replica.members().voters()) else { continue };
            let plan = plans.entry(voters).or_insert_with_key(|voters| preferred(count, voters, &well));
            let planned = plan.get(usize::from(group.id.0)).copied();
            if let Some(to) = planned.filter(|to| group.is_ready(*to)) {
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

    /// This peer has led it for a while, and nothing is under way.
    fn may_move(&self, now: Instant) -> bool {
        let settled = self.steering.led_since.get().is_some_and(|since| now.duration_since(since) >= LED_MIN);
        settled && !self.steering.busy.get() && self.may_hand_over(now)
    }

    /// Another peer can take over.
    fn is_ready(&self, to: PeerNumber) -> bool {
        let Some(replica) = self.replica() else { return false };
        let members = replica.members();
        let calm = members.committed && members.configs.len() == 1;
        to != self.me && calm && members.lag(to).is_some_and(|lag| lag <= LAG_MAX) && replica.is_well(to, LAG_MAX)
    }
}

#[cfg(test)]
mod tests {
    //! Leaders that are not spread make one peer do the work of all; leaders that flap make everybody wait.
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn leaders_are_even_and_only_the_groups_of_who_goes_move(
            groups in 1usize..70,
            voters in proptest::collection::btree_map(1u64..80, any::<bool>(), 1..9),
            goes: prop::sample::Index,
        ) {
            let all: BTreeSet<PeerNumber> = voters.keys().copied().collect();
            let mut well: BTreeSet<PeerNumber> = voters.iter().filter(|(_, well)| **well).map(|(peer, _)| *peer).collect();
            let plan = preferred(groups, &all, &well);
            prop_assert_eq!(plan.len(), if well.is_empty() { 0 } else { groups });
            let leads = |peer: &PeerNumber| plan.iter().filter(|leader| *leader == peer).count();
            let (least, most) = (well.iter().map(leads).min(), well.iter().map(leads).max());
            prop_assert!(well.is_empty() || most <= least.map(|least| least + 1), "{plan:?}");
            prop_assert!(plan.iter().all(|leader| well.contains(leader)));
            // When everybody was well before, nobody moves who need not.
            if well.len() == all.len() && well.len() > 1 {
                let gone = *goes.get(&all.iter().copied().collect::<Vec<_>>());
                well.remove(&gone);
                let after = preferred(groups, &all, &well);
                prop_assert!(plan.iter().zip(&after).all(|(before, after)| *before == gone || before == after));
            }
        }
    }

    #[test]
    fn every_voter_takes_its_turn() {
        let (all, two) = (BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 3]));
        assert_eq!(preferred(5, &all, &all), [1, 2, 3, 1, 2]);
        assert_eq!(preferred(5, &all, &two), [1, 3, 3, 1, 1]);
        assert_eq!(preferred(5, &all, &BTreeSet::from([7])), [], "7 is well, but has no vote");
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
