//! Start, stop, and two processes where there should be one.

use tonic::Code;

use crate::harness::wait::{until, within};
use crate::harness::{Client, ConsumeStream, Peer, create, due_at, now_ms};

/// SIGTERM while creates are on their way and a consumer is connected: the process ends with 0 by itself, the consumer's stream ends,
/// and every create that was answered is there after the restart.
#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_loses_nothing() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    let consumer = ConsumeStream::open(&client, &["other"], 10).await;
    let answered = std::cell::Cell::new(0u64);
    let produced = futures_util::future::join_all((0..16).map(|_| produce(&client, &answered)));
    let stopped = async {
        until("creates are answered", async || (answered.get() >= 200).then_some(())).await;
        peer.terminate().await
    };
    let (_, status) = within("the producers end with the peer", async { tokio::join!(produced, stopped) }).await;
    assert_eq!(status.code(), Some(0), "{status}");
    // A consumer is told, so that it goes to another peer; a connection that is cut looks like a crash.
    let told = consumer.end().await.expect("a status");
    assert_eq!(told.code(), Code::Unavailable, "{told}");
    assert!(told.message().contains("stopping"), "{told}");

    peer.restart().await;
    let live = peer.client().await.namespace("a").await.live;
    // A create may have been done and its answer cut off, but not the other way round.
    assert!(live >= answered.get(), "{} creates were answered, {live} tasks are there", answered.get());
    assert!(live <= answered.get() + 16, "{} creates were answered, {live} tasks are there", answered.get());
}

/// What was acknowledged is in the raft log, but the disk refuses what a stop has to write: whoever watches the peer must not take it for
/// one that ended well.
#[tokio::test]
async fn a_stop_that_cannot_make_everything_durable_is_no_good_end() {
    let mut peer = Peer::start_with(&[("Z4_SHARDS", "1"), ("Z4_GROUPS", "1")]).await;
    peer.client().await.created(create("a", "x")).await;
    // Where the manifest is drafted no file can be made.
    let draft = peer.db_dir().join("group-00001/generation-1/manifest.draft");
    std::fs::create_dir(&draft).expect("made");
    assert_eq!(peer.terminate().await.code(), Some(74), "{}", peer.log());
    assert!(peer.log().contains("a partition cannot be made durable"), "{}", peer.log());
    std::fs::remove_dir(&draft).expect("removed");
    peer.restart().await;
    assert_eq!(peer.client().await.namespace("a").await.live, 1);
}

async fn produce(client: &Client, answered: &std::cell::Cell<u64>) {
    let request = || due_at("a", "x", now_ms() + 3_600_000);
    while client.tasks.clone().create_task(request()).await.is_ok() {
        answered.set(answered.get() + 1);
    }
}

/// Scheduled, leased and dead tasks and settings come back after a graceful stop; leases do not, so a leased task is
/// deliverable again.
#[tokio::test]
async fn a_restart_keeps_tasks_and_settings() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    client.without_backoff("a").await;
    let scheduled = client.created(due_at("a", "scheduled", now_ms() + 3_600_000)).await;
    let leased = client.created(create("a", "leased")).await;
    let held = client.lease_one("a", 3_600_000).await;
    assert_eq!(held.task.as_ref().expect("a task").id, leased.id);
    assert_eq!(peer.terminate().await.code(), Some(0));

    peer.restart().await;
    let client = peer.client().await;
    let settings = client.namespace("a").await.settings.expect("settings");
    assert_eq!(settings.backoff_first_ms, Some(0));
    let kept = client.get("a", &scheduled.id).await.expect("kept");
    assert_eq!(
        (&kept.payload, kept.deliver_at, kept.created_at),
        (&scheduled.payload, scheduled.deliver_at, scheduled.created_at)
    );
    let again = client.lease_one("a", 60_000).await;
    assert_eq!(again.task.as_ref().expect("a task").id, leased.id);
    let late = client.ack(&[held]).await.remove(0);
    assert_eq!(late.status, 9, "a token of the process before is refused: {}", late.message);
    assert_eq!(client.ack(&[again]).await[0].status, 0);
}

/// A second process on the same directories would write the same log. It ends at once, says why and where, and the first one does
/// not notice.
#[tokio::test]
async fn a_second_process_on_the_same_directories_is_refused() {
    let peer = Peer::start().await;
    let client = peer.client().await;
    let attempt = peer.attempt().await;
    assert_eq!(attempt.status.code(), Some(69), "the status for what a restart may cure:\n{}", attempt.log);
    let directories = [peer.peer_dir(), peer.db_dir()];
    let named = directories.iter().any(|dir| attempt.log.contains(dir.to_str().expect("UTF-8")));
    assert!(named, "none of {directories:?} is named:\n{}", attempt.log);
    assert!(!attempt.log.contains("panicked"), "{}", attempt.log);
    client.created(create("a", "x")).await;
    assert_eq!(client.namespace("a").await.live, 1);
}

/// A wrong option is no reason to start with another one.
#[tokio::test]
async fn a_bad_option_is_refused_by_name() {
    let mut peer = Peer::start().await;
    peer.kill().await;
    let attempt = peer.attempt_with(&[("Z4_SERVICE_PORT", "many")]).await;
    assert_eq!(attempt.status.code(), Some(64), "the status for a bad configuration:\n{}", attempt.log);
    assert!(attempt.log.contains("Z4_SERVICE_PORT") && attempt.log.contains("many"), "{}", attempt.log);
    let attempt = peer.attempt_with(&[("Z4_SERVICE_PROT", "1")]).await;
    assert_eq!(attempt.status.code(), Some(64), "an unknown option is refused:\n{}", attempt.log);
    assert!(attempt.log.contains("Z4_SERVICE_PROT"), "{}", attempt.log);
}

/// A peer that was killed comes back at once, although its clients were connected: what lingers of their connections is in nobody's way.
#[tokio::test]
async fn a_killed_peer_comes_back_under_its_port_at_once() {
    let mut peer = Peer::start().await;
    let clients = [peer.client().await, peer.client().await];
    for client in &clients {
        client.created(create("a", "x")).await;
    }
    let address = peer.address();
    peer.kill().await;
    peer.restart().await;
    assert_eq!((peer.address(), peer.starts()), (address.clone(), 2), "the first attempt succeeds");
    // And nobody else takes it while it runs.
    let port = address.rsplit_once(':').expect("a port").1.to_owned();
    let other = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let dirs = [("Z4_PEER_DATA_DIR", other.path().join("peer")), ("Z4_DB_DATA_DIR", other.path().join("db"))];
    let dirs = dirs.each_ref().map(|(name, dir)| (*name, dir.to_str().expect("UTF-8")));
    let attempt = peer.attempt_with(&[("Z4_SERVICE_PORT", &port), ("Z4_METRICS_PORT", "0"), dirs[0], dirs[1]]).await;
    assert_eq!(attempt.status.code(), Some(69), "{}", attempt.log);
    assert!(attempt.log.contains(&format!("service_port {port}")), "{}", attempt.log);
}

/// Killed as soon as it serves for the first time: what it wrote into its registry is in the log and not in the partition yet. It must find
/// it there, and not end because it is there already.
#[tokio::test]
async fn a_peer_that_is_killed_right_after_its_first_start_comes_back() {
    for _ in 0..3 {
        let mut peer = Peer::start_with(&[("Z4_SHARDS", "8")]).await;
        peer.kill().await;
        peer.restart().await;
        let client = peer.client().await;
        until("the peer serves", async || client.healthy().await.then_some(())).await;
    }
}
