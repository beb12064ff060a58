//! Leaders that crash between any two steps, peers that come, go, and never come up: the group must arrive at what the roster says,
//! and no step may cost it a majority that it had.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use z4_model::ids::PeerNumber;

use super::step::{Situation, Step, Wait};
use crate::raft::Members;
use crate::roster::{Member, Roster};

/// No run needs more steps: nine peers, a few steps each, and what is interrupted.
const STEPS_MAX: usize = 400;

/// What happens to the cluster from outside.
#[derive(Clone, Debug)]
enum Event {
    Add,
    Remove(usize),
    Up(usize, bool),
    CatchUp(usize),
    /// The leader goes; half of a change of voters may have been made.
    NewLeader(usize),
    Step {
        half: bool,
    },
}

struct Cluster {
    roster: Roster,
    configs: Vec<BTreeSet<PeerNumber>>,
    nodes: BTreeSet<PeerNumber>,
    up: BTreeSet<PeerNumber>,
    /// Replicas that have the log.
    caught_up: BTreeSet<PeerNumber>,
    leader: PeerNumber,
}

impl Cluster {
    /// A group with so many voters.
    fn new(voters: u64) -> Self {
        let all: BTreeSet<PeerNumber> = (1..=voters).collect();
        let mut cluster = Cluster {
            roster: Roster { cluster: "c".into(), ..Roster::default() },
            configs: vec![all.clone()],
            nodes: all.clone(),
            up: all.clone(),
            caught_up: all.clone(),
            leader: 1,
        };
        all.iter().for_each(|_| cluster.add());
        cluster
    }

    fn add(&mut self) {
        let number = self.roster.members.len() as u64 + 1;
        self.roster.members.push(Member { number, id: format!("p{number}"), address: format!("p{number}:1"), removed: false });
    }

    fn present(&self) -> BTreeSet<PeerNumber> {
        self.roster.present().map(|member| member.number).collect()
    }

    fn is_linked(&self, peer: PeerNumber) -> bool {
        self.roster.links_to(peer, &self.nodes)
    }

    /// The voters of every set have a majority up.
    fn has_quorum(&self) -> bool {
        self.configs.iter().all(|config| config.intersection(&self.up).count() > config.len() / 2)
    }

    /// Anybody who is up, votes and has the log may lead; who has a vote in either set may stand.
    fn elect(&mut self, nth: usize) -> bool {
        let able: Vec<_> = self.configs.iter().flatten().filter(|p| self.up.contains(p) && self.caught_up.contains(p)).collect();
        if !self.has_quorum() || able.is_empty() {
            return false;
        }
        self.leader = *able[nth % able.len()];
        true
    }

    fn leads(&self) -> bool {
        self.up.contains(&self.leader) && self.configs.iter().any(|c| c.contains(&self.leader)) && self.has_quorum()
    }

    fn decide(&self) -> Step {
        let matched: BTreeMap<_, _> =
            self.nodes.iter().map(|p| (*p, if self.caught_up.contains(p) { 1_000 } else { 0 })).collect();
        let (configs, nodes) = (self.configs.clone(), self.nodes.clone());
        let members = Members { configs, nodes, committed: true, last_log_index: 1_000, matched };
        let connected = self.up.iter().copied().filter(|peer| *peer != self.leader).collect();
        let (roster, me) = (&self.roster, self.leader);
        // A group of tasks: nobody has to hear anything through it.
        let needed = BTreeSet::new();
        Situation { roster, members: &members, me, connected: &connected, needed: &needed, may_hand_over: true }.step()
    }

