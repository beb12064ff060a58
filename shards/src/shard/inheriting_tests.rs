//! Leases over changes of leader. What would be wrong: a task that is delivered again while its consumer works on it, an ack with a token of
//! the leader before that is refused, an attempt that counts although nobody failed, a task that waits for a lease that nobody has.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use z4_model::command::{Command, Op, Update};
use z4_model::ids::TaskId;

use super::forward_tests::{create, created, name};
use super::testing::{GROUP, Peer, leader, three, until};
use crate::account::{Account, CLIENT_PARTS};
use crate::runtime::executor;
use crate::runtime::testing::run;
use crate::shard::api::{Delivered, Settle, SettleError, Verdict};
use crate::shard::handle::Consumer;
use crate::shard::members::MoveError;
use crate::shard::message::Message;
use crate::shard::relaying::HELD_PER_FRAME;

const BYTES: usize = 1 << 20;
pub(super) const LEASE_MS: u32 = 60_000;

pub(super) fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

pub(super) async fn make(peer: &Peer, tasks: usize) -> BTreeSet<TaskId> {
    let mut made = BTreeSet::new();
    for _ in 0..tasks {
        made.insert(created(&peer.shards.submit(create(1, None)).await.expect("made").value).id);
    }
    made
}

pub(super) async fn take(consumer: &mut Consumer, tasks: usize) -> Vec<Delivered> {
    let mut taken = Vec::new();
    while taken.len() < tasks {
        let some = consumer.next().await.expect("the stream goes on");
        consumer.sent(some.len() as u64);
        taken.extend(some);
    }
    taken
}

/// What comes within a while.
async fn next(consumer: &mut Consumer) -> Vec<Delivered> {
    let next = std::pin::pin!(consumer.next());
    match select(next, std::pin::pin!(executor::sleep(Duration::from_millis(300)))).await {
        Either::Left((tasks, _)) => tasks.expect("the stream goes on"),
        Either::Right(_) => Vec::new(),
    }
}

pub(super) fn settle(task: &Delivered, verdict: Verdict) -> Settle {
    Settle { id: task.id, token: task.token, verdict }
}

pub(super) async fn ack(peer: &Peer, tasks: &[Delivered]) -> Vec<Result<u64, SettleError>> {
    peer.shards.settle(name(), tasks.iter().map(|task| settle(task, Verdict::Ack)).collect()).await
}

/// Asks the leader to hand over, as an operator does.
pub(super) async fn move_leader(peers: &[Peer], to: &Peer) -> Result<(), MoveError> {
    let at = leader(peers).await;
    let (tx, rx) = oneshot::channel();
    assert!(peers[at].shards.post(GROUP, Message::MoveLeader(GROUP, to.number, tx)).is_ok());
    rx.await.expect("answered")
}

pub(super) fn ids(tasks: &[Delivered]) -> BTreeSet<TaskId> {
    tasks.iter().map(|task| task.id).collect()
}

/// Story: a consumer at each of three peers, and one whose stream has gone, hold tasks for a minute; then leadership moves twice. Nothing
/// that is held comes again, what is new comes, acks and extensions with the old tokens are taken, also when they are said again.
#[test]
fn leases_go_with_a_planned_change_of_leader() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let mut at = leader(&peers).await;
        make(&peers[at], 40).await;
        let (mut consumers, mut held) = (Vec::new(), Vec::new());
        for peer in &peers {
            let mut consumer = peer.shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
            consumer.add_credit(10);
            held.push(take(&mut consumer, 10).await);
            consumers.push(consumer);
        }
        let mut gone = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        gone.add_credit(10);
        held.push(take(&mut gone, 10).await);
        gone.detach().await;
        for round in 0..2 {
            let to = &peers[(at + 1) % 3];
            until("it has moved", async || move_leader(&peers, to).await.ok()).await;
            at = leader(&peers).await;
            assert_eq!(peers[at].number, to.number);
            for (peer, consumer) in peers.iter().zip(&mut consumers) {
                consumer.add_credit(5);
                assert_eq!(next(consumer).await, [], "round {round}, peer {}: a task that somebody has", peer.number);
            }
            let other = &peers[(at + 1) % 3];
            for held in &mut held {
                let done = [held.pop().expect("some are left")];
                assert_eq!(ack(other, &done).await, [Ok(0)], "round {round}");
                assert_eq!(ack(other, &done).await, [Ok(0)], "said again, round {round}");
                let extended = other.shards.settle(name(), vec![settle(&held[0], Verdict::Extend { lease_ms: 90_000 })]).await;
                assert!(matches!(extended[..], [Ok(deadline)] if deadline > held[0].deadline_ms), "{extended:?}");
            }
        }
        let made = make(&peers[at], 15).await;
        let mut new = BTreeSet::new();
        until("deliveries go on", async || {
            for consumer in &mut consumers {
                new.extend(ids(&next(consumer).await));
            }
            (new.len() >= made.len()).then_some(())
        })
        .await;
        assert_eq!(new, made, "deliveries go on");
        // A consumer that goes now: its tasks come again without having cost an attempt, for it says good-bye.
        let mut left = consumers.remove(0);
        left.leave();
        consumers[0].add_credit(100);
        let mut again = BTreeSet::new();
        until("what it held comes again", async || {
            for consumer in &mut consumers {
                let some = next(consumer).await;
                assert!(some.iter().all(|task| task.attempt == 1), "{some:?}");
                again.extend(ids(&some));
            }
            again.is_superset(&ids(&held[0])).then_some(())
        })
        .await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: a leader stops as a process does that was asked to. It is not without a successor for a moment, the successor knows the leases, and
