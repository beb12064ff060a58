//! Clocks that are set while tasks wait, on the leader, on a follower, on a lone peer, forward and back. What would be wrong: a task that
//! comes early or hours late, a leader that goes by a clock that nobody shares, a task that is due and shown as scheduled.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_channel::oneshot;
use z4_model::command::{Command, Create, Created, Op, OpReply};
use z4_model::ids::{Namespace, TaskId};

use super::testing::{GROUP, Peer, leader, start_alone, three, until};
use crate::roster::{Member, Roster};
use crate::runtime::clock;
use crate::runtime::testing::run;
use crate::shard::api::{Consistency, Settle, TaskState, Verdict};
use crate::shard::handle::Consumer;
use crate::shard::message::Message;

const MINUTE: u64 = 60_000;
const HOUR: i64 = 3_600_000;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

fn name() -> Namespace {
    Namespace::new("a").expect("valid")
}

/// Three peers that know each other as the members of a cluster, and which of them leads.
async fn cluster(dir: &std::path::Path) -> Vec<Peer> {
    let peers = three(dir).await;
    let member = |number: u64| Member { number, id: format!("p{number}"), address: format!("peer-{number}:1"), removed: false };
    for peer in &peers {
        peer.shards.set_roster(Roster { cluster: "test".into(), members: (1..=3).map(member).collect(), ..Roster::default() });
    }
    for peer in &peers {
        until("every clock is measured", async || {
            let table = peer.shards.reach().table();
            (table.values().filter(|reach| reach.clock.is_some()).count() == 2).then_some(())
        })
        .await;
    }
    leader(&peers).await;
    peers
}

fn now_ms(peer: &Peer) -> u64 {
    peer.shards.reach().clocks().now_ms()
}

fn step(peer: &Peer, ms: i64) {
    peer.shards.reach().clocks().own().step(ms);
}

async fn create(peer: &Peer, due_ms: u64) -> Created {
    let create =
        Create { request: None, due_ms, asked_ms: None, sequence: 0, metadata: Bytes::from_static(&[0]), payload: Bytes::new() };
    let command = Command { namespace: name(), ops: vec![Op::Create(create)] };
    match peer.shards.submit(command).await.expect("made").value[..] {
        [OpReply::Created(created)] => created,
        ref other => panic!("{other:?}"),
    }
}

fn consume(peer: &Peer) -> Consumer {
    let consumer = peer.shards.consume(vec![name()], 60_000, 1 << 20).expect("a consumer");
    consumer.add_credit(1_000);
    consumer
}

async fn next(consumer: &mut Consumer) -> Vec<TaskId> {
    let mut ids: Vec<TaskId> = Vec::new();
    until("something is delivered", async || {
        ids.extend(consumer.try_next().unwrap_or_default().into_iter().map(|task| task.id));
        (!ids.is_empty()).then_some(())
    })
    .await;
    ids
}

async fn state(peer: &Peer, id: TaskId, consistency: Consistency) -> TaskState {
    peer.shards.get(name(), id, consistency).await.expect("read").expect("it is there").state
}

async fn stop(peers: Vec<Peer>) {
    for peer in peers {
        peer.stop().await;
    }
}

