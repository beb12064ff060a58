//! Floods of the other ports: links between peers, SQL, metrics.

use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use z4::links::VERSION;
use z4_proto::peer::frame::Body;
use z4_proto::peer::{Frame, Hello, ListNamespaces, ReadIndex, Subscribe, Unused};

use crate::floods::{connect, quiet};
use crate::harness::members::info;
use crate::harness::{Client, mysql, now_ms};
use crate::target::{NOBODY, Target};

/// What a probe asks.
///
/// # Errors
/// What it is told instead of that the peer serves.
pub async fn healthy(address: &str) -> Result<(), String> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: z4\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = asking.await.map_err(|error| error.to_string())?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(format!("{:?}", answer.lines().last().unwrap_or_default())) }
}

/// Frames of 128 MiB of which a megabyte comes, from strangers.
pub async fn half_sent_frames(target: &Target) {
    let mut bytes = (128_u32 << 20).to_be_bytes().to_vec();
    bytes.resize(1 << 20, 0);
    quiet(&target.peer, 20, &bytes).await;
}

/// First words that come slowly, on as many connections as there may be.
pub async fn half_said_hellos(target: &Target) {
    let mut bytes = (64_u32 << 10).to_be_bytes().to_vec();
    bytes.resize(60 << 10, 0);
    quiet(&target.peer, 1_000, &bytes).await;
}

