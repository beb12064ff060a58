//! Who may join and who may go. Wrong here means two peers under one name, or a cluster without members.

use proptest::prelude::*;
use z4_model::ids::GroupId;
use z4_model::keys;
use z4_model::machine::testing::{MemoryStore, entry};
use z4_model::machine::{Machine, Store};

use super::*;

fn member(number: PeerNumber, id: &str, removed: bool) -> Member {
    Member { number, id: id.into(), address: format!("{id}:1"), removed }
}

fn roster(members: Vec<Member>) -> Roster {
    Roster { cluster: "c".into(), members, ..Roster::default() }
}

fn three() -> Roster {
    roster(vec![member(1, "a", false), member(2, "b", true), member(3, "c", false)])
}

fn row(id: &str, address: &str, removed: bool) -> PeerRow {
    PeerRow { id: id.into(), address: address.into(), removed }
}

#[test]
fn a_new_peer_gets_the_next_number() {
    assert_eq!(three().add("d", "d:1"), Ok(Change { number: 4, rows: vec![(4, row("d", "d:1", false))] }));
    // The address of a removed peer is free again, its number is not.
    let after = roster(vec![member(1, "a", false), member(2, "b", true)]);
    assert_eq!(after.add("e", "b:1").expect("the address is free").number, 3);
}

/// Pods keep their names: an id that can never come back would leave its place empty for ever.
#[test]
fn an_id_is_free_again_once_it_was_removed_and_its_number_is_not() {
    let again = Change { number: 4, rows: vec![(4, row("b", "b:1", false))] };
    assert_eq!(three().add("b", "b:1"), Ok(again.clone()));
    assert_eq!(three().replace("b", "b:1"), Ok(again), "nobody has it: there is nothing to replace");
    // The second life of the id is the one that counts from then on.
    let mut back = three();
    back.members.push(member(4, "b", false));
    assert_eq!(back.add("b", "b:1"), Ok(Change::nothing(4)));
    assert_eq!(back.remove("b"), Ok(Change { number: 4, rows: vec![(4, row("b", "b:1", true))] }));
    back.members[3].removed = true;
    assert_eq!(back.remove("b"), Ok(Change::nothing(4)));
}

/// In two steps the cluster would be one voter short between them, and a tool that dies in the middle would leave it so.
#[test]
fn a_lost_disk_is_replaced_in_one_change() {
    let rows = vec![(3, row("c", "c:1", true)), (4, row("c", "c:1", false))];
    assert_eq!(three().replace("c", "c:1"), Ok(Change { number: 4, rows }));
    assert_eq!(three().replace("c", "new:1").expect("elsewhere").rows[1].1.address, "new:1");
    let taken = MemberError::AddressTaken { address: "a:1".into(), id: "a".into() };
    assert_eq!(three().replace("c", "a:1"), Err(taken));
    let alone = roster(vec![member(1, "a", false)]);
    assert_eq!(alone.replace("a", "a:1"), Err(MemberError::Last("a".into())), "nobody would be left who has the data");
}

#[test]
fn a_member_moves_to_another_address_that_is_nobodys() {
    assert_eq!(three().relocate(3, "x:1"), Ok(Change { number: 3, rows: vec![(3, row("c", "x:1", false))] }));
    assert_eq!(three().relocate(3, "C:1"), Ok(Change::nothing(3)));
    assert_eq!(three().relocate(3, "0.0.0.0:1"), Err(MemberError::MalformedAddress("0.0.0.0:1".into())));
    assert_eq!(three().relocate(3, "a:1"), Err(MemberError::AddressTaken { address: "a:1".into(), id: "a".into() }));
    assert_eq!(three().relocate(2, "x:1"), Err(MemberError::Unknown("b".into())), "it was removed");
}

