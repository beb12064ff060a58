//! The log of a peer whose reader stands still: a container runtime that waits for its disk, a journal that hangs.
//!
//! What would be wrong: a peer that waits with it, as every peer on that machine would at once; or one that ends without its last words.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Peer, create, http};

/// A pipe that takes nothing before it is read, and how many bytes are in it.
async fn full_pipe() -> (File, OwnedFd, usize) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    // Opened once more, because who writes to the other end waits.
    let again = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let filler = tokio::net::unix::pipe::OpenOptions::new().open_sender(again).expect("opened");
    filler.writable().await.expect("it is empty");
    let mut filled = 0;
    while let Ok(written) = filler.try_write(&[b'\n'; 4_096]) {
        filled += written;
    }
    (File::from(OwnedFd::from(reader)), writer.into(), filled)
}

/// Somebody calls on the peer port and talks nonsense; returns from where. The peer has something to say about that.
async fn stranger(peer: &Peer) -> SocketAddr {
    let mut socket = TcpStream::connect(peer.peer_address()).await.expect("connects");
    let address = socket.local_addr().expect("bound");
    // It may be ended before everything is sent.
    let _ = socket.write_all(&[0xff; 64]).await;
    let _ = socket.read(&mut [0; 1]).await;
    address
}

/// Starts on a full pipe, takes calls, and makes lines that wait. Returns what the lines tell of, in their order.
async fn run_unread(peer: &mut Peer, writer: OwnedFd) -> Vec<SocketAddr> {
    peer.log_to(writer.into());
    peer.restart().await;
    let client = peer.client().await;
    let mut strangers = Vec::new();
    for _ in 0..10 {
        strangers.push(stranger(peer).await);
        client.created(create("a", "")).await;
        assert!(client.answers().await);
    }
    let (head, body) = http::get(&peer.metrics_address(), "/healthz").await;
    assert!(head.contains("200"), "{head}\n{body}");
    strangers
}

/// With debugging there are lines from everywhere, the executors included.
const DEBUG: [(&str, &str); 1] = [("Z4_DEBUG_LOGGING_ENABLED", "true")];

#[tokio::test]
async fn a_peer_goes_on_while_nobody_reads_its_log_and_says_everything_when_somebody_does() {
    let (mut reader, writer, filled) = full_pipe().await;
    let mut peer = Peer::idle(&DEBUG);
    let strangers = run_unread(&mut peer, writer).await;
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).expect("read to the end");
        text
    });
    assert!(peer.terminate().await.success());
    let text = reading.await.expect("read");
    let log = String::from_utf8_lossy(&text[filled..]);
    let mut rest: &str = &log;
    for address in strangers {
        let at = rest.find(&address.to_string());
        rest = &rest[at.unwrap_or_else(|| panic!("nothing, or not in its place, about {address}:\n{log}"))..];
    }
    assert!(log.starts_with(|first: char| first.is_ascii_digit()), "{log}");
    assert!(log.contains(" stopped\n"), "the last word:\n{log}");
}

#[tokio::test]
async fn a_peer_ends_when_it_should_although_nobody_reads_its_log() {
    let (reader, writer, _) = full_pipe().await;
    let mut peer = Peer::idle(&DEBUG);
    run_unread(&mut peer, writer).await;
    assert!(peer.terminate().await.success());
    drop(reader);
}
