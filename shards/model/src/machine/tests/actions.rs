//! Random commands. Proptest draws what to do; the model at that moment says which task it is done to.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;

use super::model::{Model, Space};
use crate::command::{Command, Create, Ended, Op, PurgeCursor, Update};
use crate::ids::{Namespace, RequestHash, TaskId, TaskKey};
use crate::machine::RESERVED_SEQUENCE;
use crate::settings::SettingsPatch;

/// Something to do in a namespace.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Create { due: i64, request: Option<u8>, reserved: bool, payload: u8 },
    Ack { pick: Index },
    Retry { pick: Index, due: i64, error: usize },
    Update { pick: Index, version: Version, due: Option<i64>, metadata: Option<u8>, payload: Option<u8>, revive: bool },
    Delete { pick: Index, version: Version },
    Configure { max_attempts: u32, window_ms: u64 },
    LowWater { due: i64 },
    Purge { limit: u32 },
    PurgeFrom { live: Option<Index>, dead: Option<Index>, limit: u32 },
    DropNamespace,
}

/// What an update expects.
#[derive(Clone, Copy, Debug)]
pub(super) enum Version {
    Any,
    Right,
    Wrong,
}

/// An entry: how far the clock moves, and what is done in which namespace.
pub(super) type Plot = (i64, Vec<(u8, Vec<Action>)>);

fn action() -> impl Strategy<Value = Action> {
    let due = || -20i64..60;
    let version = || prop_oneof![Just(Version::Any), Just(Version::Any), Just(Version::Right), Just(Version::Wrong)];
    let some = proptest::option::of::<std::ops::Range<u8>>;
    let pick = any::<Index>;
    prop_oneof![
        8 => (due(), some(0..6), prop::bool::weighted(0.2), any::<u8>())
            .prop_map(|(due, request, reserved, payload)| Action::Create { due, request, reserved, payload }),
        4 => pick().prop_map(|pick| Action::Ack { pick }),
        5 => (pick(), due(), prop_oneof![Just(0), Just(5), Just(2000)])
            .prop_map(|(pick, due, error)| Action::Retry { pick, due, error }),
        5 => (pick(), version(), proptest::option::of(due()), some(0..9), some(0..9), any::<bool>()).prop_map(
            |(pick, version, due, metadata, payload, revive)| Action::Update { pick, version, due, metadata, payload, revive }
        ),
        2 => (pick(), version()).prop_map(|(pick, version)| Action::Delete { pick, version }),
        1 => (0u32..4, 0u64..80).prop_map(|(max_attempts, window_ms)| Action::Configure { max_attempts, window_ms }),
        1 => due().prop_map(|due| Action::LowWater { due }),
        1 => (0u32..90).prop_map(|limit| Action::Purge { limit }),
        1 => (proptest::option::of(pick()), proptest::option::of(pick()), 0u32..6)
            .prop_map(|(live, dead, limit)| Action::PurgeFrom { live, dead, limit }),
        1 => Just(Action::DropNamespace),
    ]
}

/// Entries.
pub(super) fn plots() -> impl Strategy<Value = Vec<Plot>> {
    let command = (
        0u8..3,
        prop_oneof![
            3 => proptest::collection::vec(action(), 1..2),
            1 => proptest::collection::vec(action(), 1..6),
        ],
    );
    proptest::collection::vec((-5i64..25, proptest::collection::vec(command, 0..8)), 1..25)
}