/// Story: the leader's clock goes wrong, forward or back. A task that is due soon comes, one that is not does not; what is due now is due
/// now by everybody's clock; another peer leads, and the one with the wrong clock says that it leads nothing, until its clock is right.
fn the_leaders_clock_goes_wrong(by_ms: i64) {
    let dir = dir();
    run(async {
        let peers = cluster(dir.path()).await;
        let at = leader(&peers).await;
        let wrong = &peers[at];
        let other = &peers[(at + 1) % 3];
        let mut consumer = consume(wrong);
        let now = now_ms(other);
        let later = create(other, now + 20 * MINUTE).await;
        let soon = create(other, now + 3_000).await;
        step(wrong, by_ms);
        assert!(now_ms(wrong).abs_diff(now_ms(other)) < MINUTE, "it goes by the others' clocks at once");
        let sudden = create(other, 0).await;
        assert!(sudden.id.due_ms.abs_diff(now_ms(other)) < MINUTE, "due now, by a leader with a wrong clock: {sudden:?}");
        let mut came = BTreeSet::new();
        while !came.contains(&soon.id) {
            came.extend(next(&mut consumer).await);
        }
        assert!(now_ms(other) >= now + 3_000, "it was not early");
        until("another peer leads", async || (leader(&peers).await != at).then_some(())).await;
        let outside = wrong.shards.reach().clocks().outside_ms();
        assert!(outside.abs_diff(by_ms) < MINUTE, "and the first one says why: {outside}");
        let (tx, rx) = oneshot::channel();
        let lead = Message::MoveLeader(GROUP, wrong.number, tx);
        assert!(peers[leader(&peers).await].shards.post(GROUP, lead).is_ok());
        let refused = rx.await.expect("answered").expect_err("it would give it back at once").to_string();
        assert!(refused.contains("its clock is"), "{refused}");
        let created = create(wrong, 0).await;
        assert!(created.id.due_ms.abs_diff(now_ms(other)) < MINUTE);
        while !came.contains(&created.id) {
            came.extend(next(&mut consumer).await);
        }
        assert_eq!(came, BTreeSet::from([sudden.id, soon.id, created.id]), "and not {later:?}");
        step(wrong, -by_ms);
        until("its clock is right again", async || (wrong.shards.reach().clocks().outside_ms() == 0).then_some(())).await;
        drop(consumer);
        stop(peers).await;
    });
}

#[test]
fn a_leader_whose_clock_jumps_forward_delivers_nothing_early_and_hands_over() {
    the_leaders_clock_goes_wrong(HOUR);
}

#[test]
fn a_leader_whose_clock_jumps_back_delivers_nothing_late_and_hands_over() {
    the_leaders_clock_goes_wrong(-HOUR);
}

/// The clock of a machine whose battery is empty.
#[test]
fn a_leader_whose_clock_is_before_1970_delivers_nothing_late_and_hands_over() {
    the_leaders_clock_goes_wrong(-(clock::wall_ms() + 1_000).cast_signed());
}

/// Story: a lone peer's clock is set to a time before 1970, where it reads as 0, while the peer serves. What is due now comes and is acked, what
/// is due in the future waits; when the clock is right again so is everything.
#[test]
fn a_lone_peer_goes_on_with_a_clock_before_1970() {
    let dir = dir();
    run(async {
        let peer = start_alone(dir.path()).await;
        let mut consumer = consume(&peer);
        let later = create(&peer, now_ms(&peer) + 20 * MINUTE).await;
        let by_ms = (clock::wall_ms() + 60 * MINUTE).cast_signed();
        step(&peer, -by_ms);
        assert_eq!(now_ms(&peer), 0);
        for _ in 0..2 {
            let made = create(&peer, 0).await;
            assert_eq!((made.id.due_ms, made.created_ms), (0, 0));
            let task = consumer.next().await.expect("delivered").remove(0);
            assert_eq!(task.id, made.id);
            let settle = Settle { id: task.id, token: task.token, verdict: Verdict::Ack };
            peer.shards.settle(name(), vec![settle]).await.remove(0).expect("it was delivered");
        }
        assert_eq!(state(&peer, later.id, Consistency::Linearizable).await, TaskState::Scheduled);
        step(&peer, by_ms);
        let right = create(&peer, 0).await;
        assert!(right.id.due_ms.abs_diff(now_ms(&peer)) < MINUTE, "{right:?}");
        assert_eq!(next(&mut consumer).await, [right.id]);
        drop(consumer);
        peer.stop().await;
    });
}

/// Story: a follower's clock is wrong, forward or back. The group does not notice; the follower tells states by the others' clocks.
#[test]
fn a_follower_whose_clock_is_wrong_tells_the_right_states() {
    let dir = dir();
    run(async {
        let peers = cluster(dir.path()).await;
        let at = leader(&peers).await;
        let now = create(&peers[at], 0).await.id;
        let later = create(&peers[at], now_ms(&peers[at]) + 20 * MINUTE).await.id;
        let follower = &peers[(at + 1) % 3];
        for by_ms in [HOUR, -HOUR] {
            step(follower, by_ms);
            for consistency in [Consistency::Linearizable, Consistency::Stale] {
                assert_eq!(state(follower, now, consistency).await, TaskState::Ready);
                assert_eq!(state(follower, later, consistency).await, TaskState::Scheduled);
            }
            step(follower, -by_ms);
        }
        stop(peers).await;
    });
}

