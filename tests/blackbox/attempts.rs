//! Failed attempts: the wait before the next one, the end of patience, and the way back.

use z4_proto::{ListTasksRequest, NamespaceSettings, TaskState, UpdateTaskRequest};

use crate::harness::{Peer, create, due_ms, now_ms};

/// Nacks without a delay wait 200 ms, 400 ms, and then never longer than the ceiling of 500 ms. Jitter is off, so the waits are
/// known: a lower bound by the client's clock, which is the peer's.
#[tokio::test]
async fn backoff_grows_by_its_factor_up_to_its_ceiling() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let settings = NamespaceSettings {
        backoff_first_ms: Some(200),
        backoff_factor: Some(2.0),
        backoff_ceiling_ms: Some(500),
        backoff_jitter: Some(0.0),
        ..NamespaceSettings::default()
    };
    client.configure("a", settings).await.expect("taken");
    let task = client.created(create("a", "x")).await;
    for (attempt, wait_ms) in [(1, 200), (2, 400), (3, 500), (4, 500)] {
        let delivery = client.lease_one("a", 60_000).await;
        assert_eq!(delivery.attempt, attempt);
        let before = now_ms();
        client.nack(&delivery, None, "again").await;
        let after = now_ms();
        // It may have come again by now, but not to anybody: its due time still is when the wait is over.
        let due = due_ms(&client.get("a", &task.id).await.expect("still there"));
        let range = before + wait_ms..=after + wait_ms;
        assert!(range.contains(&due), "attempt {attempt}: due at {due}, expected {range:?}");
    }
}

/// A task whose attempts are used up is dead: kept, listed with its last error, counted, and never delivered, not even after a
/// restart. `revive` makes it as good as new.
#[tokio::test]
async fn a_task_without_attempts_left_is_dead_until_it_is_revived() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    client.without_backoff("a").await;
    let settings = NamespaceSettings { max_attempts: Some(2), ..NamespaceSettings::default() };
    client.configure("a", settings).await.expect("taken");
    let task = client.created(create("a", "x")).await;
    for attempt in 1..=2 {
        let delivery = client.lease_one("a", 60_000).await;
        assert_eq!(delivery.attempt, attempt);
        client.nack(&delivery, None, &format!("failure {attempt}")).await;
    }

    peer.kill().await;
    peer.restart().await;
    let client = peer.client().await;
    assert_eq!(client.lease_now("a").await.len(), 0, "a dead task is not delivered");
    let dead = client.get("a", &task.id).await.expect("a dead task is kept");
    assert_eq!((dead.state(), dead.attempts, dead.last_error.as_str()), (TaskState::Dead, 2, "failure 2"));
    let request = ListTasksRequest { namespace: "a".to_owned(), state: TaskState::Dead.into(), ..ListTasksRequest::default() };
    let listed = client.list(request).await;
    assert_eq!(listed.iter().map(|t| &t.id).collect::<Vec<_>>(), [&task.id]);
    let state = client.namespace("a").await;
    assert_eq!((state.live, state.dead), (0, 1));

    let revive =
        UpdateTaskRequest { namespace: "a".to_owned(), task_id: task.id.clone(), revive: true, ..UpdateTaskRequest::default() };
    let revived = client.update(revive).await.expect("revived");
    assert_eq!((revived.attempts, &revived.id), (0, &task.id));
    let state = client.namespace("a").await;
    assert_eq!((state.live, state.dead), (1, 0));
    let delivery = client.lease_one("a", 60_000).await;
    assert_eq!((delivery.attempt, &delivery.task.as_ref().expect("a task").id), (1, &task.id));
    assert_eq!(client.ack(&[delivery]).await[0].status, 0);
    assert!(client.is_gone("a", &task.id).await);
}
