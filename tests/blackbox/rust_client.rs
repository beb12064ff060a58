//! The Rust client against a real peer: what it promises must hold where nothing is played.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::TryStreamExt;
use z4::client::{Client, ErrorKind};
use z4_proto::{GetTaskRequest, ListTasksRequest, NamespaceSettings, UpdateTaskRequest};

use crate::harness::wait::{until, within};
use crate::harness::{Peer, create};

/// Every call once, and errors that name what failed.
#[tokio::test]
async fn the_life_of_a_task() {
    let peer = Peer::start().await;
    let client = Client::connect([peer.address()]).expect("an address");
    let created = client.create(create("a", "1")).await.expect("created");
    assert!(!created.duplicate && created.forwarded_to.is_empty());
    let task = created.task.expect("a task");
    let (namespace, task_id) = ("a".to_owned(), task.id.clone());
    let update = UpdateTaskRequest { namespace, task_id, expected_version: 1, tts_seconds: 60, ..UpdateTaskRequest::default() };
    assert_eq!(client.update(update.clone()).await.expect("updated").version, 2);
    assert_eq!(client.update(update).await.expect_err("another version").code(), tonic::Code::Aborted);
    let batch = (0..250).map(|n| create("a", &n.to_string())).collect();
    assert!(client.create_batch(batch).await.expect("created").iter().all(|result| result.status == 0));
    let listed: Vec<Vec<_>> =
        client.list(ListTasksRequest { namespace: "a".into(), ..Default::default() }).try_collect().await.expect("pages");
    assert_eq!(listed.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 51]);
    client.set_namespace("a", NamespaceSettings { max_attempts: Some(3), ..Default::default() }).await.expect("set");
    let namespaces: Vec<Vec<_>> = client.namespaces(0).try_collect().await.expect("pages");
    assert_eq!((namespaces[0][0].name.as_str(), namespaces[0][0].live), ("a", 251));
    assert_eq!(client.purge("a").await.expect("purged"), 251);
    let get = GetTaskRequest { namespace: "a".into(), task_id: task.id, ..GetTaskRequest::default() };
    let error = client.get(get).await.expect_err("it is gone");
    assert_eq!((error.kind(), error.code(), error.call()), (ErrorKind::Refused, tonic::Code::NotFound, "GetTask"));
    assert_eq!(client.info().await.expect("served").server_id, "peer-1");
}

/// The peer is killed while tasks are produced and consumed, and comes back: every creation becomes a task, once, and every task is
/// consumed. Nobody but the client does anything about it.
#[tokio::test]
async fn producer_and_consumer_outlive_a_kill() {
    const TASKS: u64 = 1_000;
    let mut peer = Peer::start().await;
    let client = Client::builder().timeout(Duration::from_secs(60)).connect([peer.address()]).expect("an address");
    let settings = NamespaceSettings { backoff_first_ms: Some(0), ..NamespaceSettings::default() };
    client.set_namespace("a", settings).await.expect("set");

    let producer = client.producer_with().in_flight(100).open();
    let producing = tokio::spawn(async move {
        let mut creations = Vec::new();
        for n in 0..TASKS {
            creations.push(producer.send(create("a", &n.to_string())).await);
        }
        let mut ids = BTreeSet::new();
        for creation in creations {
            ids.insert(creation.await.expect("created").task.expect("a task").id);
        }
        ids
    });
    let mut consumer = client.consumer(["a"]).credit(50).open();
    let consuming = tokio::spawn(async move {
        let mut consumed = BTreeMap::<String, u64>::new();
        let mut acked = BTreeSet::new();
        while acked.len() < TASKS as usize {
            let delivery = consumer.next().await.expect("a delivery");
            let id = delivery.task().id.clone();
            *consumed.entry(id.clone()).or_default() += 1;
            // A refused ack means that the task comes again, unless an ack without an answer was done.
            match delivery.ack().await {
                Ok(()) => drop(acked.insert(id)),
                Err(error) if error.may_be_done() => drop(acked.insert(id)),
                Err(_) => {}
            }
        }
        consumed
    });
    let progress = client.clone();
    until("a part is created", async || progress.namespace("a").await.ok().filter(|a| a.live + a.leased > 20).map(drop)).await;
    peer.kill().await;
    peer.restart().await;

    let ids = within("everything is created", producing).await.expect("no panic");
    assert_eq!(ids.len() as u64, TASKS, "each creation is a task of its own");
    let consumed = within("everything is consumed", consuming).await.expect("no panic");
    assert!(consumed.keys().eq(ids.iter()), "nothing is lost, and nothing was made twice");
    until("no task is left", async || (client.namespace("a").await.expect("served").live == 0).then_some(())).await;
}

/// A consumer that works longer than a lease keeps its task.
#[tokio::test]
async fn a_held_delivery_keeps_its_lease() {
    let peer = Peer::start().await;
    let client = Client::connect([peer.address()]).expect("an address");
    let mut consumer = client.consumer(["a"]).lease(Duration::from_secs(3)).open();
    client.create(create("a", "1")).await.expect("created");
    let held = within("a delivery", consumer.next()).await.expect("a delivery");
    // Two leases long: time itself is what this test is about. The lease is long enough for an extension on a busy machine.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(!held.is_lost());
    held.ack().await.expect("the lease was extended");
    assert_eq!(client.namespace("a").await.expect("served").live, 0);
}
