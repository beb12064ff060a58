//! Too few peers hear each other: writes are refused in time and say which group it is, what was applied can still be read, and when the
//! peers hear each other again, all goes on.
//!
//! What would be wrong: a write that hangs, a leader that believes to be one for ever, two leaders that both deliver.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tonic::{Code, Status};
use z4_proto::{Consistency, ConsumeRequest, GetTaskRequest, Task};

use crate::harness::cluster::{Cluster, serves};
use crate::harness::members::info;
use crate::harness::network::{Passage, Way};
use crate::harness::wait::{until, within};
use crate::harness::{Client, ConsumeStream, ack_of};
use crate::harness::{create, due_at, now_ms};

async fn stale(client: &Client, task: &Task) -> Result<Task, Status> {
    let request = GetTaskRequest {
        namespace: task.namespace.clone(),
        task_id: task.id.clone(),
        consistency: Consistency::Stale.into(),
        ..GetTaskRequest::default()
    };
    within("GetTask", client.tasks.clone().get_task(request)).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn without_a_quorum_writes_are_refused_and_stale_reads_go_on() {
    let cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    let task = cluster.members[0].client.created(due_at(&namespace, "1", now_ms() + 3_600_000)).await;
    cluster.until_equal().await;
    for passage in [Passage::Cut, Passage::Held] {
        for id in cluster.ids() {
            cluster.network.set_around(&id, &cluster.ids(), Way::with(passage));
        }
        // Each of them takes its time to give up, so all at once.
        join_all(cluster.members.iter().map(async |member| {
            let (creating, reading) =
                tokio::join!(member.client.create(create(&namespace, "nobody")), member.client.get(&namespace, &task.id));
            // Whoever leads may have taken it: that is unknown, and said so, in time.
            let refused = creating.expect_err("there is no quorum");
            assert_eq!(refused.code(), Code::Unavailable, "{}: {refused}", member.id);
            assert!(refused.message().contains("group 1"), "{}: {refused}", member.id);
            let refused = reading.expect_err("a quorum would have to be asked");
            assert_eq!(refused.code(), Code::Unavailable, "{}: {refused}", member.id);
            assert_eq!(stale(&member.client, &task).await.expect("it was applied").payload, task.payload);
        }))
        .await;
        until("nobody serves any more", async || {
            for member in &cluster.members {
                if info(&member.client).await.groups.iter().any(|group| group.serves) {
                    return None;
                }
            }
            Some(())
        })
        .await;
        cluster.network.heal();
        for member in &cluster.members {
            until("writes are taken again", async || member.client.create(create(&namespace, "y")).await.ok()).await;
        }
        cluster.until_equal().await;
    }
}

#[tokio::test]
async fn a_leader_that_is_alone_steps_down_and_its_group_goes_on_without_it() {
    let cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    let old = cluster.leader(1).await;
    let alone = cluster.client(&old);
    cluster.network.set_around(&old, &cluster.ids(), Way::with(Passage::Held));
    let other = cluster.members.iter().find(|member| member.id != old).expect("another one");
    let task = until("the others take writes", async || {
        other.client.create(due_at(&namespace, "1", now_ms() + 3_600_000)).await.ok()?.task
    })
    .await;
    until("it serves no more", async || (!serves(&info(&alone).await, 1)).then_some(())).await;
    let refused = alone.create(create(&namespace, "x")).await.expect_err("it is alone");
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    cluster.network.heal();
    until("it knows what happened", async || alone.get(&namespace, &task.id).await.ok()).await;
    until("it takes writes again", async || alone.create(create(&namespace, "y")).await.ok()).await;
    cluster.until_equal().await;
}

/// What a leader says goes out, what it should hear does not come in: its heartbeats keep the others quiet, and yet it can do nothing.
#[tokio::test]
async fn a_leader_that_hears_nobody_does_not_block_its_group() {
    let cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    let old = cluster.leader(1).await;
    for id in cluster.ids().into_iter().filter(|id| *id != old) {
        cluster.network.set(&id, &old, Way::with(Passage::Lost));
    }
    let other = cluster.members.iter().find(|member| member.id != old).expect("another one");
    until("the others take writes", async || other.client.create(create(&namespace, "x")).await.ok()).await;
    cluster.network.heal();
    until("it takes writes again", async || cluster.client(&old).create(create(&namespace, "y")).await.ok()).await;
    cluster.until_equal().await;
}

/// Acks that are on their way while the quorum is lost and found again end their tasks, or are refused; never both, and no task whose ack
/// was accepted comes again. (The leader may stop to serve and begin again in the same term, with those acks still in its log.)
#[tokio::test]
async fn acks_on_their_way_through_a_loss_of_quorum_are_done_once() {
    const TASKS: usize = 50;
    let cluster = Cluster::of_three(&[]).await;
    let namespace = cluster.namespace_of(1, "mail").await;
    let leader = cluster.client(&cluster.leader(1).await);
    leader.without_backoff(&namespace).await;
    leader.created_all((0..TASKS).map(|n| create(&namespace, &n.to_string())).collect()).await;
    let mut stream = ConsumeStream::open(&leader, &[&namespace], 1_000).await;
    let mut deliveries = Vec::new();
    while deliveries.len() < TASKS {
        deliveries.push(stream.next().await);
    }
    for id in cluster.ids() {
        cluster.network.set_around(&id, &cluster.ids(), Way::with(Passage::Lost));
    }
    let acks = deliveries.iter().map(ack_of).collect();
    stream.send(ConsumeRequest { acks, ..ConsumeRequest::default() }).await;
    until("the leader serves no more", async || (!serves(&info(&leader).await, 1)).then_some(())).await;
    cluster.network.heal();
    // Whoever leads now: everything is delivered again, or done.
    let mut done = BTreeSet::new();
    let emptied = until("all tasks are done", async || (leader.try_namespace(&namespace).await.ok()?.live == 0).then_some(()));
    let consuming = async {
        loop {
            let (deliveries, results) = stream.next_batch().await;
            for delivery in &deliveries {
                let id = &delivery.task.as_ref().expect("a task").id;
                assert!(!done.contains(id), "{id} came again after its ack was accepted");
            }
            let accepted = results.into_iter().filter(|result| result.status == 0);
            accepted.for_each(|result| assert!(done.insert(result.task_id.clone()), "{} was acked twice", result.task_id));
            let acks = deliveries.iter().map(ack_of).collect();
            stream.send(ConsumeRequest { acks, ..ConsumeRequest::default() }).await;
        }
    };
    tokio::select! {
        () = emptied => {}
        () = consuming => {}
    }
}
