//! A peer that was away catches up while the others serve: from the log, or, when the log does not reach back any more, from a snapshot.
//!
//! What would be wrong: a replica that holds something else than the others, one that never arrives, a cluster that waits for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::harness::cluster::Cluster;
use crate::harness::wait::until;
use crate::harness::{create, due_at, now_ms};

/// The least that can be had.
const SHORT_LOG: [(&str, &str); 2] = [("Z4_LOG_RETAINED_BYTES", "1048576"), ("Z4_MEMTABLE_BYTES", "1048576")];

const SNAPSHOT: &str = "a snapshot was received and installed";

async fn fill(cluster: &Cluster, through: &str, namespace: &str, tasks: usize, bytes: usize) {
    let payload = "-".repeat(bytes);
    let tasks = (0..tasks).map(|_| due_at(namespace, &payload, now_ms() + 3_600_000));
    for batch in tasks.collect::<Vec<_>>().chunks(4) {
        let client = cluster.client(through);
        until("a batch is taken", async || client.create_batch(batch.to_vec()).await.ok()).await;
    }
}

#[tokio::test]
async fn from_the_log() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespaces = [cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    for id in ["peer-3", "peer-1"] {
        cluster.member(id).peer.kill().await;
        for namespace in &namespaces {
            fill(&cluster, "peer-2", namespace, 60, 100).await;
        }
        cluster.restart(id).await;
        cluster.until_equal().await;
        assert!(!cluster.member(id).peer.log().contains(SNAPSHOT), "it was not away for long");
    }
}

#[tokio::test]
async fn from_a_snapshot() {
    let mut cluster = Cluster::of_three(&SHORT_LOG).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    // The log is purged now and then, and some entries always stay, so one absence may not be enough.
    let mut rounds = 0;
    while !cluster.member("peer-3").peer.log().contains(SNAPSHOT) {
        rounds += 1;
        assert!(rounds < 10, "the log is never purged");
        cluster.member("peer-3").peer.kill().await;
        // It is away for longer than the second in which leaders look whether there is something to purge.
        let away = Instant::now();
        while away.elapsed() < Duration::from_secs(3) {
            fill(&cluster, "peer-2", &namespace, 400, 16 << 10).await;
        }
        cluster.restart("peer-3").await;
        // The cluster serves meanwhile, also through the one that catches up.
        until("a create is taken", async || cluster.client("peer-3").create(create(&namespace, "x")).await.ok()).await;
        cluster.until_equal().await;
    }
    // What it got is good for a restart, and for a life as leader.
    cluster.member("peer-3").peer.kill().await;
    cluster.restart("peer-3").await;
    cluster.until_equal().await;
    cluster.lead_all_by("peer-3").await;
    fill(&cluster, "peer-1", &namespace, 10, 100).await;
    // And so it is for a peer that has nothing at all.
    let fresh = cluster.start().await;
    cluster.ask_to_add(&fresh, 0).await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3", "peer-4"]).await;
    cluster.until_equal().await;
    assert!(cluster.member(&fresh).peer.log().contains(SNAPSHOT), "there is no log that reaches back to the beginning");
}
