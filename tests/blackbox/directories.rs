//! The two directories of a peer, when half of them is gone or they are somebody else's.

use std::fs;
use std::path::Path;

use crate::harness::{Peer, due_at, now_ms};

async fn filled() -> Peer {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    for n in 0..10 {
        for namespace in ["a", "b", "c"] {
            client.created(due_at(namespace, &n.to_string(), now_ms() + 3_600_000)).await;
        }
    }
    peer.kill().await;
    peer
}

/// Takes a file or directory away, expects the refusal, which names it, and puts it back.
async fn refused_without(peer: &mut Peer, path: &Path, status: i32, named: &Path) {
    let aside = path.with_file_name("aside");
    fs::rename(path, &aside).expect("moved away");
    for _ in 0..2 {
        let attempt = peer.attempt().await;
        assert_eq!(attempt.status.code(), Some(status), "without {}:\n{}", path.display(), attempt.log);
        let name = named.display().to_string();
        assert!(attempt.log.contains(&name), "{name} is not named:\n{}", attempt.log);
    }
    if path.is_dir() {
        fs::remove_dir_all(path).expect("what was made anew");
    } else {
        let _ = fs::remove_file(path);
    }
    fs::rename(&aside, path).expect("put back");
}

/// What is gone was there: it is damage, and never a peer, a log or a partition that is new. Taken for new, a peer would serve without the
/// tasks that it has acknowledged, or vote as if it had never voted.
#[tokio::test]
async fn what_is_missing_is_not_taken_for_new() {
    let mut peer = filled().await;
    let (peer_dir, db_dir) = (peer.peer_dir(), peer.db_dir());
    for log in ["log-000", "log-001"] {
        refused_without(&mut peer, &peer_dir.join(log), 74, &peer_dir.join(log)).await;
        let newest = peer_dir.join(log).join("newest");
        refused_without(&mut peer, &newest, 74, &newest).await;
    }
    for group in ["group-00000", "group-00001", "group-00003"] {
        refused_without(&mut peer, &db_dir.join(group), 74, &db_dir.join(group)).await;
    }
    refused_without(&mut peer, &db_dir, 74, &db_dir).await;
    refused_without(&mut peer, &peer_dir, 74, &peer_dir).await;
    refused_without(&mut peer, &peer_dir.join("identity.toml"), 74, &peer_dir).await;
    refused_without(&mut peer, &db_dir.join("owner.toml"), 74, &db_dir).await;
    peer.restart().await;
    let client = peer.client().await;
    for namespace in ["a", "b", "c"] {
        assert_eq!(client.namespace(namespace).await.live, 10);
    }
}

/// Files of others are not written over, and another cluster's are not served.
#[tokio::test]
async fn foreign_directories_are_refused_by_name() {
    let (mut peer, other) = (filled().await, filled().await);
    let (peer_dir, db_dir) = (peer.peer_dir(), peer.db_dir());
    // The partitions of another peer.
    fs::rename(&db_dir, peer_dir.with_file_name("own")).expect("moved away");
    fs::rename(other.db_dir(), &db_dir).expect("moved in");
    let attempt = peer.attempt().await;
    assert_eq!(attempt.status.code(), Some(64), "{}", attempt.log);
    assert!(attempt.log.contains(&db_dir.display().to_string()), "{}", attempt.log);
    fs::remove_dir_all(&db_dir).expect("removed");
    fs::rename(peer_dir.with_file_name("own"), &db_dir).expect("put back");
    // An identity that was edited.
    let identity = peer_dir.join("identity.toml");
    let text = fs::read_to_string(&identity).expect("an identity");
    let cluster = text.lines().find_map(|line| line.strip_prefix("cluster_id = ")).expect("a cluster").trim_matches('"');
    fs::write(&identity, text.replace(cluster, &"f".repeat(32))).expect("written");
    let attempt = peer.attempt().await;
    assert_eq!(attempt.status.code(), Some(64), "{}", attempt.log);
    assert!(attempt.log.contains(cluster) && attempt.log.contains(&"f".repeat(32)), "{}", attempt.log);
    fs::write(&identity, &text).expect("written");
    peer.restart().await;
    peer.kill().await;
    // What the original z4 leaves.
    for (dir, file) in [(&db_dir, "000001.vlog"), (&db_dir, "MANIFEST"), (&peer_dir, "logs.dat"), (&peer_dir, "stable.dat")] {
        peer.empty();
        fs::create_dir_all(dir).expect("made");
        fs::write(dir.join(file), "x").expect("written");
        fs::create_dir_all(&peer_dir).expect("made");
        let attempt = peer.attempt().await;
        assert_eq!(attempt.status.code(), Some(64), "{file}: {}", attempt.log);
        assert!(attempt.log.contains(file) && attempt.log.contains(&dir.display().to_string()), "{}", attempt.log);
    }
}
