//! Request ids: the same id in the same namespace gives the same task back, whoever asks and whatever happened in between.

use z4_proto::{CreateTaskRequest, NamespaceSettings};

use crate::harness::{Client, Peer, create, due_at, now_ms};

fn with_id(request_id: &str, request: CreateTaskRequest) -> CreateTaskRequest {
    CreateTaskRequest { request_id: request_id.to_owned(), ..request }
}

fn in_an_hour(payload: &str) -> CreateTaskRequest {
    due_at("a", payload, now_ms() + 3_600_000)
}

async fn create_again(client: &Client, request_id: &str) -> (String, bool) {
    let answer = client.create(with_id(request_id, in_an_hour("other"))).await.expect("taken");
    (answer.task.expect("a task").id, answer.duplicate)
}

/// A producer that got no answer sends again, to a process that was killed and started again in the meantime. A second task would
/// be a second e-mail.
#[tokio::test]
async fn a_request_id_survives_a_kill() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    let first = client.create(with_id("r1", in_an_hour("x"))).await.expect("taken");
    assert!(!first.duplicate);
    let id = first.task.expect("a task").id;
    assert_eq!(create_again(&client, "r1").await, (id.clone(), true));

    peer.kill().await;
    peer.restart().await;
    let client = peer.client().await;
    assert_eq!(create_again(&client, "r1").await, (id.clone(), true));
    let listed = client.list_all("a").await;
    assert_eq!(listed.len(), 1, "there is one task");
    assert_eq!(&listed[0].payload[..], b"x", "and it is the first one, unchanged");
}

/// The same id elsewhere, an empty id, and another id are other requests.
#[tokio::test]
async fn other_requests_are_other_tasks() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let mut ids = std::collections::BTreeSet::new();
    for (namespace, request_id) in [("a", "r1"), ("b", "r1"), ("a", "r2"), ("a", ""), ("a", "")] {
        let answer = client.create(with_id(request_id, due_at(namespace, "x", now_ms() + 3_600_000))).await.expect("taken");
        assert!(!answer.duplicate, "{namespace} {request_id:?}");
        ids.insert(answer.task.expect("a task").id);
    }
    assert_eq!(ids.len(), 5);
}

/// Two creates of one batch with the same id are one task, and so are a batch and a unary create.
#[tokio::test]
async fn duplicates_within_a_batch_are_one_task() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let batch = vec![with_id("r1", in_an_hour("x")), with_id("r2", in_an_hour("y")), with_id("r1", in_an_hour("z"))];
    let results = client.create_batch(batch).await.expect("taken");
    let id = |n: usize| results[n].task.as_ref().expect("a task").id.clone();
    assert_eq!(results.iter().map(|r| r.duplicate).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(id(0), id(2));
    assert_ne!(id(0), id(1));
    assert_eq!(create_again(&client, "r2").await, (id(1), true));
    assert_eq!(client.namespace("a").await.live, 2);
}

/// The id is remembered although the task is done: a late repetition must not bring it back to life.
#[tokio::test]
async fn a_task_that_is_done_is_not_created_again() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let id = client.created(with_id("r1", create("a", "x"))).await.id;
    let delivery = client.lease_one("a", 60_000).await;
    assert_eq!(client.ack(&[delivery]).await[0].status, 0);
    let again = client.create(with_id("r1", create("a", "x"))).await.expect("taken");
    assert!(again.duplicate);
    assert_eq!(again.task.expect("a task").id, id);
    assert_eq!(client.namespace("a").await.live, 0);
    assert_eq!(client.lease_now("a").await.len(), 0);
}

/// A window of nothing remembers nothing: users who want no idempotency can have none.
#[tokio::test]
async fn without_a_window_every_create_is_new() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let settings = NamespaceSettings { idempotency_window_ms: Some(0), ..NamespaceSettings::default() };
    client.configure("a", settings).await.expect("taken");
    let (first, _) = create_again(&client, "r1").await;
    // The window is over once the leader's clock has moved on by a millisecond.
    let later = now_ms() + 5;
    crate::harness::wait::until("5 ms have passed", async || (now_ms() > later).then_some(())).await;
    let (second, duplicate) = create_again(&client, "r1").await;
    assert!(!duplicate);
    assert_ne!(first, second);
}
