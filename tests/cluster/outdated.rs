//! A disk that was put back from a backup, and a copy of one that runs beside the original.
//!
//! What would be wrong: it votes and acknowledges with a log that has forgotten what it promised, and tasks that were acknowledged are
//! gone; or a peer that was only started again, or moved, is taken for such a one.

use crate::harness::cluster::{Cluster, serves};
use crate::harness::members::{add_as, info, state_hash, transfer};
use crate::harness::network::{Passage, Way};
use crate::harness::wait::until;
use crate::harness::{create, due_at, now_ms};

const TASKS: usize = 100;

/// The exit status of a peer whose disk is not what it should be.
const STORAGE: Option<i32> = Some(74);

async fn acknowledge(cluster: &Cluster, through: &str, namespace: &str) {
    let client = cluster.client(through);
    for batch in 0..TASKS / 20 {
        let tasks: Vec<_> = (0..20).map(|n| due_at(namespace, &(batch * 20 + n).to_string(), now_ms() + 3_600_000)).collect();
        until("a batch is acknowledged", async || {
            let answers = client.create_batch(tasks.clone()).await.ok()?;
            answers.iter().all(|answer| answer.status == 0).then_some(())
        })
        .await;
    }
}

async fn count(cluster: &Cluster, through: &str, namespace: &str) -> usize {
    let client = cluster.client(through);
    until("the tasks are read", async || client.try_namespace(namespace).await.ok()).await.live as usize
}

/// A is away while B and C acknowledge. C's disk is put back as it was before, and A returns: the two have nothing of it, and B alone
/// knows better. Once B has run all the time, once it has been started again itself.
#[tokio::test]
async fn a_backup_that_is_put_back_does_not_vote() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    let backup = cluster.member("peer-3").peer.back_up();
    cluster.restart("peer-3").await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    cluster.member("peer-1").peer.kill().await;
    acknowledge(&cluster, "peer-2", &namespace).await;
    for second_is_new in [false, true] {
        if cluster.member("peer-3").peer.runs() {
            cluster.member("peer-3").peer.kill().await;
        }
        if second_is_new {
            cluster.member("peer-1").peer.kill().await;
            assert_eq!(cluster.member("peer-2").peer.terminate().await.code(), Some(0));
            cluster.restart("peer-2").await;
        }
        cluster.member("peer-3").peer.put_back(&backup);
        cluster.restart("peer-1").await;
        let attempt = cluster.member("peer-3").peer.attempt().await;
        assert_eq!(attempt.status.code(), STORAGE, "{}", attempt.log);
        for part in ["peer-2 says", "the disk of peer peer-3", "is outdated", "add-peer --replace"] {
            assert!(attempt.log.contains(part), "{part} is not in: {}", attempt.log);
        }
        assert_eq!(count(&cluster, "peer-1", &namespace).await, TASKS);
    }
    // Its place is taken by itself, with nothing.
    cluster.member("peer-3").peer.empty();
    cluster.restart("peer-3").await;
    let (first, address) = (cluster.client("peer-1"), cluster.member("peer-3").address.clone());
    until("its place is taken", async || add_as(&first, "peer-3", &address, "replace").await.ok()).await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    cluster.until_equal().await;
    assert_eq!(count(&cluster, "peer-3", &namespace).await, TASKS);
}

/// The only one that knows better comes back when the outdated disk already takes part: it ends as soon as that one is there.
#[tokio::test]
async fn an_outdated_disk_ends_when_somebody_returns_who_knows() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    let backup = cluster.member("peer-3").peer.back_up();
    cluster.member("peer-1").peer.kill().await;
    cluster.restart("peer-3").await;
    until("the two acknowledge", async || cluster.client("peer-2").create(create(&namespace, "x")).await.ok()).await;
    for id in ["peer-2", "peer-3"] {
        assert_eq!(cluster.member(id).peer.terminate().await.code(), Some(0));
    }
    cluster.member("peer-3").peer.put_back(&backup);
    cluster.restart("peer-3").await;
    until("it goes on without", async || cluster.member("peer-3").peer.log().contains("could not be asked").then_some(())).await;
    cluster.restart("peer-2").await;
    let status = until("it ends", async || cluster.member("peer-3").peer.exited()).await;
    assert_eq!(status.code(), STORAGE);
    let log = cluster.member("peer-3").peer.log();
    assert!(log.contains("peer-2 says") && log.contains("is outdated"), "{log}");
    cluster.member("peer-3").peer.ended();
}

