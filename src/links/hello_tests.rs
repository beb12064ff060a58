//! A peer that took a stranger for a member would mix two clusters' logs; one that took an empty disk for a member would forget what
//! that one has acknowledged.

use z4_model::ids::{GroupId, SLOTS};
use z4_proto::peer::RegistryRow;
use z4_shards::roster::Member;

use super::*;

const CLUSTER: &str = "000000000000000000000000000000c1";
const OLD: Incarnation = Incarnation::new(1);
const MINE: Incarnation = Incarnation::new(2);

fn me() -> Identity {
    Identity {
        cluster_id: CLUSTER.into(),
        peer_id: "b".into(),
        peer_number: 2,
        shards: 1,
        groups: 1,
        incarnation: MINE.to_string(),
    }
}

fn hello() -> Hello {
    Hello {
        version: VERSION,
        cluster_id: CLUSTER.into(),
        from: 1,
        from_id: "a".into(),
        from_incarnation: OLD.to_string(),
        to: 2,
        to_id: "b".into(),
        service_address: "a:2".into(),
        ..Hello::default()
    }
}

fn roster() -> Roster {
    let member = |number, id: &str, removed| Member { number, id: id.into(), address: format!("{id}:1"), removed };
    let members = vec![member(1, "a", false), member(2, "b", false), member(3, "c", true)];
    Roster { cluster: CLUSTER.into(), members, incarnations: [(1, OLD), (2, MINE)].into() }
}

/// The Hello of a member whose registry has this peer.
fn invitation(change: impl FnOnce(&mut Registry)) -> Hello {
    let slots = Some(vec![GroupId(1); usize::from(SLOTS)]);
    let mut registry = Registry { roster: roster(), slots, revision: Some(3) };
    change(&mut registry);
    let rows = registry.invitation(1).into_iter().map(|(name, row)| RegistryRow { name, row }).collect();
    Hello { to_incarnation: MINE.to_string(), registry: rows, ..hello() }
}

fn asked(hello: &Hello, identity: Option<&Identity>, peer_id: &str) -> Answer {
    let (roster, named) = (if identity.is_some() { roster() } else { Roster::default() }, BTreeSet::new());
    answer(hello, &Knows { identity, peer_id, disk: MINE, roster: &roster, named: &named })
}

#[track_caller]
fn refused(answer: Answer, expected: Verdict, says: &str) {
    match answer {
        Answer::Refuse(verdict, reason) => {
            assert!(verdict == expected && reason.contains(says), "{verdict:?}: {reason}");
        }
        other => panic!("{other:?}, and not {expected:?}: {says}"),
    }
}

#[test]
fn only_members_of_the_same_cluster_are_let_in() {
    let me = me();
    assert_eq!(asked(&hello(), Some(&me), ""), Answer::Accept);
    for (hello, says) in [
        (Hello { version: VERSION - 1, ..hello() }, "version 1"),
        (Hello { cluster_id: "c2".into(), ..hello() }, "to c2"),
        (Hello { to: 3, ..hello() }, "number 3"),
        (Hello { to_id: "c".into(), ..hello() }, "not c"),
        (Hello { from: 2, ..hello() }, "call itself"),
        (Hello { from_incarnation: MINE.to_string(), ..hello() }, "the disk of a"),
        (Hello { from_incarnation: String::new(), ..hello() }, "the disk of a"),
        (Hello { to_incarnation: OLD.to_string(), ..hello() }, "the registry has"),
    ] {
        refused(asked(&hello, Some(&me), ""), Verdict::Mismatch, says);
    }
    assert_eq!(asked(&Hello { to_incarnation: MINE.to_string(), ..hello() }, Some(&me), ""), Answer::Accept);
    refused(asked(&Hello { from: 3, from_id: "c".into(), ..hello() }, Some(&me), ""), Verdict::Removed, "peer c");
    refused(asked(&Hello { from: 9, from_id: "i".into(), ..hello() }, Some(&me), ""), Verdict::Later, "peer i");
}

/// Without its vote the group might have no majority that could take it out.
#[test]
fn a_removed_peer_is_let_in_while_a_group_counts_on_it() {
    let (me, roster, caller) = (me(), roster(), Hello { from: 3, from_id: "c".into(), ..hello() });
    let asked = |named: &[PeerNumber]| {
        let named = named.iter().copied().collect();
        answer(&caller, &Knows { identity: Some(&me), peer_id: "", disk: MINE, roster: &roster, named: &named })
    };
    assert_eq!(asked(&[1, 2, 3]), Answer::Accept);
    refused(asked(&[1, 2]), Verdict::Removed, "peer c");
}

