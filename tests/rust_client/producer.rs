//! The producer: order, bounds, and what becomes of unanswered creates.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tonic::{Code, Status};
use z4::client::{Client, Creation, Producer};

use super::fake::{Fake, Fate, Tasks, create, within};

async fn sent(producer: &Producer, tasks: std::ops::Range<usize>) -> Vec<Creation> {
    let mut creations = Vec::new();
    for n in tasks {
        creations.push(producer.send(create("a", &n.to_string())).await);
    }
    creations
}

/// Every creation is the one of its own task, and they reach the peer in the order of their sending.
#[tokio::test]
async fn creations_belong_to_their_tasks() {
    let tasks = Tasks::default();
    let peer = Fake::start(&tasks).await;
    let producer = Client::connect([peer.address()]).expect("an address").producer_with().in_flight(10).open();
    for n in 0..100 {
        let creation = producer.send(create("a", &n.to_string())).await;
        // Not awaited for most: the bound is given back by answers, not by who listens.
        if n % 7 == 0 {
            let task = within("a creation", creation).await.expect("created").task.expect("a task");
            assert_eq!(task.payload, n.to_string());
            assert_eq!(task.id, format!("task-{}", n + 1), "in their order");
        }
    }
    within("all are created", async {
        while tasks.count() < 100 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The stream breaks with many in flight, some of them done: all are sent again under their ids, to whoever serves.
#[tokio::test]
async fn unanswered_creates_are_sent_again_under_their_ids() {
    let tasks = Tasks::default();
    let (mut a, b) = (Fake::start(&tasks).await, Fake::start(&tasks).await);
    a.play().script.extend((0..5).map(|_| Fate::Done));
    a.play().script.push_back(Fate::DoneAndLost);
    let producer = Client::connect([a.address(), b.address()]).expect("addresses").producer();
    let creations = sent(&producer, 0..50).await;
    let created = within("all creations", join_all(creations)).await;
    for (n, created) in created.into_iter().enumerate() {
        let task = created.expect("created").task.expect("a task");
        assert_eq!((task.payload, task.id), (n.to_string().into(), format!("task-{}", n + 1)));
    }
    assert_eq!(tasks.count(), 50, "each was done once");
    // The same after a death of which nothing was heard for a while.
    a.kill();
    b.play().script.push_back(Fate::DoneAndLost);
    let creations = sent(&producer, 50..60).await;
    assert!(within("all creations", join_all(creations)).await.iter().all(Result::is_ok));
    assert_eq!(tasks.count(), 60);
}

/// A peer that keeps silent is left for another one.
#[tokio::test]
async fn a_silent_peer_is_left() {
    let tasks = Tasks::default();
    let (a, b) = (Fake::start(&tasks).await, Fake::start(&tasks).await);
    a.play().script.push_back(Fate::DoneAndSilent);
    let client = Client::builder().attempt_timeout(Duration::from_secs(2));
    let producer = client.connect([a.address(), b.address()]).expect("addresses").producer();
    let creations = sent(&producer, 0..3).await;
    assert!(within("all creations", join_all(creations)).await.iter().all(Result::is_ok));
    assert_eq!(tasks.count(), 3);
}

/// One task that is refused for the moment is sent again, one that is refused for good is its sender's error, one that ends the
/// stream (too large to be read) takes no other with it.
#[tokio::test]
async fn refusals_belong_to_their_tasks() {
    let tasks = Tasks::default();
    let peer = Fake::start(&tasks).await;
    let refused = |code| Fate::Refused(Status::new(code, "because"));
    let script = [Code::Unavailable, Code::InvalidArgument, Code::ResourceExhausted, Code::DataLoss].map(refused);
    peer.play().script.extend(script);
    let producer = Client::connect([peer.address()]).expect("an address").producer();
    let created = within("all creations", join_all(sent(&producer, 0..6).await)).await;
    let codes: Vec<_> = created.iter().map(|created| created.as_ref().map_or_else(|e| e.code(), |_| Code::Ok)).collect();
    assert_eq!(codes, [Code::Ok, Code::InvalidArgument, Code::Ok, Code::OutOfRange, Code::Ok, Code::Ok]);
    assert_eq!(created[1].as_ref().expect_err("refused").message(), "because");
    assert_eq!(tasks.count(), 4);
}

/// With its bound reached, a producer waits; an answer makes room. Nobody there: the creations say so when their time is over.
#[tokio::test]
async fn what_is_in_flight_is_bounded() {
    let mut peer = Fake::start(&Tasks::default()).await;
    peer.kill();
    let client = Client::builder().timeout(Duration::from_secs(3)).connect([peer.address()]).expect("an address");
    let producer = client.producer_with().in_flight(2).open();
    let creations = sent(&producer, 0..2).await;
    assert!(producer.send(create("a", "2")).now_or_never().is_none(), "there is no room");
    for created in within("all creations", join_all(creations)).await {
        assert!(created.expect_err("nobody is there").attempts() > 0);
    }
    peer.serve();
    let creation = within("there is room", producer.send(create("a", "3"))).await;
    drop(producer);
    within("what was sent goes on without its producer", creation).await.expect("created");
    // A task above the bound of bytes goes alone.
    let narrow = Client::connect([peer.address()]).expect("an address").producer_with().in_flight_bytes(10).open();
    let large = within("it goes", narrow.send(create("a", &"x".repeat(100_000)))).await;
    within("a creation", large).await.expect("created");
}
