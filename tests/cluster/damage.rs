//! A disk of one peer lies. The others have the rows, so the peer gets theirs and goes on: as the same member, without a restart.
//!
//! What would be wrong: rows that are told otherwise than they were written, a peer that ends or stays damaged, a group that stands still.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tonic::Code;

use crate::harness::cluster::{Cluster, serves};
use crate::harness::http;
use crate::harness::members::{info, transfer};
use crate::harness::mysql::{Rows, Sql};
use crate::harness::wait::until;
use crate::harness::{create, due_at, now_ms};

/// Tasks reach tables soon.
const OPTIONS: [(&str, &str); 1] = [("Z4_MEMTABLE_BYTES", "1048576")];

const FOUND: &str = "damage was found on disk";
const REBUILT: &str = "the damaged partition was rebuilt";

const TASKS: usize = 120;
const PAYLOAD_BYTES: usize = 32 << 10;

/// The tables of tasks of group 1, with their sizes.
fn tables(db: &Path) -> Vec<(u64, PathBuf)> {
    let generations = fs::read_dir(db.join("group-00001")).into_iter().flatten().flatten().map(|entry| entry.path());
    let tables = generations.flat_map(|dir| fs::read_dir(dir.join("keyspaces/1/tables")).into_iter().flatten().flatten());
    let sized = tables.map(|entry| (entry.metadata().map_or(0, |file| file.len()), entry.path()));
    sized.collect()
}

/// Every task of the namespace as this peer has it, read with its payload.
async fn read(cluster: &mut Cluster, id: &str, namespace: &str) -> Option<Rows> {
    let query = format!(
        "SELECT COUNT(*), SUM(LENGTH(payload)) FROM tasks WHERE namespace = '{namespace}' \
         AND deliver_at BETWEEN NOW() - INTERVAL 1 DAY AND NOW() + INTERVAL 1 DAY"
    );
    let address = cluster.member(id).peer.sql_address();
    let mut sql = Sql::connect(&address).await.ok()?;
    sql.ask(&query).await.ok()
}

async fn until_in_a_table(db: &Path) {
    until("tasks are in a table", async || tables(db).iter().any(|(bytes, _)| *bytes > 500_000).then_some(())).await;
}

/// Flips a bit in the middle of the largest table: what it says of itself is whole, so only a read meets it.
fn flip_a_row(db: &Path) {
    let (bytes, table) = tables(db).into_iter().max().expect("a table");
    flip_from(&table, bytes / 2, 1);
}

/// Flips a bit in each of so many bytes.
fn flip_from(file: &Path, at: u64, count: usize) {
    let file = fs::OpenOptions::new().read(true).write(true).open(file).expect("the file opens");
    let mut bytes = vec![0; count];
    file.read_exact_at(&mut bytes, at).expect("so many bytes");
    bytes.iter_mut().for_each(|byte| *byte ^= 0x10);
    file.write_all_at(&bytes, at).expect("written");
}

/// Flips a bit of a row while the peer is down.
async fn flip(cluster: &mut Cluster, id: &str) {
    let db = cluster.member(id).peer.db_dir();
    until_in_a_table(&db).await;
    assert_eq!(cluster.member(id).peer.terminate().await.code(), Some(0));
    flip_a_row(&db);
    cluster.restart(id).await;
}

async fn until_rebuilt(cluster: &mut Cluster, id: &str) {
    until("the partition is rebuilt", async || cluster.member(id).peer.log().contains(REBUILT).then_some(())).await;
    cluster.until_equal().await;
    assert_eq!(cluster.member(id).peer.exited(), None);
    let (_, metrics) = http::get(&cluster.member(id).peer.metrics_address(), "/metrics").await;
    assert!(metrics.contains("z4_damage_total 1") && metrics.contains("z4_damaged_partitions 0"));
}

/// Enough tasks for a table.
async fn fill(cluster: &Cluster, namespace: &str) {
    for n in 0..TASKS / 4 {
        let payload = |m: usize| format!("{:08}", n * 4 + m).repeat(PAYLOAD_BYTES / 8);
        let batch: Vec<_> = (0..4).map(|m| due_at(namespace, &payload(m), now_ms() + 3_600_000)).collect();
        let client = cluster.client("peer-1");
        until("a batch is taken", async || client.create_batch(batch.clone()).await.ok()).await;
    }
    cluster.until_equal().await;
}

