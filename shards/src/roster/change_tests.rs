//! Who may join and who may go. Wrong here means two peers under one name, or a cluster without members.

use proptest::prelude::*;

use super::*;
use crate::ids::GroupId;
use crate::machine::testing::{MemoryStore, entry};
use crate::machine::{Machine, Store, keys};

fn member(number: PeerNumber, id: &str, removed: bool) -> Member {
    Member { number, id: id.into(), address: format!("{id}:1"), removed }
}

fn roster(members: Vec<Member>) -> Roster {
    Roster { cluster: "c".into(), members }
}

fn three() -> Roster {
    roster(vec![member(1, "a", false), member(2, "b", true), member(3, "c", false)])
}

#[test]
fn a_new_peer_gets_the_next_number() {
    let row = PeerRow { id: "d".into(), address: "d:1".into(), removed: false };
    assert_eq!(three().add("d", "d:1"), Ok(Change { number: 4, row: Some(row) }));
    // The address of a removed peer is free again, its number is not.
    let after = roster(vec![member(1, "a", false), member(2, "b", true)]);
    assert_eq!(after.add("e", "b:1").expect("the address is free").number, 3);
}

#[test]
fn adding_says_what_is_wrong() {
    let (id, address) = ("d".to_owned(), "d:1".to_owned());
    for (adding, error) in [
        (("", "d:1"), MemberError::MalformedId(String::new())),
        (("d e", "d:1"), MemberError::MalformedId("d e".into())),
        (("d", "d"), MemberError::MalformedAddress("d".into())),
        (("c", "d:1"), MemberError::IdTaken { id: "c".into(), address: "c:1".into() }),
        (("d", "C:1"), MemberError::AddressTaken { address: "C:1".into(), id: "c".into() }),
        (("b", "b:1"), MemberError::WasRemoved("b".into())),
        (("b", "d:1"), MemberError::WasRemoved("b".into())),
    ] {
        assert_eq!(three().add(adding.0, adding.1), Err(error), "{adding:?}");
    }
    assert_eq!(three().add("c", "c:1"), Ok(Change { number: 3, row: None }), "again is fine");
    let full = roster((1..=63).map(|n| member(n, &format!("p{n}"), false)).collect());
    assert_eq!(full.add(&id, &address), Err(MemberError::Full(id.clone())));
    let nearly = roster((1..=63).map(|n| member(n, &format!("p{n}"), n == 5)).collect());
    assert_eq!(nearly.add(&id, &address).expect("room for one").number, 64);
}

#[test]
fn removing_says_what_is_wrong() {
    let gone = PeerRow { id: "c".into(), address: "c:1".into(), removed: true };
    assert_eq!(three().remove("c"), Ok(Change { number: 3, row: Some(gone) }));
    assert_eq!(three().remove("b"), Ok(Change { number: 2, row: None }), "again is fine");
    assert_eq!(three().remove("x"), Err(MemberError::Unknown("x".into())));
    let last = roster(vec![member(1, "a", false), member(2, "b", true)]);
    assert_eq!(last.remove("a"), Err(MemberError::Last("a".into())));
    assert_eq!(last.remove("b"), Ok(Change { number: 2, row: None }));
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
        assert!(group.write(read.command(change.number, &change.row.expect("a row"))));
    }
    let read = group.read();
    let removals = ["a", "b"].map(|id| read.roster.remove(id).expect("two are there"));
    let made = removals.map(|change| group.write(read.command(change.number, &change.row.expect("a row"))));
    assert_eq!(made, [true, false]);
    assert_eq!(group.read().roster.remove("b"), Err(MemberError::Last("b".into())));
}

proptest! {
    /// Any number of operators at a time, each with what it read some time ago: numbers, ids and addresses stay unique and somebody
    /// stays.
    #[test]
    fn stale_operators_do_no_harm(tries in proptest::collection::vec((0usize..4, any::<bool>(), 0u8..5, 0u8..5), 1..60)) {
        let mut group = Group::new();
        let mut known = vec![Registry::default(); 4];
        for (operator, adds, id, address) in tries {
            let read = known[operator].clone();
            let (id, address) = (format!("p{id}"), format!("h{address}:1"));
            let change = if adds { read.roster.add(&id, &address) } else { read.roster.remove(&id) };
            if let Ok(Change { number, row: Some(row) }) = change {
                group.write(read.command(number, &row));
            }
            known[operator] = group.read();
            let members = known[operator].roster.members.clone();
            let unique = |names: Vec<String>| names.len() == names.into_iter().collect::<std::collections::BTreeSet<_>>().len();
            prop_assert!(unique(members.iter().map(|m| m.id.clone()).collect()));
            prop_assert!(unique(members.iter().filter(|m| !m.removed).map(|m| m.address.clone()).collect()));
            prop_assert!(members.is_empty() || members.iter().any(|m| !m.removed));
            prop_assert!(members.iter().enumerate().all(|(n, m)| m.number == n as u64 + 1));
        }
    }
}
