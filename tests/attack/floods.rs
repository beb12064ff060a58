//! The floods. Each goes on until its future is dropped; all are bounded in sockets, and loopback only.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::join_all;
use h2::client::SendRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use z4_proto as proto;

use crate::harness::{Client, Peer, due_at, now_ms};

/// What a client may send without a request, nine bytes and some each.
pub const CONTROL_FRAMES: [(&str, &[u8]); 5] = [
    ("SETTINGS", b"\0\0\0\x04\0\0\0\0\0"),
    ("PING", b"\0\0\x08\x06\0\0\0\0\0pingpong"),
    ("WINDOW_UPDATE", b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01"),
    ("PRIORITY", b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\x03\x10"),
    ("unknown frames", b"\0\0\0\x77\0\0\0\0\0"),
];

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Tasks of a mebibyte for the lists.
pub async fn fill(client: &Client) {
    for _ in 0..16 {
        let later = due_at("large", "", now_ms() + 3_600_000);
        client.created(proto::CreateTaskRequest { payload: vec![7; 1_000_000].into(), ..later }).await;
    }
}

async fn connect(address: &str) -> TcpStream {
    loop {
        match TcpStream::connect(address).await {
            Ok(socket) => return socket,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Sends one kind of frame as fast as it is taken and reads the answers, on four connections; one that is ended is made again.
pub async fn control(peer: &Peer, frame: &[u8]) {
    let frames = frame.repeat(2_000);
    let one = || async {
        loop {
            let (mut from, mut to) = connect(&peer.address()).await.into_split();
            let reading = async {
                let mut bytes = vec![0; 64 << 10];
                while matches!(from.read(&mut bytes).await, Ok(read) if read > 0) {}
            };
            let writing = async {
                let mut sent = to.write_all(PREFACE).await;
                while sent.is_ok() {
                    sent = to.write_all(&frames).await;
                    // The other connections share this thread.
                    tokio::task::yield_now().await;
                }
            };
            tokio::join!(reading, writing);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    join_all((0..4).map(|_| one())).await;
}

/// A connection by h2's client, with a window for answers.
async fn h2(peer: &Peer, window: u32) -> Option<SendRequest<Bytes>> {
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window).max_concurrent_reset_streams(0);
    let (requests, connection) = builder.handshake(connect(&peer.address()).await).await.ok()?;
    // It ends when the last of its requests is dropped.
    tokio::spawn(connection);
    requests.ready().await.ok()
}

fn request(method: &str) -> http::Request<()> {
    let builder = http::Request::post(format!("http://peer/z4.Collection/{method}"));
    builder.header("content-type", "application/grpc").header("te", "trailers").body(()).expect("a request")
}

fn framed(message: &[u8], announced: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(0);
    bytes.put_u32(announced as u32);
    bytes.extend_from_slice(message);
    bytes.freeze()
}

/// Opens `streams` calls on each of `connections` connections, sends `message` on each, ends it or not, and keeps them all.
async fn hold(peer: &Peer, (connections, streams): (usize, usize), window: u32, method: &str, message: Bytes, ends: bool) {
    let mut held = Vec::new();
    for _ in 0..connections {
        let Some(mut requests) = h2(peer, window).await else { continue };
        for _ in 0..streams {
            requests = match requests.ready().await {
                Ok(requests) => requests,
                Err(_) => break,
            };
            let Ok((response, mut sending)) = requests.send_request(request(method), false) else { break };
            let _ = sending.send_data(message.clone(), ends);
            held.push((response, sending));
        }
    }
    std::future::pending::<()>().await;
}

/// 2,000 lists of mebibytes whose answers nobody takes.
pub async fn unread_lists(peer: &Peer) {
    let list = proto::ListTasksRequest { namespace: "large".into(), page_size: 1_000, ..Default::default() }.encode_to_vec();
    hold(peer, (100, 20), 0, "ListTasks", framed(&list, list.len()), true).await;
}

/// 102,400 calls that say nothing.
pub async fn idle_streams(peer: &Peer) {
    hold(peer, (100, 1_024), 65_535, "CreateTaskStream", Bytes::new(), false).await;
}

/// 10,000 messages of 8 MiB of which a kilobyte comes.
pub async fn half_sent(peer: &Peer) {
    hold(peer, (100, 100), 65_535, "CreateTasks", framed(&[0; 1_024], 8_000_000), false).await;
}

/// Four million empty tasks in a batch, again and again.
pub async fn empty_tasks(peer: &Peer) {
    let batch = [0x0a, 0].repeat(4_000_000);
    let message = framed(&batch, batch.len());
    let one = || async {
        loop {
            let Some(requests) = h2(peer, 65_535).await else { continue };
            let Ok(mut requests) = requests.ready().await else { continue };
            let Ok((response, mut sending)) = requests.send_request(request("CreateTasks"), false) else { continue };
            let _ = sending.send_data(message.clone(), true);
            let _ = response.await;
        }
    };
    join_all((0..4).map(|_| one())).await;
}

/// Sockets that send some bytes and keep quiet.
async fn quiet(address: &str, sockets: usize, bytes: &[u8]) {
    let mut held = Vec::new();
    for _ in 0..sockets {
        let mut socket = connect(address).await;
        let _ = socket.write_all(bytes).await;
        held.push(socket);
    }
    std::future::pending::<()>().await;
}

/// Frames of 128 MiB of which a megabyte comes.
pub async fn half_sent_to_peers(peer: &Peer) {
    let mut bytes = (128_u32 << 20).to_be_bytes().to_vec();
    bytes.resize(1 << 20, 0);
    quiet(&peer.peer_address(), 20, &bytes).await;
}

/// A thousand clients that ask for the metrics and do not finish.
pub async fn slow_scrapes(peer: &Peer) {
    quiet(&peer.metrics_address(), 1_000, b"GET /metrics HTTP/1.1\r\nHost:").await;
}

/// A thousand connections that say nothing.
pub async fn silent(peer: &Peer) {
    quiet(&peer.address(), 1_000, b"").await;
}
