//! What clients in the field use, beside the new calls: asynchronous creates, GetTaskStream, and polling.

use tokio_stream::iter;
use z4_proto::{CreateTaskRequest, LeaseTasksRequest, StreamTasksRequest};

use crate::harness::wait::{until, within};
use crate::harness::{Peer, create, due_at, due_ms, now_ms, payload_number};

/// An asynchronous create answers with the id that the task has later: a client that stores the id must find its task under it.
#[tokio::test]
async fn an_asynchronous_create_tells_the_final_id() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let request = due_at("a", "x", now_ms() + 3_600_000);
    let answer = within("CreateTaskAsync", client.tasks.clone().create_task_async(request)).await.expect("queued").into_inner();
    let task = answer.task.expect("a task");
    let found = until("the task is stored", async || client.get("a", &task.id).await.ok()).await;
    assert_eq!((&found.id, &found.payload, due_ms(&found)), (&task.id, &task.payload, due_ms(&task)));
}

/// Asynchronous creates on a stream: every answer comes, in order, and every task is delivered in the end.
#[tokio::test]
async fn asynchronous_creates_on_a_stream_are_all_done() {
    const TASKS: u64 = 500;
    let peer = Peer::start().await;
    let client = peer.client().await;
    let requests: Vec<_> = (0..TASKS).map(|n| CreateTaskRequest { echo: true, ..create("a", &n.to_string()) }).collect();
    let opened = within("CreateTaskStreamAsync", client.tasks.clone().create_task_stream_async(iter(requests))).await;
    let mut answers = opened.expect("a stream").into_inner();
    for n in 0..TASKS {
        let answer = within("an answer", answers.message()).await.expect("the stream goes on").expect("one for each request");
        assert_eq!((answer.status, answer.task.as_ref().and_then(payload_number)), (0, Some(n)), "{}", answer.message);
    }
    assert!(within("the end", answers.message()).await.expect("a clean end").is_none());
    until("all tasks are stored", async || (client.namespace("a").await.live == TASKS).then_some(())).await;
}

/// GetTaskStream gives tasks that are due, as they become due, and takes what it wrote to the stream as acknowledged.
#[tokio::test]
async fn get_task_stream_gives_tasks_and_forgets_them() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let request = StreamTasksRequest { namespace: "a".to_owned(), ..StreamTasksRequest::default() };
    let opened = within("GetTaskStream", client.tasks.clone().get_task_stream(request)).await;
    let mut tasks = opened.expect("a stream").into_inner();
    let soon = now_ms() + 3_000;
    let second = client.created(due_at("a", "2", soon)).await;
    let first = client.created(create("a", "1")).await;
    for (number, created) in [(1, first), (2, second)] {
        let task = within("a task", tasks.message()).await.expect("the stream goes on").expect("the stream goes on");
        assert_eq!(task, created, "what the create was answered is what comes");
        assert_eq!(payload_number(&task), Some(number), "tasks come in due order");
        assert!(now_ms() >= due_ms(&task), "task {number} came before its time");
    }
    until("both are gone", async || (client.namespace("a").await.live == 0).then_some(())).await;
}

/// A long poll waits for a task that comes later, answers at once when there is one, and with nothing when its wait is over.
#[tokio::test]
async fn lease_tasks_waits_for_the_first_task() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let namespaces = || vec!["a".to_owned(), "b".to_owned()];
    let request = LeaseTasksRequest { namespaces: namespaces(), max_tasks: 10, lease_ms: 60_000, wait_ms: 60_000 };
    let (deliveries, task) = tokio::join!(client.lease_tasks(request), client.created(due_at("b", "x", now_ms() + 700)));
    let deliveries = deliveries.expect("a lease");
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].task.as_ref().expect("a task").id, task.id);
    assert!(now_ms() >= due_ms(&task), "it came before its time");

    let request = LeaseTasksRequest { namespaces: namespaces(), max_tasks: 10, lease_ms: 0, wait_ms: 100 };
    assert_eq!(client.lease_tasks(request).await.expect("an answer").len(), 0, "the task is with its consumer");
    assert_eq!(client.ack(&deliveries).await[0].status, 0);

    client.created_all((0..30).map(|n| create("a", &n.to_string())).collect()).await;
    let request = LeaseTasksRequest { namespaces: namespaces(), max_tasks: 10, lease_ms: 60_000, wait_ms: 60_000 };
    let some = client.lease_tasks(request).await.expect("an answer");
    assert!((1..=10).contains(&some.len()), "{} tasks were leased", some.len());
    assert_eq!(client.namespace("a").await.leased, some.len() as u64, "what was not answered is not leased");
}
