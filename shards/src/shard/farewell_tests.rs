//! Consumers that go while leadership moves. What would be wrong: their tasks are with nobody until the leases lapse, and then an attempt counts
//! although nobody failed.

use std::time::Duration;

use futures_channel::oneshot;

use super::inheriting_tests::{LEASE_MS, ack, dir, ids, make, move_leader, settle, take};
use super::testing::{GROUP, Peer, leader, three, until};
use crate::runtime::executor;
use crate::runtime::testing::run;
use crate::shard::api::{Delivered, SettleError, Verdict};
use crate::shard::forward_tests::name;
use crate::shard::handle::Consumer;
use crate::shard::members::MoveError;
use crate::shard::message::Message;

const BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Goes {
    KeepsSent,
    Leaves,
    Breaks,
}

impl Goes {
    const ALL: [Goes; 3] = [Goes::KeepsSent, Goes::Leaves, Goes::Breaks];

    fn go(self, mut consumer: Consumer) {
        match self {
            Goes::KeepsSent => consumer.keep_sent(),
            Goes::Leaves => consumer.leave(),
            Goes::Breaks => drop(consumer),
        }
    }
}

/// A consumer that has taken four tasks and sent one.
async fn with_four(peers: &[Peer], at: usize) -> (Consumer, Vec<Delivered>) {
    make(&peers[at], 4).await;
    let mut consumer = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
    consumer.add_credit(4);
    let mut taken = Vec::new();
    while taken.len() < 4 {
        taken.extend(consumer.next().await.expect("the stream goes on"));
    }
    consumer.sent(1);
    (consumer, taken)
}

/// What the consumer that has gone is to leave comes to the next one, and nobody is blamed but for what it was sent; then all is settled.
/// Returns whether somebody was blamed.
async fn others_get_it(peers: &[Peer], at: usize, (taken, goes): (Vec<Delivered>, Goes), when: &str) -> bool {
    let kept = if goes == Goes::KeepsSent { 1 } else { 0 };
    let mut other = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
    other.add_credit(4);
    let again = take(&mut other, 4 - kept).await;
    assert_eq!(ids(&again), ids(&taken[kept..]), "{goes:?}, {when}");
    let attempts: Vec<_> = again.iter().filter(|task| task.attempt > 1).collect();
    let blamed = |task: &&Delivered| goes == Goes::Breaks && task.id == taken[0].id && task.attempt == 2;
    assert!(attempts.iter().all(blamed), "{goes:?}, {when}: {again:?}");
    let any = !attempts.is_empty();
    let held: Vec<Delivered> = taken[..kept].iter().chain(&again).cloned().collect();
    until("all is settled", async || ack(&peers[at], &held).await.iter().all(Result::is_ok).then_some(())).await;
    other.leave();
    any
}

/// Story: a consumer by the leader, and one at another peer, goes in one of three ways at any moment of a hand-over.
#[test]
fn who_goes_while_leadership_moves_leaves_nothing_with_nobody() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let mut turn = 0;
        for wait_ms in [0, 1, 3, 6, 12, 25, 60] {
            for goes in Goes::ALL {
                for far in [0, 1] {
                    turn += 1;
                    let at = leader(&peers).await;
                    let (consumer, taken) = with_four(&peers, (at + far) % 3).await;
                    let (tx, moved) = oneshot::channel();
                    let to = peers[(at + 1 + turn % 2) % 3].number;
                    assert!(peers[at].shards.post(GROUP, Message::MoveLeader(GROUP, to, tx)).is_ok());
                    executor::sleep(Duration::from_millis(wait_ms)).await;
                    goes.go(consumer);
                    let moved: Result<(), MoveError> = moved.await.expect("answered");
                    let when = format!("{far} from the leader, {wait_ms} ms after it was to move, which went {moved:?}");
                    others_get_it(&peers, (at + turn % 3) % 3, (taken, goes), &when).await;
                }
            }
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: leadership has moved, not at all, once or more often, and the consumer has its deliveries of the leaders before when it goes.
#[test]
fn what_came_of_a_leader_before_and_was_not_sent_is_given_back() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        for goes in Goes::ALL {
            for (far, moves) in [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (0, 3)] {
                let at = leader(&peers).await;
                let (mut consumer, taken) = with_four(&peers, (at + far) % 3).await;
                for n in 0..moves {
                    let to = &peers[(at + 1 + n) % 3];
                    until("it has moved", async || move_leader(&peers, to).await.ok()).await;
                }
                // One more under the present leader, so that its stream is known to be there.
                let fifth = make(&peers[at], 1).await;
                consumer.add_credit(1);
                let came = consumer.next().await.expect("the stream goes on");
                assert_eq!(ids(&came), fifth);
                let done = ack(&peers[at], &came).await;
                assert_eq!(done, [Ok(0)]);
                goes.go(consumer);
                let when = format!("{far} from the first leader, {moves} moves");
                let blamed = others_get_it(&peers, (at + far + 1) % 3, (taken, goes), &when).await;
                assert_eq!(blamed, goes == Goes::Breaks, "whoever leads knows what was sent: {when}");
            }
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// What is given up for a consumer that has gone may have been claimed by the same client's next stream: it stays there.
#[test]
fn what_somebody_has_claimed_is_not_given_up() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        make(&peers[at], 2).await;
        let mut consumer = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        consumer.add_credit(2);
        let held = take(&mut consumer, 2).await;
        for blamed in [false, true] {
            let given_up = held.iter().map(|task| settle(task, Verdict::GivenUp { blamed })).collect();
            let answers = peers[(at + 1) % 3].shards.settle(name(), given_up).await;
            assert!(answers.iter().all(|answer| matches!(answer, Err(SettleError::LeaseLost { .. }))), "{answers:?}");
        }
        assert_eq!(ack(&peers[at], &held).await, vec![Ok(0); 2]);
        drop(consumer);
        for peer in peers {
            peer.stop().await;
        }
    });
}
