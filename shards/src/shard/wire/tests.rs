//! What one peer means must be what the other understands: a field that is lost on the way would be a wrong answer to a client. And
//! whatever bytes come, reading them must never panic.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use z4_model::command::{Command, Created, Defect, Op, OpReply, PurgeCursor, Refusal, Reply};
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::record::TaskRecord;
use z4_model::rows::task::TaskRow;
use z4_model::settings::{Settings, SettingsPatch};
use z4_proto::peer;

use super::*;
use crate::shard::api::{
    Consistency, Delivered, Leased, ListCursor, ListQuery, NamespaceView, Rejection, Settle, SettleError, TaskPage, TaskState,
    TaskView, Verdict,
};
use crate::shard::delivery::ConsumerId;

const GROUP: GroupId = GroupId(7);

fn name(text: &str) -> Namespace {
    Namespace::new(text).expect("valid")
}

fn ids() -> impl Strategy<Value = TaskId> {
    (0u64..1 << 48, any::<u16>(), any::<u64>()).prop_map(|(due_ms, group, sequence)| TaskId {
        due_ms,
        group: GroupId(group),
        sequence,
    })
}

fn keys() -> impl Strategy<Value = TaskKey> {
    any::<(u64, u64)>().prop_map(|(due_ms, sequence)| TaskKey { due_ms, sequence })
}

fn some_bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from)
}

fn rows() -> impl Strategy<Value = TaskRow> {
    (ids(), keys(), any::<bool>(), any::<(u32, u32, bool)>(), (some_bytes(), some_bytes())).prop_map(
        |(id, key, dead, (attempts, version, rewritten), (metadata, payload))| TaskRow {
            id,
            key,
            dead,
            record: TaskRecord { attempts, version, rewritten, metadata, payload, id_due_ms: 3, ..Default::default() },
        },
    )
}

fn states() -> impl Strategy<Value = TaskState> {
    prop_oneof![Just(TaskState::Scheduled), Just(TaskState::Ready), Just(TaskState::Leased), Just(TaskState::Dead)]
}

fn views() -> impl Strategy<Value = TaskView> {
    (rows(), states()).prop_map(|(row, state)| TaskView { row, state })
}

fn namespace_rows() -> impl Strategy<Value = NamespaceRow> {
    any::<(u64, u64, u64, u64)>().prop_map(|(created_ms, live, dead, low_water_ms)| NamespaceRow {
        settings: Settings { paused: live % 2 == 1, lease_ms: dead as u32, ..Default::default() },
        created_ms,
        live,
        dead,
        low_water_ms,
    })
}

fn creates() -> impl Strategy<Value = Created> {
    (ids(), any::<(u64, bool)>()).prop_map(|(id, (created_ms, duplicate))| Created { id, created_ms, duplicate })
}

fn op_replies() -> impl Strategy<Value = OpReply> {
    prop_oneof![
        creates().prop_map(OpReply::Created),
        Just(OpReply::Acked),
        any::<bool>().prop_map(|dead| OpReply::Retried { dead }),
        rows().prop_map(OpReply::Updated),
        Just(OpReply::Deleted),
        namespace_rows().prop_map(|row| OpReply::Configured(Box::new(row))),
        Just(OpReply::LowWater),
        any::<u32>().prop_map(|removed| OpReply::Purged { removed }),
        (any::<(u32, u64)>(), proptest::option::of((keys(), keys()))).prop_map(|((removed, left), next)| OpReply::PurgedTo {
            removed,
            next: next.map(|(live, dead)| PurgeCursor { live, dead }),
            left,
        }),
        any::<bool>().prop_map(|existed| OpReply::NamespaceDropped { existed }),
        Just(OpReply::Registered),
    ]
}

/// Every setting, each with a value that it does not take.
fn setting_refusals() -> impl Strategy<Value = Refusal> {
    let none = SettingsPatch::default();
    let patches = [
        SettingsPatch { lease_ms: Some(1), ..none },
        SettingsPatch { max_attempts: Some(0), ..none },
        SettingsPatch { backoff_first_ms: Some(u64::MAX), ..none },
        SettingsPatch { backoff_factor: Some(f64::NAN), ..none },
        SettingsPatch { backoff_ceiling_ms: Some(u64::MAX), ..none },
        SettingsPatch { backoff_jitter: Some(-1.5), ..none },
        SettingsPatch { idempotency_window_ms: Some(u64::MAX), ..none },
    ];
    (0..patches.len()).prop_map(move |n| Settings::default().patched(&patches[n]).expect_err("out of range").into())
}

fn refusals() -> impl Strategy<Value = Refusal> {
    prop_oneof![
        ids().prop_map(|id| Refusal::NotFound { namespace: name("a"), id }),
        (ids(), any::<(u32, u32)>()).prop_map(|(id, (expected, found))| Refusal::VersionMismatch { id, expected, found }),
        Just(Refusal::Exists),
        any::<(u64, u64)>().prop_map(|(live, dead)| Refusal::NotEmpty { namespace: name("a"), live, dead }),
        setting_refusals(),
        proptest::sample::select(Defect::ALL).prop_map(Refusal::Malformed),
    ]
}