#[test]
fn an_empty_disk_joins_only_where_the_registry_has_it() {
    assert_eq!(asked(&hello(), None, ""), Answer::Empty);
    assert_eq!(asked(&hello(), None, "b"), Answer::Empty);
    refused(asked(&hello(), None, "other"), Verdict::Mismatch, "id is other");
    assert_eq!(asked(&Hello { to_incarnation: MINE.to_string(), ..hello() }, None, "b"), Answer::Empty, "no registry came yet");
    let Answer::Join(registry) = asked(&invitation(|_| {}), None, "b") else { panic!("it is invited") };
    assert_eq!((registry.roster.cluster.as_str(), registry.roster.members.len()), (CLUSTER, 2));
}

/// The only peer with a vote is the only one that can let another one in; were it refused for its removal, nobody would get at what it has.
#[test]
fn a_removed_peer_that_still_leads_lets_others_in() {
    let hello = invitation(|registry| registry.roster.members[0].removed = true);
    let Answer::Join(registry) = asked(&hello, None, "b") else { panic!("it is invited") };
    let seen: Vec<_> = registry.roster.members.iter().map(|member| (member.number, member.removed)).collect();
    assert_eq!(seen, [(1, true), (2, false)]);
    let gone = invitation(|registry| registry.roster.members[1].removed = true);
    refused(asked(&gone, None, "b"), Verdict::Mismatch, "does not name this peer");
}

/// An emptied disk knows nothing of what it has acknowledged and whom it has voted for: taken for the member that it was, it would elect
/// a leader that has not got it either.
#[test]
fn an_emptied_disk_is_told_how_to_go_on() {
    let hello = Hello { to_incarnation: OLD.to_string(), ..invitation(|_| {}) };
    refused(asked(&hello, None, ""), Verdict::Mismatch, "add-peer --replace");
}

/// Whoever reaches the port can say anything: a waiting peer keeps nothing of it that no registry says.
#[test]
fn a_hostile_hello_captures_nothing() {
    let named = |id: &str| Hello { to_id: id.into(), ..invitation(|_| {}) };
    let numbered = |to| Hello { to, ..invitation(|_| {}) };
    for hello in [
        numbered(0),
        numbered(u64::MAX),
        numbered(9),
        named(""),
        named("b\0"),
        named("c"),
        Hello { from: 0, ..invitation(|_| {}) },
        Hello { from_id: "x".into(), ..invitation(|_| {}) },
        Hello { service_address: "x".repeat(70_000), ..invitation(|_| {}) },
        Hello { cluster_id: String::new(), ..invitation(|_| {}) },
        Hello { cluster_id: "0".repeat(32), ..invitation(|_| {}) },
        Hello { cluster_id: String::new(), ..invitation(|registry| registry.roster.cluster.clear()) },
        invitation(|registry| registry.slots = None),
        invitation(|registry| registry.roster.members[1].removed = true),
        invitation(|registry| _ = registry.roster.incarnations.insert(2, OLD)),
        invitation(|registry| registry.roster.incarnations.clear()),
        Hello { registry: vec![RegistryRow { name: "peer/2".into(), row: "x".into() }], ..invitation(|_| {}) },
    ] {
        refused(asked(&hello, None, ""), Verdict::Mismatch, "");
    }
}

#[test]
fn a_probe_is_told_who_is_here() {
    let probe = Hello { version: VERSION, probe: true, ..Hello::default() };
    assert_eq!(asked(&probe, None, ""), Answer::Tell);
    assert_eq!(asked(&probe, Some(&me()), ""), Answer::Tell);
    let of_cluster = |cluster: &str| Hello { cluster_id: cluster.into(), ..probe.clone() };
    assert_eq!(asked(&of_cluster(CLUSTER), Some(&me()), ""), Answer::Tell);
    refused(asked(&of_cluster("c2"), Some(&me()), ""), Verdict::Mismatch, "to c2");
    refused(asked(&Hello { version: VERSION - 1, ..probe }, None, ""), Verdict::Mismatch, "version 1");
}