/// Story: clocks that are wrong and agree are right: a majority is set forward, and what was due within the hour comes, without a word
/// from anybody; the third peer leads nothing.
#[test]
fn a_majority_that_is_set_forward_takes_its_timers_along() {
    let dir = dir();
    run(async {
        let peers = cluster(dir.path()).await;
        let at = leader(&peers).await;
        let mut consumer = consume(&peers[at]);
        let later = create(&peers[at], now_ms(&peers[at]) + 20 * MINUTE).await;
        let (second, third) = (&peers[(at + 1) % 3], &peers[(at + 2) % 3]);
        step(&peers[at], HOUR);
        step(second, HOUR);
        assert_eq!(next(&mut consumer).await, [later.id]);
        until("the third peer is the one that is wrong", async || (third.shards.reach().clocks().outside_ms() < 0).then_some(()))
            .await;
        assert_eq!((&peers[at], second).0.shards.reach().clocks().outside_ms(), 0);
        drop(consumer);
        stop(peers).await;
    });
}

/// Story: one peer alone believes its clock. It steps forward while a consumer waits: what is due comes. It steps back: what is due now
/// is due now, whatever the clock said before, for creates, asynchronous ones, and repeated ids are still known.
#[test]
fn a_lone_peer_follows_its_clock_both_ways() {
    let dir = dir();
    run(async {
        let peer = start_alone(dir.path()).await;
        let mut consumer = consume(&peer);
        let later = create(&peer, now_ms(&peer) + 20 * MINUTE).await;
        step(&peer, HOUR);
        assert_eq!(next(&mut consumer).await, [later.id]);
        let ahead = create(&peer, 0).await;
        assert!(ahead.created_ms >= later.created_ms + HOUR as u64);
        assert_eq!(next(&mut consumer).await, [ahead.id]);
        step(&peer, -HOUR);
        let right = create(&peer, 0).await;
        assert!(right.id.due_ms.abs_diff(now_ms(&peer)) < MINUTE, "{right:?}");
        assert_eq!(next(&mut consumer).await, [right.id]);
        let op = Op::Create(Create {
            request: None,
            due_ms: 0,
            asked_ms: None,
            sequence: 0,
            metadata: Bytes::from_static(&[0]),
            payload: Bytes::new(),
        });
        let sudden = peer.shards.submit_async(Command { namespace: name(), ops: vec![op] }).await.expect("queued").value;
        assert!(sudden[0].id.due_ms.abs_diff(now_ms(&peer)) < MINUTE, "{sudden:?}");
        assert_eq!(next(&mut consumer).await, [sudden[0].id]);
        drop(consumer);
        let waiting = create(&peer, 0).await.id;
        assert_eq!(state(&peer, waiting, Consistency::Linearizable).await, TaskState::Ready);
        peer.stop().await;
    });
}

/// Story: deliveries wait for a reader that is slow, and the clock is set meanwhile. What is told of their leases' ends is right by the clock
/// as it is when they are taken: else the older stream drops tasks whose leases go on, or sends tasks that others have by then.
#[test]
fn leases_of_deliveries_that_wait_are_told_by_the_clock_as_it_is() {
    let dir = dir();
    run(async {
        let peer = start_alone(dir.path()).await;
        for by_ms in [HOUR, -HOUR] {
            let mut consumer = consume(&peer);
            let id = create(&peer, 0).await.id;
            until("it is leased", async || (state(&peer, id, Consistency::Stale).await == TaskState::Leased).then_some(())).await;
            step(&peer, by_ms);
            let task = consumer.next().await.expect("delivered").remove(0);
            let left_ms = task.deadline_ms as i64 - now_ms(&peer) as i64;
            assert!((0..=60_000).contains(&left_ms), "{left_ms} ms are left of a lease of 60,000, the clock was set by {by_ms}");
            let settle = Settle { id: task.id, token: task.token, verdict: Verdict::Ack };
            peer.shards.settle(name(), vec![settle]).await.remove(0).expect("its lease goes on");
        }
        peer.stop().await;
    });
}