/// what is said to any peer meanwhile is done.
#[test]
fn a_leader_that_stops_hands_over_first() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        make(&peers[at], 20).await;
        let mut consumer = peers[(at + 1) % 3].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        consumer.add_credit(20);
        let held = take(&mut consumer, 20).await;
        let own = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        own.add_credit(20);
        let stopping = peers.remove(at);
        stopping.shards.hand_over().await;
        assert!(!stopping.shards.groups().await.iter().any(|group| group.serves), "it does not lead any more");
        until("the others hear who leads now", async || {
            let groups = peers[0].shards.groups().await;
            groups.iter().any(|group| group.leader.is_some_and(|leader| leader != stopping.number)).then_some(())
        })
        .await;
        // A consumer that comes now is told at once, not when everything else is over.
        stopping.shards.end_consumers();
        let mut late = stopping.shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        assert_eq!(late.next().await, None);
        // It takes no leadership back while it is on its way out.
        leader(&peers).await;
        assert!(move_leader(&peers, &stopping).await.is_err());
        let heir = leader(&peers).await;
        assert_eq!(ack(&stopping, &held[..10]).await, vec![Ok(0); 10], "by way of the peer that stops");
        stopping.stop().await;
        assert_eq!(ack(&peers[1 - heir], &held[10..]).await, vec![Ok(0); 10]);
        consumer.add_credit(10);
        assert_eq!(next(&mut consumer).await, []);
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: the leader is cut off, and another one is elected that was told nothing. The consumers of the peers that are left claim what they
/// hold: nothing of it is delivered again. What the leader's own consumers held comes again, once they had time to claim.
#[test]
fn consumers_keep_what_they_hold_when_a_leader_goes_without_a_word() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        make(&peers[at], 20).await;
        let mut own = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        own.add_credit(4);
        let lost = take(&mut own, 4).await;
        let mut mine = peers[(at + 1) % 3].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        mine.add_credit(6);
        let held = take(&mut mine, 6).await;
        let mut theirs = peers[(at + 2) % 3].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        theirs.add_credit(6);
        let others = take(&mut theirs, 6).await;
        assert_eq!(ack(&peers[(at + 2) % 3], &others[..2]).await, vec![Ok(0); 2], "and these will be said again");
        let gone = peers.remove(at);
        gone.isolate();
        let at = leader(&peers).await;
        mine.add_credit(20);
        let again = take(&mut mine, 8).await;
        assert!(ids(&again).is_disjoint(&ids(&held)) && ids(&again).is_disjoint(&ids(&others)), "{again:?}");
        assert!(ids(&again).is_superset(&ids(&lost)));
        assert!(again.iter().all(|task| task.attempt == 1 && held.iter().all(|old| old.token < task.token)));
        assert_eq!(ack(&peers[at], &held).await, vec![Ok(0); 6]);
        assert_eq!(ack(&peers[1 - at], &others).await, vec![Ok(0); 6]);
        assert_eq!(ack(&peers[at], &held[..1]).await, [Ok(0)], "said again");
        let refused = ack(&peers[at], &lost).await;
        assert!(refused.iter().all(|answer| matches!(answer, Err(SettleError::LeaseLost { .. }))), "{refused:?}");
        drop(own);
        gone.stop().await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: the same with a consumer that holds more than a leader hears of at a time. It is claimed in parts, all of it.
#[test]
fn a_consumer_keeps_more_than_a_leader_hears_of_at_a_time() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        make(&peers[at], 4).await;
        let mut own = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        own.add_credit(4);
        let lost = take(&mut own, 4).await;
        let many = HELD_PER_FRAME + 100;
        let mut command = create(1, None);
        command.ops = vec![command.ops.remove(0); 199];
        for _ in 0..many.div_ceil(199) {
            peers[at].shards.submit(command.clone()).await.expect("made");
        }
        let mut mine = peers[(at + 1) % 3].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        let all = many.next_multiple_of(199);
        mine.add_credit(all as u32);
        let held = take(&mut mine, all).await;
        let gone = peers.remove(at);
        gone.isolate();
        let at = leader(&peers).await;
        mine.add_credit(20);
        assert_eq!(ids(&take(&mut mine, 4).await), ids(&lost));
        assert_eq!(ids(&next(&mut mine).await), BTreeSet::new());
        assert_eq!(ack(&peers[at], &held).await, vec![Ok(0); all]);
        drop(own);
        gone.stop().await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: a consumer by the leader, and one at another peer, has taken three tasks and sent one when there is no memory for a fourth. It is ended;