fn rejections() -> impl Strategy<Value = Rejection> {
    prop_oneof![
        Just(Rejection::NoLeader { group: GROUP }),
        Just(Rejection::Unknown { group: GROUP }),
        any::<u32>()
            .prop_map(|limit| Rejection::Overloaded { what: "a shard's mailbox (mailbox_messages_max)", limit: limit as usize }),
        any::<u32>().prop_map(|found| Rejection::TooLarge { what: "operations", found: found as usize, limit: 65_536 }),
        Just(Rejection::Storage("disk".into())),
    ]
}

fn outcomes() -> impl Strategy<Value = Result<Reply, Rejection>> {
    prop_oneof![
        proptest::collection::vec(op_replies(), 0..4).prop_map(|replies| Ok(Ok(replies))),
        refusals().prop_map(|refused| Ok(Err(refused))),
        rejections().prop_map(Err),
    ]
}

fn settles() -> impl Strategy<Value = Settle> {
    let verdict = prop_oneof![
        Just(Verdict::Ack),
        (proptest::option::of(any::<u64>()), some_bytes()).prop_map(|(delay_ms, reason)| Verdict::Nack { delay_ms, reason }),
        any::<u32>().prop_map(|lease_ms| Verdict::Extend { lease_ms }),
    ];
    (ids(), any::<u64>(), verdict).prop_map(|(id, token, verdict)| Settle { id, token, verdict })
}

fn delivered() -> impl Strategy<Value = Delivered> {
    (0..3u8, ids(), keys(), some_bytes(), any::<(u32, u64, u64)>()).prop_map(
        |(namespace, id, key, row, (attempt, token, deadline_ms))| Delivered {
            namespace: name(&format!("n{namespace}")),
            id,
            key,
            row,
            attempt,
            token,
            deadline_ms,
        },
    )
}

/// Through the bytes that go over the link.
fn sent<M: Message + Default>(message: M) -> M {
    M::decode(Bytes::from(message.encode_to_vec())).expect("its own bytes")
}

proptest! {
    #[test]
    fn outcomes_round_trip(given in outcomes()) {
        prop_assert_eq!(outcome(GROUP, sent(put_outcome(&given))), Ok(given));
    }

    #[test]
    fn reservations_round_trip(all in proptest::collection::vec(creates(), 0..4)) {
        prop_assert_eq!(reserved(&sent(put_reserved(&all))), Ok(all));
    }

    #[test]
    fn reads_round_trip(view in views(), page in proptest::collection::vec(views(), 0..3), next in proptest::option::of(keys())) {
        let mut tasks = page;
        tasks.push(view);
        let page = TaskPage { tasks, next: next.map(|key| ListCursor { dead: key.due_ms % 2 == 0, key }) };
        prop_assert_eq!(listed(sent(put_listed(&page))), Ok(page));
    }

    #[test]
    fn queries_round_trip(
        id in ids(),
        (due_from_ms, due_until_ms) in any::<(u64, u64)>(),
        (limit, omit_payload) in any::<(u32, bool)>(),
        (state, after) in (proptest::option::of(states()), proptest::option::of(keys())),
    ) {
        prop_assert_eq!(task_id(&sent(put_task_id(id))), Ok(id));
        let query = ListQuery {
            namespace: name("a"),
            due_from_ms,
            due_until_ms,
            state,
            after: after.map(|key| ListCursor { dead: omit_payload, key }),
            bytes_max: due_from_ms as usize,
            limit: limit as usize,
            omit_payload,
            consistency: Consistency::Linearizable,
        };
        prop_assert_eq!(list(&sent(put_list(&query))), Ok(query));
        for asked in [Namespaces::One(name("a")), Namespaces::After(None, 3), Namespaces::After(Some(name("b")), 9)] {
            prop_assert_eq!(namespaces(&sent(put_namespaces(&asked))), Ok(asked));
        }
    }

    #[test]
    fn namespaces_round_trip(rows in proptest::collection::vec(namespace_rows(), 0..3)) {
        let view = |row: NamespaceRow| NamespaceView { name: name("a"), group: GROUP, leased: row.live / 2, row };
        let views: Vec<_> = rows.into_iter().map(view).collect();
        prop_assert_eq!(namespace_views(GROUP, &sent(put_namespace_views(&views))), Ok(views));
    }

    #[test]
    fn leases_round_trip(keys in proptest::collection::vec(keys(), 0..4), truncated: bool) {
        let given = Leased { keys, truncated };
        prop_assert_eq!(leased(&sent(put_leased(&given))), Ok(given));
        for asked in [vec![], vec![name("a"), name("b")]] {
            prop_assert_eq!(leased_of(&sent(put_leased_of(&asked))), Ok(asked));
        }
    }

    #[test]
    fn settles_round_trip(all in proptest::collection::vec(settles(), 0..4), refused in refusals(), rejected in rejections()) {
        prop_assert_eq!(settle(sent(put_settle(&name("a"), &all))), Ok((name("a"), all.clone())));
        let answers: Vec<_> = all.iter().enumerate().map(|(n, asked)| match n {
            0 => Ok(asked.token),
            1 => Err(SettleError::LeaseLost { id: asked.id, token: asked.token }),
            2 => Err(SettleError::Rejected(refused.clone().into())),
            _ => Err(SettleError::Rejected(rejected.clone())),
        }).collect();
        prop_assert_eq!(settled(GROUP, &all, &sent(put_settled(&answers))), Ok(answers));
    }

    #[test]
    fn deliveries_round_trip(all in proptest::collection::vec(delivered(), 0..5)) {
        let message = sent(put_deliveries(ConsumerId(9), all.clone()));
        prop_assert_eq!(message.consumer, 9);
        prop_assert_eq!(deliveries(message), Ok(all));
    }

    /// Bytes that happen to be a message may still mean nothing.
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let bytes = Bytes::from(bytes);
        let _ = commands(&bytes);
        let _ = peer::Reply::decode(bytes.clone()).map(|m| outcome(GROUP, m).is_ok());
        let _ = peer::Reserved::decode(bytes.clone()).map(|m| reserved(&m).is_ok());
        let _ = peer::ListTasks::decode(bytes.clone()).map(|m| list(&m).is_ok());
        let _ = peer::ListLeases::decode(bytes.clone()).map(|m| leased_of(&m).is_ok());
        let _ = peer::ListedLeases::decode(bytes.clone()).map(|m| leased(&m).is_ok());
        let _ = peer::ListedTasks::decode(bytes.clone()).map(|m| listed(m).is_ok());
        let _ = peer::ListedNamespaces::decode(bytes.clone()).map(|m| namespace_views(GROUP, &m).is_ok());
        let _ = peer::Settle::decode(bytes.clone()).map(|m| settle(m).is_ok());
        let _ = peer::Settled::decode(bytes.clone()).map(|m| settled(GROUP, &[], &m).is_ok());
        let _ = peer::Deliver::decode(bytes).map(|m| deliveries(m).is_ok());
    }
}

