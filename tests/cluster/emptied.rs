//! Disks that are emptied, replaced, killed while they join, or moved: who a peer is.
//!
//! What would be wrong: a peer that has lost its disk votes as what it was, and tasks that were acknowledged are gone; or it can never
//! come back, although its place is waiting for it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tonic::Code;
use z4_proto::Membership;

use crate::harness::cluster::{Cluster, serves};
use crate::harness::members::{add, add_as, info};
use crate::harness::wait::until;
use crate::harness::{due_at, now_ms};

const TASKS: usize = 200;

/// Several election timeouts.
const LONG_ENOUGH_TO_ELECT: Duration = Duration::from_secs(8);

async fn acknowledge(cluster: &Cluster, through: &str, namespaces: &[String]) {
    for namespace in namespaces {
        for batch in 0..TASKS / namespaces.len() / 20 {
            let tasks: Vec<_> = (0..20).map(|n| due_at(namespace, &(batch * 20 + n).to_string(), now_ms() + 3_600_000)).collect();
            let client = cluster.client(through);
            until("a batch is acknowledged", async || {
                let answers = client.create_batch(tasks.clone()).await.ok()?;
                answers.iter().all(|answer| answer.status == 0).then_some(())
            })
            .await;
        }
    }
}

async fn count(cluster: &Cluster, through: &str, namespaces: &[String]) -> usize {
    let mut found = 0;
    for namespace in namespaces {
        let client = cluster.client(through);
        found += until("the tasks are read", async || client.try_namespace(namespace).await.ok()).await.live as usize;
    }
    found
}

/// C is away while A and B acknowledge; B's disk is emptied; A goes. B has nothing and C has nothing of it: together they must not be a
/// majority, or every task is gone.
#[tokio::test]
async fn an_emptied_disk_elects_nobody() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespaces = [cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    cluster.member("peer-3").peer.kill().await;
    acknowledge(&cluster, "peer-1", &namespaces).await;
    cluster.member("peer-2").peer.kill().await;
    cluster.member("peer-2").peer.empty();
    cluster.restart("peer-2").await;
    // The healthy one is not taken in either, and says what to do.
    let log = |cluster: &mut Cluster, id: &str| cluster.member(id).peer.log();
    until("both ends say how to go on", async || {
        let told = |log: String| log.contains("add-peer --replace");
        (told(log(&mut cluster, "peer-1")) && told(log(&mut cluster, "peer-2"))).then_some(())
    })
    .await;
    assert_eq!(info(&cluster.client("peer-2")).await.membership(), Membership::NotYet);
    cluster.member("peer-1").peer.kill().await;
    cluster.restart("peer-3").await;
    until("the one that was away says so as well", async || {
        log(&mut cluster, "peer-2").matches("add-peer --replace").count().checked_sub(1)
    })
    .await;
    tokio::time::sleep(LONG_ENOUGH_TO_ELECT).await;
    for id in ["peer-2", "peer-3"] {
        let seen = info(&cluster.client(id)).await;
        assert!((0..=2).all(|group| !serves(&seen, group)), "{id} leads without having the tasks: {seen:?}");
    }
    assert!(!cluster.member("peer-2").peer.peer_dir().join("identity.toml").exists(), "it is nobody");

    cluster.restart("peer-1").await;
    assert_eq!(count(&cluster, "peer-1", &namespaces).await, TASKS);
    let address = cluster.member("peer-2").address.clone();
    let first = cluster.client("peer-1");
    let refused = until("the registry is read", async || {
        add(&first, "peer-2", &address).await.err().filter(|refused| refused.code() == Code::FailedPrecondition)
    })
    .await;
    assert!(refused.message().contains("--replace"), "{refused}");
    until("its place is taken", async || add_as(&first, "peer-2", &address, "replace").await.ok()).await;
    // Asked again, as a tool that had no answer does, it changes nothing.
    until("once is enough", async || add_as(&first, "peer-2", &address, "replace").await.ok()).await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    cluster.until_equal().await;
    assert_eq!(count(&cluster, "peer-2", &namespaces).await, TASKS);
    let numbers: Vec<_> = info(&first).await.members.into_iter().map(|member| (member.number, member.id)).collect();
    assert_eq!(numbers, [(1, "peer-1".into()), (3, "peer-3".into()), (4, "peer-2".into())]);
    until("a living disk is not replaced", async || add_as(&first, "peer-2", &address, "replace").await.ok()).await;
    assert_eq!(info(&first).await.members.len(), 3);
    assert!(info(&first).await.members.iter().all(|member| member.number < 5), "it was left alone");
}

