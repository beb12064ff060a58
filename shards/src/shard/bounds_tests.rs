//! What a request leaves behind, and what one request may ask of a group: neither must grow with the requests ever made, nor stop a replica.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use z4_model::command::{Command, Create, Op};
use z4_model::ids::Namespace;
use z4_model::settings::SettingsPatch;

use super::forward_tests::{LATER, create, created, name};
use super::lists_tests::alone;
use super::testing::{GROUP, Peer, leader, three, three_with, until};
use crate::account::{Account, CLIENT_PARTS};
use crate::runtime::executor;
use crate::runtime::testing::run;
use crate::shard::BatchLimits;
use crate::shard::api::{Consistency, Rejection, Settle, Verdict};
use crate::shard::waiting::READS_MAX;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).expect("dir")
}

fn waiters(peer: &Peer) -> usize {
    peer.shard.group(GROUP).expect("open").route_watch.waiters()
}

/// Each read that a follower forwarded left an entry in the list of those who wait for another leader, for as long as the leader stayed.
#[test]
fn forwarded_reads_leave_nothing_behind() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let id = created(&peers[at].shards.submit(create(LATER, None)).await.expect("done").value).id;
        let other = &peers[(at + 1) % 3];
        let reads = futures_util::stream::iter(0..10_000).map(|_| other.shards.get(name(), id, Consistency::Linearizable));
        let mut reads = reads.buffer_unordered(100);
        let mut most = 0;
        while let Some(seen) = reads.next().await {
            seen.expect("read").expect("there");
            most = most.max(waiters(other));
        }
        assert!(most <= 100, "{most} waiters of 100 reads at a time");
        assert_eq!(waiters(other), 0, "after the last read nobody waits");
        drop(reads);
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// While nobody leads every request that waits looks again ten times a second: each look left an entry, too.
#[test]
fn requests_that_wait_for_a_leader_are_counted_once() {
    let dir = dir();
    run(async {
        let limits = BatchLimits { forward_timeout: Duration::from_secs(6), ..BatchLimits::default() };
        let peers = three_with(dir.path(), limits).await;
        let at = leader(&peers).await;
        let id = created(&peers[at].shards.submit(create(LATER, None)).await.expect("done").value).id;
        peers.iter().for_each(Peer::isolate);
        let alone = &peers[(at + 1) % 3];
        for _ in 0..50 {
            let shards = alone.shards.clone();
            executor::spawn(async move {
                shards.get(name(), id, Consistency::Linearizable).await.expect_err("nobody leads");
            });
        }
        until("all reads wait", async || (waiters(alone) >= 50).then_some(())).await;
        let mut most = 0;
        for _ in 0..40 {
            executor::sleep(Duration::from_millis(50)).await;
            most = most.max(waiters(alone));
        }
        assert!(most <= 50, "{most} entries of 50 waiting reads");
        until("all have given up", async || (waiters(alone) == 0).then_some(())).await;
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// A request whose entry no log takes stopped the leader, and after it the next one to which the client went. And a log with small
/// segments, as these peers have, must take what the leader's took.
#[test]
fn a_request_too_large_for_the_log_is_refused_and_stops_no_replica() {
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        let of = |bytes: usize| {
            let payload = Bytes::from(vec![0; bytes]);
            let create = Create { request: None, due_ms: LATER, asked_ms: None, sequence: 0, metadata: Bytes::new(), payload };
            Command { namespace: name(), ops: vec![Op::Create(create)] }
        };
        for peer in &peers {
            let refused = peer.shards.submit(of(16 << 20)).await.expect_err("no log takes it");
            assert!(matches!(refused, Rejection::TooLarge { limit: 16_777_216, .. }), "{refused}");
            let refused = peer.shards.submit_async(of(16 << 20)).await.expect_err("no log takes it");
            assert!(matches!(refused, Rejection::TooLarge { limit: 16_777_216, .. }), "{refused}");
        }
        let other = &peers[(at + 1) % 3];
        // On a busy machine leadership may be lost meanwhile.
        let taken =
            until("one as large as may be is taken", async || other.shards.submit(of((16 << 20) - 1_024)).await.ok()).await;
        let id = created(&taken.value).id;
        for peer in &peers {
            peer.shards.read_barrier(GROUP).await.expect("every replica has taken it");
            let seen = peer.shards.get(name(), id, Consistency::Stale).await.expect("read").expect("there");
            assert_eq!(seen.row.record.payload.len(), (16 << 20) - 1_024);
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Every name that somebody tries makes a row for ever: at the bound what would make one more is refused, by whichever peer and whichever
/// way it comes; the namespaces that are there go on; and one that is deleted makes room.
#[test]
fn namespaces_are_bounded_and_one_that_goes_makes_room() {
    let dir = dir();
    run(async {
        let limits = BatchLimits { namespaces_max: 3, ..BatchLimits::default() };
        let peers = three_with(dir.path(), limits).await;
        let at = leader(&peers).await;
        let (first, other) = (&peers[at], &peers[(at + 1) % 3]);
        let of = |name: &str, op: Op| Command { namespace: Namespace::new(name).expect("valid"), ops: vec![op] };
        let task = || create(LATER, None).ops.remove(0);
        let configure = || Op::Configure(SettingsPatch { lease_ms: Some(777), ..Default::default() });
        for name in ["a", "b", "c"] {
            first.shards.submit(of(name, task())).await.expect("room");
        }
        for peer in [first, other] {
            let full = |rejection: Rejection| {
                assert!(matches!(rejection, Rejection::Overloaded { limit: 3, .. }), "{rejection}");
                assert!(rejection.to_string().contains("namespaces_max"), "{rejection}");
                assert!(!rejection.passes(), "a stream that waited for it would wait for ever");
            };
            full(peer.shards.submit(of("d", task())).await.expect_err("one too many"));
            full(peer.shards.submit(of("d", configure())).await.expect_err("one too many"));
            full(peer.shards.submit_async(of("d", task())).await.expect_err("one too many"));
            peer.shards.submit(of("c", task())).await.expect("it is there");
            peer.shards.submit(of("c", configure())).await.expect("it is there");
            peer.shards.submit_async(of("b", task())).await.expect("it is there");
        }
        let name = Namespace::new("a").expect("valid");
        let refused = other.shards.submit(of("a", Op::DropNamespace)).await.expect_err("it has a task");
        assert!(refused.to_string().contains("namespace a is not empty: it has 1 live and 0 dead tasks"), "{refused}");
        assert_eq!(other.shards.purge(name).await.expect("purged"), 1);
        other.shards.submit(of("a", Op::DropNamespace)).await.expect("it goes");
        other.shards.submit(of("d", task())).await.expect("there is room again");
        assert_eq!(first.shards.namespaces(None, 9).await.expect("listed").len(), 3);
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Acks and nacks of one message are answered each for itself: many with long reasons need not fit into one entry.
#[test]
fn many_nacks_with_long_reasons_are_settled() {
    let dir = dir();
    run(async {
        let peers = alone(dir.path()).await;
        let peer = &peers[0];
        for _ in 0..20 {
            let ops = (0..1_000).map(|_| create(0, None).ops.remove(0)).collect();
            peer.shards.submit(Command { namespace: name(), ops }).await.expect("created");
        }
        let mut consumer = peer.shards.consume(vec![name()], 600_000, 64 << 20).expect("taken");
        consumer.add_credit(20_000);
        let mut settles = Vec::new();
        while settles.len() < 20_000 {
            let reason = Bytes::from(vec![b'r'; 1_024]);
            let tasks = consumer.next().await.expect("delivered");
            settles.extend(tasks.into_iter().map(|task| Settle {
                id: task.id,
                token: task.token,
                verdict: Verdict::Nack { delay_ms: Some(86_400_000), reason: reason.clone() },
            }));
        }
        let settled = peer.shards.settle(name(), settles).await;
        assert_eq!(settled.iter().filter(|one| one.is_err()).count(), 0, "{:?}", settled.iter().find(|one| one.is_err()));
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// Story: consumers that take nothing, by themselves and through another peer, while large tasks are due. What waits for them is charged; when
/// the account is used up they are ended, what they had not taken comes to others, and no attempt counts.
#[test]
fn what_waits_for_consumers_is_in_the_account() {
    const BYTES: usize = 200_000;
    let dir = dir();
    run(async {
        let peers = three(dir.path()).await;
        let at = leader(&peers).await;
        for _ in 0..40 {
            let payload = Bytes::from(vec![0; BYTES]);
            let create =
                Create { request: None, due_ms: 0, asked_ms: None, sequence: 0, metadata: Bytes::from_static(&[0]), payload };
            peers[at].shards.submit(Command { namespace: name(), ops: vec![Op::Create(create)] }).await.expect("created");
        }
        for peer in [&peers[at], &peers[(at + 1) % 3]] {
            let account = Account::new(4 << 20);
            let consume = |memory| {
                let bounds = (600_000, 1 << 20);
                let consumer = peer.shards.consume_on(vec![name()], bounds, (Vec::new(), memory)).expect("taken");
                consumer.add_credit(100);
                consumer
            };
            let idle: Vec<_> = (0..20).map(|_| consume(Some(account.holder(CLIENT_PARTS)))).collect();
            until("what is delivered is charged", async || (account.used() > 2 << 20).then_some(())).await;
            let mut before = Vec::new();
            for _ in 0..100 {
                executor::sleep(Duration::from_millis(100)).await;
                let now = (peer.shards.namespace(name()).await.expect("read").leased, account.used());
                before.push(now);
                if before.len() > 5 && before[before.len() - 5..].iter().all(|earlier| *earlier == now) {
                    break;
                }
            }
            assert!(account.used() <= 3 << 20, "{} bytes; the reserve is for others", account.used());
            let mut taken = Vec::new();
            let mut ended = 0;
            for mut consumer in idle {
                while let Some(tasks) = consumer.try_next() {
                    taken.extend(tasks);
                }
                ended += usize::from(consumer.cut().is_some());
                drop(consumer);
            }
            assert!(ended > 0 && taken.len() * BYTES <= 3 << 20, "{ended} of 20 were ended, {} tasks waited", taken.len());
            assert_eq!(account.used(), 0, "what was taken is not charged here any more");
            let mut consumer = consume(None);
            let mut came = std::collections::BTreeSet::new();
            until("all of them come", async || {
                let tasks = consumer.try_next().unwrap_or_default();
                assert!(tasks.iter().all(|task| task.attempt == 1), "nobody is blamed");
                came.extend(tasks.iter().map(|task| task.id));
                (came.len() == 40).then_some(())
            })
            .await;
            consumer.leave();
            until("all of them are given back", async || {
                (peer.shards.namespace(name()).await.expect("read").leased == 0).then_some(())
            })
            .await;
        }
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// While nobody leads, reads wait for a leader, each as a task of the executor, for as long as a request may take: one more than the bound is
/// told so, and when they are over others come in.
#[test]
fn reads_that_wait_are_bounded() {
    let dir = dir();
    run(async {
        let limits = BatchLimits { forward_timeout: Duration::from_secs(5), ..BatchLimits::default() };
        let peers = three_with(dir.path(), limits).await;
        let at = leader(&peers).await;
        let id = created(&peers[at].shards.submit(create(LATER, None)).await.expect("done").value).id;
        peers.iter().for_each(Peer::isolate);
        let alone = &peers[(at + 1) % 3];
        let group = alone.shard.group(GROUP).expect("open");
        for n in 0..READS_MAX {
            if n % 500 == 0 {
                // A mailbox has a bound, too.
                executor::sleep(Duration::from_millis(20)).await;
            }
            let shards = alone.shards.clone();
            executor::spawn(async move {
                shards.get(name(), id, Consistency::Linearizable).await.expect_err("nobody leads");
            });
        }
        until("all of them wait", async || (group.reads.count() == READS_MAX).then_some(())).await;
        let refused = alone.shards.get(name(), id, Consistency::Linearizable).await.expect_err("one too many");
        assert!(matches!(refused, Rejection::Overloaded { limit: READS_MAX, .. }), "{refused}");
        assert!(refused.to_string().contains("reads that wait"), "{refused}");
        until("all have given up", async || (group.reads.count() == 0).then_some(())).await;
        alone.shards.get(name(), id, Consistency::Stale).await.expect("there is room again").expect("there");
        drop(group);
        for peer in peers {
            peer.stop().await;
        }
    });
}

/// A purge whose client went in the middle of it left half of the namespace.
#[test]
fn a_purge_goes_on_when_its_client_goes() {
    let dir = dir();
    run(async {
        let peers = alone(dir.path()).await;
        let peer = &peers[0];
        for _ in 0..10 {
            let ops = (0..1_000).map(|_| create(LATER, None).ops.remove(0)).collect();
            peer.shards.submit(Command { namespace: name(), ops }).await.expect("created");
        }
        let mut purge = Box::pin(peer.shards.purge(name()));
        let live = async || peer.shards.namespace(name()).await.expect("read").row.live;
        assert!(futures_util::poll!(&mut purge).is_pending());
        until("it has begun", async || (live().await < 10_000).then_some(())).await;
        drop(purge);
        until("everything is gone", async || (live().await == 0).then_some(())).await;
        for peer in peers {
            peer.stop().await;
        }
    });
}