/// Once as a follower, once as the leader: a read meets the damage and fails, and a moment later the same read tells everything. The
/// leader leads no more before that. Nothing that is acknowledged meanwhile is lost, and all replicas are equal.
#[tokio::test]
async fn damage_that_a_read_finds_is_mended_by_the_others() {
    let mut cluster = Cluster::of_three(&OPTIONS).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    fill(&cluster, &namespace).await;
    for (id, leads) in [("peer-3", false), ("peer-2", true)] {
        let other = if leads { "peer-1" } else { "peer-2" };
        flip(&mut cluster, id).await;
        cluster.lead_all_by(if leads { id } else { other }).await;
        let expected = read(&mut cluster, other, &namespace).await.expect("that one's disk is well");
        assert_eq!(read(&mut cluster, id, &namespace).await, None, "damaged rows were told");
        assert!(cluster.member(id).peer.log().contains(FOUND), "{}", cluster.member(id).peer.log());
        let through = cluster.client(other);
        until("the group goes on", async || through.create(create("other", "x")).await.ok()).await;
        until("the partition is rebuilt", async || cluster.member(id).peer.log().contains(REBUILT).then_some(())).await;
        assert_eq!(read(&mut cluster, id, &namespace).await.as_ref(), Some(&expected));
        let (_, metrics) = http::get(&cluster.member(id).peer.metrics_address(), "/metrics").await;
        assert!(metrics.contains("z4_damage_total 1") && metrics.contains("z4_damaged_partitions 0"));
        cluster.until_equal().await;
        assert_eq!(cluster.member(id).peer.exited(), None);
    }
    // What it got is good for a restart, and the log fits to it.
    cluster.member("peer-2").peer.kill().await;
    cluster.restart("peer-2").await;
    cluster.until_equal().await;
}

/// Every task is changed, so applies read each row. One replica meets the damage there: it cannot apply what is committed, and has no
/// rows to answer with. It leads no more, gets the others' rows, and goes on with what it could not apply.
async fn is_mended_when_an_apply_meets_it(leads: bool) {
    let mut cluster = Cluster::of_three(&OPTIONS).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    fill(&cluster, &namespace).await;
    let tasks = cluster.client("peer-1").list_all(&namespace).await;
    assert_eq!(tasks.len(), TASKS);
    let (id, other) = if leads { ("peer-2", "peer-1") } else { ("peer-3", "peer-2") };
    flip(&mut cluster, id).await;
    cluster.lead_all_by(if leads { id } else { other }).await;
    let through = cluster.client(other);
    for task in &tasks {
        until("a task is deleted", async || match through.delete(&namespace, &task.id, 0).await {
            Ok(()) => Some(()),
            // One that was not answered was done all the same.
            Err(status) => (status.code() == Code::NotFound).then_some(()),
        })
        .await;
    }
    until("the partition is rebuilt", async || cluster.member(id).peer.log().contains(REBUILT).then_some(())).await;
    let log = cluster.member(id).peer.log();
    assert!(log.contains(FOUND) && log.contains("an apply has met damage"), "{log}");
    cluster.until_equal().await;
    assert_eq!(cluster.member(id).peer.exited(), None);
    let (_, metrics) = http::get(&cluster.member(id).peer.metrics_address(), "/metrics").await;
    assert!(metrics.contains("z4_damage_total 1") && metrics.contains("z4_damaged_partitions 0"));
    // It leads again, and a restart finds what it was given.
    cluster.lead_all_by(id).await;
    let client = cluster.client(id);
    until("it takes a task", async || client.create(create(&namespace, "x")).await.ok()).await;
    cluster.member(id).peer.kill().await;
    cluster.restart(id).await;
    cluster.until_equal().await;
}

#[tokio::test]
async fn damage_that_a_followers_apply_meets_is_mended_by_the_others() {
    is_mended_when_an_apply_meets_it(false).await;
}

#[tokio::test]
async fn damage_that_a_leaders_apply_meets_is_mended_by_the_others() {
    is_mended_when_an_apply_meets_it(true).await;
}

/// The end of a table says where everything in it is: with that flipped the partition does not open. The peer starts all the same, says in
/// its health and its metrics that it is damaged, answers nothing from it, and has the rows of the others as soon as these are there.
#[tokio::test]
async fn damage_that_a_start_meets_is_mended_by_the_others() {
    const END_BYTES: usize = 4 << 10;
    let mut cluster = Cluster::of_three(&OPTIONS).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    fill(&cluster, &namespace).await;
    let db = cluster.member("peer-3").peer.db_dir();
    until_in_a_table(&db).await;
    let task = cluster.client("peer-3").list_all(&namespace).await.remove(0);
    for id in ["peer-3", "peer-2", "peer-1"] {
        assert_eq!(cluster.member(id).peer.terminate().await.code(), Some(0));
    }
    let (bytes, table) = tables(&db).into_iter().max().expect("a table");
    flip_from(&table, bytes - END_BYTES as u64, END_BYTES);

    cluster.restart("peer-3").await;
    assert!(cluster.member("peer-3").peer.log().contains(FOUND), "{}", cluster.member("peer-3").peer.log());
    let address = cluster.member("peer-3").peer.metrics_address();
    until("its health tells", async || {
        let (head, body) = http::get(&address, "/healthz").await;
        (head.contains("503") && body.contains("group 1") && body.contains("damaged")).then_some(())
    })
    .await;
    let told = cluster.client("peer-3").health().await.expect_err("it does not serve");
    assert!(told.message().contains("damaged"), "{told}");
    let (_, metrics) = http::get(&address, "/metrics").await;
    assert!(metrics.contains("z4_damage_total 1") && metrics.contains("z4_damaged_partitions 1"), "{metrics}");
    let stale = cluster.client("peer-3").get_stale(&namespace, &task.id).await.expect_err("it has no rows");
    assert_ne!(stale.code(), Code::NotFound, "{stale}");

    for id in ["peer-1", "peer-2"] {
        cluster.restart(id).await;
    }
    until_rebuilt(&mut cluster, "peer-3").await;
    until("its health is well", async || http::get(&address, "/healthz").await.0.contains("200").then_some(())).await;
    assert_eq!(cluster.client("peer-3").get_stale(&namespace, &task.id).await.expect("it has the rows").id, task.id);
    // What it got is good for a restart, also when it leads.
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    cluster.restart("peer-3").await;
    cluster.until_equal().await;
    cluster.lead_all_by("peer-3").await;
    assert_eq!(cluster.client("peer-3").list_all(&namespace).await.len(), TASKS);
}

