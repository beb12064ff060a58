//! Creates on a stream.

use tokio_stream::iter;
use tonic::Code;
use z4_proto::CreateTaskRequest;

use crate::harness::wait::within;
use crate::harness::{Peer, create, due_at, now_ms, payload_number};

/// Five hundred creates at once, spread over all groups, every tenth of them bad. The answers come in the order of the requests,
/// the bad ones get their status, and the stream goes on behind them: a producer counts answers to know what was taken.
#[tokio::test]
async fn answers_come_in_order_and_a_bad_request_does_not_end_the_stream() {
    const REQUESTS: u64 = 500;
    let peer = Peer::start().await;
    let client = peer.client().await;
    let later = now_ms() + 3_600_000;
    let request = |n: u64| match n % 10 {
        7 => create("", &n.to_string()),
        3 => CreateTaskRequest { echo: true, ..due_at(&format!("n{}", n % 13), &n.to_string(), later) },
        _ => due_at(&format!("n{}", n % 13), &n.to_string(), later),
    };
    let requests: Vec<CreateTaskRequest> = (0..REQUESTS).map(request).collect();
    let mut answers =
        within("CreateTaskStream", client.tasks.clone().create_task_stream(iter(requests))).await.expect("a stream").into_inner();
    for n in 0..REQUESTS {
        let answer = within("an answer", answers.message()).await.expect("the stream goes on").expect("one for each request");
        if n % 10 == 7 {
            assert_eq!(answer.status, Code::InvalidArgument as u32, "request {n}: {}", answer.message);
            assert!(answer.message.contains("namespace"), "{}", answer.message);
            assert!(answer.task.is_none(), "a refused request has no task");
        } else {
            assert_eq!(answer.status, 0, "request {n}: {}", answer.message);
            let task = answer.task.as_ref().expect("a task");
            assert_eq!(payload_number(task), (n % 10 == 3).then_some(n), "content comes when it is asked for");
            assert_eq!(task.namespace, format!("n{}", n % 13));
        }
    }
    assert!(within("the end", answers.message()).await.expect("a clean end").is_none(), "the stream ends with its requests");
    let mut stored = 0;
    for n in 0..13 {
        stored += client.namespace(&format!("n{n}")).await.live;
    }
    assert_eq!(stored, REQUESTS / 10 * 9);
}

/// Tasks created on one stream for one namespace and one due time are delivered in the order in which they were sent.
#[tokio::test]
async fn tasks_with_one_due_time_are_delivered_in_the_order_of_their_creation() {
    const TASKS: u64 = 300;
    let peer = Peer::start().await;
    let client = peer.client().await;
    let soon = now_ms() + 1_500;
    let requests: Vec<CreateTaskRequest> = (0..TASKS).map(|n| due_at("a", &n.to_string(), soon)).collect();
    let mut answers =
        within("CreateTaskStream", client.tasks.clone().create_task_stream(iter(requests))).await.expect("a stream").into_inner();
    while let Some(answer) = within("an answer", answers.message()).await.expect("the stream goes on") {
        assert_eq!(answer.status, 0, "{}", answer.message);
    }
    let mut numbers = Vec::new();
    while (numbers.len() as u64) < TASKS {
        let delivery = client.lease_one("a", 60_000).await;
        numbers.push(delivery.task.as_ref().and_then(payload_number).expect("ours"));
        numbers.extend(client.lease_now("a").await.iter().filter_map(|d| payload_number(d.task.as_ref()?)));
    }
    assert_eq!(numbers, (0..TASKS).collect::<Vec<_>>());
}
