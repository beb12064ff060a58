//! Consumers whose stream is at another peer than the leader. What would be wrong: tasks that such a consumer does not get, more of them than
//! it asked for, leases that outlive it, or a stream that ends or starves because a leader changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use z4_model::command::{Command, Op};
use z4_model::ids::{GroupId, Namespace, SLOTS, TaskId};
use z4_model::settings::SettingsPatch;

use super::forward_tests::{create, created};
use super::testing::{GROUP, Peer, connect, leader, three, until};
use crate::runtime::executor;
use crate::runtime::testing::run;
use crate::shard::api::{Consistency, Delivered, Settle, SettleError, TaskState, Verdict};
use crate::shard::handle::Consumer;

const BYTES: usize = 1 << 20;

fn name() -> Namespace {
    Namespace::new("a").expect("valid")
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

fn settle(delivered: &Delivered, verdict: Verdict) -> Settle {
    Settle { id: delivered.id, token: delivered.token, verdict }
}

/// Creates tasks that are due.
async fn make(peer: &Peer, namespace: &Namespace, tasks: usize) -> Vec<TaskId> {
    let one = |_| {
        let mut command = create(1, None);
        command.namespace = namespace.clone();
        peer.shards.submit(command)
    };
    let made = join_all((0..tasks).map(one)).await;
    made.into_iter().map(|made| created(&made.expect("made").value).id).collect()
}

/// The next deliveries, or nothing within a while.
async fn next(consumer: &mut Consumer) -> Vec<Delivered> {
    let next = std::pin::pin!(consumer.next());
    match select(next, std::pin::pin!(executor::sleep(Duration::from_millis(300)))).await {
        Either::Left((tasks, _)) => tasks.expect("the stream goes on"),
        Either::Right(_) => Vec::new(),
    }
}

/// Takes deliveries until there are so many.
async fn take(consumer: &mut Consumer, tasks: usize) -> Vec<Delivered> {
    let mut taken = Vec::new();
    while taken.len() < tasks {
        taken.extend(consumer.next().await.expect("the stream goes on"));
    }
    taken
}

async fn ack(peer: &Peer, namespace: &Namespace, tasks: &[Delivered]) -> Vec<Result<u64, SettleError>> {
    peer.shards.settle(namespace.clone(), tasks.iter().map(|task| settle(task, Verdict::Ack)).collect()).await
}

async fn state(peer: &Peer, id: TaskId) -> Option<TaskState> {
    peer.shards.get(name(), id, Consistency::Linearizable).await.expect("read").map(|view| view.state)
}

#[test]
fn a_consumer_at_a_follower_gets_what_it_asks_for_and_settles_it() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let (first, other) = (&peers[at], &peers[(at + 1) % 3]);
        let made = make(other, &name(), 30).await;
        let mut consumer = other.shards.consume(vec![name()], 0, BYTES).expect("consumes");
        assert!(next(&mut consumer).await.is_empty(), "no credit yet");
        consumer.add_credit(5);
        let five = take(&mut consumer, 5).await;
        assert!(next(&mut consumer).await.is_empty(), "its credit is used up");
        assert!(consumer.is_relayed() && !first.shards.consume(vec![name()], 0, BYTES).expect("consumes").is_relayed());
        assert_eq!(five.iter().map(|task| task.id).collect::<Vec<_>>(), made[..5], "in due order");
        assert_eq!(state(other, five[0].id).await, Some(TaskState::Leased), "a follower knows it, too");

        let acks = ack(other, &name(), &five[..2]).await;
        assert!(acks.iter().all(Result::is_ok), "{acks:?}");
        let again = ack(other, &name(), &five[..1]).await;
        assert_eq!(again, [Ok(0)], "said again, it is done");
        assert_eq!(state(first, five[0].id).await, None);
        let extended = other.shards.settle(name(), vec![settle(&five[2], Verdict::Extend { lease_ms: 60_000 })]).await;
        assert!(matches!(extended[..], [Ok(deadline)] if deadline > five[2].deadline_ms), "{extended:?}");
        let nack = Verdict::Nack { delay_ms: Some(0), reason: Bytes::from_static(b"no") };
        other.shards.settle(name(), vec![settle(&five[3], nack)]).await.pop().expect("one").expect("nacked");

        consumer.add_credit(1_000);
        let rest = take(&mut consumer, 26).await;
        let second = rest.iter().find(|task| task.id == five[3].id).expect("it comes again");
        assert_eq!(second.attempt, 2);
        assert!(second.token > five[3].token);
        // What is made later comes without another word.
        let made = make(first, &name(), 1).await;
        assert_eq!(take(&mut consumer, 1).await[0].id, made[0]);
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// A consumer that leaves everything where it is gets no more than its bytes; taking makes room again, without new credit.
#[test]
fn room_at_a_far_consumer_is_bounded_and_comes_back() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let other = &peers[(at + 2) % 3];
        make(other, &name(), 400).await;
        let mut consumer = other.shards.consume(vec![name()], 0, 20_000).expect("consumes");
        consumer.add_credit(1_000);
        let leased = async || peers[at].shards.namespace(name()).await.expect("read").leased;
        until("it is given what fits", async || (leased().await > 50).then_some(())).await;
        executor::sleep(Duration::from_millis(100)).await;
        let fits = leased().await;
        assert!(fits < 250, "{fits} of about 150 bytes each");
        assert_eq!(take(&mut consumer, 400).await.len(), 400);
        for peer in peers {
            peer.stop().await;
        }
    });
}