    /// What openraft makes of a step; `half`: the leader went before the second set of voters was the only one.
    fn make(&mut self, step: Step, half: bool) {
        let voters = self.configs.last().cloned().unwrap_or_default();
        let mut after = voters.clone();
        match step {
            Step::Nothing | Step::Wait(_) => return,
            Step::HandOver(to) => {
                assert!(voters.contains(&to) && self.up.contains(&to), "{to} cannot lead");
                self.leader = to;
                return;
            }
            Step::AddLearner(peer) => {
                self.nodes.insert(peer);
                return;
            }
            Step::RemoveLearner(peer) => {
                assert!(!self.configs.iter().any(|config| config.contains(&peer)), "{peer} votes");
                self.nodes.remove(&peer);
                self.caught_up.remove(&peer);
                return;
            }
            Step::FinishChange => {}
            Step::Promote(peer) => {
                assert!(self.nodes.contains(&peer) && self.caught_up.contains(&peer) && self.up.contains(&peer));
                after.insert(peer);
            }
            Step::RemoveVoter(peer) => {
                assert!(peer != self.leader, "a leader does not remove itself");
                after.remove(&peer);
            }
        }
        if step != Step::FinishChange {
            assert!(self.configs.len() == 1 && after.symmetric_difference(&voters).count() == 1);
            self.configs = vec![voters.clone(), after.clone()];
            assert!(self.has_quorum(), "the step {step:?} cost the majority");
            if half {
                return;
            }
        }
        let before: BTreeSet<_> = self.configs.iter().flatten().copied().collect();
        for gone in before.difference(&after) {
            self.nodes.remove(gone);
            self.caught_up.remove(gone);
        }
        self.configs = vec![after];
    }

    fn happen(&mut self, event: &Event) {
        let known = self.roster.members.len();
        match event {
            Event::Add if known < 9 => self.add(),
            Event::Add => {}
            Event::Remove(nth) => {
                if self.present().len() > 1 {
                    self.roster.members[nth % known].removed = true;
                }
            }
            // Who has lost its links gets them back only where the peers keep links with it.
            Event::Up(nth, true) => {
                let peer = (nth % known) as u64 + 1;
                if self.is_linked(peer) {
                    self.up.insert(peer);
                }
            }
            Event::Up(nth, false) => {
                self.up.remove(&((nth % known) as u64 + 1));
            }
            Event::CatchUp(nth) => {
                let peer = (nth % known) as u64 + 1;
                if self.leads() && self.up.contains(&peer) && self.nodes.contains(&peer) {
                    self.caught_up.insert(peer);
                }
            }
            Event::NewLeader(nth) => {
                self.elect(*nth);
            }
            Event::Step { half } => {
                if self.leads() {
                    let step = self.decide();
                    self.make(step, *half);
                }
            }
        }
        assert!(self.configs.iter().all(|config| !config.is_empty() && config.is_subset(&self.nodes)), "{:?}", self.configs);
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Add),
        2 => (0usize..9).prop_map(Event::Remove),
        3 => (0usize..9, any::<bool>()).prop_map(|(nth, up)| Event::Up(nth, up)),
        3 => (0usize..9).prop_map(Event::CatchUp),
        2 => (0usize..9).prop_map(Event::NewLeader),
        8 => any::<bool>().prop_map(|half| Event::Step { half }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn from_any_state_the_group_arrives(
        voters in 1u64..6, events in proptest::collection::vec(event(), 0..80), dead in 0usize..3,
    ) {
        let mut cluster = Cluster::new(voters);
        events.iter().for_each(|event| cluster.happen(event));
        // From here on nothing more happens to it: everybody who is linked is up, but a few members that have no vote and never come.
        let voters: BTreeSet<_> = cluster.configs.iter().flatten().copied().collect();
        let never: BTreeSet<_> = cluster.present().difference(&voters).copied().take(dead).collect();
        cluster.up = (1..=9).filter(|peer| !never.contains(peer) && cluster.is_linked(*peer)).collect();
        prop_assert!(cluster.elect(0), "everybody who votes is up: also who was removed, or nobody could take that vote away");
        for nth in 0.. {
            prop_assert!(nth < STEPS_MAX, "it does not arrive: {:?} {:?}", cluster.configs, cluster.decide());
            cluster.caught_up.extend(cluster.nodes.intersection(&cluster.up).copied().collect::<Vec<_>>());
            let step = cluster.decide();
            if matches!(step, Step::Nothing | Step::Wait(Wait::CatchUp(_) | Wait::Successor)) {
                break;
            }
            // Every third time the leader goes in the middle.
            cluster.make(step, nth % 3 == 2);
            if nth % 3 == 2 {
                cluster.elect(nth);
            }
        }
        let wanted = cluster.present();
        let reachable: BTreeSet<_> = wanted.difference(&never).copied().collect();
        if reachable.is_empty() {
            // Those who are left never come: the voters of old keep the group.
            return Ok(());
        }
        prop_assert_eq!(&cluster.configs, &vec![reachable]);
        prop_assert_eq!(&cluster.nodes, &wanted);
    }
}
