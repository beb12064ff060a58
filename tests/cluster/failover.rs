//! The leader of everything dies by SIGKILL: whoever talks to another peer hardly notices.
//!
//! What would be wrong: a write that was acknowledged and is gone, a stream that ends because somebody else's process did, a task that
//! comes twice with the same token.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use z4_proto::{CreateTaskRequest, Task};

use crate::harness::cluster::Cluster;
use crate::harness::wait::{until, within};
use crate::harness::{ConsumeStream, create, due_at, http, now_ms, payload_number};

const LEADER: &str = "peer-1";
const FOLLOWER: &str = "peer-2";
const OTHER: &str = "peer-3";

/// A cluster that one peer leads.
async fn led() -> Cluster {
    let cluster = Cluster::of_three(&[]).await;
    cluster.lead_all_by(LEADER).await;
    cluster
}

fn later(namespace: &str, number: u64) -> CreateTaskRequest {
    let request = due_at(namespace, &number.to_string(), now_ms() + 3_600_000);
    CreateTaskRequest { request_id: format!("request-{number}"), ..request }
}

#[tokio::test]
async fn writes_go_on_and_nothing_acknowledged_is_lost() {
    let mut cluster = led().await;
    let namespaces = [cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    let other = cluster.client(OTHER);
    let mut kept: Vec<Task> = Vec::new();
    let mut number = 0;
    for round in 0..3 {
        for namespace in namespaces.iter().cycle().take(20) {
            number += 1;
            let request = later(namespace, number);
            // In the middle of it the leader goes.
            if round == 1 && number == 30 {
                cluster.member(LEADER).peer.kill().await;
            }
            kept.push(until("a create is taken", async || other.create(request.clone()).await.ok()?.task).await);
        }
        if round == 1 {
            cluster.restart(LEADER).await;
        }
    }
    cluster.until_equal().await;
    for member in &cluster.members {
        for namespace in &namespaces {
            let listed: Vec<_> = member.client.list_all(namespace).await.iter().filter_map(payload_number).collect();
            let expected: Vec<_> = kept.iter().filter(|task| task.namespace == *namespace).filter_map(payload_number).collect();
            assert_eq!(listed.len(), expected.len(), "each once: {listed:?}");
            assert!(expected.iter().all(|number| listed.contains(number)), "all of them: {listed:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_of_creates_at_a_follower_goes_on() {
    let mut cluster = led().await;
    let namespace = cluster.namespace_of(1, "mail").await;
    let (requests, outgoing) = mpsc::channel(256);
    let opening = cluster.client(FOLLOWER).tasks.clone().create_task_stream(ReceiverStream::new(outgoing)).await;
    let mut answers = opening.expect("a stream").into_inner();
    let mut done = BTreeMap::new();
    // A request that was answered UNAVAILABLE is sent again on the same stream.
    let mut next: Vec<CreateTaskRequest> = (0..100).map(|number| later(&namespace, number)).collect();
    let mut killed = false;
    while !next.is_empty() {
        for request in &next {
            requests.send(request.clone()).await.expect("the stream goes on");
        }
        let mut again = Vec::new();
        for request in next.drain(..) {
            let answer = within("an answer", answers.message()).await.expect("the stream goes on").expect("the stream goes on");
            if !killed && done.len() == 10 {
                cluster.member(LEADER).peer.kill().await;
                killed = true;
            }
            match answer.status {
                0 => drop(done.insert(request.request_id, answer.task.expect("a task").id)),
                14 => again.push(request),
                other => panic!("{other}: {}", answer.message),
            }
        }
        if !killed {
            break;
        }
        next = again;
    }
    assert!(killed && done.len() == 100, "{}", done.len());
    let mut listed: Vec<_> = cluster.client(OTHER).list_all(&namespace).await.into_iter().map(|task| task.id).collect();
    let mut expected: Vec<_> = done.into_values().collect();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected, "each request made one task, and no other is there");
}

#[tokio::test]
async fn a_consumer_at_a_follower_keeps_its_stream() {
    let mut cluster = led().await;
    let namespaces = [cluster.namespace_of(1, "mail").await, cluster.namespace_of(2, "mail").await];
    let (follower, other) = (cluster.client(FOLLOWER), cluster.client(OTHER));
    let mut stream = ConsumeStream::open(&follower, &[&namespaces[0], &namespaces[1]], 10).await;
    // One that is acked before, one that is held.
    for namespace in &namespaces {
        other.created(create(namespace, "1")).await;
        let first = stream.next().await;
        assert_eq!(stream.ack(&first).await.status, 0);
    }
    let held_id = other.created(create(&namespaces[0], "2")).await.id;
    let held = stream.next().await;
    assert_eq!(held.task.as_ref().expect("a task").id, held_id);

    cluster.member(LEADER).peer.kill().await;
    // What is with a consumer stays with it: the next leader hears who has it, and the token of the one before is good.
    until("its ack is taken", async || (stream.ack(&held).await.status == 0).then_some(())).await;
    assert!(other.is_gone(&namespaces[0], &held_id).await);
    let addresses = [FOLLOWER, OTHER].map(|id| cluster.member(id).peer.metrics_address());
    until("the claim is counted", async || {
        let mut kept = 0.0;
        for address in &addresses {
            kept += http::metric(address, "z4_claimed_task_total{outcome=\"kept\"").await;
        }
        (kept > 0.0).then_some(())
    })
    .await;
    // And new ones come, of every group.
    for namespace in &namespaces {
        let task = until("a create is taken", async || other.create(create(namespace, "3")).await.ok()?.task).await;
        let delivery = stream.next().await;
        assert_eq!(delivery.task.as_ref().expect("a task").id, task.id);
        assert_eq!(stream.ack(&delivery).await.status, 0);
    }
}
