//! Entries are what the log keeps and what peers send each other: their bytes are golden, and whatever a disk or a peer hands in
//! instead must be an error, never a panic or another entry.

use proptest::prelude::*;

use super::*;

fn ns(name: &str) -> Namespace {
    Namespace::new(name).expect("valid")
}

#[test]
fn an_entry_is_golden() {
    let id = TaskId { due_ms: 300, group: GroupId(1), sequence: 65_537 };
    let create = Create {
        request: Some(RequestHash(0x0102)),
        due_ms: 300,
        asked_ms: None,
        sequence: 1 << 63,
        metadata: Bytes::from_static(b"m"),
        payload: Bytes::from_static(b"pay"),
    };
    let update = Update {
        id,
        expected_version: 1,
        due_ms: Some(5),
        metadata: None,
        payload: Some(Bytes::from_static(b"p")),
        revive: true,
        fence: 0,
    };
    let patch = SettingsPatch { lease_ms: Some(1000), backoff_factor: Some(1.0), paused: Some(true), ..Default::default() };
    let moved = TaskKey { due_ms: 301, sequence: 65_537 };
    let (a, b) = (Bytes::from_static(b"a"), Bytes::from_static(b"b"));
    let entry = Entry {
        stamp_ms: 128,
        now_ms: None,
        commands: vec![
            Command {
                namespace: ns("mail"),
                ops: vec![
                    Op::Create(create),
                    Op::Ack { id, key: id.home(), rewritten: false, token: 0 },
                    Op::Ack { id, key: moved, rewritten: true, token: 9 },
                    Op::Retry { key: moved, due_ms: 7, error: Bytes::from_static(b"no"), of: None },
                ],
            },
            Command { namespace: ns("mail"), ops: vec![Op::Update(update.clone()), Op::Delete { id, expected_version: 2 }] },
            Command {
                namespace: ns("mail"),
                ops: vec![
                    Op::Retry { key: moved, due_ms: 7, error: Bytes::new(), of: Some(Ended { token: 300, nacked: true }) },
                    Op::GiveBack { key: moved, token: 301 },
                    Op::EndClaims { below: 302, kept: vec![5, 300], more: true },
                    Op::Update(Update { fence: 8, ..update }),
                ],
            },
            Command {
                namespace: ns("b"),
                ops: vec![
                    Op::Configure(patch),
                    Op::LowWater { due_ms: 9 },
                    Op::Purge { limit: 10 },
                    Op::PurgeFrom { from: PurgeCursor { live: moved, dead: TaskKey::MIN }, limit: 11 },
                    Op::DropNamespace,
                    Op::Register { key: a.clone(), value: b.clone(), before: Before::Absent },
                    Op::Register { key: a, value: b.clone(), before: Before::Value(b) },
                ],
            },
        ],
    };
    let golden = [
        &b"\x01\x80\x01\x04"[..],
        b"\x04mail\x04",
        b"\x01\x03\xac\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\x01m\x03pay",
        b"\x02\x00\x01\xac\x02\x81\x80\x04",
        b"\x02\x07\x01\xac\x02\x81\x80\x04\xad\x02\x81\x80\x04\x09",
        b"\x03\xad\x02\x81\x80\x04\x07\x02no",
        b"\x00\x02",
        b"\x04\x0d\x01\xac\x02\x81\x80\x04\x01\x05\x01p",
        b"\x05\x01\xac\x02\x81\x80\x04\x02",
        b"\x00\x04",
        b"\x0c\x01\xad\x02\x81\x80\x04\x07\x00\xac\x02",
        b"\x0d\xad\x02\x81\x80\x04\xad\x02",
        b"\x0e\x01\xae\x02\x02\x05\xa7\x02",
        b"\x04\x1d\x01\xac\x02\x81\x80\x04\x01\x05\x01p\x08",
        b"\x01b\x07",
        b"\x06\x49\xe8\x07\0\0\0\0\0\0\xf0\x3f\x01",
        b"\x07\x09",
        b"\x08\x0a",
        b"\x0a\xad\x02\x81\x80\x04\0\0\x0b",
        b"\x0b\0",
        b"\x09\x01\x01a\x01b",
        b"\x09\x02\x01a\x01b\x01b",
    ]
    .concat();
    assert_eq!(encode_entry(&entry), Bytes::from(golden));
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![Just(Bytes::new()), proptest::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)]
}

fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(n, shift)| n >> shift)
}

fn key() -> impl Strategy<Value = TaskKey> {
    (number(), number()).prop_map(|(due_ms, sequence)| TaskKey { due_ms, sequence })
}

fn id() -> impl Strategy<Value = TaskId> {
    (key(), any::<u16>()).prop_map(|(key, group)| TaskId { due_ms: key.due_ms, group: GroupId(group), sequence: key.sequence })
}

fn create() -> impl Strategy<Value = Create> {
    let sequence = prop_oneof![Just(0), number()];
    let request = proptest::option::of(any::<u128>().prop_map(RequestHash));
    let asked = proptest::option::of(number());
    (request, number(), asked, sequence, bytes(), bytes()).prop_map(|(request, due_ms, asked_ms, sequence, metadata, payload)| {
        Create { request, due_ms, asked_ms, sequence, metadata, payload }
    })
}

fn update() -> impl Strategy<Value = Update> {
    let some = proptest::option::of::<BoxedStrategy<Bytes>>;
    let (expected, due) = (any::<u32>(), proptest::option::of(number()));
    (id(), expected, due, some(bytes().boxed()), some(bytes().boxed()), any::<bool>(), number()).prop_map(
        |(id, expected_version, due_ms, metadata, payload, revive, fence)| Update {
            id,
            expected_version,
            due_ms,
            metadata,
            payload,
            revive,
            fence,
        },
    )
}

fn patch() -> impl Strategy<Value = SettingsPatch> {
    let small = || proptest::option::of(any::<u32>());
    let large = || proptest::option::of(number());
    let share = || proptest::option::of(-1e9..1e9);
    (small(), small(), large(), share(), large(), share(), any::<Option<bool>>(), large()).prop_map(
        |(lease_ms, max_attempts, backoff_first_ms, backoff_factor, backoff_ceiling_ms, backoff_jitter, paused, window)| {
            SettingsPatch {
                lease_ms,
                max_attempts,
                backoff_first_ms,
                backoff_factor,
                backoff_ceiling_ms,
                backoff_jitter,
                paused,
                idempotency_window_ms: window,
            }
        },
    )
}

fn before() -> impl Strategy<Value = Before> {
    prop_oneof![Just(Before::Any), Just(Before::Absent), bytes().prop_map(Before::Value)]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        create().prop_map(Op::Create),
        (id(), any::<bool>(), number()).prop_map(|(id, rewritten, token)| Op::Ack { id, key: id.home(), rewritten, token }),
        (id(), key(), any::<bool>(), number()).prop_map(|(id, key, rewritten, token)| Op::Ack { id, key, rewritten, token }),
        (key(), number(), bytes(), any::<bool>(), number()).prop_map(|(key, due_ms, error, nacked, token)| Op::Retry {
            key,
            due_ms,
            error,
            of: (token != 0).then_some(Ended { token, nacked })
        }),
        (key(), number()).prop_map(|(key, token)| Op::GiveBack { key, token }),
        (number(), proptest::collection::btree_set(any::<u64>(), 0..9), any::<bool>())
            .prop_map(|(below, kept, more)| { Op::EndClaims { below, kept: kept.into_iter().collect(), more } }),
        update().prop_map(Op::Update),
        (id(), any::<u32>()).prop_map(|(id, expected_version)| Op::Delete { id, expected_version }),
        patch().prop_map(Op::Configure),
        number().prop_map(|due_ms| Op::LowWater { due_ms }),
        any::<u32>().prop_map(|limit| Op::Purge { limit }),
        (key(), key(), any::<u32>()).prop_map(|(live, dead, limit)| Op::PurgeFrom { from: PurgeCursor { live, dead }, limit }),
        Just(Op::DropNamespace),
        (bytes(), bytes(), before()).prop_map(|(key, value, before)| Op::Register { key, value, before }),
    ]
}

