//! Leases: exclusive claims with a deadline, and tokens that tell an old claim from the present one.

use z4_proto::{ExtendLeasesRequest, TaskState};

use crate::harness::wait::{until, within};
use crate::harness::{Client, Peer, create, extension_of, now_ms};

/// A status that says: too late.
const FAILED_PRECONDITION: u32 = 9;

async fn peer_and_client() -> (Peer, Client) {
    let peer = Peer::start().await;
    let client = peer.client().await;
    (peer, client)
}

/// A consumer takes a task and falls silent. Its lease lapses, the task comes again as the second attempt with a higher token, and
/// the first consumer's late ack is refused: were it accepted, the task would be gone while the second consumer still works on it.
#[tokio::test]
async fn a_lapsed_lease_comes_again_and_its_token_is_refused() {
    let (_peer, client) = peer_and_client().await;
    client.without_backoff("a").await;
    let task = client.created(create("a", "x")).await;

    let first = client.lease_one("a", 200).await;
    assert_eq!((first.attempt, &first.task.as_ref().expect("a task").id), (1, &task.id));
    let second = client.lease_one("a", 60_000).await;
    assert_eq!((second.attempt, &second.task.as_ref().expect("a task").id), (2, &task.id));
    assert!(second.token > first.token, "{} is not above {}", second.token, first.token);

    let late = client.ack(&[first]).await.remove(0);
    assert_eq!(late.status, FAILED_PRECONDITION, "{}", late.message);
    assert_eq!(client.get("a", &task.id).await.expect("still there").state(), TaskState::Leased);
    let good = client.ack(std::slice::from_ref(&second)).await.remove(0);
    assert_eq!(good.status, 0, "{}", good.message);
    assert!(client.is_gone("a", &task.id).await);
    let twice = client.ack(std::slice::from_ref(&second)).await.remove(0);
    assert_eq!(twice.status, 0, "said again, because an answer may have been lost: {}", twice.message);
}

/// A task that is leased is nobody else's. A lease that did not exclude would deliver it to both.
#[tokio::test]
async fn a_leased_task_is_not_delivered_to_another() {
    let (_peer, client) = peer_and_client().await;
    let task = client.created(create("a", "x")).await;
    let held = client.lease_one("a", 60_000).await;
    assert_eq!(client.lease_now("a").await.len(), 0);
    let seen = client.get("a", &task.id).await.expect("still there");
    assert_eq!((seen.state(), seen.attempts), (TaskState::Leased, 0), "an attempt counts when it has ended");
    assert_eq!(client.namespace("a").await.leased, 1);
    assert_eq!(client.ack(&[held]).await[0].status, 0);
    let state = client.namespace("a").await;
    assert_eq!((state.live, state.leased), (0, 0));
}

/// A consumer that needs longer says so in time and keeps its claim past the first deadline.
#[tokio::test]
async fn an_extended_lease_outlives_its_first_deadline() {
    let (_peer, client) = peer_and_client().await;
    client.without_backoff("a").await;
    client.created(create("a", "x")).await;
    let held = client.lease_one("a", 5_000).await;
    let first_deadline = deadline_ms(&held.lease_deadline);

    let request = ExtendLeasesRequest { extensions: vec![extension_of(&held, 60_000)] };
    let answer = within("ExtendLeases", client.tasks.clone().extend_leases(request)).await.expect("an answer").into_inner();
    assert_eq!(answer.results[0].status, 0, "{}", answer.results[0].message);
    assert!(deadline_ms(&answer.results[0].lease_deadline) > first_deadline, "the answer names the new deadline");

    until("the first deadline has passed", async || (now_ms() > first_deadline + 200).then_some(())).await;
    assert_eq!(client.lease_now("a").await.len(), 0, "the task is still with its consumer");
    assert_eq!(client.ack(&[held]).await[0].status, 0);
}

/// A nack with a delay: the attempt and its reason are kept, and the task does not come before the delay is over.
#[tokio::test]
async fn a_nack_with_a_delay_comes_again_after_it() {
    let (_peer, client) = peer_and_client().await;
    let task = client.created(create("a", "x")).await;
    let first = client.lease_one("a", 60_000).await;
    let asked = now_ms();
    client.nack(&first, Some(4_000), "not yet").await;
    let seen = client.get("a", &task.id).await.expect("still there");
    assert_eq!((seen.state(), seen.attempts, seen.last_error.as_str()), (TaskState::Scheduled, 1, "not yet"));
    assert!(seen.last_retry.is_some());

    let second = client.lease_one("a", 60_000).await;
    assert!(now_ms() >= asked + 4_000, "it came before its delay was over");
    assert_eq!((second.attempt, second.task.as_ref().map(|t| t.id.as_str())), (2, Some(task.id.as_str())));
    assert!(second.token > first.token);
}

/// A task that is deleted or changed under its consumer: the consumer learns it with its ack, not from a crash.
#[tokio::test]
async fn the_ack_of_a_deleted_task_is_refused() {
    let (_peer, client) = peer_and_client().await;
    let task = client.created(create("a", "x")).await;
    let held = client.lease_one("a", 60_000).await;
    client.delete("a", &task.id, 0).await.expect("deleted");
    assert!(client.is_gone("a", &task.id).await);
    let late = client.ack(&[held]).await.remove(0);
    assert_eq!(late.status, FAILED_PRECONDITION, "{}", late.message);
    assert_eq!(client.namespace("a").await.live, 0, "the count of live tasks went down once");
}

fn deadline_ms(deadline: &Option<prost_types::Timestamp>) -> u64 {
    let deadline = deadline.as_ref().expect("a deadline");
    u64::try_from(deadline.seconds * 1_000 + i64::from(deadline.nanos) / 1_000_000).expect("after 1970")
}