#[test]
fn leases_end_with_a_far_consumer_and_with_its_peer_but_not_when_it_detaches() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let other = (at + 1) % 3;
        let patch = SettingsPatch { backoff_first_ms: Some(0), ..Default::default() };
        let configure = Command { namespace: name(), ops: vec![Op::Configure(patch)] };
        peers[at].shards.submit(configure).await.expect("configured");
        make(&peers[other], &name(), 3).await;
        let consume = |peer: &Peer, credit| {
            let consumer = peer.shards.consume(vec![name()], 0, BYTES).expect("consumes");
            consumer.add_credit(credit);
            consumer
        };
        // It detaches: what it took and what was on its way stays leased, and can be settled.
        let mut detaching = consume(&peers[other], 1);
        let first = take(&mut detaching, 1).await;
        detaching.add_credit(1);
        let second = detaching.detach().await;
        let mut near = consume(&peers[at], 10);
        let seen = take(&mut near, 2 - second.len()).await;
        assert!(seen.iter().all(|task| task.attempt == 1 && task.id != first[0].id));
        assert!(next(&mut near).await.is_empty(), "the others are leased");
        assert!(ack(&peers[other], &name(), &first).await[0].is_ok());
        drop(near);

        // It goes: what it had comes again.
        let mut far = consume(&peers[other], 10);
        let had = take(&mut far, 1).await;
        drop(far);
        let mut near = consume(&peers[at], 10);
        let again = take(&mut near, 1).await;
        assert!(had.iter().any(|task| task.id == again[0].id) && again[0].attempt == 1, "none of them was sent to its client");
        drop(near);

        // Its peer is cut off.
        let mut far = consume(&peers[other], 10);
        let had = take(&mut far, 1).await;
        peers[other].isolate();
        let mut near = consume(&peers[at], 10);
        let again = take(&mut near, had.len()).await;
        assert!(again.iter().any(|task| task.id == had[0].id));
        drop((far, near));
        peers.remove(other);
    });
}

