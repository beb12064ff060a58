//! A cluster comes into being: peers join one by one, each wished for through another peer, over a network that is slow. And one goes.
//!
//! What would be wrong: a peer that only the first one can add, a member that takes part before it has caught up, a wait for an
//! answer that a slow network never gives in time, a group that is led for ever by a peer that was removed.

use std::time::Duration;

use z4_proto::Membership;

use crate::harness::cluster::{Cluster, serves};
use crate::harness::members::{info, transfer};
use crate::harness::network::{Passage, Way};
use crate::harness::wait::until;
use crate::harness::{create, due_at, now_ms};

/// A leader looks every half second what is to be done.
const LONG_ENOUGH_TO_LOSE_A_VOTE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn peers_join_one_by_one_through_different_peers() {
    let mut cluster = Cluster::of_one(&[]).await;
    let first = cluster.client("peer-1");
    let namespaces = [cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    let mut tasks = Vec::new();
    for (n, namespace) in namespaces.iter().cycle().take(20).enumerate() {
        tasks.push(first.created(due_at(namespace, &n.to_string(), now_ms() + 3_600_000)).await);
    }

    let second = cluster.start().await;
    let before = info(&cluster.client(&second)).await;
    assert_eq!((before.membership(), before.server_id.as_str()), (Membership::NotYet, "peer-2"));
    cluster.ask_to_add(&second, 0).await;
    cluster.until_voters(&["peer-1", "peer-2"]).await;

    let third = cluster.start().await;
    let slow = Way { delay: Duration::from_millis(30), jitter: Duration::from_millis(30), ..Way::default() };
    cluster.network.set_around(&third, &cluster.ids(), slow);
    cluster.ask_to_add(&third, 1).await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;

    // Each of them says the same of all, and has the tasks of before.
    let id = info(&first).await.cluster_id;
    for member in &cluster.members {
        let seen = until("everybody is connected", async || {
            let seen = info(&member.client).await;
            (seen.members.len() == 3 && seen.members.iter().all(|server| server.connected)).then_some(seen)
        })
        .await;
        assert_eq!((seen.membership(), &seen.cluster_id), (Membership::Member, &id));
        let addresses: Vec<&str> = seen.members.iter().map(|server| server.address.as_str()).collect();
        assert_eq!(addresses, cluster.members.iter().map(|member| member.address.as_str()).collect::<Vec<_>>());
        for task in &tasks {
            assert_eq!(member.client.get(&task.namespace, &task.id).await.expect("it is there").payload, task.payload);
        }
    }
}

/// A create through any peer says who took it: nobody else, or the leader's address.
#[tokio::test]
async fn a_create_says_where_it_was_forwarded_to() {
    let cluster = Cluster::of_three(&[]).await;
    let leader = cluster.leader(1).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    for member in &cluster.members {
        // Leaders may still be spread: what counts is the leader while it was asked.
        until("the answer names the leader", async || {
            let before = cluster.leader(1).await;
            let answer = member.client.create(create(&namespace, "x")).await.ok()?;
            let after = cluster.leader(1).await;
            if before != after {
                return None;
            }
            let servers = info(&member.client).await.members;
            let address = servers.into_iter().find(|server| server.id == before).expect("a member").address;
            let expected = if before == member.id { String::new() } else { address };
            assert_eq!(answer.forwarded_to, expected, "asked {}, {before} leads", member.id);
            Some(())
        })
        .await;
    }
    drop(leader);
}

/// The registry's leader could take the vote from the peer that goes before that peer has heard why. It leads another group, which nobody else
/// can take it out of.
#[tokio::test]
async fn a_removed_leader_that_hears_of_it_late_hands_over() {
    let cluster = Cluster::of_three(&[]).await;
    until("each leads a group", async || {
        for (group, member) in cluster.members.iter().enumerate() {
            if !serves(&info(&member.client).await, group as u32) {
                let _ = transfer(&member.client, group as u32, &member.id).await;
                return None;
            }
        }
        Some(())
    })
    .await;
    cluster.network.set_between("peer-1", "peer-2", Way::with(Passage::Cut));
    cluster.ask_to_remove("peer-2", 0).await;
    tokio::time::sleep(LONG_ENOUGH_TO_LOSE_A_VOTE).await;
    cluster.network.heal();
    cluster.until_voters(&["peer-1", "peer-3"]).await;
    until("it knows", async || (info(&cluster.client("peer-2")).await.membership() == Membership::Removed).then_some(())).await;
}
