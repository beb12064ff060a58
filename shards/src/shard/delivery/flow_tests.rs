//! Who gets how much: credit, room, turns between consumers and between namespaces.

use super::testing::World;
use super::{ConsumerId, Flow, Limits};

fn backlog(namespaces: usize, tasks: usize) -> World {
    let mut w = World::new(namespaces, Limits::default(), 11);
    for n in 0..namespaces {
        (0..tasks).for_each(|_| w.create(n, 0));
    }
    w.pump();
    w
}

/// The first run loads the namespace, the second scans it; the next one finds a full window.
fn fill(w: &mut World) {
    for _ in 0..2 {
        w.run();
        assert!(w.work() && w.answer());
    }
}

/// A consumer without credit, one that never takes what it got, and a good one: the good one gets everything that the credit and
/// room of the others do not bind.
#[test]
fn slow_consumers_hold_up_nobody() {
    let mut w = backlog(1, 1_000);
    w.connect(1, &[0], 0, 1 << 30);
    w.connect(2, &[0], 0, 2_000);
    w.connect(3, &[0], 0, 1 << 30);
    w.credit(2, 1_000);
    w.credit(3, 1_000);
    w.pump();
    let got: Vec<usize> = w.clients.values().map(|c| c.inbox.len()).collect();
    assert_eq!(got[0], 0);
    assert!((5..20).contains(&got[1]), "2,000 bytes of room: {got:?}");
    assert_eq!(got[1] + got[2], 1_000);
}

/// Room that comes back is used: taking from the queue is all that a consumer has to do.
#[test]
fn a_full_queue_goes_on_when_it_is_taken_from() {
    let mut w = backlog(1, 100);
    w.connect(1, &[0], 0, 1_000);
    w.credit(1, 1_000);
    w.pump();
    let mut got = 0;
    for _ in 0..100 {
        got += w.take(1, usize::MAX).len();
        w.pump();
    }
    assert_eq!(got, 100);
}

/// Consumers of one namespace share it about equally, in small batches.
#[test]
fn consumers_of_a_namespace_take_turns() {
    let mut w = backlog(1, 900);
    for id in 1..=3 {
        w.connect(id, &[0], 0, 1 << 30);
        w.credit(id, 1_000);
    }
    w.pump();
    let got: Vec<usize> = w.clients.values().map(|c| c.inbox.len()).collect();
    assert!(got.iter().all(|n| (250..=350).contains(n)), "{got:?}");
}

/// A consumer of ten namespaces gets them in turn, not one namespace ten times, be its credit one by one or in portions that are no
/// multiple of a batch (a turn may be cut short by it, and need not be made up for).
#[test]
fn namespaces_of_a_consumer_take_turns() {
    for (credit, times) in [(1, 200), (70, 40), (100, 30)] {
        let mut w = backlog(10, 600);
        w.connect(1, &(0..10).collect::<Vec<_>>(), 0, 1 << 30);
        w.pump();
        let mut got = std::collections::HashMap::new();
        for _ in 0..times {
            w.credit(1, credit);
            w.pump();
            for task in w.take(1, 1_000) {
                *got.entry(task.namespace).or_insert(0) += 1;
            }
        }
        let fair = credit * times / 10;
        assert_eq!(got.values().sum::<u32>(), credit * times);
        assert!(got.len() == 10 && got.values().all(|n| n.abs_diff(fair) <= fair / 3), "credit {credit}: {got:?}");
    }
}

/// The same with a namespace that has a second, fast consumer, and one that is paused by having nothing: the chain of turns goes on.
#[test]
fn a_waiting_namespace_that_was_emptied_meanwhile_does_not_stop_the_others() {
    let mut w = backlog(3, 10);
    w.connect(1, &[0, 1, 2], 0, 1 << 30);
    w.pump();
    w.connect(2, &[0, 1], 0, 1 << 30);
    w.credit(2, 100);
    w.pump();
    assert_eq!(w.take(2, 100).len(), 20);
    w.credit(1, 100);
    w.pump();
    assert_eq!(w.take(1, 100).len(), 10);
}