/// Makes commands of actions.
pub(super) struct Writer {
    reserved: u64,
    /// Rows that were there when the entry began and that no command of it has named: the ones that may be leased.
    leased: BTreeSet<(Namespace, u64)>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Writer { reserved: RESERVED_SEQUENCE, leased: BTreeSet::new() }
    }

    pub(super) fn begin_entry(&mut self, model: &Model) {
        self.leased.clear();
        for (name, space) in &model.spaces {
            let live = space.tasks.values().filter(|task| !task.dead);
            self.leased.extend(live.map(|task| (name.clone(), task.key.sequence)));
        }
    }

    pub(super) fn command(&mut self, model: &Model, name: u8, actions: &[Action]) -> Option<Command> {
        let namespace = Namespace::new(&format!("ns{name}")).expect("valid");
        let space = model.space(&namespace);
        let ops: Vec<Op> = actions.iter().filter_map(|action| self.op(model, &namespace, &space, action)).collect();
        for op in &ops {
            match op {
                Op::Ack { key, .. } | Op::Retry { key, .. } | Op::GiveBack { key, .. } => {
                    self.leased.remove(&(namespace.clone(), key.sequence))
                }
                Op::Update(Update { id, .. }) | Op::Delete { id, .. } => self.leased.remove(&(namespace.clone(), id.sequence)),
                Op::Purge { .. } | Op::PurgeFrom { .. } => {
                    self.leased.retain(|(name, _)| *name != namespace);
                    true
                }
                _ => true,
            };
        }
        (!ops.is_empty()).then_some(Command { namespace, ops })
    }

    fn op(&mut self, model: &Model, namespace: &Namespace, space: &Space, action: &Action) -> Option<Op> {
        let stamp = model.now_ms;
        let time = |due: &i64| stamp.saturating_add_signed(*due);
        let leased = |pick: &Index| {
            let live: Vec<_> =
                space.tasks.values().filter(|t| self.leased.contains(&(namespace.clone(), t.key.sequence))).collect();
            if live.is_empty() { None } else { Some(live[pick.index(live.len())].clone()) }
        };
        // Now and then a task that is not there: one past the end, or at the position of a moved one.
        let any = |pick: &Index| {
            let at = pick.index(space.tasks.len() + 1);
            space.tasks.values().nth(at).map_or((TaskId { due_ms: stamp, group: model.group, sequence: 1 }, 1), |task| match pick
                .index(17)
            {
                16 => (TaskId { due_ms: task.key.due_ms, ..task.id }, task.record.version),
                _ => (task.id, task.record.version),
            })
        };
        let expected = |version: &Version, is: u32| match version {
            Version::Any => 0,
            Version::Right => is,
            Version::Wrong => is + 1,
        };
        let small = |n: &u8| Bytes::from(vec![*n; usize::from(*n)]);
        Some(match action {
            Action::Create { due, request, reserved, payload } => {
                let sequence = if *reserved { self.reserved } else { 0 };
                self.reserved += u64::from(*reserved);
                let request = request.map(|id| RequestHash::new(namespace, &id.to_string()));
                Op::Create(Create {
                    request,
                    due_ms: time(due),
                    asked_ms: None,
                    sequence,
                    metadata: Bytes::new(),
                    payload: small(payload),
                })
            }
            Action::Ack { pick } => {
                leased(pick).map(|task| Op::Ack { id: task.id, key: task.key, rewritten: task.record.rewritten, token: 3 })?
            }
            Action::Retry { pick, due, error } => {
                // Without a lease: a row that is not there.
                let key = leased(pick).map_or(TaskKey { due_ms: 1, sequence: 1 }, |task| task.key);
                match *error % 4 {
                    0 => Op::GiveBack { key, token: *error as u64 },
                    of => {
                        let of = (of > 1).then_some(Ended { token: *error as u64, nacked: of > 2 });
                        Op::Retry { key, due_ms: time(due), error: Bytes::from(vec![b'e'; *error]), of }
                    }
                }
            }
            Action::Update { pick, version, due, metadata, payload, revive } => {
                let (id, is) = any(pick);
                Op::Update(Update {
                    id,
                    expected_version: expected(version, is),
                    due_ms: due.as_ref().map(time),
                    metadata: metadata.as_ref().map(small),
                    payload: payload.as_ref().map(small),
                    revive: *revive,
                    fence: u64::from(*revive),
                })
            }
            Action::Delete { pick, version } => {
                let (id, is) = any(pick);
                Op::Delete { id, expected_version: expected(version, is) }
            }
            Action::Configure { max_attempts, window_ms } => {
                let (max_attempts, idempotency_window_ms) = (Some(*max_attempts), Some(*window_ms));
                Op::Configure(SettingsPatch { max_attempts, idempotency_window_ms, ..Default::default() })
            }
            Action::LowWater { due } => Op::LowWater { due_ms: time(due) },
            Action::Purge { limit } => Op::Purge { limit: *limit },
            Action::PurgeFrom { live, dead, limit } => {
                // A cursor stands behind some row, or at the begin.
                let cursor = |pick: &Option<Index>| match pick {
                    Some(pick) if !space.tasks.is_empty() => {
                        let at = pick.index(space.tasks.len());
                        space.tasks.values().nth(at).map_or(TaskKey::MIN, |task| task.key.next())
                    }
                    _ => TaskKey::MIN,
                };
                Op::PurgeFrom { from: PurgeCursor { live: cursor(live), dead: cursor(dead) }, limit: *limit }
            }
            Action::DropNamespace => Op::DropNamespace,
        })
    }
}
