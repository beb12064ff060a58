//! The promise of the whole database, under the worst that can happen to one peer.
//!
//! Producers create tasks (unary, streamed, in batches) that are due in the past, now and soon; consumers take and acknowledge
//! them; and the peer is killed with SIGKILL, twenty times, whenever a random number of creates has been acknowledged. A create that got no answer is
//! sent again, under the same request id, to the next process. At the end everything is drained, and the history of every task is
//! judged: none acknowledged and lost, none delivered early, none delivered after its ack was answered, none made twice; and the
//! store is empty.

mod load;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::harness::wait::{until, within};
use crate::harness::{Client, Peer};
use load::{Load, NAMESPACES};

const KILLS: u32 = 20;
/// Creates that are acknowledged before a kill: at least one, so that there is something to lose.
const ACKNOWLEDGED: std::ops::Range<usize> = 1..600;

#[tokio::test]
async fn no_acknowledged_task_is_lost_and_none_comes_early_when_the_peer_is_killed_under_load() {
    let seed = std::env::var("Z4_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("seed {seed} (run with Z4_TEST_SEED={seed} to get the same choices)");
    let mut rng = StdRng::seed_from_u64(seed);
    let load = Load::new(&mut rng);
    let mut peer = Peer::start().await;
    for kill in 1..=KILLS {
        let wanted = load.history.borrow().acknowledged_count() + rng.random_range(ACKNOWLEDGED);
        let client = peer.client().await;
        let round = async {
            let killer = async {
                let enough = async || (load.history.borrow().acknowledged_count() >= wanted).then_some(());
                until("creates are acknowledged", enough).await;
                peer.kill().await;
            };
            // All of them end by themselves once the peer is dead: nothing of this round is read after the next start.
            tokio::join!(killer, load.produce(&client), load.consume(&client), load.consume(&client));
        };
        within(&format!("round {kill} ends"), round).await;
        peer.restart().await;
    }
    drain(&load, &peer.client().await).await;

    let history = load.history.borrow();
    let violations = history.verdict();
    assert!(
        violations.is_empty(),
        "seed {seed}: {} violations, the first ones: {:#?}",
        violations.len(),
        &violations[..violations.len().min(20)]
    );
    assert_eq!(history.acknowledged_count(), history.intended_count(), "every create was answered in the end");
    println!("{} tasks survived {KILLS} kills", history.acknowledged_count());
}

/// Sends what was never answered, and consumes until nothing is left.
async fn drain(load: &Load, client: &Client) {
    within("the unanswered creates are answered", load.produce_rest(client)).await;
    let emptied = until("the store is empty", async || {
        for namespace in NAMESPACES {
            let state = client.namespace(namespace).await;
            assert_eq!(state.dead, 0, "no task has used up its attempts");
            if state.live > 0 {
                return None;
            }
        }
        Some(())
    });
    tokio::select! {
        () = emptied => {}
        () = load.consume(client) => panic!("the consumer's stream ended while the peer was up"),
    }
}
