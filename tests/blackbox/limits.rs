//! Every limit of requests for tasks and namespaces, one above its value: INVALID_ARGUMENT or RESOURCE_EXHAUSTED, a text that names
//! field, value and limit, and nothing done. The value itself is taken.

use std::collections::BTreeMap;

use prost_types::Timestamp;
use tonic::{Code, Status};
use z4_proto::{CreateTaskRequest, ListNamespacesRequest, ListTasksRequest, NamespaceSettings, UpdateTaskRequest};

use crate::harness::wait::within;
use crate::harness::{Peer, create, due_at, now_ms};

/// Checks code and text of a refusal.
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, names: &[&str]) {
    let status = answer.expect_err(&format!("a refusal that names {names:?}"));
    assert!(matches!(status.code(), Code::InvalidArgument | Code::ResourceExhausted), "{names:?}: {status}");
    for name in names {
        assert!(status.message().contains(name), "{name} is not named: {}", status.message());
    }
}

fn metadata(entries: usize, value: &str) -> BTreeMap<String, String> {
    (0..entries).map(|n| (format!("{n:04}"), value.to_owned())).collect()
}

/// What a single create carries.
#[tokio::test]
async fn limits_of_a_task() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let payload = |bytes: usize| CreateTaskRequest { payload: vec![b'x'; bytes].into(), ..create("a", "") };
    refused(client.create(payload(1_048_577)).await, &["payload", "1048577", "1048576"]);

    let with = |metadata| CreateTaskRequest { metadata, ..create("a", "") };
    refused(client.create(with(metadata(65, "v"))).await, &["metadata", "65", "64"]);
    // Four bytes of key and 1021 of value, sixteen times, are 16,400.
    refused(client.create(with(metadata(16, &"v".repeat(1_021)))).await, &["metadata", "16400", "16384"]);

    let request_id = |bytes: usize| CreateTaskRequest { request_id: "r".repeat(bytes), ..create("a", "") };
    refused(client.create(request_id(257)).await, &["request_id", "257", "256"]);

    refused(client.create(create("", "")).await, &["namespace", "255"]);
    refused(client.create(create(&"n".repeat(256), "")).await, &["namespace", "256", "255"]);
    refused(client.create(create("a\u{7}b", "")).await, &["namespace", "control"]);

    assert_eq!(client.namespace("a").await.live, 0, "nothing was done");
    let largest = CreateTaskRequest {
        request_id: "r".repeat(256),
        namespace: "ä".repeat(127) + "n",
        metadata: metadata(64, &"v".repeat(252)),
        payload: vec![b'x'; 1_048_576].into(),
        ..CreateTaskRequest::default()
    };
    let task = client.created(largest.clone()).await;
    let read = client.get(&largest.namespace, &task.id).await.expect("the largest task is kept");
    assert!(read.payload == largest.payload && read.metadata == largest.metadata, "the largest task came back changed");
}

/// Due times reach from the beginning of time, which means now, to the year 9999.
#[tokio::test]
async fn limits_of_due_times() {
    const LAST_SECOND: i64 = 253_402_300_799;
    let peer = Peer::start().await;
    let client = peer.client().await;
    let at = |seconds, nanos| CreateTaskRequest { deliver_at: Some(Timestamp { seconds, nanos }), ..create("a", "") };
    refused(client.create(at(LAST_SECOND + 1, 0)).await, &["deliver_at", "9999"]);
    refused(client.create(at(i64::MAX, 0)).await, &["deliver_at"]);
    refused(client.create(at(0, 1_000_000_000)).await, &["deliver_at", "1000000000"]);
    refused(client.create(at(0, -1)).await, &["deliver_at", "-1"]);
    let after = |tts_seconds| CreateTaskRequest { tts_seconds, ..create("a", "") };
    refused(client.create(after(i64::MAX)).await, &["tts_seconds", "9999"]);
    refused(client.create(after(LAST_SECOND)).await, &["tts_seconds", "9999"]);

    client.created(at(LAST_SECOND, 999_000_000)).await;
    let before = now_ms();
    let past = client.created(at(-62_135_596_800, 0)).await;
    assert!(crate::harness::due_ms(&past) >= before, "a past time is due at once: {past:?}");
    let both = client.created(CreateTaskRequest { tts_seconds: 3_600, ..at(LAST_SECOND, 0) }).await;
    let expected = before + 3_600_000..=now_ms() + 3_600_000;
    assert!(expected.contains(&crate::harness::due_ms(&both)), "tts_seconds wins over deliver_at: {both:?}");
}

/// A batch is bounded in tasks and in bytes, and a message of any kind in bytes.
#[tokio::test]
async fn limits_of_a_batch() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let batch = |tasks: usize, payload_bytes: usize| {
        let request = CreateTaskRequest { payload: vec![b'x'; payload_bytes].into(), ..due_at("a", "", now_ms() + 3_600_000) };
        vec![request; tasks]
    };
    refused(client.create_batch(batch(1_001, 1)).await, &["tasks", "1001", "1000"]);
    refused(client.create_batch(batch(5, 1 << 20)).await, &["tasks", "4194304"]);
    // What is larger than any message may be is refused by its length, before it is a batch.
    let huge = client.create_batch(batch(10, 1 << 20)).await.expect_err("10 MiB are no message");
    assert_eq!(huge.code(), Code::InvalidArgument, "{huge}");
    assert!(huge.message().contains("8388608"), "{huge}");
    assert_eq!(client.create_batch(Vec::new()).await.expect("nothing to do"), Vec::new());
    assert_eq!(client.namespace("a").await.live, 0, "nothing was done");
    assert_eq!(client.create_batch(batch(1_000, 1)).await.expect("1,000 tasks are taken").len(), 1_000);
    assert_eq!(client.create_batch(batch(4, (1 << 20) - 1_024)).await.expect("nearly 4 MiB are taken").len(), 4);
    assert_eq!(client.namespace("a").await.live, 1_004);
}

