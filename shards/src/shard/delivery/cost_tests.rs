//! What a delivered and acknowledged task costs. Measured on demand, never asserted:
//! `cargo test --release -p z4-shards delivery::cost_tests -- --ignored --nocapture`.
#![allow(clippy::disallowed_methods, reason = "a measurement needs the clock")]

use std::sync::Arc;

use bytes::Bytes;
use z4_model::ids::{GroupId, TaskKey};
use z4_model::machine::Effect;
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::record::TaskRecord;
use z4_model::settings::Settings;

use super::testing::name;
use super::{Action, ConsumerId, Engine, Finish, Flow, Limits, Now, Step};
use crate::runtime::clock::Instant;
use crate::shard::api::{Settle, Verdict};

const ROUNDS: usize = 2_000;
const BATCH: usize = 500;

/// Creates, deliveries and acks of `namespaces` namespaces in rounds; `behind` deliveries are out at any time.
fn measure(namespaces: usize, consumers: u64, behind: usize) {
    let mut engine = Engine::new(GroupId(1), Limits::default(), 1);
    let names: Vec<_> = (0..namespaces).map(name).collect();
    let flows: Vec<_> = (0..consumers).map(|_| Arc::new(Flow::new(1 << 40))).collect();
    for (id, flow) in flows.iter().enumerate() {
        engine.subscribe(ConsumerId(id as u64), (flow.clone(), Arc::default()), &names, 0);
        assert!(!flow.add_credit(u32::MAX));
    }
    let settings = Settings::default();
    for ns in &names {
        engine.loaded(ns, &NamespaceRow { settings, created_ms: 1, live: 1, dead: 0, low_water_ms: 0 });
    }
    let mut random = || 0.5;
    for action in engine.run(Now { wall_ms: 1, mono_ms: 1 }, &mut random) {
        if let Action::Scan { namespace, from, .. } = action {
            engine.scanned(&namespace, from, Vec::new(), None);
        }
    }
    let record = TaskRecord { version: 1, payload: vec![7; 256].into(), ..Default::default() };
    let row: Bytes = record.encode();
    let (mut sequence, mut out, mut acked) = (0, std::collections::VecDeque::new(), 0u64);
    let (mut apply_ns, mut run_ns, mut ack_ns) = (0, 0, 0);
    for round in 0..ROUNDS {
        let now_ms = 1_000 + round as u64;
        let now = Now { wall_ms: now_ms, mono_ms: now_ms };
        let effects: Vec<_> = (0..BATCH)
            .map(|_| {
                sequence += 1;
                let namespace = names[sequence as usize % namespaces].clone();
                Effect::Added { namespace, key: TaskKey { due_ms: now_ms, sequence }, row: row.clone() }
            })
            .collect();
        let start = Instant::now();
        engine.applied(effects, now_ms);
        apply_ns += start.elapsed().as_nanos();
        let start = Instant::now();
        let actions = engine.run(now, &mut random);
        run_ns += start.elapsed().as_nanos();
        for action in actions {
            if let Action::Deliver { tasks, .. } = action {
                out.extend(tasks);
            }
        }
        let done: Vec<_> = out.drain(..out.len().saturating_sub(behind)).collect();
        let start = Instant::now();
        for task in &done {
            let settle = Settle { id: task.id, token: task.token, verdict: Verdict::Ack };
            if let Ok(Step::Propose { claim, .. }) = engine.settle(&task.namespace, &settle, now, 0.5) {
                engine.finished(claim, Finish::Applied, now);
                acked += 1;
            }
        }
        ack_ns += start.elapsed().as_nanos();
    }
    let per = |ns: u128| ns as f64 / acked as f64;
    println!(
        "{namespaces} namespaces, {consumers} consumers, {behind} leased: per task applied {:.0} ns, run {:.0} ns, settle + finished {:.0} ns",
        per(apply_ns),
        per(run_ns),
        per(ack_ns)
    );
}

#[test]
#[ignore = "a measurement"]
fn cost_of_a_task() {
    measure(1, 1, 0);
    measure(1, 1, 100_000);
    measure(1, 8, 10_000);
    measure(100, 4, 10_000);
    measure(1_000, 4, 10_000);
}
