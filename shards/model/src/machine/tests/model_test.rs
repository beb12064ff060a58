//! Random entries on the machine and on the model.
//!
//! Were they to differ in an answer, producers or consumers would be told what did not happen; in a row, tasks would be lost or come
//! twice; in an effect, the delivery engine would miss a task until the next scan, or deliver one that is gone.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::actions::{Plot, Writer, plots};
use super::model::Model;
use crate::command::{Entry, Op, Reply, encode_entry};
use crate::ids::{GroupId, Namespace, TaskKey};
use crate::keys;
use crate::machine::testing::MemoryStore;
use crate::machine::{Effect, Machine, Totals, find_task};

const GROUP: GroupId = GroupId(3);
/// Where the clock begins.
const START_MS: u64 = 1_000;

/// The live rows, as a delivery engine that is told everything would know them.
#[derive(Default)]
struct Watcher(BTreeMap<(Namespace, TaskKey), Bytes>);

impl Watcher {
    /// Acks and retries took the row from the engine when they were proposed.
    fn settled(&mut self, namespace: &Namespace, op: &Op) {
        if let Op::Ack { key, .. } | Op::Retry { key, .. } | Op::GiveBack { key, .. } = op {
            assert!(self.0.remove(&(namespace.clone(), *key)).is_some(), "settled what was not known: {op:?}");
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Added { namespace, key, row } => assert_eq!(self.0.insert((namespace, key), row), None),
            Effect::Replaced { namespace, key, row } => assert!(self.0.insert((namespace, key), row).is_some()),
            Effect::Removed { namespace, key } => assert!(self.0.remove(&(namespace, key)).is_some()),
            Effect::Configured { .. } | Effect::ClaimsEnded { .. } | Effect::Registered => {}
        }
    }
}

/// What `plots` say, as entries, with the answers that they should get.
pub(super) fn write(plots: &[Plot], mut entry_done: impl FnMut(&Model, u64, Bytes, &[(crate::command::Command, Reply)])) {
    let (mut model, mut writer) = (Model::new(GROUP), Writer::new());
    let mut clock_ms = START_MS;
    for (index, (step_ms, commands)) in (1u64..).zip(plots) {
        clock_ms = clock_ms.saturating_add_signed(*step_ms);
        // Every third entry is an older z4's; the time of the others is now before the stamp, now after it.
        let now_ms = [None, Some(clock_ms.saturating_sub(700)), Some(clock_ms + 5_000)][index as usize % 3];
        model.begin_entry(index, clock_ms, now_ms);
        writer.begin_entry(&model);
        let mut done = Vec::new();
        for (name, actions) in commands {
            if let Some(command) = writer.command(&model, *name, actions) {
                let reply = model.apply(&command);
                done.push((command, reply));
            }
        }
        let commands = done.iter().map(|(command, _)| command.clone()).collect();
        let bytes = encode_entry(&Entry { stamp_ms: clock_ms, now_ms, commands });
        entry_done(&model, index, bytes, &done);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..Default::default() })]

    #[test]
    fn machine_and_model_agree(plots in plots()) {
        let mut store = MemoryStore::strict();
        let mut machine = Machine::load(GROUP, &mut store).expect("empty");
        let mut watcher = Watcher::default();
        write(&plots, |model, index, bytes, done| {
            let outcome = machine.apply(&mut store, index, &bytes).expect("applies");
            let expected: Vec<Reply> = done.iter().map(|(_, reply)| reply.clone()).collect();
            assert_eq!(outcome.replies, expected);
            for (command, _) in done.iter().filter(|(_, reply)| reply.is_ok()) {
                command.ops.iter().for_each(|op| watcher.settled(&command.namespace, op));
            }
            outcome.effects.into_iter().for_each(|effect| watcher.effect(effect));
            machine.check(&mut store);
            compare(model, &machine, &mut store);
            let live = store.rows().iter().filter_map(|(key, row)| {
                Some((live_task(key)?, row.clone()))
            });
            assert_eq!(watcher.0, live.collect());
        });
    }
}

fn compare(model: &Model, machine: &Machine, store: &mut MemoryStore) {
    let own = [keys::META, keys::IDEMPOTENCY];
    let rows: BTreeMap<_, _> =
        store.rows().iter().filter(|(key, _)| !own.contains(&key[0])).map(|(k, v)| (k.clone(), v.clone())).collect();
    assert_eq!(rows, model.rows());
    let mut totals = Totals::default();
    for (name, space) in &model.spaces {
        totals.live += space.row.live;
        totals.dead += space.row.dead;
        for task in space.tasks.values() {
            assert_eq!(find_task(store, name, task.id).expect("readable").as_ref(), Some(task));
        }
        let first = space.tasks.values().filter(|task| !task.dead).map(|task| task.key.due_ms).min();
        assert!(first.unwrap_or(u64::MAX) >= space.row.low_water_ms, "a live row below the mark would never be delivered");
    }
    assert_eq!(machine.totals(), totals);
    assert_eq!(machine.last_stamp_ms(), model.stamp_ms);
}

/// Whose live task stands at this key, and where.
fn live_task(key: &Bytes) -> Option<(Namespace, TaskKey)> {
    let at = keys::parse_position(key).filter(|_| key[0] == keys::TASK)?;
    let name = key.slice(2..2 + usize::from(key[1]));
    Some((Namespace::from_bytes(name).expect("a key that was made of one"), at))
}
