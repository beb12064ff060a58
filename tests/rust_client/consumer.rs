//! The consumer: credit, settling, leases, and other streams after the first.

use std::time::Duration;

use tonic::{Code, Status};
use z4::client::{Client, Consumer, ErrorKind};
use z4_proto::*;

use super::fake::{Consuming, Fake, Fate, Tasks, within};

fn delivery(token: u64) -> Delivery {
    let task = Task { id: format!("t{token}"), namespace: "a".into(), ..Task::default() };
    Delivery { task: Some(task), token, attempt: 1, ..Delivery::default() }
}

fn deliveries(tokens: &[u64]) -> ConsumeResponse {
    ConsumeResponse { deliveries: tokens.iter().map(|token| delivery(*token)).collect(), ..ConsumeResponse::default() }
}

fn answer(token: u64, status: Code) -> ConsumeResponse {
    let result = SettleResult { task_id: format!("t{token}"), token, status: status as u32, ..SettleResult::default() };
    ConsumeResponse { results: vec![result], ..ConsumeResponse::default() }
}

fn consumer_of(peers: &[&Fake], credit: u32) -> Consumer {
    let client = Client::connect(peers.iter().map(|peer| peer.address())).expect("addresses");
    client.consumer(["a"]).credit(credit).open()
}

async fn next(consumer: &mut Consumer) -> z4::client::Delivery {
    within("a delivery", consumer.next()).await.expect("a delivery")
}

/// The client's next acks and nacks, by token, skipping messages without any.
async fn settles(peer: &mut Consuming) -> (Vec<u64>, Vec<u64>) {
    loop {
        let message = peer.next().await;
        let acks: Vec<_> = message.acks.iter().map(|ack| ack.token).collect();
        let nacks: Vec<_> = message.nacks.iter().map(|nack| nack.token).collect();
        if !acks.is_empty() || !nacks.is_empty() {
            return (acks, nacks);
        }
    }
}

/// The first message opens with the credit; what is settled makes room; answers reach who settled.
#[tokio::test]
async fn deliveries_are_settled_and_make_room() {
    let mut peer = Fake::start(&Tasks::default()).await;
    let mut consumer = consumer_of(&[&peer], 3);
    let mut stream = peer.consumer().await;
    let first = stream.next().await;
    assert_eq!((first.credit, first.open.expect("open").namespaces), (3, vec!["a".to_owned()]));
    stream.say(deliveries(&[1, 2, 3])).await;

    let acked = next(&mut consumer).await;
    assert_eq!((acked.task().id.as_str(), acked.attempt()), ("t1", 1));
    let acked = acked.ack();
    let message = stream.next().await;
    assert_eq!((message.acks[0].token, message.acks[0].namespace.as_str(), message.credit), (1, "a", 1));
    stream.say(answer(1, Code::Ok)).await;
    within("the ack's answer", acked).await.expect("done");

    let nacked = next(&mut consumer).await.nack(Some(Duration::from_secs(5)), "no");
    let nack = stream.next().await.nacks.remove(0);
    assert_eq!((nack.token, nack.delay_ms, nack.reason.as_str()), (2, Some(5_000), "no"));
    stream.say(answer(2, Code::FailedPrecondition)).await;
    let error = within("the nack's answer", nacked).await.expect_err("too late");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, Code::FailedPrecondition));

    drop(next(&mut consumer).await);
    let message = stream.next().await;
    assert_eq!((message.nacks[0].token, message.nacks[0].delay_ms, message.credit), (3, None, 1), "dropped is given back");
}

