//! Reading, changing, deleting and listing tasks.

use tonic::Code;
use z4_proto::{CreateTaskRequest, ListTasksRequest, TaskState, UpdateTaskRequest};

use crate::harness::{Peer, create, due_at, due_ms, now_ms, payload_number, timestamp};

const HOUR_MS: u64 = 3_600_000;

fn update(namespace: &str, task_id: &str) -> UpdateTaskRequest {
    UpdateTaskRequest { namespace: namespace.to_owned(), task_id: task_id.to_owned(), ..UpdateTaskRequest::default() }
}

fn list(namespace: &str) -> ListTasksRequest {
    ListTasksRequest { namespace: namespace.to_owned(), ..ListTasksRequest::default() }
}

/// What was created is what is read, to the byte and the millisecond.
#[tokio::test]
async fn a_task_is_read_as_it_was_created() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let metadata = [("ключ", "значение"), ("empty", ""), ("k", "v")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let due = now_ms() + HOUR_MS;
    let before = now_ms();
    let request = CreateTaskRequest {
        metadata: metadata.into(),
        payload: (0..=255u8).collect::<Vec<_>>().into(),
        ..due_at("späße", "", due)
    };
    let created = client.created(request.clone()).await;
    let read = client.get("späße", &created.id).await.expect("there");
    assert_eq!(read, created);
    assert_eq!((&read.metadata, &read.payload, due_ms(&read)), (&request.metadata, &request.payload, due));
    assert_eq!((read.state(), read.attempts, read.version), (TaskState::Scheduled, 0, 1));
    let created_at = read.created_at.expect("a time");
    assert!(created_at.seconds >= i64::try_from(before / 1_000).expect("fits") && read.last_retry.is_none());
    assert_eq!(read.id.len(), 26);
    let elsewhere = client.get("other", &read.id).await.expect_err("another namespace does not have it");
    assert_eq!(elsewhere.code(), Code::NotFound);
}

/// A task is moved to another time twice, there and back, and changed; its id stays, a get finds it, each change raises the version,
/// and an old version is refused.
#[tokio::test]
async fn a_task_keeps_its_id_through_changes() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    let due = now_ms() + HOUR_MS;
    let id = client
        .created(CreateTaskRequest { metadata: [("a".to_owned(), "1".to_owned())].into(), ..due_at("a", "old", due) })
        .await
        .id;

    let moved =
        client.update(UpdateTaskRequest { deliver_at: Some(timestamp(due + 5)), ..update("a", &id) }).await.expect("moved");
    assert_eq!((moved.id.as_str(), due_ms(&moved), moved.version), (id.as_str(), due + 5, 2));
    assert_eq!((&moved.payload[..], moved.metadata.len()), (&b"old"[..], 1), "what is not named stays");
    let changed = UpdateTaskRequest {
        replace_payload: true,
        payload: "new".into(),
        replace_metadata: true,
        expected_version: 2,
        ..update("a", &id)
    };
    let changed = client.update(changed).await.expect("changed");
    assert_eq!((&changed.payload[..], changed.metadata.len(), changed.version), (&b"new"[..], 0, 3));

    let stale = UpdateTaskRequest { expected_version: 2, deliver_at: Some(timestamp(due)), ..update("a", &id) };
    let refused = client.update(stale).await.expect_err("the version is 3");
    assert_eq!(refused.code(), Code::Aborted);
    assert!(refused.message().contains('2') && refused.message().contains('3'), "{}", refused.message());

    peer.kill().await;
    peer.restart().await;
    let client = peer.client().await;
    assert_eq!(client.get("a", &id).await.expect("there"), changed, "a moved task is found after a restart");
    let back =
        client.update(UpdateTaskRequest { deliver_at: Some(timestamp(due)), ..update("a", &id) }).await.expect("moved back");
    assert_eq!((due_ms(&back), back.version), (due, 4));
    assert_eq!(client.list_all("a").await, [back], "there is one row of it");
}

/// A scheduled task is called in early: a consumer that waits gets it at once, and only once.
#[tokio::test]
async fn a_rescheduled_task_is_delivered_at_its_new_time() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let early = client.created(due_at("a", "early", now_ms() + HOUR_MS)).await;
    let late = client.created(due_at("a", "late", now_ms() + 700)).await;
    client.update(UpdateTaskRequest { tts_seconds: 3_600, ..update("a", &late.id) }).await.expect("put off");
    client.update(UpdateTaskRequest { deliver_at: Some(timestamp(0)), ..update("a", &early.id) }).await.expect("called in");
    let delivery = client.lease_one("a", 60_000).await;
    assert_eq!(delivery.task.as_ref().expect("a task").id, early.id);
    assert_eq!(client.ack(&[delivery]).await[0].status, 0);
    assert!(client.is_gone("a", &early.id).await);
    // Were the old time still in somebody's memory, it would come now.
    let after = now_ms() + 1_000;
    crate::harness::wait::until("the old time has passed", async || (now_ms() > after).then_some(())).await;
    assert_eq!(client.lease_now("a").await.len(), 0, "the task that was put off is not delivered");
    assert_eq!(client.get("a", &late.id).await.expect("there").state(), TaskState::Scheduled);
}

