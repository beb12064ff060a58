//! A disk that fills up. What takes space is refused in good time, what gives space back goes on, and a peer that has none left ends
//! with its status: an acknowledged task is never lost to it, and a supervisor sees why.
//!
//! On a file system of its own where one can be mounted; elsewhere, or with `Z4_TEST_NO_MOUNT` set, the peer is told what its disk has left,
//! and that there is nothing, by a hook.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tonic::Code;
use z4_proto::{Delivery, UpdateTaskRequest};

use crate::harness::wait::until;
use crate::harness::{Client, Peer, create, due_at, http, now_ms, timestamp};

const MIB: u64 = 1 << 20;
const DISK_BYTES: u64 = 320 * MIB;

const OPTIONS: [(&str, &str); 5] = [
    ("Z4_DISK_RESERVE_BYTES", "64MiB"),
    ("Z4_SHARDS", "1"),
    ("Z4_GROUPS", "1"),
    ("Z4_LOG_SEGMENT_BYTES", "16MiB"),
    ("Z4_LOG_RETAINED_BYTES", "1MiB"),
];

/// A small disk.
enum Disk {
    /// A file system in memory; unmounted when it is dropped.
    Mounted(TempDir),
    /// As large as it is; what is left of it stands in a file beside it.
    Told(TempDir),
}

impl Disk {
    fn new() -> Disk {
        let dir = || tempfile::Builder::new().prefix("disk-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let mount = |dir: &TempDir| {
            let size = format!("size={DISK_BYTES}");
            let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "z4-test"]).arg(dir.path()).status();
            mounted.is_ok_and(|status| status.success())
        };
        let own = dir();
        if std::env::var_os("Z4_TEST_NO_MOUNT").is_none() && mount(&own) {
            return Disk::Mounted(own);
        }
        eprintln!("no file system is mounted here: the peer is told what its disk has left");
        Disk::Told(own)
    }

    fn path(&self) -> &Path {
        match self {
            Disk::Mounted(dir) | Disk::Told(dir) => dir.path(),
        }
    }

    /// A peer on it.
    async fn start(&self) -> Peer {
        let dir = self.path().to_str().expect("a path of letters").to_owned();
        let mut options = OPTIONS.to_vec();
        if let Disk::Told(_) = self {
            options.push(("TEST_Z4_SPACE_DIR", &dir));
        }
        Peer::start_below(self.path(), &options).await
    }

    /// Fills the disk up to so many bytes; removing the file makes room again.
    fn fill(&self, left: u64) -> PathBuf {
        if let Disk::Told(dir) = self {
            // The file is called as the peer is.
            let path = dir.path().join("peer-1");
            let told = if left == 0 { "-1".to_owned() } else { left.to_string() };
            fs::write(&path, told).expect("written");
            return path;
        }
        let path = self.path().join("ballast");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).expect("a file");
        let chunk = vec![1u8; 64 << 10];
        while free_bytes(self.path()) > left && file.write_all(&chunk).is_ok() {}
        while left == 0 && file.write_all(&[1; 512]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Disk::Mounted(dir) = self {
            // Lazily: a peer that was killed may still be going.
            let _ = Command::new("umount").arg("-l").arg(dir.path()).status();
        }
    }
}

fn free_bytes(path: &Path) -> u64 {
    z4_shards::runtime::disk::free_bytes(path).expect("a file system")
}

async fn metric(peer: &Peer, name: &str) -> f64 {
    let (_, body) = http::get(&peer.metrics_address(), "/metrics").await;
    let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_else(|| panic!("no {name}"));
    line.parse().expect("a number")
}

async fn until_refused(client: &Client) {
    let refused = until("creates are refused", async || client.create(create("a", "more")).await.err()).await;
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("disk_reserve_bytes") && refused.message().contains("67108864"), "{refused}");
}

