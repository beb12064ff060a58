//! Consumers on streams: sharing, dying, and falling asleep.

use std::collections::BTreeSet;

use z4_proto::{ConsumeOpen, ConsumeRequest, CreateTaskRequest};

use crate::harness::wait::until;
use crate::harness::{Client, ConsumeStream, Peer, ack_of, create, endpoint, extension_of, http, nack_of, payload_number};

/// A consumer takes a task and its connection breaks. The task comes again, to another one, as the second attempt: well before the
/// lease of an hour is over, because the peer sees the stream end.
#[tokio::test]
async fn the_tasks_of_a_consumer_that_dies_come_again() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    client.without_backoff("a").await;
    let task = client.created(create("a", "x")).await;
    let open = ConsumeOpen { namespaces: vec!["a".to_owned()], lease_ms: 3_600_000, held: Vec::new() };
    let first = ConsumeRequest { open: Some(open), credit: 10, ..ConsumeRequest::default() };
    // A runtime of its own, as another process would have: its sockets close without a word.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let address = peer.address();
    let living = runtime.spawn(async move {
        let client = Client::connect(&address).await.expect("a connection");
        let mut mortal = ConsumeStream::open_with(&client, first).await.expect("a stream");
        let delivery = mortal.next().await;
        (mortal, delivery)
    });
    let (_mortal, delivery) = living.await.expect("no panic");
    assert_eq!(delivery.attempt, 1);
    runtime.shutdown_background();

    let mut heir = ConsumeStream::open(&client, &["a"], 10).await;
    let again = heir.next().await;
    assert_eq!((again.attempt, &again.task.as_ref().expect("a task").id), (2, &task.id));
    assert_eq!(again.task.as_ref().expect("a task").attempts, 1, "the attempt of the dead consumer counts");
    assert_eq!(heir.ack(&again).await.status, 0);
    assert!(client.is_gone("a", &task.id).await);
}

/// A consumer that closes its stream has not failed at anything: what it has comes again at once, as the first attempt that it was. So does
/// what a consumer has that said something that cannot be.
#[tokio::test]
async fn a_consumer_that_closes_its_stream_gives_its_tasks_back() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    client.created_all((0..3).map(|n| create("a", &n.to_string())).collect()).await;
    for bad in [false, true] {
        let mut stream = ConsumeStream::open(&client, &["a"], 10).await;
        for _ in 0..3 {
            assert_eq!(stream.next().await.attempt, 1);
        }
        match bad {
            false => assert!(stream.leave().await.is_none(), "its stream ends cleanly"),
            true => {
                stream.send(ConsumeRequest { credit: 1_000_000_000, ..ConsumeRequest::default() }).await;
                let end = stream.end().await.expect("it is told");
                assert!(end.message().contains("credit is"), "{end}");
            }
        }
    }
    let mut heir = ConsumeStream::open(&client, &["a"], 10).await;
    for _ in 0..3 {
        let again = heir.next().await;
        assert_eq!((again.attempt, again.task.as_ref().map(|task| task.attempts)), (1, Some(0)));
        assert_eq!(heir.ack(&again).await.status, 0);
    }
    let given_back = http::metric(&peer.metrics_address(), "z4_given_back_task_total").await;
    assert_eq!(given_back as u64, 6, "three by each of the two, counted apart from attempts");
    assert_eq!(http::metric(&peer.metrics_address(), "z4_nacked_task_total").await as u64, 0);
}

/// Two consumers share a namespace: each task goes to one of them, and both get some, for neither has credit for all.
#[tokio::test]
async fn consumers_of_one_namespace_share_its_tasks() {
    const TASKS: usize = 200;
    let peer = Peer::start().await;
    let client = peer.client().await;
    let mut one = ConsumeStream::open(&client, &["a"], 100).await;
    let mut two = ConsumeStream::open(&peer.client().await, &["a"], 100).await;
    client.created_all((0..TASKS).map(|n| create("a", &n.to_string())).collect()).await;
    let mut seen = BTreeSet::new();
    for _ in 0..TASKS / 2 {
        for stream in [&mut one, &mut two] {
            let delivery = stream.next().await;
            let number = delivery.task.as_ref().and_then(payload_number).expect("ours");
            assert!(seen.insert(number), "task {number} went to both");
        }
    }
    assert_eq!(seen.len(), TASKS);
}

/// Credit is a promise of the peer: a consumer that accepts two tasks has two, although more are ready, until it gives more.
#[tokio::test]
async fn no_more_tasks_come_than_there_is_credit_for() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    client.created_all((0..10).map(|n| create("a", &n.to_string())).collect()).await;
    let mut stream = ConsumeStream::open(&client, &["a"], 2).await;
    let (first, _second) = (stream.next().await, stream.next().await);
    // The answer to this ack comes after whatever the peer might have sent too much.
    assert_eq!(stream.ack(&first).await.status, 0);
    let state = client.namespace("a").await;
    assert_eq!((state.live, state.leased), (9, 1), "an ack is no credit");
    stream.send(ConsumeRequest { credit: 8, ..ConsumeRequest::default() }).await;
    for _ in 0..8 {
        stream.next().await;
    }
    assert_eq!(client.namespace("a").await.leased, 9);
}

