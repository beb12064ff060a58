//! A made-up history of a group, the same every time: what entry `index` says depends on the index alone. It creates tasks and acks,
//! retries, moves and deletes earlier ones.

use std::collections::BTreeMap;

use z4_model::command::{Command, Op, Update};
use z4_model::ids::{TaskId, TaskKey};
use z4_model::keys;
use z4_model::log::{LogEntry, LogPayload, LogPosition};
use z4_model::machine::Machine;
use z4_model::machine::testing::{MemoryStore, command, create, entry};
use z4_model::settings::SettingsPatch;

use super::*;

/// Tasks that each entry creates.
const CREATES: u64 = 12;

pub(super) const NAMESPACE: &str = "letters";

/// The `n`th task of an entry.
pub(super) fn task(index: u64, n: u64) -> TaskId {
    TaskId { due_ms: stamp(index) + 100 - n, group: GroupId(1), sequence: index << 16 | n }
}

fn stamp(index: u64) -> u64 {
    1_000_000 + index * 10
}

fn commands(index: u64, payload_bytes: usize) -> Vec<Command> {
    let payload = vec![index as u8; payload_bytes];
    let one = |op: Op| command(NAMESPACE, vec![op]);
    let mut all = vec![command(NAMESPACE, (0..CREATES).map(|n| create(task(index, n).due_ms, &payload)).collect())];
    if index == 1 {
        all.push(one(Op::Configure(SettingsPatch { max_attempts: Some(2), ..SettingsPatch::default() })));
    }
    if index.is_multiple_of(7) {
        all.push(one(Op::LowWater { due_ms: stamp(index - 6) }));
    }
    // Every tenth entry is no command, and an ack must name a task that is there.
    let Some(old) = index.checked_sub(3).filter(|old| old % 10 != 0) else { return all };
    let key = |n: u64| task(old, n).home();
    // 0 to 5 are acked, 6 is tried once more, 7 dies, 8 goes to a later time, 9 is deleted; 10 and 11 stay as they are.
    all.extend((0..6).map(|n| one(Op::Ack { id: task(old, n), key: key(n), rewritten: false, token: 0 })));
    let later = |n: u64| TaskKey { due_ms: stamp(index) + 500, ..key(n) };
    let retry = |key: TaskKey| Op::Retry { key, due_ms: stamp(index) + 500, error: Bytes::from_static(b"no answer"), of: None };
    all.extend([one(retry(key(6))), one(retry(key(7))), one(retry(later(7)))]);
    let change = Update {
        id: task(old, 8),
        expected_version: 0,
        due_ms: Some(stamp(index) + 900),
        metadata: None,
        payload: None,
        revive: false,
        fence: 0,
    };
    all.extend([one(Op::Update(change)), one(Op::Delete { id: task(old, 9), expected_version: 0 })]);
    all
}

/// The log's entry `index`, from 1 on.
pub(super) fn log_entry(index: u64, payload_bytes: usize) -> LogEntry {
    let position = LogPosition { term: 1 + index / 100, leader: 1, index };
    let payload = match index % 20 {
        0 => LogPayload::Membership(Bytes::from(format!("voters as of {index}"))),
        10 => LogPayload::Blank,
        _ => LogPayload::Normal(entry(stamp(index), commands(index, payload_bytes))),
    };
    LogEntry { position, payload }
}

/// Entries `from` to `until`.
pub(super) fn log(from: u64, until: u64, payload_bytes: usize) -> Vec<LogEntry> {
    (from..=until).map(|index| log_entry(index, payload_bytes)).collect()
}

/// What the machine alone makes of the history.
pub(super) struct Replay {
    store: MemoryStore,
    machine: Machine,
    index: u64,
    payload_bytes: usize,
}

impl Replay {
    pub(super) fn new(payload_bytes: usize) -> Self {
        let mut store = MemoryStore::strict();
        let machine = Machine::load(GroupId(1), &mut store).expect("an empty store loads");
        Replay { store, machine, index: 0, payload_bytes }
    }

    /// Goes on to entry `index`; gives every row, and the state hash.
    pub(super) fn at(&mut self, index: u64) -> (BTreeMap<Bytes, Bytes>, u64) {
        while self.index < index {
            self.index += 1;
            if let LogPayload::Normal(bytes) = log_entry(self.index, self.payload_bytes).payload {
                self.machine.apply(&mut self.store, self.index, &bytes).expect("it applies");
            }
        }
        (self.store.rows().clone(), self.machine.state_hash())
    }
}

/// Every row of a view but the partition's own.
pub(super) fn machine_rows(view: &View) -> BTreeMap<Bytes, Bytes> {
    let rows = view.range(&[0], &[255]).collect::<Result<BTreeMap<_, _>, _>>();
    let mut rows = rows.expect("it reads");
    rows.remove(&keys::raft());
    rows
}