#[test]
fn commands_round_trip() {
    let delete = Op::Delete { id: TaskId { due_ms: 1, group: GROUP, sequence: 2 }, expected_version: 3 };
    let all = vec![
        Command { namespace: name("a"), ops: vec![Op::Purge { limit: 3 }] },
        Command { namespace: name("a"), ops: vec![delete.clone(), delete] },
    ];
    let (bytes, kept) = put_commands(all.clone());
    assert_eq!((commands(&bytes), kept), (Ok(all.clone()), all));
}

/// What is missing or impossible is an error that says what.
#[test]
fn what_no_peer_sends_is_an_error() {
    let table = [
        (outcome(GROUP, peer::Reply { results: vec![peer::OpReply::default()], ..Default::default() }).is_err(), "no reply"),
        (outcome(GROUP, peer::Reply { refusal: Some(peer::Refusal::default()), ..Default::default() }).is_err(), "no kind"),
        (reserved(&peer::Reserved { created: vec![peer::Created::default()] }).is_err(), "no id"),
        (listed(peer::ListedTasks { tasks: vec![peer::TaskView::default()], next: None }).is_err(), "no state"),
        (list(&peer::ListTasks { namespace: "a".into(), state: 9, ..Default::default() }).is_err(), "a state that is none"),
        (namespaces(&peer::ListNamespaces { one: "\n".into(), ..Default::default() }).is_err(), "a name that is none"),
        (leased(&peer::ListedLeases { keys: Bytes::from_static(b"x"), truncated: false }).is_err(), "half a position"),
        (settle(peer::Settle { namespace: "a".into(), settles: vec![peer::Said::default()] }).is_err(), "no verdict"),
        (settled(GROUP, &[], &peer::Settled { results: vec![peer::SettleResult::default()] }).is_err(), "too many answers"),
    ];
    for (refused, what) in table {
        assert!(refused, "{what}");
    }
    let far = peer::TaskId { due_ms: u64::MAX, group: 1, sequence: 1 };
    assert!(task_id(&far).is_err(), "an id's due time is bounded");
    let wide = peer::TaskId { due_ms: 1, group: 70_000, sequence: 1 };
    assert!(task_id(&wide).is_err(), "and so is its group");
}

/// A peer that stops leaves its request's fate open; a retry must not take it for not done.
#[test]
fn a_stopping_peer_leaves_the_fate_open() {
    assert_eq!(failure(GROUP, &put_failure(&Rejection::Stopping)), Rejection::Unknown { group: GROUP });
    assert_eq!(failure(GROUP, &put_failure(&Rejection::NotMember)), Rejection::NoLeader { group: GROUP });
}
