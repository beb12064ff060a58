//! Single calls: failover, leader following, and what is sent again.

use std::time::Duration;

use futures_util::TryStreamExt;
use tonic::{Code, Status};
use z4::client::{Client, ErrorKind};
use z4_proto::*;

use super::fake::{Fake, Fate, Tasks, create, member, within};

async fn two() -> (Fake, Fake, Tasks) {
    let tasks = Tasks::default();
    (Fake::start(&tasks).await, Fake::start(&tasks).await, tasks)
}

fn client_of(peers: &[&Fake]) -> Client {
    Client::connect(peers.iter().map(|peer| peer.address())).expect("addresses")
}

/// The first peer is dead: another one is asked. It comes back and the other dies: it is asked again.
#[tokio::test]
async fn another_peer_is_asked_when_one_is_dead() {
    let (mut a, mut b, tasks) = two().await;
    a.kill();
    let client = client_of(&[&a, &b]);
    client.create(create("a", "1")).await.expect("b serves");
    client.create(create("a", "2")).await.expect("b serves");
    a.serve();
    b.kill();
    client.create(create("a", "3")).await.expect("a serves");
    assert_eq!((tasks.count(), a.play().calls.len(), b.play().calls.len()), (3, 1, 2));
}

/// The create is done and its answer lost with the connection, or never given: it is sent again under the same id, and done once.
#[tokio::test]
async fn a_lost_create_is_sent_again_under_its_request_id() {
    for fate in [Fate::DoneAndLost, Fate::DoneAndSilent] {
        let (a, b, tasks) = two().await;
        a.play().script.push_back(fate);
        let client = Client::builder().attempt_timeout(Duration::from_secs(2));
        let client = client.connect([a.address(), b.address()]).expect("addresses");
        let answer = client.create(create("a", "1")).await.expect("b serves");
        assert!(!answer.duplicate, "nobody but this call can have made it");
        assert_eq!(tasks.count(), 1);
        assert_eq!(a.play().request_ids, b.play().request_ids);
    }
}

/// Story: a namespace that remembers no request ids; the create is done and its answer lost. Sent again it would be a second task: the
/// caller is told that it may have been done, by a call, a batch and a producer alike.
#[tokio::test]
async fn a_lost_create_is_not_sent_again_where_its_id_is_forgotten() {
    for window_ms in [0, 3_000] {
        let (a, b, tasks) = two().await;
        for peer in [&a, &b] {
            peer.play().idempotency_window_ms = Some(window_ms);
        }
        let lose = || a.play().script.push_back(Fate::DoneAndLost);
        let client = client_of(&[&a, &b]);
        lose();
        let error = client.create(create("a", "1")).await.expect_err("unanswered");
        assert!(error.kind() == ErrorKind::Unanswered && error.may_be_done(), "{error}");
        let calls = client_of(&[&a, &b]);
        lose();
        let error = calls.create_batch(vec![create("a", "2")]).await.expect_err("unanswered");
        assert!(error.may_be_done(), "{error}");
        let producer = client_of(&[&a, &b]).producer();
        lose();
        let creation = producer.send(create("a", "3")).await;
        let error = within("an answer", creation).await.expect_err("unanswered");
        assert!(error.may_be_done(), "{error}");
        assert_eq!((tasks.count(), b.play().request_ids.len()), (3, 0), "nothing went to the other peer");
    }
}

