//! Namespaces: many of them, their settings, pausing and purging.

use std::collections::BTreeSet;

use z4_proto::{ConsumeOpen, ConsumeRequest, ListNamespacesRequest, NamespaceSettings};

use crate::harness::wait::{until, within};
use crate::harness::{Client, ConsumeStream, Peer, create, due_at, now_ms};

async fn all_names(client: &Client, page_size: u32) -> Vec<String> {
    let mut names = Vec::new();
    let mut request = ListNamespacesRequest { page_size, page_token: String::new() };
    loop {
        let mut tasks = client.tasks.clone();
        let page = within("ListNamespaces", tasks.list_namespaces(request.clone())).await.expect("a page").into_inner();
        assert!(page.namespaces.len() <= page_size as usize, "a page is no larger than asked for");
        names.extend(page.namespaces.into_iter().map(|namespace| namespace.name));
        if page.next_page_token.is_empty() {
            return names;
        }
        request.page_token = page.next_page_token;
    }
}

/// A thousand namespaces, spread over all groups: each gets a task, one consumer takes them all, and the list names each once, in
/// order, over many pages that are merged from all groups.
#[tokio::test]
async fn a_thousand_namespaces() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let names: BTreeSet<String> = (0..1_000).map(|n| format!("namespace-{n:06}")).collect();
    client.created_all(names.iter().map(|name| create(name, "x")).collect()).await;
    assert_eq!(all_names(&client, 150).await, names.iter().cloned().collect::<Vec<_>>());

    // They are acked one after the other, on a busy machine for longer than an ordinary lease.
    let open = ConsumeOpen { namespaces: names.iter().cloned().collect(), lease_ms: 600_000, held: Vec::new() };
    let first = ConsumeRequest { open: Some(open), credit: 1_000, ..ConsumeRequest::default() };
    let mut stream = ConsumeStream::open_with(&client, first).await.expect("a stream");
    let mut delivered = BTreeSet::new();
    for _ in 0..1_000 {
        let delivery = stream.next().await;
        delivered.insert(delivery.task.as_ref().expect("a task").namespace.clone());
        assert_eq!(stream.ack(&delivery).await.status, 0);
    }
    assert_eq!(delivered, names);
}

/// A namespace that nobody has used shows the defaults; a change touches what it names, survives a kill, and works: the lease time
/// that is set is the one that a delivery gets.
#[tokio::test]
async fn settings_are_kept_and_work() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    let defaults = NamespaceSettings {
        lease_ms: Some(30_000),
        max_attempts: Some(25),
        backoff_first_ms: Some(1_000),
        backoff_factor: Some(2.0),
        backoff_ceiling_ms: Some(3_600_000),
        backoff_jitter: Some(0.1),
        paused: Some(false),
        idempotency_window_ms: Some(300_000),
    };
    assert_eq!(client.namespace("a").await.settings, Some(defaults));
    assert_eq!(all_names(&client, 100).await, Vec::<String>::new(), "looking at a namespace does not create it");

    let change = NamespaceSettings { lease_ms: Some(5_000_000), ..NamespaceSettings::default() };
    let expected = NamespaceSettings { lease_ms: Some(5_000_000), ..defaults };
    let changed = client.configure("a", change).await.expect("taken");
    assert_eq!(changed.settings, Some(expected));
    peer.kill().await;
    peer.restart().await;
    let client = peer.client().await;
    assert_eq!(client.namespace("a").await.settings, Some(expected));

    client.created(create("a", "x")).await;
    let before = now_ms();
    let delivery = client.lease_one("a", 0).await;
    let deadline = delivery.lease_deadline.expect("a deadline").seconds * 1_000;
    assert!(deadline >= i64::try_from(before).expect("fits") + 4_999_000, "the lease ends at {deadline}");
}

/// A paused namespace takes tasks and delivers none; a consumer that waits gets them when the pause is over.
#[tokio::test]
async fn a_paused_namespace_takes_and_does_not_give() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let paused = |paused| NamespaceSettings { paused: Some(paused), ..NamespaceSettings::default() };
    client.configure("a", paused(true)).await.expect("taken");
    let mut stream = ConsumeStream::open(&client, &["a", "b"], 10).await;
    let task = client.created(create("a", "x")).await;
    assert_eq!(client.lease_now("a").await.len(), 0);
    // What comes from the other namespace shows that the stream is awake.
    client.created(create("b", "y")).await;
    assert_eq!(stream.next().await.task.expect("a task").namespace, "b");

    client.configure("a", paused(false)).await.expect("taken");
    let delivery = stream.next().await;
    assert_eq!((delivery.task.expect("a task").id, delivery.attempt), (task.id, 1));
}

/// A purge removes all tasks, scheduled, ready, leased and dead, says how many, and leaves the settings and other namespaces alone.
#[tokio::test]
async fn a_purge_removes_every_task_and_nothing_else() {
    const SCHEDULED: u64 = 2_500;
    let peer = Peer::start().await;
    let client = peer.client().await;
    client.without_backoff("a").await;
    client.configure("a", NamespaceSettings { max_attempts: Some(1), ..NamespaceSettings::default() }).await.expect("taken");
    client.created(create("a", "dead")).await;
    client.nack(&client.lease_one("a", 60_000).await, None, "no").await;
    client.created(create("a", "leased")).await;
    let held = client.lease_one("a", 60_000).await;
    client.created(create("a", "ready")).await;
    let later = now_ms() + 3_600_000;
    client.created_all((0..SCHEDULED).map(|n| due_at("a", "scheduled", later + n)).collect()).await;
    client.created(create("b", "other")).await;
    let state = client.namespace("a").await;
    assert_eq!((state.live, state.dead, state.leased), (SCHEDULED + 2, 1, 1));

    assert_eq!(client.purge("a").await, SCHEDULED + 3);
    let state = client.namespace("a").await;
    assert_eq!((state.live, state.dead), (0, 0));
    assert_eq!(state.settings.expect("settings").max_attempts, Some(1));
    assert_eq!(client.list_all("a").await.len(), 0);
    assert_eq!(client.lease_now("a").await.len(), 0, "nothing of it is delivered any more");
    assert_eq!(client.ack(&[held]).await[0].status, 9);
    until("no lease is left", async || (client.namespace("a").await.leased == 0).then_some(())).await;
    assert_eq!(client.namespace("b").await.live, 1);
}
