//! SQL in a cluster: every peer answers, and once it has caught up it answers the same.
//!
//! What would be wrong: a peer that knows only what it leads, or that tells yesterday's rows as today's without saying so.

use crate::harness::cluster::Cluster;
use crate::harness::mysql::{Rows, Sql};
use crate::harness::wait::until;
use crate::harness::{create, due_at, now_ms};

const PEERS: [&str; 3] = ["peer-1", "peer-2", "peer-3"];

/// A query over every task of some namespaces.
fn all_tasks(namespaces: &[String]) -> String {
    let quoted: Vec<_> = namespaces.iter().map(|name| format!("'{name}'")).collect();
    format!(
        "SELECT id, namespace, state, deliver_at, created_at, attempts, metadata, payload FROM tasks WHERE namespace IN ({}) \
         AND deliver_at BETWEEN NOW() - INTERVAL 1 DAY AND NOW() + INTERVAL 1 DAY ORDER BY id",
        quoted.join(", ")
    )
}

async fn answer(cluster: &mut Cluster, id: &str, query: &str) -> Rows {
    let address = cluster.member(id).peer.sql_address();
    let mut sql = Sql::connect(&address).await.expect("a connection");
    sql.ask(query).await.expect("rows")
}

#[tokio::test]
async fn every_peer_answers_the_same_also_after_a_failover() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespaces = [cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    for (number, namespace) in namespaces.iter().cycle().take(40).enumerate() {
        let client = cluster.client(PEERS[number % 3]);
        let task = due_at(namespace, &number.to_string(), now_ms() + 3_600_000 + number as u64);
        until("a create is taken", async || client.create(task.clone()).await.ok()).await;
    }
    cluster.until_equal().await;
    let query = all_tasks(&namespaces);
    let first = answer(&mut cluster, "peer-1", &query).await;
    assert_eq!(first.len(), 40);
    for id in PEERS {
        assert_eq!(answer(&mut cluster, id, &query).await, first, "{id}");
    }
    let leader = cluster.leader(1).await;
    cluster.member(&leader).peer.kill().await;
    let left: Vec<_> = PEERS.into_iter().filter(|id| *id != leader).collect();
    let client = cluster.client(left[0]);
    until("a create is taken", async || client.create(create(&namespaces[0], "after")).await.ok()).await;
    // What is linearizable has seen it, whichever peer is asked.
    for id in &left {
        let address = cluster.member(id).peer.sql_address();
        let rows = until("a linearizable read is answered", async || {
            let mut sql = Sql::connect(&address).await.ok()?;
            sql.ask("SET SESSION z4_consistency = 'linearizable'").await.ok()?;
            sql.ask(&query).await.ok()
        })
        .await;
        assert_eq!(rows.len(), 41, "{id}");
    }
    cluster.restart(&leader).await;
    cluster.until_equal().await;
    let again = answer(&mut cluster, left[0], &query).await;
    for id in PEERS {
        assert_eq!(answer(&mut cluster, id, &query).await, again, "{id}");
    }
}

#[tokio::test]
async fn peers_and_groups_are_seen_from_every_peer() {
    let mut cluster = Cluster::of_three(&[]).await;
    for id in PEERS {
        let peers = answer(&mut cluster, id, "SELECT id, connected, me FROM peers ORDER BY number").await;
        let expected = PEERS.map(|other| vec![Some(other.to_owned()), Some("1".into()), Some(u8::from(other == id).to_string())]);
        assert_eq!(peers, expected, "from {id}");
    }
    for group in [0, 1, 2] {
        let leader = cluster.leader(group).await;
        for id in PEERS {
            let told = answer(&mut cluster, id, &format!("SELECT leader FROM z4.groups WHERE id = {group}")).await;
            assert_eq!(told, [[Some(leader.clone())]], "group {group} from {id}");
        }
    }
}

#[tokio::test]
async fn a_leased_task_is_leased_at_every_peer() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    let client = cluster.client("peer-1");
    until("a create is taken", async || client.create(create(&namespace, "x")).await.ok()).await;
    let delivered = client.lease_one(&namespace, 60_000).await;
    cluster.until_equal().await;
    let query = format!(
        "SELECT id, state FROM tasks WHERE namespace = '{namespace}' AND deliver_at BETWEEN '2000-01-01' AND '2100-01-01'"
    );
    let expected = [[delivered.task.map(|task| task.id), Some("leased".to_owned())]];
    for id in PEERS {
        assert_eq!(answer(&mut cluster, id, &query).await, expected, "{id}");
    }
}