/// Less than the reserve is left: creates are refused by the name of the limit, in each way of creating, and nothing else is. With room
/// again they are taken, without a restart.
#[tokio::test]
async fn what_grows_is_refused_and_what_shrinks_goes_on() {
    let disk = Disk::new();
    let mut peer = disk.start().await;
    let client = peer.client().await;
    let later = client.created(due_at("a", "later", now_ms() + 3_600_000)).await;
    client.created_all((0..20).map(|n| create("a", &n.to_string())).collect()).await;
    assert!(metric(&peer, "z4_disk_short").await < 0.5);

    let ballast = disk.fill(48 * MIB);
    until_refused(&client).await;
    assert!(metric(&peer, "z4_disk_short").await > 0.5);
    assert!(metric(&peer, "z4_disk_free_bytes").await < 64.0 * MIB as f64);
    match client.create_batch(vec![create("a", "one"), create("a", "two")]).await {
        Ok(results) => assert!(results.iter().all(|result| result.status == Code::ResourceExhausted as u32), "{results:?}"),
        Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
    }
    let larger = UpdateTaskRequest {
        namespace: "a".to_owned(),
        task_id: later.id.clone(),
        replace_payload: true,
        payload: "x".repeat(1_000).into_bytes().into(),
        ..UpdateTaskRequest::default()
    };
    assert_eq!(client.update(larger).await.expect_err("it grows").code(), Code::ResourceExhausted);

    let deliveries: Vec<Delivery> = until("tasks are delivered", async || {
        let found = client.lease_now("a").await;
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert!(client.ack(&deliveries).await.iter().all(|result| result.status == 0));
    assert_eq!(client.get("a", &later.id).await.expect("it is read").id, later.id);
    let sooner = UpdateTaskRequest {
        namespace: "a".to_owned(),
        task_id: later.id.clone(),
        deliver_at: Some(timestamp(now_ms() + 1_800_000)),
        ..UpdateTaskRequest::default()
    };
    client.update(sooner).await.expect("it does not grow");
    client.delete("a", &later.id, 0).await.expect("it shrinks");

    fs::remove_file(ballast).expect("room again");
    until("creates are taken again", async || client.create(create("a", "more")).await.ok()).await;
    assert!(metric(&peer, "z4_disk_short").await < 0.5);
    assert!(peer.log().contains("the disk is nearly full"), "{}", peer.log());
    assert_eq!(peer.terminate().await.code(), Some(0));
}

/// The reserve is used up by what goes on: the process ends with the status for storage, also when it is started again, each time by
/// itself. With room everything that was acknowledged is there.
#[tokio::test]
async fn a_used_up_reserve_ends_the_process_and_every_start() {
    let disk = Disk::new();
    let mut peer = disk.start().await;
    let client = peer.client().await;
    let tasks = client.created_all((0..200).map(|n| due_at("a", &n.to_string(), now_ms() + 3_600_000)).collect()).await;
    let ballast = disk.fill(0);
    let mut at = now_ms() + 7_200_000;
    let status = loop {
        if let Some(status) = peer.exited() {
            break status;
        }
        for task in &tasks {
            at += 1;
            let moved = UpdateTaskRequest {
                namespace: "a".to_owned(),
                task_id: task.id.clone(),
                deliver_at: Some(timestamp(at)),
                ..UpdateTaskRequest::default()
            };
            if client.update(moved).await.is_err() {
                break;
            }
        }
    };
    assert_eq!(status.code(), Some(74), "{}", peer.log());
    peer.ended();
    // What the process had open and removed is free now.
    disk.fill(0);
    let attempt = peer.attempt_logging_below(env!("CARGO_TARGET_TMPDIR").as_ref()).await;
    assert_eq!(attempt.status.code(), Some(74), "{}", attempt.log);
    fs::remove_file(ballast).expect("room again");
    peer.restart().await;
    assert_eq!(peer.client().await.namespace("a").await.live, tasks.len() as u64);
}
