//! Damaged rows are replaced by another replica's, while both go on. What openraft believes of log, vote and what is applied stays true.

use super::*;

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// Story: a follower's partition is damaged. It asks the leader for its rows, and while they come more is written, and applied on both.
/// At the end the follower is where the leader is, without having lost or voted away anything; it goes on, and after a restart too.
#[test]
fn damaged_rows_are_replaced_while_entries_are_applied() {
    let dir = temp();
    run(async {
        let leader = Peer::lead(dir.path()).await;
        let learner = Peer::start(2, dir.path()).await;
        connect(&leader, &learner);
        leader.add_learner(2).await;
        leader.write(120).await;
        until_equal(&leader, &learner).await;
        let log_before = learner.log.group(GROUP).state();

        // Rows come slowly: they wait until something was written.
        learner.door.watch(|body| match body {
            Body::SnapshotChunk(chunk) if chunk.number >= 1 => Fate::Hold,
            _ => Fate::Pass,
        });
        let replica = learner.replica.clone();
        let (tx, rebuilt) = oneshot::channel();
        executor::spawn(async move {
            let _ = tx.send(replica.rebuild_from(1).await.map_err(|error| error.to_string()));
        });
        until("a chunk is held", async || (!learner.door.held.borrow().is_empty()).then_some(())).await;
        leader.write(100).await;
        until_equal(&leader, &learner).await;
        learner.door.release();
        assert_eq!(rebuilt.await.expect("it ends"), Ok(()));
        assert_eq!(learner.door.begins.get(), 1);
        until_equal(&leader, &learner).await;
        assert!(rows(&leader.view().await) == rows(&learner.view().await), "rows differ");
        let log_after = learner.log.group(GROUP).state();
        assert_eq!(
            (log_after.vote, log_after.purged),
            (log_before.vote, log_before.purged),
            "it is no other replica than before"
        );

        leader.write(10).await;
        until_equal(&leader, &learner).await;
        until("the damaged generation is gone", async || (learner.generations() == 1).then_some(())).await;
        learner.stop().await;
        let learner = Peer::start(2, dir.path()).await;
        connect(&leader, &learner);
        until_equal(&leader, &learner).await;
        assert!(rows(&leader.view().await) == rows(&learner.view().await), "rows differ");
        learner.stop().await;
        leader.stop().await;
    });
}

/// Rows that nobody asked for are refused: they would take the place of whole ones.
#[test]
fn rows_that_nobody_asked_for_are_refused() {
    let dir = temp();
    run(async {
        let leader = Peer::lead(dir.path()).await;
        let learner = Peer::start(2, dir.path()).await;
        connect(&leader, &learner);
        leader.add_learner(2).await;
        leader.write(5).await;
        until_equal(&leader, &learner).await;
        let refused = leader.replica.send_rebuild(2).await.expect_err("nobody asked");
        assert!(refused.to_string().contains("nobody asked for it"), "{refused}");
        learner.stop().await;
        leader.stop().await;
    });
}

/// A log that ends before what is applied, as a crash leaves it between a snapshot and the log's purge. openraft lets all of it go at the start:
/// nothing is left of it then but the rows, which are durable before.
#[test]
fn a_log_that_ends_before_the_rows_goes_once_they_are_durable() {
    let dir = temp();
    run(async {
        let peer = Peer::lead(dir.path()).await;
        peer.write(5).await;
        peer.stop().await;
        let (log, aside) = (dir.path().join("peer-1/log"), dir.path().join("aside"));
        copy_dir(&log, &aside);
        let peer = Peer::start(1, dir.path()).await;
        peer.replica.elect_if_alone().await;
        until("it leads", async || peer.replica.status().leads.then_some(())).await;
        peer.write(5).await;
        let applied = peer.state().await.0;
        peer.stop().await;
        std::fs::remove_dir_all(&log).expect("removed");
        copy_dir(&aside, &log);

        let peer = Peer::start(1, dir.path()).await;
        assert_eq!((peer.purged(), peer.state().await.0), (applied, applied));
        let manifest = std::fs::read_to_string(dir.path().join("peer-1/group/generation-1/manifest")).expect("there is one");
        assert!(manifest.contains(&format!("\napplied {}\n", applied.expect("something is"))), "{manifest}");
        peer.replica.elect_if_alone().await;
        until("it leads", async || peer.replica.status().leads.then_some(())).await;
        peer.write(1).await;
        peer.stop().await;
    });
}
