//! Every limit of consuming. See `limits.rs` for what is asked of a refusal.

use tonic::Status;
use z4_proto::*;

use super::limits::refused;
use crate::harness::wait::within;
use crate::harness::{Client, ConsumeStream, Peer, create, nack_of};

fn open(namespaces: usize, lease_ms: u32) -> Option<ConsumeOpen> {
    Some(ConsumeOpen { namespaces: (0..namespaces).map(|n| format!("n{n}")).collect(), lease_ms, held: Vec::new() })
}

/// How a stream with this first message ends.
async fn ends_with(client: &Client, first: ConsumeRequest) -> Result<(), Status> {
    match ConsumeStream::open_with(client, first).await?.end().await {
        Some(status) => Err(status),
        None => Ok(()),
    }
}

/// What the first message of a Consume stream may say.
#[tokio::test]
async fn limits_of_opening() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let first = |open| ConsumeRequest { open, credit: 1, ..ConsumeRequest::default() };
    refused(ends_with(&client, first(None)).await, &["open"]);
    refused(ends_with(&client, first(open(0, 0))).await, &["namespaces"]);
    refused(ends_with(&client, first(open(1_001, 0))).await, &["namespaces", "1001", "1000"]);
    refused(ends_with(&client, first(open(1, 99))).await, &["lease_ms", "99", "100"]);
    refused(ends_with(&client, first(open(1, 43_200_001))).await, &["lease_ms", "43200001", "43200000"]);
    let unnamed = Some(ConsumeOpen { namespaces: vec![String::new()], lease_ms: 0, held: Vec::new() });
    refused(ends_with(&client, first(unnamed)).await, &["namespace", "255"]);

    client.created(create("n999", "x")).await;
    let mut stream = ConsumeStream::open_with(&client, first(open(1_000, 43_200_000))).await.expect("a stream");
    assert_eq!(stream.next().await.task.expect("a task").namespace, "n999");
}

/// A second `open` on a stream is a mistake of the client, and so is more credit than there can be.
#[tokio::test]
async fn limits_of_an_open_stream() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let first = || ConsumeRequest { open: open(1, 0), credit: 1, ..ConsumeRequest::default() };
    let stream = ConsumeStream::open_with(&client, first()).await.expect("a stream");
    stream.send(first()).await;
    refused(stream.end().await.map_or(Ok(()), Err), &["open"]);

    let greedy = ConsumeRequest { credit: u32::MAX, ..first() };
    refused(ends_with(&client, greedy).await, &["credit", "4294967295", "at most"]);
}

/// A nack's reason is bounded. The other settles of the message are none the worse for it, unless the call is refused as a whole:
/// then none of them has happened.
#[tokio::test]
async fn limits_of_settles() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    client.created(create("a", "x")).await;
    let held = client.lease_one("a", 60_000).await;
    let request = NackTasksRequest { nacks: vec![nack_of(&held, Some(0), &"r".repeat(1_025))] };
    let answer = within("NackTasks", client.tasks.clone().nack_tasks(request)).await.map(tonic::Response::into_inner);
    refused(first_result(answer), &["reason", "1025", "1024"]);
    let request = NackTasksRequest { nacks: vec![nack_of(&held, Some(0), &"r".repeat(1_024))] };
    let answer = within("NackTasks", client.tasks.clone().nack_tasks(request)).await.map(tonic::Response::into_inner);
    first_result(answer).expect("1,024 bytes are taken, and the lease was still good");

    let ack = Ack { namespace: "a".to_owned(), task_id: "nonsense".to_owned(), token: 1 };
    let request = AckTasksRequest { acks: vec![ack] };
    let answer = within("AckTasks", client.tasks.clone().ack_tasks(request)).await.map(tonic::Response::into_inner);
    refused(first_result(answer), &["task_id", "nonsense"]);
}

/// A refusal may stand for the call or for one settle.
fn first_result(answer: Result<SettleResponse, Status>) -> Result<(), Status> {
    let result = answer?.results.remove(0);
    let code = i32::try_from(result.status).expect("a gRPC code").into();
    if code == tonic::Code::Ok { Ok(()) } else { Err(Status::new(code, result.message)) }
}

/// LeaseTasks is bounded in tasks, namespaces, lease and wait.
#[tokio::test]
async fn limits_of_lease_tasks() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let request = |namespaces: usize| LeaseTasksRequest {
        namespaces: open(namespaces, 0).expect("open").namespaces,
        ..LeaseTasksRequest::default()
    };
    refused(client.lease_tasks(request(0)).await, &["namespaces"]);
    refused(client.lease_tasks(request(1_001)).await, &["namespaces", "1001", "1000"]);
    refused(client.lease_tasks(LeaseTasksRequest { max_tasks: 1_001, ..request(1) }).await, &["max_tasks", "1001", "1000"]);
    refused(client.lease_tasks(LeaseTasksRequest { lease_ms: 99, ..request(1) }).await, &["lease_ms", "99", "100"]);
    refused(client.lease_tasks(LeaseTasksRequest { wait_ms: 60_001, ..request(1) }).await, &["wait_ms", "60001", "60000"]);
    let largest = LeaseTasksRequest { max_tasks: 1_000, lease_ms: 43_200_000, ..request(1_000) };
    assert_eq!(client.lease_tasks(largest).await.expect("the largest request is taken").len(), 0);
}
