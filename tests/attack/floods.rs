//! The floods. Each goes on until its future is dropped; all are bounded in sockets, and loopback only. Here are those of the gRPC port.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::join_all;
use h2::client::SendRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use z4_proto as proto;

use crate::harness::{Client, due_at, now_ms};
use crate::held;
use crate::ports;
use crate::target::{Target, Where};

/// One kind of flood.
pub struct Flood {
    pub name: &'static str,
    pub place: Where,
}

/// What a client may send without a request, nine bytes and some each.
const CONTROL_FRAMES: [(&str, &[u8]); 5] = [
    ("SETTINGS", b"\0\0\0\x04\0\0\0\0\0"),
    ("PING", b"\0\0\x08\x06\0\0\0\0\0pingpong"),
    ("WINDOW_UPDATE", b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01"),
    ("PRIORITY", b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\x03\x10"),
    ("unknown frames", b"\0\0\0\x77\0\0\0\0\0"),
];

macro_rules! floods {
    ($($place:ident $name:literal => $flood:path;)+) => {
        /// Every flood that is not one of control frames.
        const OTHERS: &[(&str, Where)] = &[$(($name, Where::$place)),+];

        async fn other(name: &str, target: &Target) {
            match name {
                $($name => $flood(target).await,)+
                _ => panic!("no flood is called {name:?}"),
            }
        }
    };
}

floods! {
    Usual "lists whose answers are not read" => unread_lists;
    Usual "consumers that do not read" => unread_deliveries;
    Usual "leases whose answers are not read" => unread_leases;
    Usual "creates whose answers are not read" => held::unread_creates;
    Usual "acks whose answers are not read" => held::unread_acks;
    Usual "consumers of namespaces that are not there" => held::unknown_namespaces;
    Usual "such consumers that come and go" => held::passing_consumers;
    Usual "idle streams" => idle_streams;
    Usual "streams that are reset at once" => rapid_resets;
    Usual "batches of millions of empty tasks" => empty_tasks;
    Usual "millions of empty acks" => empty_acks;
    Usual "half-sent messages" => half_sent;
    Usual "silent connections" => silent;
    Usual "half-sent frames on the peer port" => ports::half_sent_frames;
    Usual "half-said hellos" => ports::half_said_hellos;
    Usual "hellos with long names" => ports::long_names;
    Usual "unfinished requests of metrics" => ports::slow_scrapes;
    Usual "metrics that are not read" => ports::unread_scrapes;
    Usual "silent SQL connections" => ports::silent_sql;
    Usual "half-sent SQL statements" => ports::half_sent_statements;
    Usual "SQL rows that are not read" => ports::unread_rows;
    Usual "health watchers" => crate::watchers::health_watchers;
    FewDescriptors "silent connections, few descriptors" => silent_everywhere;
    Member "half-sent frames after hello" => ports::half_sent_after_hello;
    Member "answers after hello that are not read" => ports::unread_answers_after_hello;
    Member "questions after hello without end" => ports::questions_after_hello;
    Member "words after hello about nobody" => ports::words_after_hello;
    Member "consumers after hello without end" => ports::consumers_after_hello;
}

/// Every flood.
pub fn all() -> impl Iterator<Item = Flood> {
    let control = CONTROL_FRAMES.iter().map(|(name, _)| Flood { name, place: Where::Usual });
    control.chain(OTHERS.iter().map(|(name, place)| Flood { name, place: *place }))
}

/// Floods.
pub async fn flood(name: &str, target: &Target) {
    match CONTROL_FRAMES.iter().find(|(control, _)| *control == name) {
        Some((_, frame)) => control(target, frame).await,
        None => other(name, target).await,
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Tasks of a mebibyte, for lists and for consumers.
pub async fn fill(client: &Client) {
    for n in 0..32 {
        let task = if n % 2 == 0 { due_at("large", "", now_ms() + 3_600_000) } else { due_at("ready", "", now_ms()) };
        client.created(proto::CreateTaskRequest { payload: vec![7; 1_000_000].into(), ..task }).await;
    }
}

pub async fn connect(address: &str) -> TcpStream {
    loop {
        match TcpStream::connect(address).await {
            Ok(socket) => return socket,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Sends one kind of frame as fast as it is taken and reads the answers, on four connections; one that is ended is made again.
pub async fn control(target: &Target, frame: &[u8]) {
    let frames = frame.repeat(2_000);
    let one = || async {
        loop {
            let (mut from, mut to) = connect(&target.service).await.into_split();
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
pub async fn h2(target: &Target, window: u32) -> Option<SendRequest<Bytes>> {
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window).max_concurrent_reset_streams(0);
    let (requests, connection) = builder.handshake(connect(&target.service).await).await.ok()?;
    // It ends when the last of its requests is dropped.
    tokio::spawn(connection);
    requests.ready().await.ok()
}

pub fn request(method: &str) -> http::Request<()> {
    let builder = http::Request::post(format!("http://peer/z4.Collection/{method}"));
    builder.header("content-type", "application/grpc").header("te", "trailers").body(()).expect("a request")
}

pub fn framed(message: &[u8], announced: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(5 + message.len());
    bytes.put_u8(0);
    bytes.put_u32(announced as u32);
    bytes.extend_from_slice(message);
    bytes.freeze()
}

/// Opens `streams` calls on each of `connections` connections, sends `message` on each, ends it or not, and keeps them all.
async fn hold(target: &Target, (connections, streams): (usize, usize), window: u32, method: &str, message: Bytes, ends: bool) {
    let mut held = Vec::new();
    for _ in 0..connections {
        let Some(mut requests) = h2(target, window).await else { continue };
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
pub async fn unread_lists(target: &Target) {
    let list = proto::ListTasksRequest { namespace: "large".into(), page_size: 1_000, ..Default::default() }.encode_to_vec();
    hold(target, (100, 20), 0, "ListTasks", framed(&list, list.len()), true).await;
}

/// Consumers with all the credit that there is, on 100 connections, that read nothing.
pub async fn unread_deliveries(target: &Target) {
    let open = proto::ConsumeOpen { namespaces: vec!["ready".into()], lease_ms: 100, ..Default::default() };
    let first = proto::ConsumeRequest { open: Some(open), credit: 65_536, ..Default::default() }.encode_to_vec();
    hold(target, (100, 20), 0, "Consume", framed(&first, first.len()), false).await;
}

/// Leases of all that is due, again and again; nobody takes the answers.
pub async fn unread_leases(target: &Target) {
    let ask = proto::LeaseTasksRequest { namespaces: vec!["ready".into()], max_tasks: 1_000, lease_ms: 100, wait_ms: 60_000 };
    let ask = ask.encode_to_vec();
    hold(target, (100, 20), 0, "LeaseTasks", framed(&ask, ask.len()), true).await;
}

/// Requests that are taken back as soon as they are made.
pub async fn rapid_resets(target: &Target) {
    let one = || async {
        loop {
            let Some(mut requests) = h2(target, 65_535).await else { continue };
            loop {
                requests = match requests.ready().await {
                    Ok(requests) => requests,
                    Err(_) => break,
                };
                let Ok((_, mut sending)) = requests.send_request(request("CreateTask"), false) else { break };
                sending.send_reset(h2::Reason::CANCEL);
                tokio::task::yield_now().await;
            }
        }
    };
    join_all((0..4).map(|_| one())).await;
}

/// 102,400 calls that say nothing.
pub async fn idle_streams(target: &Target) {
    hold(target, (100, 1_024), 65_535, "CreateTaskStream", Bytes::new(), false).await;
}

/// 10,000 messages of 8 MiB of which a kilobyte comes.
pub async fn half_sent(target: &Target) {
    hold(target, (100, 100), 65_535, "CreateTasks", framed(&[0; 1_024], 8_000_000), false).await;
}

/// Four million empty tasks in a batch, again and again.
pub async fn empty_tasks(target: &Target) {
    empty_parts(target, "CreateTasks").await;
}

/// The same of acks.
pub async fn empty_acks(target: &Target) {
    empty_parts(target, "AckTasks").await;
}

async fn empty_parts(target: &Target, method: &str) {
    let batch = [0x0a, 0].repeat(4_000_000);
    let message = framed(&batch, batch.len());
    let one = || async {
        loop {
            let Some(requests) = h2(target, 65_535).await else { continue };
            let Ok(mut requests) = requests.ready().await else { continue };
            let Ok((response, mut sending)) = requests.send_request(request(method), false) else { continue };
            let _ = sending.send_data(message.clone(), true);
            let _ = response.await;
        }
    };
    join_all((0..4).map(|_| one())).await;
}

/// Sockets that send some bytes and keep quiet.
pub async fn quiet(address: &str, sockets: usize, bytes: &[u8]) {
    let mut held = Vec::new();
    for _ in 0..sockets {
        let mut socket = connect(address).await;
        let bytes = bytes.to_vec();
        // Who is not read waits, and the next ones come.
        held.push(tokio::spawn(async move {
            let _ = socket.write_all(&bytes).await;
            // One that is ended makes room for another.
            let _ = socket.read(&mut [0; 1]).await;
            std::future::pending::<()>().await;
        }));
    }
    std::future::pending::<()>().await;
}

/// A thousand connections that say nothing.
pub async fn silent(target: &Target) {
    quiet(&target.service, 1_000, b"").await;
}

/// More of them than the peer may have files open, on every port.
pub async fn silent_everywhere(target: &Target) {
    let Target { service, peer, metrics, sql } = target;
    tokio::join!(quiet(service, 2_500, b""), quiet(peer, 500, b""), quiet(metrics, 500, b""), quiet(sql, 500, b""));
}
