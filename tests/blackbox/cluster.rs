//! Three peers: they become a cluster, every group gets its replicas and votes there, leaders are spread, and a member goes again.

use z4_proto::*;

use crate::harness::members::{add, info, remove, replicas, transfer, until_replicas};
use crate::harness::wait::{until, within};
use crate::harness::{Client, Peer, create, http};

/// A peer that waits to be added.
async fn waiting(id: &str) -> Peer {
    Peer::start_with(&[("Z4_BOOTSTRAP_CLUSTER", "false"), ("Z4_PEER_ID", id)]).await
}

const IDS: [&str; 3] = ["peer-1", "peer-2", "peer-3"];

/// Three peers, each a voter of every group.
async fn three() -> ([Peer; 3], [Client; 3]) {
    let peers = [Peer::start().await, waiting(IDS[1]).await, waiting(IDS[2]).await];
    let clients = [peers[0].client().await, peers[1].client().await, peers[2].client().await];
    for n in [1, 2] {
        add(&clients[0], IDS[n], &peers[n].peer_address()).await.expect("the wish is stored");
    }
    until_replicas(&clients[0], &["peer-1+", "peer-2+", "peer-3+"]).await;
    (peers, clients)
}

/// How many groups each peer leads, by the word of the peers themselves.
async fn led(clients: &[Client]) -> Vec<usize> {
    let mut led = Vec::new();
    for client in clients {
        led.push(info(client).await.groups.iter().filter(|group| group.serves).count());
    }
    led
}

#[tokio::test]
async fn peers_become_a_cluster_and_leaders_are_spread() {
    let (peers, clients) = three().await;
    let cluster = info(&clients[0]).await.cluster_id;
    for (client, id) in clients.iter().zip(IDS) {
        let seen = until_replicas(client, &["peer-1+", "peer-2+", "peer-3+"]).await;
        assert_eq!((seen.server_id.as_str(), seen.membership(), &seen.cluster_id), (id, Membership::Member, &cluster));
        assert_eq!(seen.members.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), IDS);
        until("everybody is connected", async || info(client).await.members.iter().all(|m| m.connected).then_some(())).await;
    }
    // Four groups on three peers.
    let spread = until("leaders are spread", async || {
        let mut led = led(&clients).await;
        led.sort_unstable();
        (led == [1, 1, 2]).then_some(led)
    })
    .await;
    assert_eq!(spread.iter().sum::<usize>(), 4);
    // Operators see who is reached, whose clock is where, and how far behind the replicas of led groups are.
    until("each peer shows the two others, and no lag", async || {
        let mut lags = 0;
        for peer in &peers {
            let (_, text) = http::get(&peer.metrics_address(), "/metrics").await;
            let of = |name: &str| text.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
            let (connected, skews, behind) =
                (of("z4_peer_connected{"), of("z4_peer_clock_skew_seconds{"), of("z4_raft_replication_lag{"));
            if connected.len() != 2
                || skews.len() != 2
                || !connected.iter().chain(&behind).all(|l| l.ends_with(" 1") || l.ends_with(" 0"))
            {
                return None;
            }
            assert!(connected.iter().all(|line| line.ends_with(" 1")), "{connected:?}");
            lags += behind.iter().filter(|line| line.ends_with(" 0")).count();
        }
        (lags == 4 * 2).then_some(())
    })
    .await;
    // The same state everywhere.
    for group in 0..=3 {
        until("equal hashes at an equal index", async || {
            let mut seen = Vec::new();
            for client in &clients {
                let answer = within("GetStateHash", client.admin.clone().get_state_hash(GetStateHashRequest { group })).await;
                seen.push(answer.expect("a hash").into_inner());
            }
            let equal = seen.iter().all(|hash| hash.applied_index == seen[0].applied_index);
            assert!(!equal || seen.iter().all(|hash| hash.hash == seen[0].hash), "group {group}: {seen:?}");
            equal.then_some(())
        })
        .await;
    }
}

/// Asked of any peer, the leader moves, and tells nothing else than the truth when it cannot.
#[tokio::test]
async fn a_leader_moves_where_it_is_told_to() {
    let (_peers, clients) = three().await;
    for (client, to) in clients.iter().zip(["peer-2", "peer-3", "peer-1"]) {
        // A moment after an election, or in the middle of another move, it may have to be asked again.
        until("the leader moves", async || transfer(client, 2, to).await.ok()).await;
        until("everybody sees it", async || {
            let mut all = true;
            for client in &clients {
                all &= info(client).await.groups[2].leader == to;
            }
            all.then_some(())
        })
        .await;
    }
}

/// A member is taken out of every group, the leader of everything as well; the others go on.
#[tokio::test]
async fn a_member_goes_although_it_leads() {
    let (peers, clients) = three().await;
    // By the word of another peer: the one that goes may hear the last of it late.
    remove(&clients[1], "peer-1").await.or(remove(&clients[0], "peer-1").await).expect("the wish is stored");
    let seen = until("peer-1 has no replica any more", async || {
        let seen = info(&clients[1]).await;
        replicas(&seen).iter().all(|replicas| replicas == &["peer-2+", "peer-3+"]).then_some(seen)
    })
    .await;
    assert_eq!(seen.members.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["peer-2", "peer-3"]);
    until("the removed peer knows", async || (info(&clients[0]).await.membership() == Membership::Removed).then_some(())).await;
    until("the others lead everything", async || (led(&clients[1..]).await.iter().sum::<usize>() == 4).then_some(())).await;
    until("tasks are taken", async || {
        for client in &clients[1..] {
            if client.create(create("emails", "x")).await.is_ok() {
                return Some(());
            }
        }
        None
    })
    .await;
    drop(peers);
}