/// The time that was asked for takes no room when it is the due time, and is in the way of no entry that was written before it.
#[test]
fn the_time_that_was_asked_for_is_golden() {
    let entry = |due_ms, asked_ms| {
        let (metadata, payload) = (Bytes::new(), Bytes::from_static(b"p"));
        let create = Create { request: None, due_ms, asked_ms, sequence: 0, metadata, payload };
        let mut entry = decode_entry(&Bytes::from_static(b"\x01\x05\x01\x01a\x01\x01\x00\x09\x00\x01p")).expect("an old entry");
        entry.commands[0].ops = vec![Op::Create(create)];
        entry
    };
    for (entry, tail) in [
        (entry(9, None), &b"\x01\x00\x09\x00\x01p"[..]),
        (entry(9, Some(9)), b"\x01\x04\x09\x00\x01p"),
        (entry(9, Some(7)), b"\x01\x08\x09\x07\x00\x01p"),
    ] {
        let bytes = encode_entry(&entry);
        assert_eq!(bytes[bytes.len() - tail.len()..], *tail, "{entry:?}");
        assert_eq!(decode_entry(&bytes), Ok(entry));
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let command = ("[ab]|ä{127}", proptest::collection::vec(op(), 1..5));
    let command = command.prop_map(|(name, ops)| Command { namespace: ns(&name), ops });
    (number(), proptest::option::of(number()), proptest::collection::vec(command, 0..5))
        .prop_map(|(stamp_ms, now_ms, commands)| Entry { stamp_ms, now_ms, commands })
}

proptest! {
    #[test]
    fn entries_round_trip(entry in entry()) {
        // What is refused for its size is judged by this bound.
        let bound = ENTRY_FIXED_BYTES + entry.commands.iter().map(command_bytes_max).sum::<usize>();
        prop_assert!(encode_entry(&entry).len() <= bound);
        prop_assert_eq!(decode_entry(&encode_entry(&entry)), Ok(entry));
    }

    /// Bytes next to those of an entry: what is accepted must be the one encoding of what it says.
    #[test]
    fn damaged_entries_are_errors_or_other_entries(
        entry in entry(), cut: prop::sample::Index, at: prop::sample::Index, byte: u8, insert: bool,
    ) {
        let whole = encode_entry(&entry);
        let cut = whole.slice(..cut.index(whole.len()));
        prop_assert!(decode_entry(&cut).is_err());
        let mut bytes = whole.to_vec();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        let bytes = Bytes::from(bytes);
        if let Ok(entry) = decode_entry(&bytes) {
            prop_assert_eq!(encode_entry(&entry), bytes);
        }
    }

    #[test]
    fn any_bytes_are_an_entry_or_an_error(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_entry(&Bytes::copy_from_slice(&bytes));
        if let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        let _ = decode_entry(&Bytes::from(bytes));
    }
}

/// A count that promises more than the bytes hold must not set aside the memory for it.
#[test]
fn a_count_that_cannot_be_true_allocates_nothing() {
    for bad in [&b"\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"[..], b"\x01\x00\x01\x01a\xff\xff\xff\xff\x0f\x07\x00"] {
        assert_eq!(decode_entry(&Bytes::from_static(bad)), Err(Malformed("a count goes past the end")));
    }
}

/// What this z4 does not know must stop it: to skip it would let replicas differ.
#[test]
fn the_unknown_is_refused() {
    for (bad, why) in [
        (&b"\x03\x00\x00"[..], "unknown version"),
        (b"\x01\x00\x01\x01a\x01\x0f\x00", "unknown operation"),
        (b"\x01\x00\x01\x01a\x01\x00\x00", "unknown operation"),
        (b"\x01\x00\x01\x01a\x01\x02\x08\x01\x01\x01", "unknown flag"),
        (b"\x01\x00\x01\x01a\x01\x09\x03\x00\x00\x00", "a row must be absent and have a value"),
        (b"\x01\x00\x01\x00\x01\x07\x00", "the first command has no namespace"),
        (b"\x01\x00\x01\x01\n\x01\x07\x00", "a namespace is none"),
        (b"\x01\x00\x01\x01a\x00\x00\x00", "a command is empty"),
        (b"\x01\x00\x00\x00", "bytes follow its end"),
    ] {
        assert_eq!(decode_entry(&Bytes::from_static(bad)), Err(Malformed(why)), "{bad:?}");
    }
}