/// what it had not sent goes to somebody else, and it sends it all the same. Then the leader goes without a word: what was sent late is worth
/// nothing, also for a leader that hears of it first.
#[test]
fn what_a_stream_sends_late_is_over_also_for_the_next_leader() {
    for far in [0, 1] {
        let dir = dir();
        run(async {
            let mut peers = three(dir.path()).await;
            let at = leader(&peers).await;
            make(&peers[at], 3).await;
            let account = Account::new(4 << 20);
            let memory = Some(account.holder(CLIENT_PARTS));
            let shards = peers[(at + far) % 3].shards.clone();
            let mut cut = shards.consume_on(vec![name()], (LEASE_MS, BYTES), (Vec::new(), memory)).expect("a consumer");
            cut.add_credit(10);
            let mut taken = Vec::new();
            while taken.len() < 3 {
                taken.extend(cut.next().await.expect("the stream goes on"));
            }
            cut.sent(1);
            let everything = account.holder(1).count(account.bytes_max());
            let fourth = make(&peers[at], 1).await;
            until("there is no memory for it", async || {
                assert_eq!(cut.try_next(), None);
                cut.cut()
            })
            .await;
            cut.sent(2);
            drop(everything);
            let mut other = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
            other.add_credit(10);
            let again = take(&mut other, 3).await;
            assert_eq!(ids(&again), &ids(&taken[1..]) | &fourth, "what was not sent, and nothing else");
            assert!(again.iter().all(|task| task.attempt == 1), "nobody is blamed");
            let gone = peers.remove(at);
            gone.isolate();
            let at = leader(&peers).await;
            let late = ack(&peers[at], &taken[1..]).await;
            assert!(late.iter().all(|answer| matches!(answer, Err(SettleError::LeaseLost { .. }))), "{late:?}");
            drop((cut, other));
            gone.stop().await;
            for peer in peers {
                peer.stop().await;
            }
        });
    }
}

/// An update that names the wrong version is refused. The consumer that has the task says that it is done in the same moment, a hundred times
/// over: not one of these acks may be refused.
#[test]
fn a_refused_update_takes_nothing_from_its_holder() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        make(&peers[at], 100).await;
        let mut consumer = peers[at].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        consumer.add_credit(100);
        for task in take(&mut consumer, 100).await {
            let update = Update {
                id: task.id,
                expected_version: 99,
                due_ms: None,
                metadata: None,
                payload: Some(Bytes::new()),
                revive: false,
                fence: 0,
            };
            let command = Command { namespace: name(), ops: vec![Op::Update(update)] };
            let (updated, acked) =
                futures_util::future::join(peers[at].shards.submit(command), ack(&peers[at], std::slice::from_ref(&task))).await;
            assert!(updated.is_err(), "{updated:?}");
            assert_eq!(acked, [Ok(0)]);
        }
        until("every task is gone", async || {
            let namespace = peers[at].shards.namespace(name()).await.ok()?;
            (namespace.row.live == 0).then_some(())
        })
        .await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: the leader's clock is ahead of the others', within what is allowed, and it goes without a word. By the clock of the next leader the
/// tasks that are held are not due yet. Their consumer keeps them all the same: none is delivered again, every ack is taken.
#[test]
fn consumers_keep_what_a_leader_with_a_clock_ahead_delivered() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        make(&peers[at], 6).await;
        let mut mine = peers[(at + 1) % 3].shards.consume(vec![name()], LEASE_MS, BYTES).expect("a consumer");
        mine.add_credit(6);
        let held = take(&mut mine, 6).await;
        mine.add_credit(20);
        let gone = peers.remove(at);
        gone.isolate();
        for peer in &peers {
            let clocks = peer.shards.reach().clocks().clone();
            clocks.own().step(-clocks.differ_ms().cast_signed() + 100);
        }
        let at = leader(&peers).await;
        assert_eq!(ack(&peers[at], &held[..3]).await, vec![Ok(0); 3]);
        // Made since: it need not wait for what may be held.
        let new = make(&peers[at], 1).await;
        let came = take(&mut mine, 1).await;
        assert_eq!(ids(&came), new);
        assert_eq!(ack(&peers[1 - at], &held[3..]).await, vec![Ok(0); 3]);
        assert_eq!(ack(&peers[1 - at], &came).await, [Ok(0)]);
        let left = peers[at].shards.namespace(name()).await.expect("read").row.live;
        assert_eq!(left, 0);
        gone.stop().await;
        for peer in peers {
            peer.stop().await;
        }
    });
}