/// The registry is damaged: without it a peer knows neither the others nor the slots. It waits for those who know it, as one does that has
/// just joined, and makes no cluster of its own.
#[tokio::test]
async fn a_damaged_registry_comes_from_the_others() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    until("a task is taken", async || cluster.client("peer-1").create(create(&namespace, "x")).await.ok()).await;
    cluster.until_equal().await;
    // The peer that made the cluster, while the others go on.
    assert_eq!(cluster.member("peer-1").peer.terminate().await.code(), Some(0));
    let group = cluster.member("peer-1").peer.db_dir().join("group-00000");
    let current = fs::read_to_string(group.join("current")).expect("a name");
    flip_from(&group.join(current.lines().next().expect("a name")).join("version"), 0, 1);
    cluster.restart("peer-1").await;
    assert!(cluster.member("peer-1").peer.log().contains(FOUND), "{}", cluster.member("peer-1").peer.log());
    until_rebuilt(&mut cluster, "peer-1").await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    until("it takes a task", async || cluster.client("peer-1").create(create(&namespace, "x")).await.ok()).await;
    cluster.lead_all_by("peer-1").await;
    assert_eq!(cluster.client("peer-1").list_all(&namespace).await.len(), 2);
}

/// A crash leaves rows that are older than what is known to be committed, so the start applies the rest again, and meets the damage there.
#[tokio::test]
async fn damage_that_the_replay_at_a_start_meets_is_mended_by_the_others() {
    let mut cluster = Cluster::of_three(&OPTIONS).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    fill(&cluster, &namespace).await;
    let db = cluster.member("peer-3").peer.db_dir();
    until_in_a_table(&db).await;
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    let before = cluster.member("peer-3").peer.back_up();
    cluster.restart("peer-3").await;
    cluster.lead_all_by("peer-1").await;
    let client = cluster.client("peer-1");
    for task in client.list_all(&namespace).await {
        until("a task is deleted", async || match client.delete(&namespace, &task.id, 0).await {
            Ok(()) => Some(()),
            Err(status) => (status.code() == Code::NotFound).then_some(()),
        })
        .await;
    }
    cluster.until_equal().await;
    assert_eq!(cluster.member("peer-3").peer.terminate().await.code(), Some(0));
    // Its rows of then, and its log of now.
    cluster.member("peer-3").peer.put_back_rows(&before);
    flip_a_row(&db);
    cluster.restart("peer-3").await;
    let log = cluster.member("peer-3").peer.log();
    assert!(log.contains(FOUND), "the replay did not meet it: {log}");
    until_rebuilt(&mut cluster, "peer-3").await;
    cluster.lead_all_by("peer-3").await;
    assert!(cluster.client("peer-3").list_all(&namespace).await.is_empty());
}

/// A peer joins, and the log does not reach back: the snapshot is the first that reads the damaged row of the leader. That one hands over, gets
/// the rows of the others, and ends neither then nor with the next snapshot; the newcomer gets all tasks from another one.
#[tokio::test]
async fn damage_that_the_snapshot_for_a_newcomer_meets_is_mended_by_the_others() {
    let mut cluster = Cluster::of_three(&[OPTIONS[0], ("Z4_LOG_RETAINED_BYTES", "1048576")]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    fill(&cluster, &namespace).await;
    // One each: nothing moves when leaders are spread.
    until("each leads a group, peer-1 the one with the tasks", async || {
        for (group, id) in [(1, "peer-1"), (0, "peer-2"), (2, "peer-3")] {
            let client = cluster.client(id);
            if !serves(&info(&client).await, group) {
                let _ = transfer(&client, group, id).await;
                return None;
            }
        }
        Some(())
    })
    .await;
    let (db, address) = (cluster.member("peer-1").peer.db_dir(), cluster.member("peer-1").peer.metrics_address());
    until_in_a_table(&db).await;
    until("the log is purged", async || (http::metric(&address, "z4_last_fsm_snapshot").await > 0.0).then_some(())).await;
    flip_a_row(&db);

    let fresh = cluster.start().await;
    cluster.ask_to_add(&fresh, 1).await;
    until("the damage is found", async || cluster.member("peer-1").peer.log().contains(FOUND).then_some(())).await;
    until_rebuilt(&mut cluster, "peer-1").await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3", "peer-4"]).await;
    assert_eq!(cluster.client(&fresh).list_all(&namespace).await.len(), TASKS);
}