/// A refusal that says that nothing was done is asked for again, whatever it is and whatever the window; without that word it is not.
#[tokio::test]
async fn what_was_surely_not_done_is_asked_for_again() {
    let (a, b, tasks) = two().await;
    for peer in [&a, &b] {
        peer.play().idempotency_window_ms = Some(0);
    }
    let refused = |done: Option<&'static str>| {
        let mut status = Status::unavailable("no leader");
        if let Some(done) = done {
            status.metadata_mut().insert(z4_proto::DONE_TRAILER, done.parse().expect("ASCII"));
        }
        Fate::Refused(status)
    };
    let client = client_of(&[&a, &b]);
    a.play().script.push_back(refused(Some("no")));
    client.create(create("a", "1")).await.expect("b serves");
    let producer = client_of(&[&a, &b]).producer();
    a.play().script.push_back(refused(Some("no")));
    within("a creation", producer.send(create("a", "2")).await).await.expect("created");
    assert_eq!(tasks.count(), 2);
    for done in [None, Some("maybe")] {
        let client = client_of(&[&a, &b]);
        a.play().script.push_back(refused(done));
        let error = client.create(create("a", "3")).await.expect_err("it may have been done");
        assert!(error.kind() == ErrorKind::Refused && error.may_be_done(), "{error}");
    }
    assert_eq!(tasks.count(), 2);
}

/// UNAVAILABLE sends a client to another peer, RESOURCE_EXHAUSTED does not; both pass.
#[tokio::test]
async fn what_is_refused_for_the_moment_is_asked_for_again() {
    let (a, b, tasks) = two().await;
    let full = || Fate::Refused(Status::resource_exhausted("full"));
    a.play().script.extend([full(), full(), Fate::Refused(Status::unavailable("no leader"))]);
    let client = client_of(&[&a, &b]);
    client.create(create("a", "1")).await.expect("b serves");
    assert_eq!((tasks.count(), a.play().calls.len(), b.play().calls.len()), (1, 3, 1));
}

/// Without a version an update may be done twice, so a lost one is the caller's matter, who is told; with one it is sent again.
#[tokio::test]
async fn an_update_is_sent_again_only_with_a_version() {
    let (a, b, _) = two().await;
    let client = client_of(&[&a, &b]);
    a.play().script.push_back(Fate::DoneAndLost);
    let error = client.update(UpdateTaskRequest::default()).await.expect_err("lost");
    assert_eq!((error.kind(), error.attempts(), error.may_be_done()), (ErrorKind::Unanswered, 1, true));
    assert_eq!((error.call(), error.peer()), ("UpdateTask", a.address().as_str()));
    assert_eq!(b.play().calls.len(), 0);

    b.play().script.push_back(Fate::DoneAndLost);
    let versioned = UpdateTaskRequest { expected_version: 1, ..UpdateTaskRequest::default() };
    assert_eq!(client.update(versioned).await.expect("sent again").version, 2);
    assert_eq!(a.play().calls.len() + b.play().calls.len(), 3);

    // What was not sent is sent to another one, whatever it is.
    let (mut dead, alive, _) = two().await;
    dead.kill();
    assert_eq!(client_of(&[&dead, &alive]).purge("a").await.expect("one lives"), 3);
}

/// A refusal is final: no other peer is asked, and the error carries what the peer said.
#[tokio::test]
async fn a_refusal_is_final() {
    let (a, b, _) = two().await;
    a.play().script.push_back(Fate::Refused(Status::not_found("no such task")));
    let error = client_of(&[&a, &b]).get(GetTaskRequest::default()).await.expect_err("refused");
    assert_eq!((error.kind(), error.code(), error.message()), (ErrorKind::Refused, Code::NotFound, "no such task"));
    assert_eq!(error.to_string(), format!("GetTask: {} answered NOT_FOUND: no such task", a.address()));
    assert_eq!(b.play().calls.len(), 0);
}

/// Nobody lives: a client that does not wait says so at once, one that waits says so when its time is over.
#[tokio::test]
async fn nobody_there() {
    let (mut a, mut b, _) = two().await;
    a.kill();
    b.kill();
    let hasty = Client::builder().wait_for_peers(false).connect([a.address(), b.address()]).expect("addresses");
    let error = within("no waiting", hasty.check_health()).await.expect_err("nobody is there");
    assert_eq!((error.kind(), error.attempts(), error.code()), (ErrorKind::Unreachable, 2, Code::Unavailable));
    let patient = Client::builder().timeout(Duration::from_secs(3)).connect([a.address()]).expect("an address");
    let error = patient.create(create("a", "1")).await.expect_err("nobody is there");
    assert!(error.kind() == ErrorKind::Unreachable && error.attempts() > 1 && !error.may_be_done(), "{error}");
    // And one that waits long enough is served by who comes.
    let client = client_of(&[&a]);
    let waiting = tokio::spawn(async move { client.check_health().await });
    a.serve();
    assert_eq!(waiting.await.expect("no panic").expect("served"), a.address());
}

