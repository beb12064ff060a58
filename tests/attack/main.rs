//! Hostile clients against a peer of the suite's own, on loopback, one kind after the other, for some seconds each. Beside each flood an
//! honest client creates tasks: its p99 may be ten times that of an idle peer at most, no create may fail, the peer answers its probe,
//! and its memory stays within the account.
//!
//! `make attack` runs it; it is no part of the other suites, because it takes a minute and both cores.

#[path = "../harness/mod.rs"]
mod harness;

mod floods;

use std::time::Duration;

use futures_util::future::{Either, select};
use harness::{Client, Peer, create};
use tokio::time::Instant;

/// How long each flood lasts.
const FLOOD: Duration = Duration::from_secs(5);

/// What an honest client may wait for at least, whatever an idle peer takes: below it, the machine's own noise is measured.
const FLOOR: Duration = Duration::from_millis(10);

/// `request_memory_bytes_max`, and what the peer may have besides while it is flooded: what is on its way from socket to account, and
/// what the allocator keeps.
const ACCOUNT_BYTES: u64 = 256 << 20;
const BESIDES_BYTES: u64 = 128 << 20;

/// Creates one task after the other for some time; returns how long each took.
async fn creates(client: &Client, time: Duration) -> Vec<Duration> {
    let until = Instant::now() + time;
    let mut took = Vec::new();
    while Instant::now() < until {
        let since = Instant::now();
        client.created(create("honest", "x")).await;
        took.push(since.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    took.sort();
    took
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() * 99 / 100]
}

/// The slowest answer to `/healthz`, asked for some time on a connection of its own each.
async fn probe(peer: &Peer, time: Duration) -> Duration {
    let until = Instant::now() + time;
    let mut slowest = Duration::ZERO;
    while Instant::now() < until {
        let since = Instant::now();
        let (head, body) = harness::http::get(&peer.metrics_address(), "/healthz").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
        slowest = slowest.max(since.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    slowest
}

/// One flood; `attack` goes on until it is dropped.
async fn flood(name: &str, peer: &Peer, idle: Duration, attack: impl Future<Output = ()>) {
    let client = peer.client().await;
    let measured = async { tokio::join!(creates(&client, FLOOD), probe(peer, FLOOD)) };
    let (took, slowest_probe) = match select(Box::pin(measured), Box::pin(attack)).await {
        Either::Left((measured, _)) => measured,
        Either::Right(((), measured)) => measured.await,
    };
    let resident = peer.resident_bytes();
    println!(
        "{name}: {} creates, p50 {:?}, p99 {:?} (idle {idle:?}), slowest probe {slowest_probe:?}, {} MiB resident",
        took.len(),
        took[took.len() / 2],
        p99(&took),
        resident >> 20
    );
    assert!(p99(&took) <= 10 * idle.max(FLOOR), "{name}: creates waited {:?}", p99(&took));
    assert!(slowest_probe < Duration::from_secs(1), "{name}: the probe waited {slowest_probe:?}");
    assert!(resident <= ACCOUNT_BYTES + BESIDES_BYTES, "{name}: {} MiB are resident", resident >> 20);
    assert!(peer.runs(), "{name}: the peer ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "takes a minute and both cores: make attack"]
async fn hostile_clients_harm_nobody_but_themselves() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    floods::fill(&client).await;
    creates(&client, Duration::from_secs(1)).await;
    let idle = p99(&creates(&client, FLOOD).await);
    println!("idle: p99 {idle:?}, {} MiB resident", peer.resident_bytes() >> 20);
    for (name, frame) in floods::CONTROL_FRAMES {
        flood(name, &peer, idle, floods::control(&peer, frame)).await;
    }
    flood("lists whose answers are not read", &peer, idle, floods::unread_lists(&peer)).await;
    flood("idle streams", &peer, idle, floods::idle_streams(&peer)).await;
    flood("batches of millions of empty tasks", &peer, idle, floods::empty_tasks(&peer)).await;
    flood("half-sent messages", &peer, idle, floods::half_sent(&peer)).await;
    flood("half-sent frames on the peer port", &peer, idle, floods::half_sent_to_peers(&peer)).await;
    flood("slow clients of the metrics port", &peer, idle, floods::slow_scrapes(&peer)).await;
    flood("silent connections", &peer, idle, floods::silent(&peer)).await;
}
