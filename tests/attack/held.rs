//! Floods of the gRPC port by what a peer keeps for its callers once it has read it: creates on their way, acks, the names of consumers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::join_all;
use h2::SendStream;
use h2::client::ResponseFuture;
use prost::Message;
use z4_proto as proto;

use crate::floods::{framed, h2, request};
use crate::harness::{due_at, now_ms};
use crate::target::Target;

/// A call, and its connection with it.
type Call = (ResponseFuture, SendStream<Bytes>);

/// Opens so many calls on one connection; nobody takes their answers.
async fn open(target: &Target, streams: usize, method: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let Some(mut requests) = h2(target, 0).await else { return calls };
    for _ in 0..streams {
        requests = match requests.ready().await {
            Ok(requests) => requests,
            Err(_) => break,
        };
        let Ok(call) = requests.send_request(request(method), false) else { break };
        calls.push(call);
    }
    calls
}

/// Sends bytes as the window for them comes; ends early when the call does.
async fn send(sending: &mut SendStream<Bytes>, mut bytes: Bytes) {
    while !bytes.is_empty() {
        sending.reserve_capacity(bytes.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| sending.poll_capacity(cx)).await else { return };
        if sending.send_data(bytes.split_to(room.min(bytes.len())), false).is_err() {
            return;
        }
    }
}

/// Sends the same on each of many calls, and keeps them all.
async fn flood(target: &Target, (connections, streams): (usize, usize), method: &str, said: Bytes) {
    let one = || async {
        let calls = open(target, streams, method).await;
        let sending = calls.into_iter().map(|(response, mut sending)| {
            let said = said.clone();
            async move {
                send(&mut sending, said).await;
                (response, sending)
            }
        });
        let _held = join_all(sending).await;
        std::future::pending::<()>().await;
    };
    join_all((0..connections).map(|_| one())).await;
}

/// A thousand streams of creates, eight megabytes on each.
pub async fn unread_creates(target: &Target) {
    let create = proto::CreateTaskRequest { payload: vec![7; 64 << 10].into(), ..due_at("held", "", now_ms() + 3_600_000) };
    let create = create.encode_to_vec();
    let create = framed(&create, create.len());
    flood(target, (20, 50), "CreateTaskStream", create.repeat(128).into()).await;
}

/// A thousand consumers that acknowledge what they never had, ten thousand in a message.
pub async fn unread_acks(target: &Target) {
    let open = proto::ConsumeOpen { namespaces: vec!["held".into()], ..Default::default() };
    let first = proto::ConsumeRequest { open: Some(open), ..Default::default() }.encode_to_vec();
    let ack = proto::Ack { namespace: "held".into(), task_id: "0".into(), token: 1 };
    let acks = proto::ConsumeRequest { acks: vec![ack; 10_000], ..Default::default() }.encode_to_vec();
    let mut said = BytesMut::from(&framed(&first, first.len())[..]);
    (0..64).for_each(|_| said.extend_from_slice(&framed(&acks, acks.len())));
    flood(target, (20, 50), "Consume", said.freeze()).await;
}

/// The first message of a consumer of a thousand namespaces that nobody else has.
fn consumer(number: usize) -> Bytes {
    let name = |n: usize| format!("{number}-{n}-{}", "x".repeat(200));
    let open = proto::ConsumeOpen { namespaces: (0..1_000).map(name).collect(), ..Default::default() };
    let first = proto::ConsumeRequest { open: Some(open), credit: 1, ..Default::default() }.encode_to_vec();
    framed(&first, first.len())
}

/// Thousands of consumers of a thousand namespaces each, none of which is there.
pub async fn unknown_namespaces(target: &Target) {
    let one = |connection: usize| async move {
        let calls = open(target, 100, "Consume").await;
        let mut held = Vec::new();
        for (stream, (response, mut sending)) in calls.into_iter().enumerate() {
            send(&mut sending, consumer(connection * 100 + stream)).await;
            held.push((response, sending));
        }
        std::future::pending::<()>().await;
    };
    join_all((0..40).map(one)).await;
}

/// The same, and each goes as soon as it has come.
pub async fn passing_consumers(target: &Target) {
    let one = |connection: usize| async move {
        for number in (connection..).step_by(8) {
            for (_response, mut sending) in open(target, 10, "Consume").await {
                send(&mut sending, consumer(number)).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
                sending.send_reset(h2::Reason::CANCEL);
            }
        }
    };
    join_all((0..8).map(one)).await;
}
