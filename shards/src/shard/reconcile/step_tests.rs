//! One row per situation: a wrong step here takes a vote from a peer that is needed, or gives one to a peer that has nothing.

use super::*;
use crate::roster::Member;

fn roster(present: &[PeerNumber], removed: &[PeerNumber]) -> Roster {
    let member = |number: &PeerNumber, removed| Member {
        number: *number,
        id: format!("p{number}"),
        address: format!("p{number}:1"),
        removed,
    };
    let mut members: Vec<_> = present.iter().map(|n| member(n, false)).chain(removed.iter().map(|n| member(n, true))).collect();
    members.sort_by_key(|member| member.number);
    Roster { cluster: "c".into(), members, ..Roster::default() }
}

/// A group led by peer 1 with these voters and learners; everybody has the whole log of 100 entries but who is said to be behind.
struct Case {
    roster: Roster,
    configs: Vec<Vec<PeerNumber>>,
    learners: Vec<PeerNumber>,
    behind: Vec<PeerNumber>,
    gone: Vec<PeerNumber>,
    needed: Vec<PeerNumber>,
    committed: bool,
    may_hand_over: bool,
}

impl Case {
    fn new(present: &[PeerNumber], removed: &[PeerNumber], voters: &[PeerNumber], learners: &[PeerNumber]) -> Self {
        Case {
            roster: roster(present, removed),
            configs: vec![voters.to_vec()],
            learners: learners.to_vec(),
            behind: Vec::new(),
            gone: Vec::new(),
            needed: Vec::new(),
            committed: true,
            may_hand_over: true,
        }
    }

    fn gone(self, gone: &[PeerNumber]) -> Self {
        Case { gone: gone.to_vec(), ..self }
    }

    fn behind(self, behind: &[PeerNumber]) -> Self {
        Case { behind: behind.to_vec(), ..self }
    }

    fn step(&self) -> Step {
        let configs: Vec<BTreeSet<_>> = self.configs.iter().map(|config| config.iter().copied().collect()).collect();
        let nodes: BTreeSet<_> = configs.iter().flatten().chain(&self.learners).copied().collect();
        let lag = |peer: &PeerNumber| if self.behind.contains(peer) { PROMOTE_LAG_MAX + 1 } else { 0 };
        let matched = nodes.iter().map(|peer| (*peer, 100 - lag(peer))).collect();
        let members = Members { configs, nodes: nodes.clone(), committed: self.committed, last_log_index: 100, matched };
        let connected: BTreeSet<_> = nodes.into_iter().filter(|peer| *peer != 1 && !self.gone.contains(peer)).collect();
        let (roster, may_hand_over) = (&self.roster, self.may_hand_over);
        let needed = self.needed.iter().copied().collect();
        Situation { roster, members: &members, me: 1, connected: &connected, needed: &needed, may_hand_over }.step()
    }
}

#[test]
fn a_group_that_is_as_it_should_be_is_left_alone() {
    assert_eq!(Case::new(&[1, 2, 3], &[4], &[1, 2, 3], &[]).step(), Step::Nothing);
    assert_eq!(Case::new(&[1], &[], &[1], &[]).step(), Step::Nothing);
    // A voter that is away is still a member.
    assert_eq!(Case::new(&[1, 2, 3], &[], &[1, 2, 3], &[]).gone(&[2, 3]).step(), Step::Nothing);
}

#[test]
fn nothing_is_done_on_an_unknown_or_older_registry() {
    assert_eq!(Case::new(&[], &[], &[1, 2], &[]).step(), Step::Wait(Wait::Registry));
    // Peer 3 came later than the registry that this peer has: it is not taken for a removed one.
    assert_eq!(Case::new(&[1, 2], &[], &[1, 2, 3], &[4]).step(), Step::Nothing);
}

#[test]
fn a_change_under_way_comes_first() {
    let joint = Case { configs: vec![vec![1], vec![1, 2]], ..Case::new(&[1, 2, 3], &[], &[], &[]) };
    assert_eq!(joint.step(), Step::FinishChange);
    assert_eq!(Case { committed: false, ..joint }.step(), Step::Wait(Wait::Commit));
}

#[test]
fn a_new_member_learns_then_votes() {
    assert_eq!(Case::new(&[1, 2], &[], &[1], &[]).step(), Step::AddLearner(2));
    assert_eq!(Case::new(&[1, 2], &[], &[1], &[2]).step(), Step::Promote(2));
    let waits = Step::Wait(Wait::CatchUp(2));
    assert_eq!(Case::new(&[1, 2], &[], &[1], &[2]).behind(&[2]).step(), waits);
    assert_eq!(Case::new(&[1, 2], &[], &[1], &[2]).gone(&[2]).step(), waits, "with the whole log, but away");
    // Who is ready does not wait for who is not.
    assert_eq!(Case::new(&[1, 2, 3], &[], &[1], &[2, 3]).behind(&[2]).step(), Step::Promote(3));
}

