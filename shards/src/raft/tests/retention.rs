//! What the log keeps, with real followers: one that catches up is not outrun by a purge, one that is gone holds nothing.

use super::*;

/// A leader and its learner.
async fn pair(dir: &Path) -> (Peer, Peer) {
    let leader = Peer::lead(dir).await;
    let learner = Peer::start(2, dir).await;
    connect(&leader, &learner);
    leader.add_learner(2).await;
    (leader, learner)
}

/// A leader whose log is purged, and its learner, which gets a snapshot: of that some is held at the learner's door.
async fn pair_with_snapshot_on_its_way(dir: &Path) -> (Peer, Peer) {
    let leader = Peer::lead(dir).await;
    leader.write(60).await;
    leader.trim(NOTHING).await;
    until("the log is purged", async || leader.purged()).await;
    let learner = Peer::start(2, dir).await;
    connect(&leader, &learner);
    learner.door.watch(|body| match body {
        Body::SnapshotChunk(chunk) if chunk.number >= 1 => Fate::Hold,
        _ => Fate::Pass,
    });
    leader.add_learner(2).await;
    until("chunks are held", async || (!learner.door.held.borrow().is_empty()).then_some(())).await;
    (leader, learner)
}

/// Story: while a snapshot is on its way its leader goes on writing and trims again and again. The follower installs it and finds every
/// entry that comes after it, so no second snapshot is needed.
#[test]
fn entries_after_a_snapshot_on_its_way_are_kept() {
    let dir = temp();
    run(async {
        let (leader, learner) = pair_with_snapshot_on_its_way(dir.path()).await;
        for _ in 0..4 {
            leader.write(20).await;
            assert!(leader.trim(NOTHING).await, "the follower holds the log");
        }
        learner.door.release();
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 1, "the log was purged under the follower");

        // Now it holds nothing any more.
        until("the log is purged", async || (!leader.trim(NOTHING).await).then_some(())).await;
        let applied = leader.state().await.0;
        until("the log is short", async || leader.purged().filter(|at| at + 20 > applied.expect("some"))).await;
        learner.stop().await;
        leader.stop().await;
    });
}

/// Story: a follower is gone. The leader writes more than it may hold for anybody, and purges; when the follower is back it gets a
/// snapshot.
#[test]
fn a_follower_that_is_gone_does_not_keep_the_log() {
    let dir = temp();
    run(async {
        let (leader, learner) = pair(dir.path()).await;
        leader.write(5).await;
        until_equal(&leader, &learner).await;
        leader.links.close();
        leader.write(60).await;
        // A fifth of what was written since, whether the follower is already seen to be gone or not.
        let little = Retention { retained_bytes: 200 << 10, held_bytes_max: 300 << 10 };
        let purged = until("the log is purged", async || {
            leader.trim(little).await;
            leader.purged().filter(|at| *at > 40)
        });
        purged.await;
        connect(&leader, &learner);
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 1);
        learner.stop().await;
        leader.stop().await;
    });
}

/// A follower that was away while little was written is brought up from the log: that much stays for it.
#[test]
fn a_short_absence_needs_no_snapshot() {
    let dir = temp();
    run(async {
        let (leader, learner) = pair(dir.path()).await;
        leader.write(60).await;
        until_equal(&leader, &learner).await;
        leader.links.close();
        leader.write(40).await;
        let enough = Retention { retained_bytes: 2 << 20, held_bytes_max: 2 << 20 };
        leader.trim(enough).await;
        until("what everybody has is purged", async || leader.purged().filter(|at| *at > 10)).await;
        connect(&leader, &learner);
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 0);
        learner.stop().await;
        leader.stop().await;
    });
}

