//! The raft log goes once the partitions have what it held, and then nothing else can stand in for them.

use std::fs;
use std::path::Path;

use crate::harness::wait::until;
use crate::harness::{Peer, due_at, now_ms};

const OPTIONS: [(&str, &str); 2] = [("Z4_LOG_RETAINED_BYTES", "1MiB"), ("Z4_LOG_SEGMENT_BYTES", "8MiB")];

/// More is written than the log may keep: its first segments go, and a SIGKILL loses nothing all the same. With the partitions taken
/// away the log alone is not enough any more: the peer must refuse to start and name the group, instead of serving what is left.
#[tokio::test]
async fn a_trimmed_log_needs_its_partitions() {
    // More than eight segments: from there on the few entries of quiet groups are moved out of the first ones.
    const BATCHES: usize = 120;
    const TASKS: usize = 16;
    let mut peer = Peer::start_with(&OPTIONS).await;
    let client = peer.client().await;
    let payload = "x".repeat(64 << 10);
    for _ in 0..BATCHES {
        client.created_all((0..TASKS).map(|_| due_at("a", &payload, now_ms() + 3_600_000)).collect::<Vec<_>>()).await;
    }
    let first_is_gone = async || {
        let trimmed = logs(&peer.peer_dir()).any(|log| !log.join("0000000001.log").exists());
        trimmed.then_some(())
    };
    until("the first segment of the log goes", first_is_gone).await;

    peer.kill().await;
    peer.restart().await;
    assert_eq!(peer.client().await.namespace("a").await.live, (BATCHES * TASKS) as u64);

    assert_eq!(peer.terminate().await.code(), Some(0));
    for entry in fs::read_dir(peer.db_dir()).expect("the partitions' directory").flatten() {
        if entry.path().is_dir() {
            fs::remove_dir_all(entry.path()).expect("removed");
        }
    }
    let attempt = peer.attempt_with(&OPTIONS).await;
    assert_eq!(attempt.status.code(), Some(74), "the status for lost storage:\n{}", attempt.log);
    assert!(attempt.log.contains("the partition of group "), "the group is not named:\n{}", attempt.log);
}

fn logs(peer_dir: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(peer_dir).expect("the peer directory").flatten();
    entries.map(|entry| entry.path()).filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("log-")))
}