/// Names of 60 KB in first words, again and again.
pub async fn long_names(target: &Target) {
    let hello = Hello { version: VERSION, from: 1, to: 1, from_id: "x".repeat(60_000), ..Hello::default() };
    let bytes = framed(&hello);
    loop {
        let mut socket = connect(&target.peer).await;
        let _ = socket.write_all(&bytes).await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
}

fn framed(message: &impl Message) -> Vec<u8> {
    let body = message.encode_to_vec();
    [&(body.len() as u32).to_be_bytes(), &body[..]].concat()
}

/// After the first words, frames have a checksum.
fn checked(frame: &Frame) -> Vec<u8> {
    let body = frame.encode_to_vec();
    [&(body.len() as u32).to_be_bytes()[..], &crc32c::crc32c(&body).to_be_bytes(), &body].concat()
}

/// A link as the member that is not there.
async fn link(target: &Target, shard: u32) -> TcpStream {
    let client = Client::connect(&target.service).await.expect("the service");
    let seen = info(&client).await;
    let nobody = seen.members.iter().find(|member| member.id == NOBODY).expect("a member");
    let me = seen.members.iter().find(|member| member.id == seen.server_id).expect("a member");
    let hello = Hello {
        version: VERSION,
        cluster_id: seen.cluster_id.clone(),
        from: nobody.number,
        from_id: nobody.id.clone(),
        to: me.number,
        to_id: me.id.clone(),
        shard,
        // One that tells another time is a flood of another kind.
        clock_ms: now_ms(),
        ..Hello::default()
    };
    let mut socket = connect(&target.peer).await;
    let _ = socket.write_all(&framed(&hello)).await;
    let length = socket.read_u32().await.unwrap_or_default() as usize;
    let mut welcome = vec![0; length];
    let _ = socket.read_exact(&mut welcome).await;
    socket
}

/// After hello: a frame of 128 MiB of which all but the last byte comes, for each shard.
pub async fn half_sent_after_hello(target: &Target) {
    let mut links = Vec::new();
    for shard in 0..2 {
        let mut socket = link(target, shard).await;
        let frame = (128_u32 << 20).to_be_bytes().to_vec();
        let _ = socket.write_all(&frame).await;
        links.push(async move {
            let chunk = vec![0; 1 << 20];
            for _ in 0..127 {
                if socket.write_all(&chunk).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        });
    }
    futures_util::future::join_all(links).await;
}

/// After hello: questions without end, and nobody reads the answers.
pub async fn unread_answers_after_hello(target: &Target) {
    let ask = |id: u64| {
        let body = Body::ListNamespaces(ListNamespaces { limit: 1_000, ..Default::default() });
        checked(&Frame { id, group: 1 + (id % 3) as u32, body: Some(body), ..Frame::default() })
    };
    let frames: Vec<u8> = (1..2_000).flat_map(ask).collect();
    loop {
        let mut socket = link(target, 0).await;
        while socket.write_all(&frames).await.is_ok() {}
    }
}

/// Keeps a link busy with frames, and takes what comes back.
async fn busy_link(target: &Target, shard: u32, frames: &[u8]) {
    loop {
        let (mut from, mut to) = link(target, shard).await.into_split();
        let reading = async {
            let mut bytes = vec![0; 64 << 10];
            while matches!(from.read(&mut bytes).await, Ok(read) if read > 0) {}
        };
        let writing = async {
            while to.write_all(frames).await.is_ok() {
                // The reading shares this thread.
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(reading, writing);
    }
}

/// After hello: questions without end, and the answers are read.
pub async fn questions_after_hello(target: &Target) {
    let ask = |id: u64| {
        let body = Body::ReadIndex(ReadIndex::default());
        checked(&Frame { id, group: 1 + (id % 3) as u32, body: Some(body), ..Frame::default() })
    };
    let frames: Vec<u8> = (1..2_000).flat_map(ask).collect();
    tokio::join!(busy_link(target, 0, &frames), busy_link(target, 1, &frames));
}

/// After hello: words that want no answer, about consumers that are not there.
pub async fn words_after_hello(target: &Target) {
    let word = |id: u64| {
        let body = Body::Unused(Unused { consumer: id, tasks: 1 });
        checked(&Frame { group: 1 + (id % 3) as u32, body: Some(body), ..Frame::default() })
    };
    let frames: Vec<u8> = (1..2_000).flat_map(word).collect();
    tokio::join!(busy_link(target, 0, &frames), busy_link(target, 1, &frames));
}

/// After hello: consumers of a thousand namespaces each, none of which is there.
pub async fn consumers_after_hello(target: &Target) {
    let (mut from, mut to) = link(target, 0).await.into_split();
    let reading = async {
        let mut bytes = vec![0; 64 << 10];
        while matches!(from.read(&mut bytes).await, Ok(read) if read > 0) {}
    };
    let writing = async {
        for id in 1..10_000 {
            let namespaces = (0..1_000).map(|n| format!("{id}-{n}-{}", "x".repeat(200))).collect();
            let subscribe = Subscribe { consumer: id, namespaces, queued_bytes_max: 1 << 20, ..Subscribe::default() };
            let group = 1 + (id % 3) as u32;
            let frame = Frame { id, group, body: Some(Body::Subscribe(subscribe)), ..Frame::default() };
            if to.write_all(&checked(&frame)).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::join!(reading, writing);
}

/// A thousand clients that ask for the metrics and do not finish.
pub async fn slow_scrapes(target: &Target) {
    quiet(&target.metrics, 1_000, b"GET /metrics HTTP/1.1\r\nHost:").await;
}

/// A thousand clients that ask for the metrics and do not read them.
pub async fn unread_scrapes(target: &Target) {
    quiet(&target.metrics, 1_000, b"GET /metrics HTTP/1.1\r\nHost: z4\r\n\r\n").await;
}

/// Connections to the SQL port that say nothing.
pub async fn silent_sql(target: &Target) {
    quiet(&target.sql, 1_000, b"").await;
}

/// Statements of 16 MiB of which all but the last byte comes, by as many clients as there may be.
pub async fn half_sent_statements(target: &Target) {
    let mut held = Vec::new();
    let head = [0xfe, 0xff, 0xff, 0];
    let chunk = vec![b' '; 1 << 20];
    for _ in 0..200 {
        let Ok(sql) = mysql::Sql::connect(&target.sql).await else { continue };
        let mut socket = sql.into_stream();
        let chunk = chunk.clone();
        held.push(tokio::spawn(async move {
            let _ = socket.write_all(&head).await;
            for _ in 0..15 {
                if socket.write_all(&chunk).await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        }));
    }
    std::future::pending::<()>().await;
}

/// Rows of a mebibyte that nobody reads.
pub async fn unread_rows(target: &Target) {
    const ROWS: &[u8] = b"\x03select * from tasks where namespace = 'large' and deliver_at between '2000-01-01' and '2100-01-01'";
    let mut held = Vec::new();
    for _ in 0..200 {
        let Ok(sql) = mysql::Sql::connect(&target.sql).await else { continue };
        let mut socket = sql.into_stream();
        let mut packet = (ROWS.len() as u32).to_le_bytes().to_vec();
        packet.extend_from_slice(ROWS);
        let _ = socket.write_all(&packet).await;
        held.push(socket);
    }
    std::future::pending::<()>().await;
}