/// Two groups with leaders at two peers; every slot belongs to one or the other.
async fn two_groups(dir: &Path) -> (Vec<Peer>, [Namespace; 2]) {
    let second = GroupId(2);
    let mut peers = Vec::new();
    for number in 1..=3 {
        peers.push(Peer::start(number, dir).await);
    }
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        connect(&peers[a], &peers[b]);
    }
    let voters: Vec<_> = (1..=3).map(|number| (number, format!("peer-{number}:1"))).collect();
    let slots: Vec<GroupId> = (0..SLOTS).map(|slot| GroupId(1 + slot % 2)).collect();
    for peer in &peers {
        for group in [GROUP, second] {
            // Who makes the voters leads, mostly.
            let voters = if peer.number == u64::from(group.0) { voters.clone() } else { Vec::new() };
            peer.shards.open(group, voters).await.expect("open");
        }
        peer.shards.set_slots(&slots);
    }
    let names = (0..).map(|n| Namespace::new(&format!("n{n}")).expect("valid"));
    let of = |group| names.clone().find(|name| peers[0].shards.group_of(name) == group).expect("one of them");
    let names = [of(GROUP), of(second)];
    (peers, names)
}

/// Every peer in turn: of both leaders each has one group near and one far, the third has both far. The credit is less than what either group
/// has, so it must go where tasks are, and be there again when it was not used.
#[test]
fn one_stream_consumes_from_groups_with_different_leaders() {
    let dir = dir();
    run(async {
        let (peers, names) = two_groups(dir.path()).await;
        for peer in &peers {
            let mut left = BTreeSet::new();
            for name in &names {
                left.extend(make(peer, name, 100).await);
            }
            let mut consumer = peer.shards.consume(names.to_vec(), 0, BYTES).expect("consumes");
            consumer.add_credit(10);
            while !left.is_empty() {
                let tasks = consumer.next().await.expect("the stream goes on");
                assert!(tasks.len() <= 10, "no more than its credit");
                for task in &tasks {
                    assert!(left.remove(&task.id), "each once");
                    let acked = ack(peer, &task.namespace, std::slice::from_ref(task)).await;
                    assert!(acked[0].is_ok(), "{acked:?}");
                }
                consumer.add_credit(tasks.len() as u32);
            }
            // One group has nothing any more: all of the credit is for the other one.
            make(peer, &names[1], 10).await;
            let tasks = take(&mut consumer, 10).await;
            assert_eq!(tasks.len(), 10);
            assert!(ack(peer, &names[1], &tasks).await.iter().all(Result::is_ok));
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: a consumer ends at one group and goes on at another, as a LeaseTasks call does that has room for one leader's tasks more. The first
/// group has one task and was given more credit than that. The rest is the other group's, at once; and no task comes beyond the credit,
/// whatever was on its way when the consumer went.
#[test]
fn credit_that_one_group_did_not_use_wakes_the_other() {
    let dir = dir();
    run(async {
        let (peers, names) = two_groups(dir.path()).await;
        for peer in &peers {
            make(peer, &names[0], 1).await;
            make(peer, &names[1], 10).await;
            let mut consumer = peer.shards.consume(names.to_vec(), 0, BYTES).expect("consumes");
            assert!(next(&mut consumer).await.is_empty(), "both leaders have tasks, and no credit");
            consumer.add_credit(4);
            let (done, mut tasks) = consumer.detach_from(1).await;
            assert_eq!(done, [GROUP]);
            while tasks.len() < 4 {
                tasks.extend(consumer.next().await.expect("the stream goes on"));
            }
            tasks.extend(next(&mut consumer).await);
            assert_eq!(tasks.len(), 4, "all of its credit, and no more");
            let acknowledge = async |tasks: Vec<Delivered>| {
                for task in &tasks {
                    let acked = ack(peer, &task.namespace, std::slice::from_ref(task)).await;
                    assert!(acked[0].is_ok(), "{acked:?}");
                }
            };
            acknowledge(tasks).await;
            drop(consumer);
            let mut consumer = peer.shards.consume(names.to_vec(), 0, BYTES).expect("consumes");
            consumer.add_credit(20);
            let rest = take(&mut consumer, 7).await;
            acknowledge(rest).await;
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// An answer that has no room for all that was delivered must not cost the rest its leases: what was sent stays with the one who got it, the
/// rest comes to the next one, and nobody is blamed.
#[test]
fn what_was_not_sent_is_given_back_by_near_and_far_leaders() {
    let dir = dir();
    run(async {
        let (peers, names) = two_groups(dir.path()).await;
        for (at, peer) in peers.iter().enumerate() {
            for name in &names {
                make(peer, name, 10).await;
            }
            let mut consumer = peer.shards.consume(names.to_vec(), 0, BYTES).expect("consumes");
            consumer.add_credit(20);
            let taken = take(&mut consumer, 20).await;
            let (first, second): (Vec<_>, Vec<_>) = taken.into_iter().partition(|task| task.namespace == names[0]);
            let kept: Vec<_> = second[..3].iter().chain(&first[..5]).cloned().collect();
            kept.iter().for_each(|task| consumer.sent_of(task.id.group));
            consumer.keep_sent();
            let other = &peers[(at + 1) % 3];
            let mut consumer = other.shards.consume(names.to_vec(), 0, BYTES).expect("consumes");
            consumer.add_credit(20);
            let mut again = take(&mut consumer, 12).await;
            again.extend(next(&mut consumer).await);
            let ids = |tasks: &[Delivered]| tasks.iter().map(|task| task.id).collect::<BTreeSet<_>>();
            assert_eq!(ids(&again), ids(&[&first[5..], &second[3..]].concat()), "what was not sent, and nothing else");
            assert!(again.iter().all(|task| task.attempt == 1), "it counts no attempt");
            for task in kept.iter().chain(&again) {
                let acked = ack(peer, &task.namespace, std::slice::from_ref(task)).await;
                assert!(acked[0].is_ok(), "{acked:?}");
            }
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: consumers at two followers take and acknowledge while the leader is cut off. Their streams go on at the next leader; every task is
/// acknowledged in the end, and their credit is what it was.
#[test]
fn streams_outlive_a_leader() {
    let dir = dir();
    run(async {
        let mut peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let made = make(&peers[at], &name(), 300).await;
        let gone = peers.remove(at);
        let mut consumers: Vec<_> =
            peers.iter().map(|peer| peer.shards.consume(vec![name()], 0, BYTES).expect("consumes")).collect();
        let mut left: BTreeSet<TaskId> = made.into_iter().collect();
        let mut tokens: BTreeMap<TaskId, u64> = BTreeMap::new();
        let mut kept = Vec::new();
        for (n, consumer) in consumers.iter_mut().enumerate() {
            consumer.add_credit(50);
            let tasks = take(consumer, 50).await;
            tokens.extend(tasks.iter().map(|task| (task.id, task.token)));
            for (task, acked) in tasks[..40].iter().zip(ack(&peers[n], &name(), &tasks[..40]).await) {
                acked.expect("acknowledged");
                left.remove(&task.id);
            }
            kept.push(tasks[40..].to_vec());
        }
        // More than there are tasks for: some of it is with the leader when that goes.
        consumers.iter().for_each(|consumer| consumer.add_credit(500));
        gone.isolate();
        for (tasks, peer) in kept.iter().zip(&peers) {
            for task in tasks {
                // Of one that was on its way to the old leader nothing is known: it is said again.
                until("what was claimed is acknowledged", async || {
                    let acked = ack(peer, &name(), std::slice::from_ref(task)).await.remove(0);
                    assert!(!matches!(acked, Err(SettleError::LeaseLost { .. })), "it was claimed, so it is still leased");
                    acked.ok()
                })
                .await;
                assert!(left.remove(&task.id));
            }
        }
        until("everything is acknowledged", async || {
            for (consumer, peer) in consumers.iter_mut().zip(&peers) {
                let tasks = next(consumer).await;
                for (task, acked) in tasks.iter().zip(ack(peer, &name(), &tasks).await) {
                    let highest = tokens.entry(task.id).or_default();
                    assert!(acked.is_err() || task.token >= *highest, "only the last delivery can be acknowledged");
                    assert!(acked.is_err() || left.remove(&task.id), "acknowledged once");
                    *highest = task.token.max(*highest);
                }
                consumer.add_credit(tasks.len() as u32);
            }
            left.is_empty().then_some(())
        })
        .await;
        assert_eq!(peers[0].shards.namespace(name()).await.expect("read").row.live, 0);
        drop(consumers);
        drop(gone);
    });
}
