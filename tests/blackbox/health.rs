//! `grpc.health.v1` through a peer's life, as a load balancer asks and watches it.
//!
//! What would be wrong: a peer that says it serves while its groups have no leader yet, or one that stops and says nothing: requests go to it
//! that it cannot answer.

use tonic::Streaming;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::harness::dial::Dial;
use crate::harness::wait::{until, within};
use crate::harness::{Client, Peer, create};

async fn watch(client: &Client) -> Streaming<HealthCheckResponse> {
    let watching = HealthClient::new(client.channel()).watch(HealthCheckRequest::default()).await;
    watching.expect("whoever asks may watch").into_inner()
}

/// What is told next; `None`: nothing more is.
async fn told(watching: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    within("a word", watching.message()).await.ok().flatten().map(|answer| answer.status())
}

/// Story: a peer is killed and starts again on a disk that takes half a second per sync, so that its groups have no leader for a while. Whoever
/// asks meanwhile hears that it does not serve, and once it says that it does, it takes tasks at once.
#[tokio::test]
async fn a_peer_that_boots_does_not_serve_yet() {
    let disks = Dial::new();
    let mut peer = Peer::start_with(&[("TEST_Z4_DISK_DIR", &disks.dir())]).await;
    peer.client().await.created(create("a", "before")).await;
    let address = peer.address();
    peer.kill().await;
    disks.set("peer-1", 500);
    let early = async {
        // Whether its port is free it has tried just before: who connected then is cut off.
        let (client, mut watching) = until("it listens", async || {
            let client = Client::connect(&address).await?;
            let watching = HealthClient::new(client.channel()).watch(HealthCheckRequest::default()).await;
            Some((client, watching.ok()?.into_inner()))
        })
        .await;
        assert_eq!(told(&mut watching).await, Some(ServingStatus::NotServing), "it has only begun to listen");
        let asked = HealthClient::new(client.channel()).check(HealthCheckRequest::default()).await;
        assert_eq!(asked.expect("an answer").into_inner().status(), ServingStatus::NotServing);
        assert!(!client.healthy().await);
        assert_eq!(told(&mut watching).await, Some(ServingStatus::Serving));
        client.created(create("a", "after")).await;
        assert_eq!(client.namespace("a").await.live, 2);
    };
    tokio::join!(early, peer.restart());
}

/// Story: a peer is asked to stop while somebody watches and a call is open. It says that it does not serve any more before it ends, and ends
/// in order.
#[tokio::test]
async fn a_peer_that_stops_says_so_first() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    let mut watching = watch(&client).await;
    assert_eq!(told(&mut watching).await, Some(ServingStatus::Serving));
    let listening = async {
        assert_eq!(told(&mut watching).await, Some(ServingStatus::NotServing));
        while told(&mut watching).await.is_some() {}
    };
    let ((), status) = tokio::join!(listening, peer.terminate());
    assert_eq!(status.code(), Some(0));
}

/// A peer whose address leads nowhere says so by itself, early: nobody will be able to add it, or to reach it. One that is reached is quiet.
#[tokio::test]
async fn a_peer_that_does_not_reach_itself_says_so() {
    const WARNING: &str = "does not reach itself";
    let reached = Peer::start().await;
    let nowhere = Peer::start_with(&[("Z4_PEER_ADVERTISE_ADDR", "127.0.0.1:1")]).await;
    let warned = until("it says so", async || {
        let log = nowhere.log();
        log.lines().find(|line| line.contains(WARNING)).map(str::to_owned)
    })
    .await;
    assert!(warned.contains("127.0.0.1:1") && warned.contains("WARN"), "{warned}");
    assert!(!reached.log().contains(WARNING), "it was started before");
}
