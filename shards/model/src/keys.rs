//! Every key kind and its byte layout. Once assigned they never change.
//!
//! | first byte | kind | then |
//! |---|---|---|
//! | `0x01` | [`RAFT`] | nothing: one row, the partition's own |
//! | `0x02` | [`META`] | nothing: one row, the machine's memory of the group |
//! | `0x03` | [`CLAIMS`] | nothing: one row, which deliveries of earlier leaders may be claimed |
//! | `0x10` | [`NAMESPACE`] | the name |
//! | `0x20` | [`TASK`] | length of the name (u8), the name, due ms (u64), sequence (u64) |
//! | `0x21` | [`DEAD`] | the same |
//! | `0x22` | [`MOVED`] | length of the name (u8), the name, due ms at creation (u64), sequence (u64) |
//! | `0x30` | [`IDEMPOTENCY`] | log index (u64) |
//! | `0x40` | [`REGISTRY`] | the row's name |
//!
//! Numbers are big-endian, so that the order of the bytes is the order of (due, sequence) within a namespace.

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::{Namespace, TaskId, TaskKey};

/// The partition's own row: what of the raft log is applied.
pub const RAFT: u8 = 0x01;
/// The group's row: stamp, state hash, totals.
pub const META: u8 = 0x02;
/// Which deliveries of earlier leaders may be claimed.
pub const CLAIMS: u8 = 0x03;
/// A namespace: settings and counts.
pub const NAMESPACE: u8 = 0x10;
/// A live task.
pub const TASK: u8 = 0x20;
/// A dead task.
pub const DEAD: u8 = 0x21;
/// Where a task is that is dead, or not where its id says.
pub const MOVED: u8 = 0x22;
/// The request ids that one entry brought.
pub const IDEMPOTENCY: u8 = 0x30;
/// A row of the registry (group 0).
pub const REGISTRY: u8 = 0x40;

/// Bytes of a position: due time and sequence.
const POSITION_BYTES: usize = 16;

const _: () = {
    let kinds = [RAFT, META, CLAIMS, NAMESPACE, TASK, DEAD, MOVED, IDEMPOTENCY, REGISTRY];
    let mut i = 1;
    while i < kinds.len() {
        assert!(kinds[i - 1] < kinds[i], "each kind has a first byte of its own");
        i += 1;
    }
    assert!(REGISTRY < u8::MAX, "there is a key after those of each kind");
    assert!(POSITION_BYTES == size_of::<TaskKey>(), "a position is a due time and a sequence");
};

/// The keys `from <= key < until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that may be in it.
    pub from: Bytes,
    /// The first key that is not in it any more.
    pub until: Bytes,
}

/// The key of the partition's row.
pub const fn raft() -> Bytes {
    Bytes::from_static(&[RAFT])
}

/// The key of the group's row.
pub const fn meta() -> Bytes {
    Bytes::from_static(&[META])
}

/// The key of the row of claims.
pub const fn claims() -> Bytes {
    Bytes::from_static(&[CLAIMS])
}

/// The key of a namespace's row.
pub fn namespace(name: &Namespace) -> Bytes {
    prefixed(NAMESPACE, name.as_bytes())
}

/// The namespace of a key that [`namespace`] made.
pub fn parse_namespace(key: &Bytes) -> Option<Namespace> {
    (key.first() == Some(&NAMESPACE)).then(|| Namespace::from_bytes(key.slice(1..)).ok()).flatten()
}

/// The namespaces after `after` in the order of their names; all of them for `None`.
pub fn namespaces_after(after: Option<&Namespace>) -> KeyRange {
    let from = match after {
        // Names have no control characters, so nothing is between a name and the name with a zero byte behind it.
        Some(name) => prefixed(NAMESPACE, &[name.as_bytes(), &[0]].concat()),
        None => Bytes::from_static(&[NAMESPACE]),
    };
    KeyRange { from, until: Bytes::from_static(&[NAMESPACE + 1]) }
}

/// The key of a live task.
pub fn task(namespace: &Namespace, key: TaskKey) -> Bytes {
    positioned(TASK, namespace, key)
}