/// A short log is lacked as a whole by whoever links as the new member and says no word: with a vote it would take the group's majority along.
#[test]
fn who_has_acknowledged_nothing_gets_no_vote_however_short_the_log_is() {
    let (roster, connected, needed) = (roster(&[1, 2], &[]), BTreeSet::from([2]), BTreeSet::new());
    let step = |matched: u64| {
        let members = Members {
            configs: vec![BTreeSet::from([1])],
            nodes: BTreeSet::from([1, 2]),
            committed: true,
            last_log_index: 5,
            matched: [(1, 5), (2, matched)].into(),
        };
        let (roster, connected, needed) = (&roster, &connected, &needed);
        Situation { roster, members: &members, me: 1, connected, needed, may_hand_over: true }.step()
    };
    assert_eq!(step(0), Step::Wait(Wait::CatchUp(2)));
    assert_eq!(step(1), Step::Promote(2));
}

#[test]
fn a_vote_is_given_only_where_a_majority_is_reached_afterwards() {
    assert_eq!(Case::new(&[1, 2, 3, 4], &[], &[1, 2, 3], &[4]).gone(&[3]).step(), Step::Promote(4));
    // Two of four with one of them away would be three of five: fine. Two of four of which two are away is not.
    let two_away = Case::new(&[1, 2, 3, 4, 5], &[], &[1, 2, 3, 4], &[5]).gone(&[3, 4]);
    assert_eq!(two_away.step(), Step::Wait(Wait::CatchUp(5)));
}

#[test]
fn a_removed_member_goes() {
    assert_eq!(Case::new(&[1, 2], &[3], &[1, 2, 3], &[]).step(), Step::RemoveVoter(3));
    assert_eq!(Case::new(&[1, 2], &[3], &[1, 2], &[3]).step(), Step::RemoveLearner(3));
    assert_eq!(Case::new(&[1], &[2], &[1], &[2]).gone(&[2]).step(), Step::RemoveLearner(2), "it never came up");
    // Who is gone goes first, so that the majority becomes smaller at once.
    assert_eq!(Case::new(&[1, 2, 3], &[4, 5], &[1, 2, 3, 4, 5], &[]).gone(&[5]).step(), Step::RemoveVoter(5));
    // A replacement that has caught up votes before the old one goes.
    assert_eq!(Case::new(&[1, 2, 4], &[3], &[1, 2, 3], &[4]).step(), Step::Promote(4));
    assert_eq!(Case::new(&[1, 2, 4], &[3], &[1, 2, 3], &[4]).behind(&[4]).step(), Step::RemoveVoter(3));
}

/// Who leads another group, or may come to lead it, has to hear that it was removed.
#[test]
fn who_is_named_elsewhere_stays_in_the_registry() {
    let needed = |needed: &[PeerNumber], case: Case| Case { needed: needed.to_vec(), ..case }.step();
    assert_eq!(needed(&[1, 2, 3], Case::new(&[1, 2], &[3], &[1, 2, 3], &[])), Step::Wait(Wait::Elsewhere(3)));
    assert_eq!(needed(&[3], Case::new(&[1, 2], &[3], &[1, 2], &[3]).gone(&[3])), Step::Wait(Wait::Elsewhere(3)));
    assert_eq!(needed(&[1, 2], Case::new(&[1, 2], &[3], &[1, 2, 3], &[])), Step::RemoveVoter(3));
    // What else is to be done is done meanwhile.
    assert_eq!(needed(&[3], Case::new(&[1, 2, 4], &[3], &[1, 2, 3], &[])), Step::AddLearner(4));
    assert_eq!(needed(&[3], Case::new(&[1, 2, 4], &[3], &[1, 2, 3], &[4])), Step::Promote(4));
    assert_eq!(needed(&[3], Case::new(&[1, 2], &[3, 4], &[1, 2, 3, 4], &[])), Step::RemoveVoter(4));
    assert_eq!(needed(&[1, 3], Case::new(&[2, 3], &[1], &[1, 2, 3], &[]).behind(&[3])), Step::HandOver(2));
}

#[test]
fn nobody_goes_whose_going_would_cost_the_majority() {
    let case = Case::new(&[1, 2], &[3], &[1, 2, 3], &[]).gone(&[2]);
    assert_eq!(case.step(), Step::Wait(Wait::Quorum(3)), "1 and 3 are a majority of three, 1 alone is none of two");
    assert_eq!(Case::new(&[1], &[2], &[1, 2], &[]).gone(&[2]).step(), Step::Wait(Wait::Quorum(2)));
}

#[test]
fn a_leader_that_was_removed_hands_over_first() {
    assert_eq!(Case::new(&[2, 3], &[1], &[1, 2, 3], &[]).behind(&[2]).step(), Step::HandOver(3));
    assert_eq!(Case::new(&[2, 3, 4], &[1], &[1, 2, 3], &[]).gone(&[2]).step(), Step::HandOver(3));
    // Nobody is there to take over: what can be done goes on.
    assert_eq!(Case::new(&[2], &[1], &[1], &[]).step(), Step::AddLearner(2));
    assert_eq!(Case::new(&[2], &[1], &[1], &[2]).step(), Step::Promote(2));
    let soon = Case { may_hand_over: false, ..Case::new(&[2], &[1], &[1, 2], &[]) };
    assert_eq!(soon.step(), Step::Wait(Wait::Successor));
}
