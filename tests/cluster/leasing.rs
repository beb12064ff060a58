//! LeaseTasks of several groups with leaders at several peers.
//!
//! What would be wrong: an answer that is too large for the client, which then has leases of which it knows nothing, or tasks that are leased
//! to nobody because their leader changed while a call was under way.

use std::collections::BTreeSet;

use z4_proto::collection_client::CollectionClient;
use z4_proto::{CreateTaskRequest, Delivery, LeaseTasksRequest, LeaseTasksResponse};

use crate::harness::cluster::{Cluster, Member};
use crate::harness::frames::Raw;
use crate::harness::members::transfer;
use crate::harness::wait::until;
use crate::harness::{create, due_at, now_ms};

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

/// The peer has less time for a call than the call would wait, and it is over in the middle of anything: what no client was given is not
/// leased, and counts no attempt.
#[tokio::test]
async fn a_call_whose_time_is_over_leaves_nothing_leased() {
    let cluster = Cluster::of_three(&[("Z4_GROUPS", "5")]).await;
    let namespaces = namespaces(&cluster).await;
    for turn in 0..60 {
        let member = &cluster.members[turn % 3];
        let raw = Raw::connect(&member.peer.address()).await.expect("a connection");
        let due_ms = now_ms() + 100;
        let mut left = BTreeSet::new();
        for namespace in &namespaces {
            left.insert(made(member, due_at(namespace, "", due_ms)).await);
        }
        // From shortly before they are due on.
        let ends_ms = due_ms - 5 + 2 * (turn as u64 % 20);
        let time_ms = ends_ms.saturating_sub(now_ms()).max(1);
        let (mut sending, mut answers) = raw.call_within("LeaseTasks", Some(time_ms)).await.expect("a call");
        sending.send(&asks(&namespaces)).await.expect("sent");
        sending.end().expect("sent");
        if let Ok(Some(response)) = answers.next::<LeaseTasksResponse>().await {
            ack(member, &response.deliveries, &mut left).await;
        }
        lease(member, &namespaces, &mut left).await;
    }
}

async fn namespaces(cluster: &Cluster) -> Vec<String> {
    let mut namespaces = Vec::new();
    for group in 1..=5 {
        namespaces.push(cluster.namespace_of(group, "large").await);
    }
    namespaces
}

fn asks(namespaces: &[String]) -> LeaseTasksRequest {
    LeaseTasksRequest { namespaces: namespaces.to_vec(), max_tasks: 100, lease_ms: 600_000, wait_ms: 10_000 }
}

/// Makes a task; its id.
async fn made(member: &Member, request: CreateTaskRequest) -> String {
    let made = until("a task is made", async || member.client.create(request.clone()).await.ok()).await;
    made.task.expect("the answer carries the task").id
}

/// Leases and acks what is left, until that is nothing; in so many calls.
async fn lease(member: &Member, namespaces: &[String], left: &mut BTreeSet<String>) -> usize {
    // As it comes: messages of up to 4 MiB.
    let mut client = CollectionClient::new(member.client.channel());
    let mut calls = 0;
    while !left.is_empty() {
        let leased = client.lease_tasks(asks(namespaces)).await.expect("an answer that fits").into_inner().deliveries;
        assert!(!leased.is_empty(), "{} tasks are left, so none of them was leased to nobody", left.len());
        calls += 1;
        ack(member, &leased, left).await;
    }
    calls
}

async fn ack(member: &Member, leased: &[Delivery], left: &mut BTreeSet<String>) {
    for delivery in leased {
        assert_eq!(delivery.attempt, 1, "what nobody was given before was no attempt");
        assert!(left.remove(&delivery.task.as_ref().expect("a task").id), "each once");
    }
    let settled = member.client.ack(leased).await;
    assert!(settled.iter().all(|result| result.status == 0), "{settled:?}");
}

/// Large tasks are made in five groups, and leased and acked until none is left, by way of each member.
async fn lease_all(cluster: &Cluster) {
    let namespaces = namespaces(cluster).await;
    for member in &cluster.members {
        let mut left = BTreeSet::new();
        for namespace in &namespaces {
            for _ in 0..EACH {
                let request = CreateTaskRequest { payload: vec![7; 900_000].into(), ..create(namespace, "") };
                left.insert(made(member, request).await);
            }
        }
        let calls = lease(member, &namespaces, &mut left).await;
        assert!(calls >= 5 * EACH / 4, "{calls} calls for {} tasks of nearly a mebibyte", 5 * EACH);
    }
}