/// The key of a dead task.
pub fn dead(namespace: &Namespace, key: TaskKey) -> Bytes {
    positioned(DEAD, namespace, key)
}

/// The key of a task's row.
pub fn row(namespace: &Namespace, is_dead: bool, key: TaskKey) -> Bytes {
    positioned(if is_dead { DEAD } else { TASK }, namespace, key)
}

/// The key of what tells where a task is.
pub fn moved(namespace: &Namespace, id: TaskId) -> Bytes {
    positioned(MOVED, namespace, id.home())
}

/// Live tasks of a namespace with `from <= position < until`; nothing is at or after [`TaskKey::MAX`].
pub fn tasks(namespace: &Namespace, from: TaskKey, until: TaskKey) -> KeyRange {
    KeyRange { from: positioned(TASK, namespace, from), until: positioned(TASK, namespace, until) }
}

/// Dead tasks of a namespace with `from <= position < until`.
pub fn dead_tasks(namespace: &Namespace, from: TaskKey, until: TaskKey) -> KeyRange {
    KeyRange { from: positioned(DEAD, namespace, from), until: positioned(DEAD, namespace, until) }
}

/// The key of an entry's block of request ids.
pub fn idempotency(index: u64) -> Bytes {
    prefixed(IDEMPOTENCY, &index.to_be_bytes())
}

/// The log index of a key that [`idempotency`] made.
pub fn parse_idempotency(key: &[u8]) -> Option<u64> {
    let (kind, index) = key.split_first()?;
    (*kind == IDEMPOTENCY).then(|| index.try_into().ok().map(u64::from_be_bytes)).flatten()
}

/// Blocks of request ids from log index `from` on.
pub fn idempotency_from(from: u64) -> KeyRange {
    KeyRange { from: idempotency(from), until: Bytes::from_static(&[IDEMPOTENCY + 1]) }
}

/// The key of a registry row.
pub fn registry(name: &[u8]) -> Bytes {
    prefixed(REGISTRY, name)
}

/// The name of a registry row whose key [`registry`] made.
pub fn parse_registry(key: &Bytes) -> Option<Bytes> {
    (key.first() == Some(&REGISTRY)).then(|| key.slice(1..))
}

/// The registry rows whose names start with `prefix`.
pub fn registry_rows(prefix: &[u8]) -> KeyRange {
    let from = registry(prefix);
    KeyRange { until: after_prefix(&from), from }
}

/// The position in a key that [`task`], [`dead`] or [`moved`] made (for `moved`: the home of the task's id).
pub fn parse_position(key: &[u8]) -> Option<TaskKey> {
    split(key).map(|(_, position)| position)
}

fn prefixed(kind: u8, rest: &[u8]) -> Bytes {
    let mut key = BytesMut::with_capacity(1 + rest.len());
    key.put_u8(kind);
    key.put_slice(rest);
    key.freeze()
}

fn positioned(kind: u8, namespace: &Namespace, key: TaskKey) -> Bytes {
    let name = namespace.as_bytes();
    let mut out = BytesMut::with_capacity(2 + name.len() + POSITION_BYTES);
    // A namespace has 1 to 255 bytes.
    out.put_slice(&[kind, name.len() as u8]);
    out.put_slice(name);
    out.put_slice(&(u128::from(key.due_ms) << 64 | u128::from(key.sequence)).to_be_bytes());
    out.freeze()
}

/// The length of the name and the position.
fn split(key: &[u8]) -> Option<(usize, TaskKey)> {
    let (head, position) = key.split_last_chunk::<POSITION_BYTES>()?;
    let [TASK | DEAD | MOVED, name_bytes, name @ ..] = head else { return None };
    if usize::from(*name_bytes) != name.len() || name.is_empty() {
        return None;
    }
    let position = u128::from_be_bytes(*position);
    Some((name.len(), TaskKey { due_ms: (position >> 64) as u64, sequence: position as u64 }))
}

/// The first key after all that start with `prefix`, whose first byte is a kind and so below 0xff.
fn after_prefix(prefix: &[u8]) -> Bytes {
    assert!(prefix.first().is_some_and(|kind| *kind < u8::MAX), "keys begin with their kind");
    let mut until = prefix.to_vec();
    while until.last() == Some(&0xff) {
        until.pop();
    }
    if let Some(last) = until.last_mut() {
        *last += 1;
    }
    Bytes::from(until)
}

