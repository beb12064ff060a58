//! Clients that send a DATA frame per message, as grpc-go does, as fast as their socket takes them: nobody may lose the connection for
//! that, and everything is done once.
//!
//! `Z4_SMALL_FRAMES=1000000` sends so many messages per case instead of a few thousand.

use std::collections::VecDeque;
use std::future::poll_fn;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use prost::Message;
use tokio::task::JoinHandle;
use z4_proto as proto;

use crate::harness::Peer;
use crate::harness::wait::within;

/// The largest credit of a consumer.
const CREDIT_MAX: u32 = 65_536;

fn messages() -> usize {
    std::env::var("Z4_SMALL_FRAMES").ok().map_or(20_000, |count| count.parse().expect("a number"))
}

/// A connection to a peer, without any of gRPC's libraries.
struct Raw {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Raw {
    async fn connect(peer: &Peer) -> Raw {
        let socket =
            tokio::net::TcpStream::connect(peer.address().trim_start_matches("http://")).await.expect("the peer listens");
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1 << 20).initial_connection_window_size(8 << 20);
        let (requests, connection) = builder.handshake(socket).await.expect("HTTP/2");
        Raw { requests, connection: tokio::spawn(connection) }
    }

    /// Opens a call of `z4.Collection`.
    async fn call(&self, method: &str) -> (SendStream<Bytes>, Answers) {
        let request = http::Request::post(format!("http://peer/z4.Collection/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        let mut requests = self.requests.clone().ready().await.expect("room for a stream");
        let (response, sending) = requests.send_request(request, false).expect("sent");
        let reading = async { response.await.expect("a response").into_body() };
        (sending, Answers { body: Err(Box::pin(reading)), bytes: BytesMut::new() })
    }

    /// The connection is as it was: nobody was told to go.
    async fn close(self) {
        assert!(!self.connection.is_finished(), "{:?}", self.connection.await);
        drop(self.requests);
        within("the end of the connection", self.connection).await.expect("no panic").expect("a clean end");
    }
}

/// Sends a message in a frame of its own, when the window has room for it.
async fn send(stream: &mut SendStream<Bytes>, message: &impl Message) {
    let mut bytes = BytesMut::with_capacity(5 + message.encoded_len());
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len() as u32);
    message.encode(&mut bytes).expect("room");
    stream.reserve_capacity(bytes.len());
    while stream.capacity() < bytes.len() {
        poll_fn(|cx| stream.poll_capacity(cx)).await.expect("the stream is open").expect("the connection lives");
    }
    stream.send_data(bytes.freeze(), false).expect("the stream is open");
}

type Opening = std::pin::Pin<Box<dyn Future<Output = RecvStream> + Send>>;

/// The messages that come back.
struct Answers {
    body: Result<RecvStream, Opening>,
    bytes: BytesMut,
}

impl Answers {
    /// The next message; `None`: a clean end.
    async fn next<M: Message + Default>(&mut self) -> Option<M> {
        if let Err(opening) = &mut self.body {
            self.body = Ok(opening.await);
        }
        let Ok(body) = &mut self.body else { return None };
        loop {
            if let Some(head) = self.bytes.first_chunk::<5>() {
                let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
                if self.bytes.len() >= 5 + length {
                    self.bytes.advance(5);
                    return Some(M::decode(self.bytes.split_to(length)).expect("a message"));
                }
            }
            let Some(data) = body.data().await else {
                let trailers = body.trailers().await.expect("the connection lives").expect("trailers");
                assert_eq!(trailers.get("grpc-status").map(|status| status.as_bytes()), Some(&b"0"[..]), "{trailers:?}");
                return None;
            };
            let data = data.expect("the connection lives");
            body.flow_control().release_capacity(data.len()).expect("it was received");
            self.bytes.extend_from_slice(&data);
        }
    }
}

/// Sends creates of eight bytes and reads the answers, which are all good.
async fn create(raw: &Raw, method: &str, namespace: String, tasks: usize) {
    let (mut sending, mut answers) = raw.call(method).await;
    let sent = tokio::spawn(async move {
        for n in 0..tasks {
            let payload = (n as u64).to_be_bytes().to_vec().into();
            send(&mut sending, &proto::CreateTaskRequest { namespace: namespace.clone(), payload, ..Default::default() }).await;
        }
        sending.send_data(Bytes::new(), true).expect("the stream is open");
    });
    for n in 0..tasks {
        let answer: proto::TaskStreamResponse = within("an answer", answers.next()).await.expect("one for each request");
        assert_eq!(answer.status, 0, "{method}, task {n}: {}", answer.message);
    }
    assert!(within("the end", answers.next::<proto::TaskStreamResponse>()).await.is_none());
    sent.await.expect("everything was sent");
}

/// `streams` streams of one connection create `messages()` tasks together.
async fn creates(method: &str, streams: usize) {
    let peer = Peer::start().await;
    let raw = Raw::connect(&peer).await;
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

/// Consumes with the largest credit, an ack in a message of its own for each delivery.
async fn consume(raw: &Raw, namespace: String, tasks: usize) {
    let (mut sending, mut answers) = raw.call("Consume").await;
    #[allow(clippy::needless_update, reason = "a message gets fields")]
    let open = proto::ConsumeOpen { namespaces: vec![namespace.clone()], lease_ms: 600_000, ..Default::default() };
    send(&mut sending, &proto::ConsumeRequest { open: Some(open), credit: CREDIT_MAX, ..Default::default() }).await;
    let (acks, mut to_ack) = tokio::sync::mpsc::unbounded_channel::<proto::Ack>();
    let acked = tokio::spawn(async move {
        while let Some(ack) = to_ack.recv().await {
            send(&mut sending, &proto::ConsumeRequest { acks: vec![ack], credit: 1, ..Default::default() }).await;
        }
        sending
    });
    let mut held = VecDeque::new();
    let (mut delivered, mut settled) = (0, 0);
    while settled < tasks {
        let response: proto::ConsumeResponse = within("a response", answers.next()).await.expect("the stream goes on");
        for result in response.results {
            assert_eq!(result.status, 0, "{}", result.message);
            settled += 1;
        }
        delivered += response.deliveries.len();
        held.extend(response.deliveries);
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
    sending.send_data(Bytes::new(), true).expect("the stream is open");
    assert!(within("the end", answers.next::<proto::ConsumeResponse>()).await.is_none());
}

/// The same on `streams` consumers of one connection, each with a namespace of its own.
async fn acks(streams: usize) {
    let peer = Peer::start().await;
    let raw = Raw::connect(&peer).await;
    let each = messages() / streams;
    let creates = (0..streams).map(|stream| create(&raw, "CreateTaskStream", format!("ns-{stream}"), each));
    futures_util::future::join_all(creates).await;
    futures_util::future::join_all((0..streams).map(|stream| consume(&raw, format!("ns-{stream}"), each))).await;
    raw.close().await;
    let client = peer.client().await;
    for stream in 0..streams {
        assert_eq!(client.namespace(&format!("ns-{stream}")).await.live, 0, "every ack is done");
    }
}

#[tokio::test]
async fn acks_one_by_one_at_the_largest_credit_keep_their_connection() {
    acks(1).await;
}

#[tokio::test]
async fn acks_of_eight_consumers_of_one_connection_keep_it() {
    acks(8).await;
}
