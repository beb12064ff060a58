//! Limits of connections, and options that change a limit.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use z4_proto::CreateTaskRequest;

use super::limits::refused;
use crate::harness::wait::{until, within};
use crate::harness::{Client, Peer, create};

/// A connection over which the peer answers.
async fn connect(peer: &Peer) -> Option<Client> {
    let client = Client::connect(&peer.address()).await?;
    client.healthy().await.then_some(client)
}

/// As many connections as the option allows, and no more; those that are open go on, and one that closes makes room.
#[tokio::test]
async fn connections_are_bounded() {
    const CONNECTIONS: usize = 4;
    let peer = Peer::start_with(&[("Z4_CONNECTIONS_MAX", "4")]).await;
    let mut open = Vec::new();
    while open.len() < CONNECTIONS {
        // The harness has just closed some; the peer may not have noticed yet.
        open.push(until("there is room for a connection", async || connect(&peer).await).await);
    }
    assert!(connect(&peer).await.is_none(), "one connection too many was served");
    for client in &open {
        assert!(client.healthy().await, "an open connection suffers from the one that was refused");
    }
    open.pop();
    until("a closed connection makes room", async || connect(&peer).await).await;
}

/// Who connects and says nothing, or something that is no HTTP/2, is sent away; they would hold a connection each for ever.
#[tokio::test]
async fn a_connection_that_speaks_no_http2_is_closed() {
    let peer = Peer::start_with(&[("Z4_HANDSHAKE_TIMEOUT_MS", "300")]).await;
    for said in [&b""[..], b"nonsense\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM"] {
        let mut stream = TcpStream::connect(peer.address()).await.expect("the port is open");
        stream.write_all(said).await.expect("taken");
        let mut answer = Vec::new();
        // The end may come as a reset.
        let _ = within("the peer closes the connection", stream.read_to_end(&mut answer)).await;
    }
    assert!(connect(&peer).await.is_some());
}

/// A client sends more calls at once than the connection may carry: they wait for each other, and all are done.
#[tokio::test]
async fn calls_above_the_bound_of_a_connection_wait() {
    let peer = Peer::start_with(&[("Z4_STREAMS_PER_CONNECTION_MAX", "2")]).await;
    let client = peer.client().await;
    // The bound is in the peer's first frame; what a client sends before it has read that may be refused.
    assert!(client.healthy().await);
    let calls = (0..100).map(|n| client.created(create("a", &n.to_string())));
    futures_util::future::join_all(calls).await;
    assert_eq!(client.namespace("a").await.live, 100);
}

/// A limit that an operator changes is the limit, and the refusal names it.
#[tokio::test]
async fn an_option_changes_its_limit() {
    let peer = Peer::start_with(&[("Z4_PAYLOAD_BYTES_MAX", "10"), ("Z4_BATCH_TASKS_MAX", "2")]).await;
    let client = peer.client().await;
    let payload = |bytes: usize| CreateTaskRequest { payload: vec![b'x'; bytes].into(), ..create("a", "") };
    refused(client.create(payload(11)).await, &["payload", "11", "10", "payload_bytes_max"]);
    refused(client.create_batch(vec![payload(1); 3]).await, &["tasks", "3", "2", "batch_tasks_max"]);
    client.created(payload(10)).await;
}