/// The peer that started the cluster is told to do so again with an empty disk: it makes another cluster, and the others do not take
/// that for theirs.
#[tokio::test]
async fn a_first_peer_that_was_emptied_does_not_speak_for_the_old_cluster() {
    let mut cluster = Cluster::of_three(&[]).await;
    let namespaces = [cluster.namespace_of(1, "mail").await];
    acknowledge(&cluster, "peer-2", &namespaces).await;
    let old = info(&cluster.client("peer-2")).await.cluster_id;
    cluster.member("peer-1").peer.kill().await;
    cluster.member("peer-1").peer.empty();
    cluster.restart("peer-1").await;
    let alone = info(&cluster.client("peer-1")).await;
    assert!(alone.cluster_id != old && alone.members.len() == 1, "{alone:?}");
    until("the others tell it apart", async || {
        cluster.member("peer-2").peer.log().contains("belongs to the cluster").then_some(())
    })
    .await;
    let address = cluster.member("peer-1").address.clone();
    let refused = add_as(&cluster.client("peer-2"), "peer-1", &address, "replace").await.expect_err("another cluster");
    assert!(refused.message().contains(&alone.cluster_id), "{refused}");
    assert_eq!(count(&cluster, "peer-3", &namespaces).await, TASKS);
    // Without the wish for a cluster of its own it comes back.
    cluster.member("peer-1").peer.kill().await;
    cluster.member("peer-1").peer.empty();
    cluster.member("peer-1").peer.set("Z4_BOOTSTRAP_CLUSTER", "false");
    cluster.restart("peer-1").await;
    let second = cluster.client("peer-2");
    until("its place is taken", async || add_as(&second, "peer-1", &address, "replace").await.ok()).await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    assert_eq!(count(&cluster, "peer-1", &namespaces).await, TASKS);
}

/// A member's disk is put back to what it was while it waited to be added: the registry has it, but it knows nothing of what it has promised.
/// And a copy of it waits under another id.
#[tokio::test]
async fn a_disk_that_is_put_back_to_before_it_joined_is_not_invited_again() {
    let mut cluster = Cluster::of_one(&[]).await;
    for _ in 0..2 {
        cluster.start().await;
    }
    assert_eq!(cluster.member("peer-2").peer.terminate().await.code(), Some(0));
    let waiting = cluster.member("peer-2").peer.back_up();
    cluster.restart("peer-2").await;
    cluster.ask_to_add("peer-2", 0).await;
    cluster.until_voters(&["peer-1", "peer-2"]).await;
    let namespaces = [cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    acknowledge(&cluster, "peer-1", &namespaces).await;
    for id in ["peer-2", "peer-3"] {
        cluster.member(id).peer.kill().await;
        cluster.member(id).peer.put_back(&waiting);
        cluster.restart(id).await;
    }
    until("its member says how to go on", async || {
        cluster.member("peer-1").peer.log().contains("put back to what it was before it joined").then_some(())
    })
    .await;
    tokio::time::sleep(LONG_ENOUGH_TO_ELECT).await;
    assert_eq!(info(&cluster.client("peer-2")).await.membership(), Membership::NotYet);
    assert!(!cluster.member("peer-2").peer.peer_dir().join("identity.toml").exists(), "it is nobody");
}

/// Three machines from one image, in which a peer was started once: they have one disk, and one of them is a member.
#[tokio::test]
async fn clones_of_a_disk_are_one_member() {
    let mut cluster = Cluster::of_one(&[]).await;
    for _ in 0..2 {
        cluster.start().await;
    }
    assert_eq!(cluster.member("peer-2").peer.terminate().await.code(), Some(0));
    let image = cluster.member("peer-2").peer.back_up();
    cluster.restart("peer-2").await;
    cluster.member("peer-3").peer.kill().await;
    cluster.member("peer-3").peer.put_back(&image);
    cluster.restart("peer-3").await;
    cluster.ask_to_add("peer-2", 0).await;
    cluster.until_voters(&["peer-1", "peer-2"]).await;
    let (first, address) = (cluster.client("peer-1"), cluster.member("peer-3").address.clone());
    let refused = until("the registry is read", async || {
        add(&first, "peer-3", &address).await.err().filter(|refused| refused.code() == Code::FailedPrecondition)
    })
    .await;
    for part in ["is that of peer peer-2", "empty both directories"] {
        assert!(refused.message().contains(part), "{part} is not in: {refused}");
    }
    cluster.member("peer-3").peer.kill().await;
    cluster.member("peer-3").peer.empty();
    cluster.restart("peer-3").await;
    cluster.ask_to_add("peer-3", 0).await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
}

/// Pods keep their names: what was removed comes back under its id, with an empty disk and another number.
#[tokio::test]
async fn an_id_comes_back_after_it_was_removed() {
    let mut cluster = Cluster::of_three(&[]).await;
    cluster.ask_to_remove("peer-2", 0).await;
    cluster.until_voters(&["peer-1", "peer-3"]).await;
    let address = cluster.member("peer-2").address.clone();
    let refused = add(&cluster.client("peer-1"), "peer-2", &address).await.expect_err("it has the old disk");
    assert!(refused.message().contains("was removed") && refused.message().contains("empty"), "{refused}");
    cluster.member("peer-2").peer.kill().await;
    cluster.member("peer-2").peer.empty();
    cluster.restart("peer-2").await;
    cluster.ask_to_add("peer-2", 0).await;
    cluster.until_voters(&["peer-1", "peer-2", "peer-3"]).await;
    let mut numbers: Vec<_> = info(&cluster.client("peer-2")).await.members.into_iter().map(|member| member.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 3, 4]);
}

