//! Hostile clients against peers of the suite's own, on loopback, one kind after the other, for some seconds each. Beside each flood an
//! honest client creates tasks and another consumes them: the p99 of creates, and of the way from create to delivery, may be ten times that
//! of the idle peer at most, nothing may fail, the peer answers its probe, and its memory stays within the account.
//!
//! Each flood is a process of its own, which takes what processor time others leave: what the honest client waits for is the peer. Every
//! flood runs; at the end there is a table, and the run fails over all that broke a bound.
//!
//! `make attack` runs it; it is no part of the other suites, because it takes four minutes and all cores.

#[path = "../harness/mod.rs"]
mod harness;

mod consumer;
mod floods;
mod held;
mod honest;
mod ports;
mod target;
mod watchers;

use std::time::Duration;

use floods::Flood;
use harness::Peer;
use honest::{Report, measure};
use target::{Flooding, Target, Where};

/// How long the peer is watched without a flood before each, and how long each lasts.
const IDLE: Duration = Duration::from_millis(1_500);
const FLOOD: Duration = Duration::from_secs(4);

/// `request_memory_bytes_max`: no flood makes the peer larger by more.
const ACCOUNT_BYTES: u64 = 256 << 20;

/// So many file descriptors has the peer that has few.
const FEW_DESCRIPTORS: u32 = 1_024;

/// A peer, and where it is flooded.
async fn peer_for(place: Where) -> Peer {
    let account = ACCOUNT_BYTES.to_string();
    let options = [("Z4_REQUEST_MEMORY_BYTES_MAX", &*account)];
    let peer = match place {
        Where::FewDescriptors => Peer::start_with_descriptors(FEW_DESCRIPTORS, &options).await,
        Where::Usual | Where::Member => Peer::start_with(&options).await,
    };
    let client = peer.client().await;
    floods::fill(&client).await;
    if place == Where::Member {
        target::add_nobody(&client).await;
    }
    peer
}

/// One flood against a peer.
async fn run(flood: &Flood, peer: &mut Peer) -> Report {
    // Those who create and those who consume are different programs.
    let clients = [peer.client().await, peer.client().await];
    measure(&clients, peer, IDLE / 3).await;
    let before = peer.resident_bytes();
    let idle = measure(&clients, peer, IDLE).await;
    let flooding = Flooding::start(flood.name, &Target::of(peer));
    let flooded = measure(&clients, peer, FLOOD).await;
    drop(flooding);
    let exited = peer.exited().map(|status| status.to_string());
    Report { name: flood.name, idle, flooded, before, exited }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "takes four minutes and all cores: make attack"]
async fn hostile_clients_harm_nobody_but_themselves() {
    let only = std::env::var("Z4_ATTACK_ONLY").unwrap_or_default();
    let mut reports: Vec<Report> = Vec::new();
    for place in [Where::Usual, Where::FewDescriptors, Where::Member] {
        let mut peer: Option<Peer> = None;
        for flood in floods::all().filter(|flood| flood.place == place && flood.name.contains(&only)) {
            let mut attacked = match peer.take() {
                Some(peer) => peer,
                None => peer_for(place).await,
            };
            let report = run(&flood, &mut attacked).await;
            println!("{report}");
            // One that ended is not flooded again.
            peer = report.exited.is_none().then_some(attacked);
            reports.push(report);
        }
    }
    println!("\n{}", Report::HEAD);
    reports.iter().for_each(|report| println!("{report}"));
    let broken: Vec<String> = reports.iter().flat_map(|report| report.broken(ACCOUNT_BYTES)).collect();
    assert!(!reports.is_empty(), "no flood is called so: {only}");
    assert!(broken.is_empty(), "{} bounds are broken:\n{}", broken.len(), broken.join("\n"));
}

/// The process of one flood; started by the test above.
#[test]
#[ignore = "the other half of the test above"]
fn a_flood() {
    let Some((name, target)) = target::asked_for() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let _ = tokio::time::timeout(target::LIFE_MAX, floods::flood(&name, &target)).await;
    });
}