/// Lists are bounded by page, and their tokens are not guessed.
#[tokio::test]
async fn limits_of_lists() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let list = |page_size, page_token: &str| ListTasksRequest {
        namespace: "a".to_owned(),
        page_size,
        page_token: page_token.to_owned(),
        ..ListTasksRequest::default()
    };
    refused(client.list_page(list(1_001, "")).await, &["page_size", "1001", "1000"]);
    refused(client.list_page(list(1, "nonsense")).await, &["page_token", "nonsense"]);
    client.list_page(list(1_000, "")).await.expect("1,000 are taken");

    let mut tasks = client.tasks.clone();
    let mut list = async |page_size, page_token: &str| {
        let request = ListNamespacesRequest { page_size, page_token: page_token.to_owned() };
        within("ListNamespaces", tasks.list_namespaces(request)).await
    };
    refused(list(1_001, "").await, &["page_size", "1001", "1000"]);
    refused(list(1, "\u{1}").await, &["page_token"]);
    list(1_000, "").await.expect("1,000 are taken");
}

/// Ids and updates.
#[tokio::test]
async fn limits_of_ids_and_updates() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    refused(client.get("a", "nonsense").await, &["task_id", "nonsense"]);
    refused(client.get("a", "").await, &["task_id"]);
    refused(client.delete("a", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", 0).await, &["task_id", "8ZZZ"]);
    let task = client.created(due_at("a", "x", now_ms() + 3_600_000)).await;
    let update = || UpdateTaskRequest { namespace: "a".to_owned(), task_id: task.id.clone(), ..UpdateTaskRequest::default() };
    let payload = UpdateTaskRequest { replace_payload: true, payload: vec![0; 1_048_577].into(), ..update() };
    refused(client.update(payload).await, &["payload", "1048577", "1048576"]);
    let entries = UpdateTaskRequest { replace_metadata: true, metadata: metadata(65, "v"), ..update() };
    refused(client.update(entries).await, &["metadata", "65", "64"]);
    let late = UpdateTaskRequest { deliver_at: Some(Timestamp { seconds: 253_402_300_800, nanos: 0 }), ..update() };
    refused(client.update(late).await, &["deliver_at", "9999"]);
    assert_eq!(client.get("a", &task.id).await.expect("there").version, 1, "nothing was changed");
}

/// Every setting of a namespace, on both sides of its range; a change with one bad setting changes nothing.
#[tokio::test]
async fn limits_of_settings() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let none = NamespaceSettings::default;
    let bad = [
        ("lease_ms", "99", NamespaceSettings { lease_ms: Some(99), ..none() }),
        ("lease_ms", "43200001", NamespaceSettings { lease_ms: Some(43_200_001), ..none() }),
        ("max_attempts", "0", NamespaceSettings { max_attempts: Some(0), ..none() }),
        ("max_attempts", "10001", NamespaceSettings { max_attempts: Some(10_001), ..none() }),
        ("backoff_first_ms", "86400001", NamespaceSettings { backoff_first_ms: Some(86_400_001), ..none() }),
        ("backoff_factor", "0.5", NamespaceSettings { backoff_factor: Some(0.5), ..none() }),
        ("backoff_factor", "NaN", NamespaceSettings { backoff_factor: Some(f64::NAN), ..none() }),
        ("backoff_factor", "100.5", NamespaceSettings { backoff_factor: Some(100.5), ..none() }),
        ("backoff_ceiling_ms", "2592000001", NamespaceSettings { backoff_ceiling_ms: Some(2_592_000_001), ..none() }),
        ("backoff_jitter", "1.5", NamespaceSettings { backoff_jitter: Some(1.5), ..none() }),
        ("backoff_jitter", "-0.5", NamespaceSettings { backoff_jitter: Some(-0.5), ..none() }),
        ("idempotency_window_ms", "86400001", NamespaceSettings { idempotency_window_ms: Some(86_400_001), ..none() }),
    ];
    for (field, value, settings) in bad {
        let with_a_good_one = NamespaceSettings { paused: Some(true), ..settings };
        refused(client.configure("a", with_a_good_one).await, &[field, value]);
    }
    let settings = client.namespace("a").await.settings.expect("settings");
    assert_eq!(settings.paused, Some(false), "a change is refused as a whole");
    let last = NamespaceSettings {
        lease_ms: Some(43_200_000),
        max_attempts: Some(10_000),
        backoff_first_ms: Some(86_400_000),
        backoff_factor: Some(100.0),
        backoff_ceiling_ms: Some(2_592_000_000),
        backoff_jitter: Some(1.0),
        paused: Some(true),
        idempotency_window_ms: Some(86_400_000),
    };
    assert_eq!(client.configure("a", last).await.expect("the ends of the ranges are taken").settings, Some(last));
}