#[test]
fn adding_says_what_is_wrong() {
    let (id, address) = ("d".to_owned(), "d:1".to_owned());
    for (adding, error) in [
        (("", "d:1"), MemberError::MalformedId(String::new())),
        (("d e", "d:1"), MemberError::MalformedId("d e".into())),
        (("d", "d"), MemberError::MalformedAddress("d".into())),
        (("d", "0.0.0.0:1"), MemberError::MalformedAddress("0.0.0.0:1".into())),
        (("c", "d:1"), MemberError::IdTaken { id: "c".into(), address: "c:1".into() }),
        (("d", "C:1"), MemberError::AddressTaken { address: "C:1".into(), id: "c".into() }),
    ] {
        assert_eq!(three().add(adding.0, adding.1), Err(error), "{adding:?}");
    }
    assert_eq!(three().add("c", "c:1"), Ok(Change::nothing(3)), "again is fine");
    let full = roster((1..=63).map(|n| member(n, &format!("p{n}"), false)).collect());
    assert_eq!(full.add(&id, &address), Err(MemberError::Full(id.clone())));
    assert_eq!(full.replace("p5", "p5:1").expect("one goes, one comes").number, 64);
    let nearly = roster((1..=63).map(|n| member(n, &format!("p{n}"), n == 5)).collect());
    assert_eq!(nearly.add(&id, &address).expect("room for one").number, 64);
}

#[test]
fn removing_says_what_is_wrong() {
    assert_eq!(three().remove("c"), Ok(Change { number: 3, rows: vec![(3, row("c", "c:1", true))] }));
    assert_eq!(three().remove("b"), Ok(Change::nothing(2)), "again is fine");
    assert_eq!(three().remove("x"), Err(MemberError::Unknown("x".into())));
    let last = roster(vec![member(1, "a", false), member(2, "b", true)]);
    assert_eq!(last.remove("a"), Err(MemberError::Last("a".into())));
    assert_eq!(last.remove("b"), Ok(Change::nothing(2)));
}

/// Who has a row has not got a task yet: with the last one who votes everything goes that was acknowledged.
#[test]
fn who_alone_has_a_vote_in_some_group_stays() {
    let roster = roster(vec![member(1, "a", false), member(2, "b", false), member(3, "c", true)]);
    let voters = |groups: &[&[PeerNumber]]| -> Voters {
        let group = |(n, voters): (usize, &&[PeerNumber])| (GroupId(n as u16), voters.iter().copied().collect());
        groups.iter().enumerate().map(group).collect()
    };
    let only = |id: &str, group| Err(MemberError::OnlyVoter { id: id.into(), group: GroupId(group) });
    let left = |change: Result<Change, MemberError>, groups| roster.check_left(&change.expect("it may"), &voters(groups));
    assert_eq!(left(roster.remove("a"), &[&[1], &[1]]), only("a", 0), "b is a learner");
    assert_eq!(left(roster.remove("a"), &[&[1, 2], &[1]]), only("a", 1));
    assert_eq!(left(roster.remove("a"), &[&[1, 3]]), only("a", 0), "c was removed itself");
    assert_eq!(left(roster.remove("a"), &[&[]]), only("a", 0), "nobody knows");
    assert_eq!(left(roster.replace("a", "a:2"), &[&[1]]), only("a", 0), "the disk that comes is empty");
    assert_eq!(left(roster.remove("a"), &[&[1, 2], &[2]]), Ok(()));
    assert_eq!(left(roster.remove("b"), &[&[1], &[1]]), Ok(()), "a learner that does not come");
    assert_eq!(left(roster.replace("b", "b:2"), &[&[1, 2]]), Ok(()));
    for nobody_goes in [roster.remove("c"), roster.add("d", "d:1"), roster.relocate(1, "a:2")] {
        assert_eq!(left(nobody_goes, &[&[1]]), Ok(()));
    }
}

/// Group 0, as far as these changes go.
struct Group {
    machine: Machine,
    store: MemoryStore,
    index: u64,
}

impl Group {
    fn new() -> Self {
        let mut store = MemoryStore::default();
        let machine = Machine::load(GroupId::REGISTRY, &mut store).expect("empty");
        Group { machine, store, index: 0 }
    }

    fn read(&mut self) -> Registry {
        let range = keys::registry_rows(b"");
        let rows = self.store.scan(&range.from, &range.until, usize::MAX).expect("memory");
        let rows: Vec<_> = rows.into_iter().map(|(key, row)| (keys::parse_registry(&key).expect("a row"), row)).collect();
        Registry::from_rows(&rows).expect("understood")
    }