/// A deleted task is gone for get, list, count and delivery; deleting it twice, or with an old version, is refused.
#[tokio::test]
async fn a_deleted_task_is_gone() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let task = client.created(due_at("a", "x", now_ms() + 700)).await;
    assert_eq!(client.delete("a", &task.id, 7).await.expect_err("the version is 1").code(), Code::Aborted);
    client.delete("a", &task.id, 1).await.expect("deleted");
    assert!(client.is_gone("a", &task.id).await);
    assert_eq!(client.delete("a", &task.id, 0).await.expect_err("it is gone").code(), Code::NotFound);
    let gone = client.update(UpdateTaskRequest { revive: true, ..update("a", &task.id) }).await;
    assert_eq!(gone.expect_err("it is gone").code(), Code::NotFound);
    assert_eq!((client.namespace("a").await.live, client.list_all("a").await.len()), (0, 0));
    crate::harness::wait::until("its time has passed", async || (now_ms() > due_ms(&task) + 200).then_some(())).await;
    assert_eq!(client.lease_now("a").await.len(), 0);
}

/// A list is in due order, whatever the order of creation; pages neither repeat nor skip; a range takes its start and not its end;
/// payloads can be left out.
#[tokio::test]
async fn a_list_is_in_due_order_over_pages_and_ranges() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let start = now_ms() + HOUR_MS;
    // 37 has no common divisor with 100: every number once, in no order.
    client.created_all((0..100).map(|n| n * 37 % 100).map(|n: u64| due_at("a", &n.to_string(), start + n)).collect()).await;
    client.created(due_at("b", "500", start)).await;

    let numbers = |tasks: &[z4_proto::Task]| tasks.iter().filter_map(payload_number).collect::<Vec<_>>();
    let all = client.list(ListTasksRequest { page_size: 7, ..list("a") }).await;
    assert_eq!(numbers(&all), (0..100).collect::<Vec<_>>());
    let page = client.list_page(ListTasksRequest { page_size: 7, ..list("a") }).await.expect("a page");
    assert_eq!(page.tasks.len(), 7);
    assert_eq!(client.list_page(list("a")).await.expect("a page").tasks.len(), 100, "100 is the default");
    let range = ListTasksRequest { due_from: Some(timestamp(start + 20)), due_until: Some(timestamp(start + 30)), ..list("a") };
    assert_eq!(numbers(&client.list(ListTasksRequest { page_size: 3, ..range.clone() }).await), (20..30).collect::<Vec<_>>());
    let bare = client.list(ListTasksRequest { omit_payload: true, ..range }).await;
    assert!(bare.len() == 10 && bare.iter().all(|task| task.payload.is_empty() && !task.id.is_empty()));
}

/// One task of each state: the filter finds each alone, and the list of all has the dead one last.
#[tokio::test]
async fn a_list_knows_states() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    client.without_backoff("a").await;
    let one = z4_proto::NamespaceSettings { max_attempts: Some(1), ..Default::default() };
    client.configure("a", one).await.expect("taken");
    let dead = client.created(create("a", "dead")).await;
    client.nack(&client.lease_one("a", 60_000).await, None, "no").await;
    let leased = client.created(create("a", "leased")).await;
    let held = client.lease_one("a", 60_000).await;
    assert_eq!(held.task.as_ref().expect("a task").id, leased.id);
    let ready = client.created(create("a", "ready")).await;
    let scheduled = client.created(due_at("a", "scheduled", now_ms() + HOUR_MS)).await;
    let expected = [
        (TaskState::Leased, &leased.id),
        (TaskState::Ready, &ready.id),
        (TaskState::Scheduled, &scheduled.id),
        (TaskState::Dead, &dead.id),
    ];
    for (state, id) in &expected {
        let found = client.list(ListTasksRequest { state: (*state).into(), page_size: 1, ..list("a") }).await;
        assert_eq!(found.iter().map(|task| (task.state(), &task.id)).collect::<Vec<_>>(), [(*state, *id)]);
    }
    let all = client.list(ListTasksRequest { page_size: 1, ..list("a") }).await;
    assert_eq!(all.iter().map(|task| (task.state(), &task.id)).collect::<Vec<_>>(), expected);
}