/// Addresses that are none are found before anything is sent.
#[tokio::test]
async fn addresses_are_checked() {
    let error = Client::connect(["http://host:6355"]).expect_err("a URL").to_string();
    assert_eq!(error, "\"http://host:6355\" is not HOST:PORT: write \"host:6355\", without http://");
    for address in ["", "host", "host:", ":1", "host:port", "http://host:1/x", "user@host:1", "host/x:1"] {
        assert_eq!(Client::connect([address]).expect_err(address).kind(), ErrorKind::Address, "{address}");
    }
    assert_eq!(Client::connect(Vec::<String>::new()).expect_err("none").kind(), ErrorKind::Address);
    assert!(Client::connect(["peer-1:6355", "[::1]:6355", "127.0.0.1:1"]).is_ok());
}

/// Once an answer told who leads, the leader is asked directly; when it dies, any other one is.
#[tokio::test]
async fn leaders_are_followed() {
    let (a, mut b, tasks) = two().await;
    let members = vec![member("a", "a:6356", &a.address()), member("b", "b:6356", &b.address())];
    a.play().info = ClusterInfo { server_id: "a".into(), members: members.clone(), ..ClusterInfo::default() };
    b.play().info = ClusterInfo { server_id: "b".into(), members, ..ClusterInfo::default() };
    a.play().forwarded_to = "b:6356".into();
    // Only a is given: b is learned.
    let client = client_of(&[&a]);
    within("the client finds b", async {
        while b.play().calls.is_empty() {
            client.create(create("x", "1")).await.expect("served");
        }
    })
    .await;
    let forwarded = a.play().calls.len();
    for _ in 0..5 {
        client.create(create("x", "1")).await.expect("served");
        client.get(GetTaskRequest { namespace: "x".into(), ..GetTaskRequest::default() }).await.expect("served");
    }
    assert_eq!(a.play().calls.len(), forwarded, "the leader is asked directly");
    b.kill();
    a.play().forwarded_to.clear();
    let before = tasks.count();
    client.create(create("x", "1")).await.expect("a serves");
    assert_eq!((tasks.count(), a.play().calls.len()), (before + 1, forwarded + 1));
}

/// In a batch, the tasks of namespaces that could not be served are asked for again, and only those.
#[tokio::test]
async fn what_is_missing_of_a_batch_is_asked_for_again() {
    let (a, _, tasks) = two().await;
    let no_leader = Fate::Refused(Status::unavailable("no leader"));
    a.play().script.extend([Fate::Done, no_leader, Fate::Refused(Status::invalid_argument("bad")), Fate::Done]);
    let batch = ["1", "2", "3"].map(|payload| create("a", payload)).to_vec();
    let results = client_of(&[&a]).create_batch(batch).await.expect("served");
    let seen: Vec<_> = results.iter().map(|result| (result.status, result.task.clone().unwrap_or_default().payload)).collect();
    assert_eq!(seen, [(0, "1".into()), (0, "2".into()), (Code::InvalidArgument as u32, "".into())]);
    assert_eq!((tasks.count(), a.play().calls.len()), (2, 4));
}

/// Pages come one after the other, each with the token of the one before.
#[tokio::test]
async fn lists_are_streams_of_pages() {
    let (a, _, _) = two().await;
    let page = |n: usize, next: &str| ListTasksResponse { tasks: vec![Task::default(); n], next_page_token: next.into() };
    a.play().list_pages.extend([page(2, "p2"), page(0, "p3"), page(1, "")]);
    let pages: Vec<_> = client_of(&[&a]).list(ListTasksRequest::default()).try_collect().await.expect("served");
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 1]);
}