    fn write(&mut self, command: Command) -> bool {
        self.index += 1;
        let bytes = entry(1, vec![command]);
        let outcome = self.machine.apply(&mut self.store, self.index, &bytes).expect("applied");
        outcome.replies[0].is_ok()
    }
}

/// Both read, both decide, one of them is told to read again: the last two peers cannot both go.
#[test]
fn two_changes_at_a_time_cannot_both_be_made() {
    let mut group = Group::new();
    for id in ["a", "b"] {
        let read = group.read();
        let change = read.roster.add(id, &format!("{id}:1")).expect("new");
        assert!(group.write(read.command(&change)));
    }
    let read = group.read();
    let removals = ["a", "b"].map(|id| read.roster.remove(id).expect("two are there"));
    let made = removals.map(|change| group.write(read.command(&change)));
    assert_eq!(made, [true, false]);
    assert_eq!(group.read().roster.remove("b"), Err(MemberError::Last("b".into())));
}

/// Two disks come under one number, or one comes while its number is being taken away: one of them is a member at most.
#[test]
fn a_number_is_claimed_by_one_disk_and_only_while_it_is_a_members() {
    let mut group = Group::new();
    for id in ["a", "b"] {
        let read = group.read();
        let change = read.roster.add(id, &format!("{id}:1")).expect("new");
        assert!(group.write(read.command(&change)));
    }
    let (read, first, second) = (group.read(), Incarnation::new(1), Incarnation::new(2));
    assert!(group.write(read.claim(2, first)));
    assert!(!group.write(read.claim(2, second)), "it is taken");
    let read = group.read();
    assert!(!group.write(read.claim(2, second)), "also for who has read so");
    assert_eq!(group.read().roster.incarnation(2), Some(first));
    let read = group.read();
    let removed = read.roster.remove("a").expect("two are there");
    assert!(group.write(read.command(&removed)));
    assert!(!group.write(read.claim(1, second)), "it was removed meanwhile");
    assert_eq!(group.read().roster.incarnation(1), None);
}

/// Two clones of a disk come at a time, each where another number should be.
#[test]
fn a_disk_is_written_down_under_one_number() {
    let mut group = Group::new();
    for id in ["a", "b"] {
        let read = group.read();
        let change = read.roster.add(id, &format!("{id}:1")).expect("new");
        assert!(group.write(read.command(&change)));
    }
    let (read, disk) = (group.read(), Incarnation::new(1));
    let made = [1, 2].map(|number| group.write(read.claim(number, disk)));
    assert_eq!(made, [true, false]);
    assert_eq!(group.read().roster.owner(disk), Some(1));
}

proptest! {
    /// Any number of operators at a time, each with what it read some time ago: numbers, the ids and addresses of members stay unique and
    /// somebody stays.
    #[test]
    fn stale_operators_do_no_harm(tries in proptest::collection::vec((0usize..4, 0u8..4, 0u8..5, 0u8..5), 1..60)) {
        let mut group = Group::new();
        let mut known = vec![Registry::default(); 4];
        for (operator, what, id, address) in tries {
            let read = known[operator].clone();
            let (name, address) = (format!("p{id}"), format!("h{address}:1"));
            let change = match what {
                0 => read.roster.add(&name, &address),
                1 => read.roster.remove(&name),
                2 => read.roster.replace(&name, &address),
                _ => read.roster.relocate(u64::from(id), &address),
            };
            if let Ok(change) = change && !change.rows.is_empty() {
                group.write(read.command(&change));
            }
            known[operator] = group.read();
            let members = known[operator].roster.members.clone();
            let present = || members.iter().filter(|m| !m.removed);
            let unique = |names: Vec<String>| names.len() == names.into_iter().collect::<std::collections::BTreeSet<_>>().len();
            prop_assert!(unique(present().map(|m| m.id.clone()).collect()));
            prop_assert!(unique(present().map(|m| m.address.clone()).collect()));
            prop_assert!(members.is_empty() || present().next().is_some());
            prop_assert!(members.iter().enumerate().all(|(n, m)| m.number == n as u64 + 1));
        }
    }
}