/// The backup is of a time when nobody else was there: its registry knows nobody whom it could ask, and not those who call. It is a cluster of
/// its own as long as nobody reaches it, and ends as soon as one does.
#[tokio::test]
async fn an_outdated_disk_that_knows_nobody_ends_when_it_is_called() {
    let mut cluster = Cluster::of_one(&[]).await;
    assert_eq!(cluster.member("peer-1").peer.terminate().await.code(), Some(0));
    let backup = cluster.member("peer-1").peer.back_up();
    cluster.restart("peer-1").await;
    for _ in 0..2 {
        let id = cluster.start().await;
        cluster.ask_to_add(&id, 0).await;
    }
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    acknowledge(&cluster, "peer-1", &namespace).await;
    cluster.member("peer-1").peer.kill().await;
    cluster.member("peer-1").peer.put_back(&backup);
    // The others call it where it was before, until it serves.
    cluster.member("peer-1").peer.begin();
    cluster.member("peer-1").peer.until_ready().await;
    let first = cluster.client("peer-1");
    until("it leads alone", async || serves(&info(&first).await, 1).then_some(())).await;
    let address = cluster.member("peer-1").peer.peer_address();
    cluster.network.move_to("peer-1", &address);
    let status = until("it ends", async || cluster.member("peer-1").peer.exited()).await;
    assert_eq!(status.code(), STORAGE);
    let log = cluster.member("peer-1").peer.log();
    assert!(log.contains("says: the disk of peer peer-1 (number 1) is outdated"), "{log}");
    cluster.member("peer-1").peer.ended();
    assert_eq!(count(&cluster, "peer-2", &namespace).await, TASKS);
}

/// Nothing of it arrives at those whom it could ask, and what they say arrives: they tell it with their calls.
#[tokio::test]
async fn an_outdated_disk_hears_it_from_those_who_call() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    let backup = cluster.member("peer-3").peer.back_up();
    cluster.restart("peer-3").await;
    until("a task is taken", async || cluster.client("peer-3").create(create(&namespace, "x")).await.ok()).await;
    cluster.until_equal().await;
    cluster.member("peer-3").peer.kill().await;
    cluster.member("peer-3").peer.put_back(&backup);
    for other in ["peer-1", "peer-2"] {
        cluster.network.set("peer-3", other, Way::with(Passage::Held));
    }
    let address = cluster.member("peer-3").peer.peer_address();
    let port = address.rsplit_once(':').expect("a port").1;
    let attempt = cluster.member("peer-3").peer.attempt_with(&[("Z4_PEER_PORT", port)]).await;
    assert_eq!(attempt.status.code(), STORAGE, "{}", attempt.log);
    assert!(attempt.log.contains("says: the disk of peer peer-3 (number 3) is outdated"), "{}", attempt.log);
}

/// A copy of a peer's directories is started while the original runs: the copy ends, by name, and nobody notices it. A peer that is
/// moved is such a copy as well, and goes on; then it is the original that is refused.
#[tokio::test]
async fn a_copy_that_runs_beside_the_original_ends() {
    let mut cluster = Cluster::of_three(&[]).await;
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    let older = cluster.member("peer-3").peer.copy();
    cluster.restart("peer-3").await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    until("a task is taken", async || cluster.client("peer-3").create(create(&namespace, "x")).await.ok()).await;
    cluster.until_equal().await;
    let attempt = older.attempt().await;
    assert_eq!(attempt.status.code(), STORAGE, "{}", attempt.log);
    assert!(attempt.log.contains("the disk of peer peer-3") && attempt.log.contains("is outdated"), "{}", attempt.log);
    assert_eq!(cluster.member("peer-3").peer.exited(), None);
    cluster.until_equal().await;

    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    let mut moved = cluster.member("peer-3").peer.copy();
    moved.restart().await;
    cluster.network.move_to("peer-3", &moved.peer_address());
    let client = moved.client().await;
    until("it serves where it was moved", async || client.create(create(&namespace, "x")).await.ok()).await;
    let original = cluster.member("peer-3").peer.attempt().await;
    assert_eq!(original.status.code(), STORAGE, "{}", original.log);
    assert!(original.log.contains("is outdated"), "{}", original.log);
    assert_eq!(moved.exited(), None);
}

