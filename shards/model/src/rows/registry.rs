//! Group 0's rows: peers, slot table, settings of the cluster.

use bytes::Bytes;

use crate::ids::{GroupId, Namespace, SLOTS};

/// The name that registry commands travel under. Group 0 holds no tasks, so a namespace that a user gives this name is refused
/// there; the router must not take it for a user's.
pub const NAMESPACE: &str = "z4:registry";

/// The namespace under which registry commands travel.
pub fn namespace() -> Namespace {
    // The name is valid: a test says so.
    Namespace::new(NAMESPACE).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The row with the cluster's id: 32 hexadecimal digits.
pub const CLUSTER_ID: &str = "cluster_id";

/// The row of the peer that bootstrapped the cluster, see [`peer_row`](super::peer_row).
pub const FIRST_PEER: &str = "peer/1";

/// The row that tells which disk that peer is, see [`incarnation`](super::incarnation).
pub const FIRST_INCARNATION: &str = "incarnation/1";

/// The row that counts the changes of peers' rows, in decimal digits: each change expects the count that it read, so that two
/// changes at a time cannot both be made.
pub const PEERS_REVISION: &str = "peers_revision";

/// The row with the slot table, see [`encode_slots`].
pub const SLOTS_TABLE: &str = "slots";

/// The slot table's bytes: for each of the slots, in order, the number of its group as a big-endian u16.
///
/// # Panics
/// Not one group for each slot.
pub fn encode_slots(groups: &[GroupId]) -> Bytes {
    assert_eq!(groups.len(), usize::from(SLOTS), "each slot has a group");
    groups.iter().flat_map(|group| group.0.to_be_bytes()).collect()
}

/// The inverse; `None`: it is no slot table, or one that gives a slot to the registry.
pub fn decode_slots(bytes: &[u8]) -> Option<Vec<GroupId>> {
    let groups: Vec<_> = bytes.chunks_exact(2).map(|n| GroupId(u16::from_be_bytes([n[0], n[1]]))).collect();
    let whole = bytes.len() == 2 * usize::from(SLOTS) && groups.iter().all(|group| *group != GroupId::REGISTRY);
    whole.then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_tables_round_trip_and_broken_ones_are_refused() {
        let table: Vec<_> = (0..SLOTS).map(|slot| GroupId(1 + slot % 3)).collect();
        let bytes = encode_slots(&table);
        assert_eq!(decode_slots(&bytes), Some(table));
        assert_eq!(decode_slots(&bytes[2..]), None);
        assert_eq!(decode_slots(&[0; 2 * SLOTS as usize]), None);
    }

    #[test]
    fn the_first_peer_has_number_1() {
        assert_eq!(super::super::peer_row::name(1), FIRST_PEER);
        assert_eq!(super::super::incarnation::name(1), FIRST_INCARNATION);
    }

    #[test]
    fn the_name_is_valid() {
        assert_eq!(super::namespace().as_str(), super::NAMESPACE);
    }
}