#[cfg(test)]
mod tests {
    //! Keys are on disks: were one of these bytes to change, the tasks under the old ones could not be found any more. And scans
    //! rely on the order: were it not that of due times, tasks would be delivered late or never.

    use proptest::prelude::*;

    use super::*;
    use crate::ids::GroupId;

    fn ns(name: &str) -> Namespace {
        Namespace::new(name).expect("valid")
    }

    #[test]
    fn keys_are_golden() {
        let at = TaskKey { due_ms: 0x0102_0304_0506, sequence: 0x0a0b_0c0d_0001 };
        let id = TaskId { due_ms: at.due_ms, group: GroupId(9), sequence: at.sequence };
        let position = [0, 0, 1, 2, 3, 4, 5, 6, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 0, 1];
        let with = |head: &[u8], tail: &[u8]| Bytes::from([head, tail].concat());
        assert_eq!(raft(), Bytes::from_static(&[1]));
        assert_eq!(meta(), Bytes::from_static(&[2]));
        assert_eq!(namespace(&ns("mail")), Bytes::from_static(b"\x10mail"));
        assert_eq!(task(&ns("mail"), at), with(b"\x20\x04mail", &position));
        assert_eq!(dead(&ns("mail"), at), with(b"\x21\x04mail", &position));
        assert_eq!(moved(&ns("mail"), id), with(b"\x22\x04mail", &position));
        assert_eq!(idempotency(258), Bytes::from_static(&[0x30, 0, 0, 0, 0, 0, 0, 1, 2]));
        assert_eq!(registry(b"peer/1"), Bytes::from_static(b"\x40peer/1"));
    }

    fn name() -> impl Strategy<Value = Namespace> {
        "[ab]{1,3}".prop_map(|name| ns(&name))
    }

    fn position() -> impl Strategy<Value = TaskKey> {
        // Often close together, so that ties and neighbours are met.
        let near = 0u64..4;
        (prop_oneof![near.clone(), any::<u64>()], prop_oneof![near, any::<u64>()])
            .prop_map(|(due_ms, sequence)| TaskKey { due_ms, sequence })
    }

    proptest! {
        #[test]
        fn keys_round_trip(name in name(), key in position(), is_dead: bool, index: u64) {
            let bytes = row(&name, is_dead, key);
            prop_assert_eq!(parse_position(&bytes), Some(key));
            prop_assert_eq!(parse_namespace(&namespace(&name)), Some(name));
            prop_assert_eq!(parse_idempotency(&idempotency(index)), Some(index));
        }

        #[test]
        fn keys_sort_by_position_and_ranges_hold_their_namespace_only(
            a in name(), b in name(), from in position(), until in position(), key in position(),
        ) {
            prop_assert_eq!(task(&a, from).cmp(&task(&a, key)), from.cmp(&key));
            let range = tasks(&a, from, until);
            let at = task(&b, key);
            let inside = range.from <= at && at < range.until;
            prop_assert_eq!(inside, a == b && from <= key && key < until);
            let after = namespaces_after(Some(&a));
            let at = namespace(&b);
            prop_assert_eq!(after.from <= at && at < after.until, b > a);
        }

        #[test]
        fn what_is_no_key_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let bytes = Bytes::from(bytes);
            if let Some(key) = parse_position(&bytes)
                && let Ok(name) = Namespace::from_bytes(bytes.slice(2..bytes.len() - POSITION_BYTES))
            {
                prop_assert_eq!(positioned(bytes[0], &name, key), bytes);
            }
        }
    }

    #[test]
    fn registry_rows_are_those_of_the_prefix() {
        let range = registry_rows(b"peer/");
        let inside = |name: &[u8]| range.from <= registry(name) && registry(name) < range.until;
        assert!(inside(b"peer/") && inside(b"peer/\xff\xff"));
        assert!(!inside(b"peer") && !inside(b"peer0") && !inside(b"slot/1"));
        assert_eq!(registry_rows(b"\xff").until, Bytes::from_static(&[0x41]));
    }
}