/// A consumer that works longer than a lease keeps it.
#[tokio::test]
async fn leases_are_extended_while_a_delivery_is_held() {
    let mut peer = Fake::start(&Tasks::default()).await;
    let client = Client::connect([peer.address()]).expect("an address");
    let mut consumer = client.consumer(["a"]).lease(Duration::from_secs(2)).open();
    let mut stream = peer.consumer().await;
    assert_eq!(stream.next().await.open.expect("open").lease_ms, 2_000);
    stream.say(deliveries(&[1, 2])).await;
    let (held, left) = (next(&mut consumer).await, next(&mut consumer).await);
    left.leave();
    for _ in 0..3 {
        let message = loop {
            let message = stream.next().await;
            if !message.extensions.is_empty() {
                break message;
            }
        };
        assert_eq!(message.extensions.iter().map(|e| (e.token, e.lease_ms)).collect::<Vec<_>>(), [(1, 0)]);
        assert!(!held.is_lost());
        stream.say(answer(1, Code::Ok)).await;
    }
    stream.next().await;
    stream.say(answer(1, Code::FailedPrecondition)).await;
    within("the holder is told", async {
        while !held.is_lost() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The peer dies with an unanswered ack, a held delivery, and one that nobody has seen. Another peer gets the ack and the credit; the
/// unseen one is not shown, because it comes again.
#[tokio::test]
async fn another_peer_takes_over() {
    let (mut a, mut b) = (Fake::start(&Tasks::default()).await, Fake::start(&Tasks::default()).await);
    let mut consumer = consumer_of(&[&a, &b], 3);
    let mut stream = a.consumer().await;
    stream.next().await;
    stream.say(deliveries(&[1, 2, 3])).await;
    let acked = next(&mut consumer).await.ack();
    let held = next(&mut consumer).await;
    assert_eq!(settles(&mut stream).await, (vec![1], vec![]));
    a.kill();

    let mut stream = b.consumer().await;
    let first = stream.next().await;
    assert_eq!(first.acks.iter().map(|ack| ack.token).collect::<Vec<_>>(), [1], "the ack is said again");
    assert!(first.open.is_some() && first.credit == 1, "two are held or wait: {first:?}");
    let mut claimed: Vec<u64> = first.open.iter().flat_map(|open| &open.held).map(|held| held.token).collect();
    claimed.sort_unstable();
    assert_eq!(claimed, [1, 2, 3], "what it has is claimed");
    stream.say(answer(1, Code::Ok)).await;
    within("the ack's answer", acked).await.expect("done");
    stream.say(deliveries(&[30])).await;
    let shown = next(&mut consumer).await;
    assert_eq!(shown.token(), 30, "whether 3 is still ours is not known yet");
    let late = held.ack();
    loop {
        let message = stream.next().await;
        for extension in message.extensions {
            stream.say(answer(extension.token, Code::FailedPrecondition)).await;
        }
        if message.acks.iter().any(|ack| ack.token == 2) {
            break;
        }
    }
    stream.say(answer(2, Code::FailedPrecondition)).await;
    within("the late ack's answer", late).await.expect_err("the lease went with the peer");
}

/// The same with leases of a fixed length, as z4t takes them: what was shown and what was not is claimed, and shown once.
#[tokio::test]
async fn leases_of_a_fixed_length_are_claimed_from_another_peer() {
    let (mut a, mut b) = (Fake::start(&Tasks::default()).await, Fake::start(&Tasks::default()).await);
    let client = Client::connect([a.address(), b.address()]).expect("addresses");
    let mut consumer = client.consumer(["a"]).credit(3).fixed_lease_ms(60_000).open();
    let mut stream = a.consumer().await;
    stream.next().await;
    stream.say(deliveries(&[1, 2, 3])).await;
    next(&mut consumer).await.leave();
    a.kill();

    let mut stream = b.consumer().await;
    let first = stream.next().await;
    let mut claimed: Vec<u64> = first.open.iter().flat_map(|open| &open.held).map(|held| held.token).collect();
    claimed.sort_unstable();
    assert_eq!(claimed, [1, 2, 3]);
    let mut asked = Vec::new();
    while asked.len() < 2 {
        let extensions = stream.next().await.extensions;
        asked.extend(extensions.iter().map(|extension| (extension.token, extension.lease_ms)));
    }
    asked.sort_unstable();
    assert_eq!(asked, [(2, 0), (3, 0)], "whether they are still its own");
    stream.say(answer(2, Code::Ok)).await;
    stream.say(answer(3, Code::FailedPrecondition)).await;
    assert_eq!(next(&mut consumer).await.token(), 2);
    stream.say(deliveries(&[30])).await;
    assert_eq!(next(&mut consumer).await.token(), 30, "somebody else has 3");
}

/// A peer that ends the stream cleanly because it stops is left; a refusal for good ends the consumer, which goes on saying so.
#[tokio::test]
async fn streams_end_in_several_ways() {
    let (mut a, mut b) = (Fake::start(&Tasks::default()).await, Fake::start(&Tasks::default()).await);
    let mut consumer = consumer_of(&[&a, &b], 1);
    let mut stream = a.consumer().await;
    stream.next().await;
    b.play().script.push_back(Fate::Refused(Status::unavailable("stopping")));
    stream.answers.send(Err(Status::unavailable("stopping"))).await.expect("the client listens");
    // b is stopping as well, so a is asked again.
    let mut stream = a.consumer().await;
    stream.next().await;
    drop(stream);
    let mut stream = b.consumer().await;
    stream.next().await;
    stream.answers.send(Err(Status::invalid_argument("namespaces is too long"))).await.expect("the client listens");
    for _ in 0..2 {
        let error = within("the refusal", consumer.next()).await.expect_err("refused");
        assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "namespaces is too long"));
    }
}

/// Nobody there: the consumer says so once in a while and goes on.
#[tokio::test]
async fn a_consumer_without_peers_says_so_and_goes_on() {
    let mut peer = Fake::start(&Tasks::default()).await;
    peer.kill();
    let client = Client::builder().timeout(Duration::from_secs(2)).connect([peer.address()]).expect("an address");
    let mut consumer = client.consumer(["a"]).open();
    let error = within("a word", consumer.next()).await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    peer.serve();
    peer.consumer().await.say(deliveries(&[1])).await;
    next(&mut consumer).await.leave();
}

/// Dropped with a delivery in hand, it takes no more, and the stream ends after the ack's answer.
#[tokio::test]
async fn a_dropped_consumer_settles_what_is_held() {
    let mut peer = Fake::start(&Tasks::default()).await;
    let mut consumer = consumer_of(&[&peer], 2);
    let mut stream = peer.consumer().await;
    stream.next().await;
    stream.say(deliveries(&[1])).await;
    let held = next(&mut consumer).await;
    drop(consumer);
    stream.say(deliveries(&[2])).await;
    assert_eq!(settles(&mut stream).await, (vec![], vec![2]), "nobody takes it");
    stream.say(answer(2, Code::Ok)).await;
    let acked = held.ack();
    assert_eq!(settles(&mut stream).await, (vec![1], vec![]));
    stream.say(answer(1, Code::Ok)).await;
    within("the ack's answer", acked).await.expect("done");
    let end = within("the stream ends", stream.requests.message()).await;
    assert!(!matches!(end, Ok(Some(_))), "{end:?}");
}

/// A limit is kept: no more is asked for, however much room there is.
#[tokio::test]
async fn a_limit_is_kept() {
    let mut peer = Fake::start(&Tasks::default()).await;
    let client = Client::connect([peer.address()]).expect("an address");
    let mut consumer = client.consumer(["a"]).credit(2).limit(3).open();
    let mut stream = peer.consumer().await;
    let mut granted = stream.next().await.credit;
    assert_eq!(granted, 2);
    for token in 1..=3 {
        stream.say(deliveries(&[token])).await;
        let acked = next(&mut consumer).await.ack();
        let message = stream.next().await;
        granted += message.credit;
        stream.say(answer(message.acks[0].token, Code::Ok)).await;
        within("the ack's answer", acked).await.expect("done");
    }
    assert_eq!(granted, 3);
}
