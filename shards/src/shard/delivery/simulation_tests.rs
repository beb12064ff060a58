//! Random runs against the model in [`testing`](super::testing), which checks every delivery: never early, never after the ack, one
//! valid token, credit and bytes kept, windows bounded, every ack and retry finds its row. Here the world is shaken: proposals fail
//! or wait, answers are late, consumers come, go and stall, leaders hand over, tasks are changed and purged under way. At the end the shaking
//! stops and every task that is left must be delivered and acknowledged, and nothing must stay behind.
//!
//! A failure prints the seed (proptest's input); `run(seed, steps)` repeats it.

use proptest::prelude::*;
use z4_model::ids::TaskId;
use z4_model::settings::Settings;

use super::testing::{Change, World};
use super::{ConsumerId, Gone, Limits};
use crate::shard::api::{Delivered, Verdict};

const NAMESPACES: usize = 6;

fn limits() -> Limits {
    Limits {
        window_rows_max: 8,
        window_bytes_max: 4_000,
        total_bytes_max: 9_000,
        keep_ms: 300,
        keep_max: 2,
        loads_max: 1,
        scan_rows_min: 2,
        lookahead_ms: 200,
        batch_tasks: 3,
        batch_bytes: 700,
        deliver_tasks: 7,
        deliver_bytes: 2_000,
        propose_ops: 4,
        run_tasks: 20,
        propose_again_ms: 50,
        hold_wait_ms: 300,
        claim_grace_ms: 200,
        clocks_differ_ms: 150,
        water_rows: 20,
        water_step_ms: 500,
    }
}

fn settings(w: &mut World) -> Settings {
    Settings {
        lease_ms: 100 + w.dice.below(2_000) as u32,
        max_attempts: 10_000,
        backoff_first_ms: w.dice.below(300),
        backoff_ceiling_ms: 500,
        paused: w.dice.below(4) == 0,
        ..Default::default()
    }
}

/// A task that is live now, of a namespace.
fn some_task(w: &mut World) -> Option<(usize, TaskId)> {
    let n = w.dice.below(NAMESPACES as u64) as usize;
    let at = w.dice.below(w.tenants[n].live.len().max(1) as u64) as usize;
    let (key, record) = w.tenants[n].live.iter().nth(at)?;
    Some((n, record.id(super::testing::GROUP, *key)))
}

/// One of the consumers says something about what it has.
fn consume(w: &mut World, hands: &mut Vec<(u64, Delivered)>) {
    if let Some(id) = some_client(w) {
        let max = w.dice.below(6) as usize;
        hands.extend(w.take(id, max).into_iter().map(|task| (id, task)));
    }
    if hands.is_empty() {
        return;
    }
    let at = w.dice.below(hands.len() as u64) as usize;
    let (_, task) = &hands[at];
    let verdict = match w.dice.below(10) {
        0..6 => Verdict::Ack,
        6 => Verdict::Nack { delay_ms: Some(w.dice.below(400)), reason: "no".into() },
        7 => Verdict::Nack { delay_ms: None, reason: "no".into() },
        8 => Verdict::Extend { lease_ms: 1 + w.dice.below(500) as u32 },
        _ => {
            hands.swap_remove(at);
            return;
        }
    };
    // A refusal is one of the things that happen; the model checks what must not.
    let _ = w.settle(task, verdict);
    if w.dice.below(4) > 0 {
        hands.swap_remove(at);
    }
}

fn some_client(w: &mut World) -> Option<u64> {
    let at = w.dice.below(w.clients.len().max(1) as u64) as usize;
    w.clients.keys().nth(at).copied()
}

fn come_and_go(w: &mut World, next_client: &mut u64) {
    if w.clients.len() < 5 && w.dice.below(2) == 0 {
        let wanted: Vec<usize> = (0..NAMESPACES).filter(|_| w.dice.below(3) == 0).collect();
        *next_client += 1;
        let lease_ms = [0, 50, 700][w.dice.below(3) as usize];
        w.connect(*next_client, &wanted, lease_ms, 1_500);
    } else if let Some(id) = some_client(w).filter(|_| w.dice.below(3) == 0) {
        let how = [Gone::Lost, Gone::Left, Gone::Detached][w.dice.below(3) as usize];
        if how == Gone::Detached {
            // Its stream sends what it has all the same.
            let sent = w.clients[&id].sent.token();
            let held = w.engine.leased_to(ConsumerId(id), |lease| lease.token <= sent);
            let told = w.dice.below(held.len() as u64 + 1) as usize;
            let token = told.checked_sub(1).map_or(0, |place| w.engine.leases.at(held[place]).token);
            w.engine.not_sent(ConsumerId(id), token, true);
        }
        w.leave(id, how);
    }
}

