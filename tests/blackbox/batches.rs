//! Batches: all tasks of one namespace, or none of them.

use std::collections::BTreeMap;

use tonic::Code;
use z4_proto::{CreateTaskRequest, CreateTasksRequest};

use crate::harness::wait::{until, within};
use crate::harness::{Client, Peer, create, due_at, now_ms, payload_number};

/// The answers stand in the order of the requests, whatever namespaces (and so groups) they went to.
#[tokio::test]
async fn results_stand_in_the_order_of_the_requests() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let namespaces = ["a", "b", "c", "d"];
    let later = now_ms() + 3_600_000;
    let request = |n: usize| CreateTaskRequest { echo: true, ..due_at(namespaces[n % 4], &n.to_string(), later) };
    let batch = (0..100).map(request).collect();
    let results = client.create_batch(batch).await.expect("taken");
    assert_eq!(results.len(), 100);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.status, 0, "{}", result.message);
        let task = result.task.as_ref().expect("a task");
        assert_eq!((payload_number(task), task.namespace.as_str()), (Some(n as u64), namespaces[n % 4]));
    }
    for namespace in namespaces {
        assert_eq!(client.namespace(namespace).await.live, 25);
    }
}

/// The client of a batch takes replies of up to 4 MiB, whatever was stored: the tasks would exist and the producer hear of an error.
#[tokio::test]
async fn the_answer_to_a_batch_fits_a_default_client() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let request = |echo: bool, request_id: &str, payload: usize| CreateTaskRequest {
        echo,
        request_id: request_id.to_owned(),
        payload: vec![7; payload].into(),
        ..due_at("a", "", now_ms() + 3_600_000)
    };
    const LARGE: usize = (1 << 20) - 1_024;
    for echo in [false, true] {
        let results = client.create_batch(vec![request(echo, "", LARGE); 4]).await.expect("4 MiB are answered");
        let echoed: Vec<_> = results.iter().map(|result| result.task.as_ref().expect("a task").payload.len()).collect();
        assert_eq!(echoed, [if echo { LARGE } else { 0 }, 0, 0, 0], "content for as long as there is room");
    }
    // Each duplicate's earlier task has a mebibyte.
    client.created(request(false, "same", LARGE)).await;
    for echo in [false, true] {
        let results = client.create_batch(vec![request(echo, "same", 0); 20]).await.expect("20 duplicates are answered");
        assert!(results.iter().all(|result| result.status == 0 && result.duplicate));
        let echoed: usize = results.iter().map(|result| result.task.as_ref().expect("a task").payload.len()).sum();
        assert_eq!(echoed, if echo { LARGE } else { 0 });
    }
}

/// One request of a batch is bad. Every request of its namespace is refused, the bad one with its reason and the others with its
/// position; the other namespace is untouched by it. Half a batch would be the one thing that a producer cannot repair.
#[tokio::test]
async fn one_bad_request_takes_its_namespace_with_it() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let mut batch: Vec<CreateTaskRequest> = (0..10).map(|n| create("good", &n.to_string())).collect();
    batch.extend((0..10).map(|n| create("bad", &n.to_string())));
    batch[15].payload = vec![0; (1 << 20) + 1].into();
    let results = client.create_batch(batch).await.expect("a batch is answered one by one");
    assert!(results[..10].iter().all(|result| result.status == 0 && result.task.is_some()), "{results:?}");
    for (n, result) in results.iter().enumerate().skip(10) {
        let code = if n == 15 { Code::InvalidArgument } else { Code::Aborted };
        assert_eq!(result.status, code as u32, "request {n}: {}", result.message);
        assert!(result.message.contains("tasks[15]") && result.task.is_none(), "request {n}: {result:?}");
        assert!(result.message.contains("1048577") && result.message.contains("1048576"), "request {n}: {}", result.message);
    }
    assert_eq!((client.namespace("good").await.live, client.namespace("bad").await.live), (10, 0));
    assert_eq!(client.list_all("bad").await.len(), 0);
}

/// The peer is killed while batches of twenty are on their way. After the restart each of them is there as a whole, or not at all;
/// those that were answered are there.
#[tokio::test]
async fn a_batch_survives_a_kill_whole_or_not_at_all() {
    const BATCH_TASKS: u64 = 20;
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    let answered = std::cell::Cell::new(0);
    let produced = async {
        let workers = (0..8).map(|worker| produce(&client, worker, BATCH_TASKS, &answered));
        futures_util::future::join_all(workers).await
    };
    let killed = async {
        until("batches are answered", async || (answered.get() >= 40).then_some(())).await;
        peer.kill().await;
    };
    let (acknowledged, ()) = within("the producers end with the peer", async { tokio::join!(produced, killed) }).await;

    peer.restart().await;
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    for task in peer.client().await.list_all("a").await {
        *found.entry(payload_number(&task).expect("ours")).or_default() += 1;
    }
    for (batch, tasks) in &found {
        assert_eq!(*tasks, BATCH_TASKS, "batch {batch} is there in part");
    }
    for batch in acknowledged.iter().flatten() {
        assert!(found.contains_key(batch), "batch {batch} was acknowledged and is lost");
    }
}

/// Sends batches until the peer is gone; returns the numbers of those that were answered.
async fn produce(client: &Client, worker: u64, batch_tasks: u64, answered: &std::cell::Cell<u32>) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for batch in (worker * 1_000_000)..(worker + 1) * 1_000_000 {
        let later = now_ms() + 3_600_000;
        let tasks = (0..batch_tasks).map(|n| due_at("a", &batch.to_string(), later + n)).collect();
        match client.tasks.clone().create_tasks(CreateTasksRequest { tasks }).await {
            Ok(_) => acknowledged.push(batch),
            Err(_) => break,
        }
        answered.set(answered.get() + 1);
    }
    acknowledged
}