/// Acks, nacks and extensions travel in one message, each with its own answer; a wrong token is refused without harm to the others.
#[tokio::test]
async fn settles_are_answered_one_by_one() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    client.created_all((0..4).map(|n| create("a", &n.to_string())).collect()).await;
    let mut stream = ConsumeStream::open(&client, &["a"], 4).await;
    let held = [stream.next().await, stream.next().await, stream.next().await, stream.next().await];
    let mut wrong = ack_of(&held[3]);
    wrong.token += 1_000_000;
    let request = ConsumeRequest {
        acks: vec![ack_of(&held[0]), wrong.clone()],
        nacks: vec![nack_of(&held[1], Some(3_600_000), "later")],
        extensions: vec![extension_of(&held[2], 60_000)],
        ..ConsumeRequest::default()
    };
    let mut results = vec![stream.settle(request).await];
    for _ in 0..3 {
        results.push(stream.result().await);
    }
    let of = |task_id: &str, token| {
        let found = results.iter().find(|r| r.task_id == task_id && r.token == token);
        found.unwrap_or_else(|| panic!("no answer for {task_id} {token} in {results:?}"))
    };
    let id = |n: usize| held[n].task.as_ref().expect("a task").id.as_str();
    assert_eq!(of(id(0), held[0].token).status, 0);
    assert_eq!(of(id(1), held[1].token).status, 0);
    assert_eq!(of(id(2), held[2].token).status, 0);
    assert!(of(id(2), held[2].token).lease_deadline.is_some(), "an extension answers with its deadline");
    assert_eq!(of(id(3), wrong.token).status, 9);
    assert_eq!(stream.ack(&held[3]).await.status, 0, "the right token is still good");
}

/// A consumer with endless credit stops reading. Another one of the same namespace and one of another namespace go on; and the peer
/// does not collect in memory what nobody reads: a volume of tasks that a good consumer lets it forget must not stay with it
/// because of a bad one. The volume is far above any buffer of sockets and streams.
#[tokio::test]
async fn a_consumer_that_never_reads_harms_nobody() {
    const TASKS: usize = 1_000;
    const PAYLOAD_BYTES: usize = 64 << 10;
    let peer = Peer::start().await;
    let client = peer.client().await;
    for namespace in ["a", "b"] {
        client.without_backoff(namespace).await;
    }
    // The same work without the sleeper: caches and write buffers are full afterwards.
    let mut good = ConsumeStream::open(&peer.client().await, &["a", "b"], 100).await;
    produce_large(&client, TASKS, PAYLOAD_BYTES, &mut good).await;
    let before = peer.resident_bytes();

    let small_window = endpoint(&peer.address()).initial_stream_window_size(65_535).initial_connection_window_size(65_535);
    let sleeping_client = Client::connect_to(small_window).await.expect("a connection");
    let open = ConsumeOpen { namespaces: vec!["a".to_owned()], lease_ms: 3_600_000, held: Vec::new() };
    let endless = ConsumeRequest { open: Some(open), credit: 50_000, ..ConsumeRequest::default() };
    let sleeper = ConsumeStream::open_with(&sleeping_client, endless).await.expect("a stream");
    let (served, stuck) = produce_large(&client, TASKS, PAYLOAD_BYTES, &mut good).await;
    assert!(served >= TASKS, "only {served} of {} tasks were served beside the sleeper", 2 * TASKS);
    let grown = peer.resident_bytes().saturating_sub(before);
    let volume = (TASKS * PAYLOAD_BYTES) as u64;
    assert!(grown < volume / 2, "the peer grew by {grown} bytes, its sleeping consumer was sent {stuck} tasks of {volume} bytes");

    drop(sleeper);
    let emptied = until("what the sleeper held was done by another", async || {
        (client.namespace("a").await.live + client.namespace("b").await.live == 0).then_some(())
    });
    serve_until(&mut good, emptied).await;
}

/// Creates large tasks in both namespaces while a good consumer acknowledges what it gets, until every task that is left is with a
/// consumer. Returns how many the good one did, and how many are left.
async fn produce_large(client: &Client, tasks: usize, payload_bytes: usize, good: &mut ConsumeStream) -> (usize, u64) {
    let payload = "x".repeat(payload_bytes);
    let produced = async {
        for _ in 0..tasks / 20 {
            for namespace in ["a", "b"] {
                client.created_all((0..20).map(|_| create(namespace, &payload)).collect::<Vec<CreateTaskRequest>>()).await;
            }
        }
        until("every task that is left is with a consumer", async || {
            let (a, b) = (client.namespace("a").await, client.namespace("b").await);
            (a.live + b.live == a.leased + b.leased).then_some(a.live + b.live)
        })
        .await
    };
    serve_until(good, produced).await
}

/// Acknowledges all that comes, and gives credit for as much again, until something else has happened. Returns how many tasks
/// were done, and what happened.
async fn serve_until<T>(consumer: &mut ConsumeStream, event: impl Future<Output = T>) -> (usize, T) {
    tokio::pin!(event);
    let mut served = 0;
    loop {
        let (deliveries, results) = tokio::select! {
            happened = &mut event => return (served, happened),
            batch = consumer.next_batch() => batch,
        };
        assert!(results.iter().all(|result| result.status == 0), "{results:?}");
        served += results.len();
        let acks: Vec<_> = deliveries.iter().map(ack_of).collect();
        if !acks.is_empty() {
            consumer.send(ConsumeRequest { credit: acks.len() as u32, acks, ..ConsumeRequest::default() }).await;
        }
    }
}
