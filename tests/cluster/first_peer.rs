//! `deploy/start-peer.sh`, with which the peers of containers start: the first one of a new cluster, and one that looks like it.
//!
//! What would be wrong: a first peer that has lost its disk starts a second cluster beside the one that is there, and clients find two; or
//! a new cluster never begins.

use z4_proto::{GetClusterInfoRequest, Membership};

use crate::harness::cluster::Cluster;
use crate::harness::members::{add_as, info};
use crate::harness::wait::until;
use crate::harness::{Client, Peer, due_at, now_ms};

const SCRIPT: &str = "deploy/start-peer.sh";

/// Waits until the script says that it goes on waiting, and for whom.
async fn until_it_waits_for(peer: &Peer, whom: &str) {
    let words = format!("WAITING: no answer from {whom} (");
    until(&words, async || peer.log().contains(&words).then_some(())).await;
    assert!(!peer.peer_dir().join("owner.toml").exists(), "z4 was started");
}

async fn standing(client: &Client) -> Membership {
    info(client).await.membership()
}

/// A first start: all are there at last, and nobody belongs to a cluster. From then on the first one is a member like any other, which
/// asks nobody when it comes back.
#[tokio::test]
async fn a_cluster_begins_when_all_peers_answer_and_none_is_a_member() {
    let nobody = [("Z4_BOOTSTRAP_CLUSTER", "false")];
    let (mut second, mut third) = (Peer::start_with(&nobody).await, Peer::start_with(&nobody).await);
    let peers = format!("first=127.0.0.1:1 second={} third={}", second.address(), third.address());
    third.kill().await;

    let mut first = Peer::idle(&[("Z4_BOOTSTRAP_CLUSTER", "false"), ("Z4_PEER_ID", ""), ("PEER", "first"), ("PEERS", &peers)]);
    first.start_by(SCRIPT);
    first.begin();
    until_it_waits_for(&first, "third").await;
    third.restart().await;
    first.until_ready().await;
    let begun = info(&first.client().await).await;
    assert_eq!((begun.membership(), begun.members.len(), &*begun.server_id), (Membership::Member, 1, "first"));

    for peer in [&mut first, &mut second, &mut third] {
        peer.kill().await;
    }
    first.restart().await;
    assert_eq!(info(&first.client().await).await.cluster_id, begun.cluster_id);
    assert!(!first.log().contains("start-peer:"), "a member asks nobody");

    // Whoever is not the first one never starts a cluster, however alone it is.
    second.start_by(SCRIPT);
    second.set("PEER", "second");
    second.set("PEERS", &peers);
    second.restart().await;
    assert_eq!(standing(&second.client().await).await, Membership::NotYet);
}

/// The disk of the first peer is lost while the cluster is there: whoever answers tells of it, and while nobody does, nothing begins.
#[tokio::test]
async fn a_first_peer_that_lost_its_disk_starts_no_second_cluster() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    let created = async || cluster.client("peer-2").create(due_at(&namespace, "1", now_ms() + 3_600_000)).await.ok();
    until("a task is created", created).await;
    let old = info(&cluster.client("peer-2")).await.cluster_id;
    let peers: Vec<String> = cluster.members.iter().map(|member| format!("{}={}", member.id, member.peer.address())).collect();
    let first = &mut cluster.member("peer-1").peer;
    first.start_by(SCRIPT);
    for (name, value) in [("PEER", "peer-1"), ("PEERS", &*peers.join(" ")), ("Z4_BOOTSTRAP_CLUSTER", "false")] {
        first.set(name, value);
    }

    // The others run; one of them is enough.
    for away in [None, Some("peer-3"), Some("peer-2")] {
        cluster.member("peer-1").peer.kill().await;
        cluster.member("peer-1").peer.empty();
        if let Some(away) = away {
            cluster.member(away).peer.kill().await;
        }
        cluster.restart("peer-1").await;
        assert_eq!(standing(&cluster.client("peer-1")).await, Membership::NotYet, "{away:?} is away");
        assert!(cluster.member("peer-1").peer.log().contains("belongs to a cluster: peer-1 starts none"));
        if let Some(away) = away {
            cluster.restart(away).await;
        }
    }

    // Nobody answers, and then one that has no quorum.
    for id in ["peer-1", "peer-2", "peer-3"] {
        cluster.member(id).peer.kill().await;
    }
    cluster.member("peer-1").peer.empty();
    cluster.member("peer-1").peer.begin();
    until_it_waits_for(&cluster.member("peer-1").peer, "peer-2 peer-3").await;
    cluster.restart("peer-2").await;
    cluster.member("peer-1").peer.until_ready().await;
    let address = cluster.member("peer-1").peer.peer_address();
    cluster.network.move_to("peer-1", &address);
    assert_eq!(standing(&cluster.client("peer-1")).await, Membership::NotYet);

    cluster.restart("peer-3").await;
    let address = cluster.member("peer-1").address.clone();
    let second = cluster.client("peer-2");
    until("its place is taken", async || add_as(&second, "peer-1", &address, "replace").await.ok()).await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    assert_eq!(info(&cluster.client("peer-1")).await.cluster_id, old);
    let read = async || cluster.client("peer-1").try_namespace(&namespace).await.ok();
    assert_eq!(until("the namespace is read", read).await.live, 1);

    // Two disks are lost, and the third is away with what is left: the one that answers is nobody, too, and that is not enough.
    for id in ["peer-1", "peer-2", "peer-3"] {
        cluster.member(id).peer.kill().await;
    }
    for id in ["peer-1", "peer-2"] {
        cluster.member(id).peer.empty();
    }
    cluster.restart("peer-2").await;
    assert_eq!(standing(&cluster.client("peer-2")).await, Membership::NotYet);
    cluster.member("peer-1").peer.begin();
    until_it_waits_for(&cluster.member("peer-1").peer, "peer-3").await;
    cluster.restart("peer-3").await;
    cluster.member("peer-1").peer.until_ready().await;
    assert_eq!(standing(&cluster.client("peer-1")).await, Membership::NotYet);
}

/// The first peer may ask in the very moment in which a member starts: a member that is taken for nobody is how a second cluster begins.
#[tokio::test]
async fn a_member_that_starts_is_a_member_from_its_first_answer_on() {
    let mut peer = Peer::start_with(&[("Z4_SHARDS", "8")]).await;
    let address = peer.address();
    for _ in 0..5 {
        peer.kill().await;
        peer.begin();
        let (first, ()) = tokio::join!(first_answer(&address), peer.until_ready());
        assert_eq!(first, Membership::Member);
    }
}

/// Asks until somebody answers.
async fn first_answer(address: &str) -> Membership {
    until("the first answer", async || {
        let client = Client::connect(address).await?;
        let info = client.admin.clone().get_cluster_info(GetClusterInfoRequest {}).await.ok()?;
        Some(info.into_inner().membership())
    })
    .await
}