/// The only one that knows better is away, and the outdated disk goes on with the one that had been away: what is written now makes it longer
/// than what was seen of it. That is no proof, however often it is started: it ends as soon as that one returns.
#[tokio::test]
async fn an_outdated_disk_does_not_grow_into_a_good_one() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    let backup = cluster.member("peer-3").peer.back_up();
    cluster.member("peer-1").peer.kill().await;
    cluster.restart("peer-3").await;
    until("the two acknowledge", async || cluster.client("peer-2").create(create(&namespace, "x")).await.ok()).await;
    for id in ["peer-2", "peer-3"] {
        assert_eq!(cluster.member(id).peer.terminate().await.code(), Some(0));
    }
    cluster.member("peer-3").peer.put_back(&backup);
    for id in ["peer-3", "peer-1"] {
        cluster.restart(id).await;
    }
    for n in 0..40 {
        let client = cluster.client("peer-1");
        until("it is acknowledged", async || client.create(create(&namespace, &n.to_string())).await.ok()).await;
    }
    for id in ["peer-1", "peer-3"] {
        assert_eq!(cluster.member(id).peer.terminate().await.code(), Some(0));
    }
    cluster.restart("peer-3").await;
    until("it goes on without", async || cluster.member("peer-3").peer.log().contains("could not be asked").then_some(())).await;
    cluster.restart("peer-2").await;
    let status = until("it ends", async || cluster.member("peer-3").peer.exited()).await;
    assert_eq!(status.code(), STORAGE);
    let log = cluster.member("peer-3").peer.log();
    assert!(log.contains("peer-2 says") && log.contains("is outdated"), "{log}");
    cluster.member("peer-3").peer.ended();
}

/// One member is away for good while another one is started again and again: what it has written meanwhile is held against it by nobody.
#[tokio::test]
async fn a_disk_whose_word_somebody_misses_can_be_started_again_and_again() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    cluster.member("peer-1").peer.kill().await;
    for n in 0..4 {
        cluster.member("peer-3").peer.kill().await;
        cluster.restart("peer-3").await;
        let client = cluster.client("peer-3");
        until("it is acknowledged", async || client.create(create(&namespace, &n.to_string())).await.ok()).await;
    }
    cluster.restart("peer-1").await;
    cluster.until_equal().await;
    for id in ["peer-1", "peer-2", "peer-3"] {
        assert_eq!(cluster.member(id).peer.exited(), None);
    }
}

/// A copy of the directories as they were before the last start is started. One member has seen nothing of the original since then, and takes the
/// copy for good; the other one knows better. Only the copy ends: nothing has come of the first one's word.
#[tokio::test]
async fn a_copy_that_somebody_refuses_does_not_end_the_original() {
    // Group 3 is peer-1's when leaders are spread, which they are after a start. Were it peer-2's, peer-3 would not reach its leader.
    let mut cluster = Cluster::of_three(&[("Z4_GROUPS", "3")]).await;
    let namespace = cluster.namespace_of(3, "mail").await;
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    let copy = cluster.member("peer-3").peer.copy();
    cluster.network.set_between("peer-2", "peer-3", Way::with(Passage::Cut));
    cluster.restart("peer-3").await;
    let (first, third) = (cluster.client("peer-1"), cluster.client("peer-3"));
    until("peer-3 has a task, and peer-1 knows", async || {
        // On a busy machine peer-2 may have been elected: it gives it back.
        let _ = transfer(&first, 3, "peer-1").await;
        third.create(create(&namespace, "")).await.ok()?;
        let (theirs, mine) = (state_hash(&first, 3).await.ok()?, state_hash(&third, 3).await.ok()?);
        (theirs.applied_index == mine.applied_index).then_some(())
    })
    .await;

    // The original does not answer for a while, so that peer-2 still hears nothing of it.
    cluster.member("peer-3").peer.signal("STOP");
    cluster.network.set_between("peer-2", "peer-3", Way::default());
    let attempt = copy.attempt().await;
    assert_eq!(attempt.status.code(), STORAGE, "{}", attempt.log);
    assert!(attempt.log.contains("peer-1 says") && attempt.log.contains("is outdated"), "{}", attempt.log);
    cluster.member("peer-3").peer.signal("CONT");

    until("the original has its links", async || {
        let members = info(&cluster.client("peer-2")).await.members;
        members.iter().all(|member| member.connected).then_some(())
    })
    .await;
    until("a task is taken", async || cluster.client("peer-3").create(create(&namespace, "x")).await.ok()).await;
    cluster.until_equal().await;
    assert_eq!(cluster.member("peer-3").peer.exited(), None);
}