/// Deliveries of one run come in few large batches, within their bounds.
#[test]
fn deliveries_are_batched() {
    let mut w = backlog(1, 1_000);
    w.connect(1, &[0], 0, 1 << 30);
    w.credit(1, 1_000);
    fill(&mut w);
    let deliveries = w.run();
    assert_eq!(w.clients[&1].inbox.len(), 1_000);
    // One scan may be among the actions.
    assert!(deliveries <= 1_000usize.div_ceil(224) + 1, "{deliveries}");
}

/// A run is bounded; what is left is asked for at once.
#[test]
fn a_long_run_is_cut() {
    let mut w = World::new(1, Limits { run_tasks: 100, ..Limits::default() }, 1);
    (0..1_000).for_each(|_| w.create(0, 0));
    w.pump();
    w.connect(1, &[0], 0, 1 << 30);
    w.credit(1, 1_000);
    fill(&mut w);
    w.run();
    let got = w.clients[&1].inbox.len();
    assert!((100..200).contains(&got), "{got}");
    assert_eq!(w.wake_at(), Some(0));
    w.pump();
    assert_eq!(w.clients[&1].inbox.len(), 1_000);
}

/// The stream is asked to kick once, and only when an engine waits for what it did.
#[test]
fn only_a_parked_engine_is_kicked() {
    let mut w = backlog(1, 1);
    w.connect(1, &[0], 0, 1 << 30);
    let flow = w.clients[&1].flow.clone();
    assert!(!flow.add_credit(0), "nobody parked yet");
    w.pump();
    assert!(!flow.add_credit(0), "no credit came");
    assert!(flow.add_credit(5), "parked for want of credit");
    assert!(!flow.add_credit(5), "asked already");
    w.clients.get_mut(&1).expect("connected").granted = 10;
    w.engine.kick(ConsumerId(1));
    w.pump();
    assert_eq!((w.take(1, 10).len(), flow.credit()), (1, 9));
}

/// Credit that comes between an engine's last look and its parking would be missed by both sides, were it not for the second look.
#[test]
fn parking_looks_again() {
    let flow = Flow::default();
    assert_eq!(flow.try_take(1), 0);
    assert!(!flow.add_credit(1), "the engine has not parked yet");
    assert!(!flow.park(), "so it must see the credit itself");
    assert_eq!(flow.try_take(2), 1);
    assert!(flow.park());
    assert!(flow.give_back(1), "credit that is given back wakes as well");
}

/// Many engines on many threads take from one flow: never more than was granted, and a parked one always gets its kick.
#[test]
fn credit_is_shared_between_threads() {
    let flow = Flow::new(1 << 20);
    let kicked = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::SeqCst;
    std::thread::scope(|scope| {
        let engine = scope.spawn(|| {
            let mut taken = 0;
            while taken < 10_000 {
                let got = flow.try_take(7);
                taken += got;
                if got == 0 && flow.park() {
                    // Waits for nothing but the kick: a lost one would hang here.
                    while !kicked.swap(false, order) {
                        std::thread::yield_now();
                    }
                }
            }
            taken
        });
        for _ in 0..10_000 {
            if flow.add_credit(1) {
                kicked.store(true, order);
            }
        }
        assert_eq!(engine.join().expect("no panic"), 10_000);
    });
    assert_eq!(flow.credit(), 0);
}

/// A consumer at another peer has no credit here until the engine wants some: once for each time that there is something, not when there is
/// nothing, and again when room comes back. Otherwise credit would lie idle with one group while another one has the tasks.
#[test]
fn credit_on_demand_is_wanted_when_there_is_something() {
    let mut w = backlog(1, 0);
    w.connect_flow(1, &[0], 0, Flow::remote(700, true));
    w.pump();
    assert!(w.wants.is_empty(), "there is nothing");
    (0..12).for_each(|_| w.create(0, 0));
    w.pump();
    assert_eq!(w.wants, [1], "once");
    w.credit(1, 2);
    w.pump();
    assert_eq!((w.clients[&1].inbox.len(), w.wants.len()), (2, 2), "two went, and there are more");
    w.credit(1, 100);
    w.pump();
    let got = w.clients[&1].inbox.len();
    assert!(got < 12 && w.wants.len() == 2, "{got} fit: room is what is missing");
    let left = w.clients[&1].flow.try_take(u32::MAX);
    assert_eq!(left as usize, 102 - got, "what could not be used goes back");
    w.take(1, 100);
    w.engine.kick(ConsumerId(1));
    w.pump();
    assert_eq!(w.wants.len(), 3, "there is room again");
}