fn shake(w: &mut World, hands: &mut Vec<(u64, Delivered)>, next_client: &mut u64) {
    match w.dice.below(100) {
        0..12 => {
            let n = w.dice.below(NAMESPACES as u64) as usize;
            let late = [0, 30, 300, 3_000][w.dice.below(4) as usize];
            let due_ms = w.now_ms + w.dice.below(late + 1);
            let bytes = [0, 20, 900][w.dice.below(3) as usize];
            w.propose(n, Change::Create { due_ms, bytes });
        }
        12..30 => {
            w.commit();
        }
        30..33 => {
            w.fail();
        }
        33..50 => {
            w.work();
        }
        50..65 => {
            w.answer();
        }
        65..76 => {
            w.run();
        }
        76..80 => w.now_ms += [1, 10, 100][w.dice.below(3) as usize],
        80..90 => consume(w, hands),
        90..94 => {
            if let Some(id) = some_client(w) {
                let tasks = w.dice.below(5) as u32;
                w.credit(id, tasks);
            }
        }
        94..96 => come_and_go(w, next_client),
        96..98 => {
            if let Some((n, id)) = some_task(w) {
                let due_ms = [None, Some(w.now_ms + w.dice.below(500))][w.dice.below(2) as usize];
                let change = if w.dice.below(3) == 0 { Change::Delete { id } } else { Change::Update { id, due_ms } };
                w.propose(n, change);
            }
        }
        98 => {
            let n = w.dice.below(NAMESPACES as u64) as usize;
            let settings = settings(w);
            w.propose(n, Change::Configure(settings));
        }
        _ => {
            if w.dice.below(10) == 0 {
                let leaves = w.dice.below(2) == 0;
                // The next leader goes by another clock.
                let differs_ms = w.dice.below(2 * limits().clocks_differ_ms + 1);
                let wall_ms = w.now_ms + differs_ms;
                w.hand_over_at(leaves, wall_ms - limits().clocks_differ_ms);
                // Some of the consumers say at once what they have.
                let held = w.dice.below(3) as usize;
                for (id, task) in hands.iter().take(held * hands.len() / 2) {
                    w.claim(task, ConsumerId(*id));
                }
            } else if w.dice.below(20) == 0 {
                let n = w.dice.below(NAMESPACES as u64) as usize;
                w.propose(n, Change::Purge);
            }
        }
    }
}

/// The whole story of one seed. Returns how many tasks went and how many scans it took.
fn run(seed: u64, steps: usize) -> (usize, usize) {
    let mut w = World::new(NAMESPACES, limits(), seed);
    let (mut hands, mut next_client) = (Vec::new(), 0);
    for n in 0..NAMESPACES {
        let settings = settings(&mut w);
        w.propose(n, Change::Configure(settings));
    }
    for _ in 0..steps {
        shake(&mut w, &mut hands, &mut next_client);
    }
    // Some consumers stall for good; one good consumer of everything is left.
    let stalled: Vec<u64> = w.clients.keys().copied().collect();
    for n in 0..NAMESPACES {
        w.propose(
            n,
            Change::Configure(Settings { lease_ms: 1_000, backoff_first_ms: 10, max_attempts: 10_000, ..Default::default() }),
        );
    }
    w.connect(1_000_000, &[0, 1, 2, 3, 4, 5], 0, 2_000);
    for _ in 0..4_000 {
        w.credit(1_000_000, 20);
        w.pass(25);
        for task in w.take(1_000_000, 1_000) {
            w.ack(&task).expect("a fresh delivery can be acked");
        }
        w.pump();
        if w.live() == 0 {
            break;
        }
    }
    assert_eq!(w.live(), 0, "tasks are left that nobody gets");
    w.pump();
    let counts = w.engine.counts();
    assert_eq!((counts.leased, counts.window_rows, counts.window_bytes), (0, 0, 0), "{counts:?}");
    stalled.into_iter().chain([1_000_000]).for_each(|id| w.disconnect(id));
    w.pump();
    w.pass(w.limits.keep_ms);
    w.pump();
    assert_eq!(w.engine.counts(), Default::default(), "nothing stays behind");
    assert_eq!(w.wake_at(), None, "an idle engine sleeps");
    (w.gone.len(), w.scans)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_shaken_world_comes_to_rest_with_every_task_delivered(seed: u64, steps in 10usize..3_000) {
        run(seed, steps);
    }
}

/// The shaking reaches what it is meant to reach: without tasks and scans the property above would prove nothing.
#[test]
fn the_shaking_is_not_idle() {
    let (gone, scans) = run(42, 20_000);
    assert!(gone > 500 && scans > 100, "{gone} tasks, {scans} scans");
}
