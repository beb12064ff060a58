//! LeaseTasks of several groups with leaders at several peers.
//!
//! What would be wrong: an answer that is too large for the client, which then has leases of which it knows nothing, or tasks that are leased
//! to nobody because their leader changed while a call was under way.

use std::collections::BTreeSet;

use z4_proto::collection_client::CollectionClient;
use z4_proto::{CreateTaskRequest, LeaseTasksRequest};

use crate::harness::cluster::Cluster;
use crate::harness::create;
use crate::harness::members::transfer;
use crate::harness::wait::until;

const EACH: usize = 6;

#[tokio::test]
async fn what_does_not_fit_into_one_answer_comes_in_the_next_ones() {
    let cluster = Cluster::of_three(&[("Z4_GROUPS", "5")]).await;
    lease_all(&cluster).await;
}

/// The same while every group is handed over all the time.
#[tokio::test]
async fn what_does_not_fit_is_with_nobody_also_while_leaders_move() {
    let cluster = Cluster::of_three(&[("Z4_GROUPS", "5")]).await;
    let moving = async {
        for turn in 0.. {
            for group in 1..=5 {
                let member = &cluster.members[(turn + group) % 3];
                // One that is not possible just now is left out.
                let _ = transfer(&member.client, group as u32, &member.id).await;
            }
        }
    };
    tokio::select! {
        () = lease_all(&cluster) => {}
        () = moving => unreachable!("they move on and on"),
    }
}

/// Large tasks are made in five groups, and leased and acked until none is left, by way of each member.
async fn lease_all(cluster: &Cluster) {
    let mut namespaces = Vec::new();
    for group in 1..=5 {
        namespaces.push(cluster.namespace_of(group, "large").await);
    }
    for member in &cluster.members {
        // As it comes: messages of up to 4 MiB.
        let mut client = CollectionClient::new(member.client.channel());
        let mut left = BTreeSet::new();
        for namespace in &namespaces {
            for _ in 0..EACH {
                let request = CreateTaskRequest { payload: vec![7; 900_000].into(), ..create(namespace, "") };
                let made = until("a task is made", async || member.client.create(request.clone()).await.ok()).await;
                left.insert(made.task.expect("the answer carries the task").id);
            }
        }
        let mut calls = 0;
        while !left.is_empty() {
            let asked = LeaseTasksRequest { namespaces: namespaces.clone(), max_tasks: 100, lease_ms: 600_000, wait_ms: 10_000 };
            let leased = client.lease_tasks(asked).await.expect("an answer that fits").into_inner().deliveries;
            assert!(!leased.is_empty(), "{} tasks are left, so none of them was leased to nobody", left.len());
            calls += 1;
            for delivery in &leased {
                assert_eq!(delivery.attempt, 1, "what did not fit before was no attempt");
                assert!(left.remove(&delivery.task.as_ref().expect("a task").id), "each once");
            }
            let settled = member.client.ack(&leased).await;
            assert!(settled.iter().all(|result| result.status == 0), "{settled:?}");
        }
        assert!(calls >= 5 * EACH / 4, "{calls} calls for {} tasks of nearly a mebibyte", 5 * EACH);
    }
}
