//! Clients that send a DATA frame per message, as grpc-go does, as fast as their socket takes them: nobody may lose the connection for
//! that, and everything is done once.
//!
//! `Z4_SMALL_FRAMES=1000000` sends so many messages per case instead of a few thousand.

use std::collections::VecDeque;

use prost::Message;
use z4_proto as proto;

use crate::harness::Peer;
use crate::harness::frames::{Answers, Raw};
use crate::harness::wait::within;

/// The largest credit of a consumer.
const CREDIT_MAX: u32 = 65_536;

fn messages() -> usize {
    std::env::var("Z4_SMALL_FRAMES").ok().map_or(20_000, |count| count.parse().expect("a number"))
}

/// The next message of a stream that nothing may happen to; `None`: its end.
async fn next<M: Message + Default>(answers: &mut Answers) -> Option<M> {
    within("the next message", answers.next()).await.expect("the connection lives and the stream ends well")
}

/// Sends creates of eight bytes and reads the answers, which are all good.
async fn create(raw: &Raw, method: &str, namespace: String, tasks: usize) {
    let (mut sending, mut answers) = raw.call(method).await.expect("a stream");
    let sent = tokio::spawn(async move {
        for n in 0..tasks {
            let payload = (n as u64).to_be_bytes().to_vec().into();
            let request = proto::CreateTaskRequest { namespace: namespace.clone(), payload, ..Default::default() };
            sending.send(&request).await.expect("the stream is open");
        }
        sending.end().expect("the stream is open");
    });
    for n in 0..tasks {
        let answer: proto::TaskStreamResponse = next(&mut answers).await.expect("one for each request");
        assert_eq!(answer.status, 0, "{method}, task {n}: {}", answer.message);
    }
    assert!(next::<proto::TaskStreamResponse>(&mut answers).await.is_none());
    sent.await.expect("everything was sent");
}

/// `streams` streams of one connection create `messages()` tasks together.
async fn creates(method: &str, streams: usize) {
    creates_on(Peer::start().await, method, streams).await;
}

async fn creates_on(peer: Peer, method: &str, streams: usize) {
    let raw = Raw::connect(&peer.address()).await.expect("the peer listens");
    let each = messages() / streams;
    let all = (0..streams).map(|stream| create(&raw, method, format!("ns-{stream}"), each));
    futures_util::future::join_all(all).await;
    raw.close().await;
    let client = peer.client().await;
    for stream in 0..streams {
        let stored = async || (client.namespace(&format!("ns-{stream}")).await.live == each as u64).then_some(());
        crate::harness::wait::until("every task is stored", stored).await;
    }
}

#[tokio::test]
async fn creates_on_one_stream_keep_their_connection() {
    creates("CreateTaskStream", 1).await;
}

#[tokio::test]
async fn creates_on_eight_streams_keep_their_connection() {
    creates("CreateTaskStream", 8).await;
}

#[tokio::test]
async fn asynchronous_creates_on_one_stream_keep_their_connection() {
    creates("CreateTaskStreamAsync", 1).await;
}

#[tokio::test]
async fn asynchronous_creates_on_eight_streams_keep_their_connection() {
    creates("CreateTaskStreamAsync", 8).await;
}

/// The smallest queue that can be configured, which is full all the time: asynchronous streams wait, and nothing is refused.
#[tokio::test]
async fn asynchronous_creates_wait_for_a_small_queue() {
    for streams in [1, 8] {
        let peer = Peer::start_with(&[("Z4_QUEUED_COMMANDS_MAX", "64")]).await;
        creates_on(peer, "CreateTaskStreamAsync", streams).await;
    }
}

/// Consumes with the largest credit, an ack in a message of its own for each delivery. Returns how many were held at a time.
async fn consume(raw: &Raw, namespace: String, tasks: usize) -> usize {
    let (mut sending, mut answers) = raw.call("Consume").await.expect("a stream");
    #[allow(clippy::needless_update, reason = "a message gets fields")]
    let open = proto::ConsumeOpen { namespaces: vec![namespace.clone()], lease_ms: 600_000, ..Default::default() };
    let first = proto::ConsumeRequest { open: Some(open), credit: CREDIT_MAX, ..Default::default() };
    sending.send(&first).await.expect("the stream is open");
    let (acks, mut to_ack) = tokio::sync::mpsc::unbounded_channel::<proto::Ack>();
    let acked = tokio::spawn(async move {
        while let Some(ack) = to_ack.recv().await {
            let request = proto::ConsumeRequest { acks: vec![ack], credit: 1, ..Default::default() };
            sending.send(&request).await.expect("the stream is open");
        }
        sending
    });
    let mut held = VecDeque::new();
    let (mut delivered, mut settled, mut held_max) = (0, 0, 0);
    while settled < tasks {
        let response: proto::ConsumeResponse = next(&mut answers).await.expect("the stream goes on");
        for result in response.results {
            assert_eq!(result.status, 0, "{}", result.message);
            settled += 1;
        }
        delivered += response.deliveries.len();
        held.extend(response.deliveries);
        held_max = held_max.max(held.len());
        // As many as the credit allows are held first, so that their acks come all at once.
        if delivered == tasks || held.len() >= CREDIT_MAX as usize {
            for delivery in held.drain(..) {
                let task_id = delivery.task.expect("a task").id;
                let ack = proto::Ack { namespace: namespace.clone(), task_id, token: delivery.token };
                acks.send(ack).expect("the other half lives");
            }
        }
    }
    drop(acks);
    let mut sending = acked.await.expect("everything was sent");
    sending.end().expect("the stream is open");
    assert!(next::<proto::ConsumeResponse>(&mut answers).await.is_none());
    held_max
}

/// The same on `streams` consumers of one connection, each with `each` tasks in a namespace of its own.
async fn acks(streams: usize, each: usize) {
    let peer = Peer::start().await;
    let raw = Raw::connect(&peer.address()).await.expect("the peer listens");
    let creates = (0..streams).map(|stream| create(&raw, "CreateTaskStream", format!("ns-{stream}"), each));
    futures_util::future::join_all(creates).await;
    let held = futures_util::future::join_all((0..streams).map(|stream| consume(&raw, format!("ns-{stream}"), each))).await;
    assert!(held.iter().all(|held| *held == each.min(CREDIT_MAX as usize)), "all that the credit allows is held: {held:?}");
    raw.close().await;
    let client = peer.client().await;
    for stream in 0..streams {
        assert_eq!(client.namespace(&format!("ns-{stream}")).await.live, 0, "every ack is done");
    }
}

#[tokio::test]
async fn acks_one_by_one_at_the_largest_credit_keep_their_connection() {
    acks(1, messages().max(CREDIT_MAX as usize)).await;
}

#[tokio::test]
async fn acks_of_eight_consumers_of_one_connection_keep_it() {
    acks(8, messages() / 8).await;
}