/// Story: a follower answers, but takes entries more slowly than they are written. Once it lacks more than may be kept for it, the log
/// goes all the same, and the follower gets a snapshot; else one slow disk would fill the others.
#[test]
fn a_follower_that_is_too_slow_does_not_keep_the_log() {
    let dir = temp();
    run(async {
        let (leader, learner) = pair(dir.path()).await;
        leader.write(5).await;
        until_equal(&leader, &learner).await;
        let log = learner.log.group(GROUP);
        learner.door.watch(move |body| match body {
            // What is empty and known passes: heartbeats. The rest stays in its order.
            Body::Append(append) => {
                let has = log.state().last.map(|at| at.index);
                let known = append.entries.is_empty() && append.prev.as_ref().map(|at| at.index) <= has;
                if known { Fate::Pass } else { Fate::Hold }
            }
            _ => Fate::Pass,
        });
        let slow = Rc::clone(&learner.door);
        executor::spawn(async move {
            while slow.watch.borrow().is_some() {
                executor::sleep(Duration::from_secs(1)).await;
                let waits = !slow.held.borrow().is_empty();
                if waits {
                    let (body, answer) = slow.held.borrow_mut().remove(0);
                    slow.pass(body, answer);
                }
            }
        });
        for _ in 0..100 {
            leader.write(1).await;
        }
        let little = Retention { retained_bytes: 200 << 10, held_bytes_max: 300 << 10 };
        let outrun = until("the log is purged", async || {
            leader.trim(little).await;
            (leader.purged() > learner.state().await.0.map(|at| at + 20)).then_some(())
        });
        outrun.await;
        learner.door.release();
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 1);
        learner.stop().await;
        leader.stop().await;
    });
}

/// Story: a peer restarts, and what its partition holds counts as a snapshot for openraft. The disk hangs in the next sync. Whatever
/// openraft believes, no entry of the log may go before that sync is done: after a power cut nothing else would have it.
#[test]
fn nothing_is_purged_before_the_partition_is_durable() {
    let dir = temp();
    run(async {
        let peer = Peer::lead(dir.path()).await;
        peer.write(60).await;
        peer.stop().await;
        let peer = Peer::start(1, dir.path()).await;
        peer.replica.elect_if_alone().await;
        until("it leads", async || peer.replica.status().leads.then_some(())).await;
        let gate = peer.storage.call(|partitions| partitions.get(&GROUP).expect("open").sync_gate()).await.expect("it runs");
        gate.close(true);
        let replica = peer.replica.clone();
        let (tx, trimmed) = oneshot::channel();
        executor::spawn(async move {
            let purge = replica.trim(NOTHING).await.expect("durable");
            let _ = tx.send(purge.upto.is_some());
        });
        until("the sync is under way", async || (gate.waiting() > 0).then_some(())).await;
        // Time for openraft to do what it was asked to.
        peer.write(20).await;
        assert_eq!(peer.purged(), None, "the log went before the partition was durable");
        gate.close(false);
        assert_eq!(trimmed.await, Ok(true));
        until("the log is purged", async || peer.purged()).await;
        peer.stop().await;
    });
}

/// Story: writers fill the log faster than a snapshot arrives. Before the log must go that the follower will need next, they are told to
/// wait; then one transfer is enough, however slow it is.
#[test]
fn a_snapshot_slower_than_the_writers_arrives_in_one_go() {
    let dir = temp();
    run(async {
        let (leader, learner) = pair_with_snapshot_on_its_way(dir.path()).await;
        let little = Retention { retained_bytes: 100 << 10, held_bytes_max: 100 << 10 };
        let mut written = 0;
        loop {
            let purge = leader.replica.trim(little).await.expect("durable");
            assert_eq!(purge.in_vain, 0, "the log went that the follower needs, after {written} entries");
            if purge.brakes {
                break;
            }
            leader.write(1).await;
            written += 1;
        }
        learner.door.release();
        until_equal(&leader, &learner).await;
        assert_eq!(learner.door.begins.get(), 1);
        until("writers go on", async || {
            let purge = leader.replica.trim(little).await.expect("durable");
            (!purge.brakes).then_some(())
        })
        .await;
        learner.stop().await;
        leader.stop().await;
    });
}