/// It has its identity and nothing else: no registry, so no members, no groups that it could read about. It has to go on from there.
#[tokio::test]
async fn a_peer_that_is_killed_while_it_joins_starts_again() {
    let mut cluster = Cluster::of_one(&[]).await;
    for _ in 0..3 {
        let id = cluster.start().await;
        cluster.ask_to_add(&id, 0).await;
        let member = cluster.member(&id);
        while !member.peer.log().contains("joining a cluster") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        member.peer.kill().await;
        // Nobody tells it anything while it starts.
        cluster.member("peer-1").peer.signal("STOP");
        cluster.restart(&id).await;
        assert_eq!(info(&cluster.client(&id)).await.membership(), Membership::Member);
        cluster.member("peer-1").peer.signal("CONT");
    }
    cluster.until_voters(&["peer-1", "peer-2", "peer-3", "peer-4"]).await;
}

/// A peer that joins is killed at random moments, again and again, from before anybody calls it until after it votes. It starts each time, and
/// becomes a member with all the tasks. `Z4_TEST_SEED` repeats a run.
#[tokio::test]
async fn a_peer_that_is_killed_at_any_moment_of_its_joining_joins() {
    let seed = std::env::var("Z4_TEST_SEED").ok().map_or_else(rand::random, |seed| seed.parse().expect("a number"));
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::of_one(&[]).await;
    let namespaces = [cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    acknowledge(&cluster, "peer-1", &namespaces).await;
    for _ in 0..2 {
        let id = cluster.start().await;
        cluster.ask_to_add(&id, 0).await;
        for _ in 0..6 {
            // Joining takes some hundred milliseconds; most of what can be interrupted happens early.
            let within_us = rng.random_range(1_000..800_000);
            let moment = Duration::from_micros(rng.random_range(0..within_us));
            println!("{id} is killed after {moment:?}");
            tokio::time::sleep(moment).await;
            cluster.member(&id).peer.kill().await;
            cluster.restart(&id).await;
        }
        let voters: Vec<String> = cluster.ids();
        cluster.until_voters(&voters.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    cluster.until_equal().await;
    for id in cluster.ids() {
        assert_eq!(count(&cluster, &id, &namespaces).await, TASKS, "{id}");
    }
}

/// A peer that is started elsewhere is still that peer: the registry follows, so that the others can call it.
#[tokio::test]
async fn a_member_that_comes_back_elsewhere_moves_the_registry() {
    let mut cluster = Cluster::of_three(&[]).await;
    cluster.member("peer-2").peer.kill().await;
    let before = cluster.member("peer-2").address.clone();
    let address = cluster.network.attach("peer-2-elsewhere").await;
    cluster.member("peer-2").peer.set("Z4_PEER_ADVERTISE_ADDR", &address);
    cluster.restart("peer-2").await;
    let now_at = cluster.member("peer-2").peer.peer_address();
    cluster.network.move_to("peer-2-elsewhere", &now_at);
    for id in ["peer-1", "peer-2", "peer-3"] {
        until("everybody knows the new address", async || {
            let seen = info(&cluster.client(id)).await;
            assert!(seen.members.iter().all(|member| member.id != "peer-2" || [&before, &address].contains(&&member.address)));
            seen.members.iter().any(|member| member.address == address && member.connected).then_some(())
        })
        .await;
    }
    assert_ne!(before, address);
}
