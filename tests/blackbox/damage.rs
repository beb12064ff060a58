//! A disk that lies. A peer that started on a damaged log could have lost acknowledged tasks without anybody noticing.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use z4_proto::ListTasksRequest;

use crate::harness::wait::until;
use crate::harness::{Peer, due_at, now_ms};

/// Enough entries that the middle of the log is far from its tail: each create is an entry of its own.
const ENTRIES: u64 = 300;

/// One bit in the middle of the raft log flips while the peer is down. It refuses to start and names the file and an offset at or
/// before the bit, so that an operator knows which disk to distrust. With the bit put right it starts, and everything is there.
#[tokio::test]
async fn a_damaged_log_is_refused_by_file_and_offset() {
    let mut peer = Peer::start().await;
    let client = peer.client().await;
    for n in 0..ENTRIES {
        client.created(due_at("a", &n.to_string(), now_ms() + 3_600_000)).await;
    }
    peer.kill().await;

    let (file, bytes) = fullest_file(&peer.peer_dir());
    let used = bytes.iter().rposition(|b| *b != 0).expect("the log is not empty") + 1;
    let middle = bytes[used / 2..used].iter().position(|b| *b != 0).expect("the tail is not zero") + used / 2;
    write_byte(&file, middle, bytes[middle] ^ 0x10);

    let attempt = peer.attempt().await;
    assert_eq!(attempt.status.code(), Some(74), "the status for damaged storage:\n{}", attempt.log);
    assert!(attempt.log.contains("add-peer --replace"), "the way on is not told:\n{}", attempt.log);
    let name = file.file_name().and_then(|name| name.to_str()).expect("an ASCII name");
    assert!(attempt.log.contains(name), "the file {name} is not named:\n{}", attempt.log);
    let offset = number_after(&attempt.log, "at byte").unwrap_or_else(|| panic!("no offset is named:\n{}", attempt.log));
    assert!(offset <= middle, "offset {offset} is behind the damage at {middle}");
    assert!(offset + (1 << 20) > middle, "offset {offset} is far from the damage at {middle}");

    write_byte(&file, middle, bytes[middle]);
    peer.restart().await;
    assert_eq!(peer.client().await.namespace("a").await.live, ENTRIES);
}

/// One bit in a table of tasks flips. Nobody sees it before a read comes there. Then the reader is told, and the process ends with the
/// status for storage and names the partition: it would go on to answer from what it can no longer trust.
#[tokio::test]
async fn damage_that_a_read_finds_ends_a_lone_peer() {
    const TASKS: usize = 60;
    let mut peer = Peer::start_with(&[("Z4_MEMTABLE_BYTES", "1MiB")]).await;
    let client = peer.client().await;
    let payload = |n: usize| format!("{n:064}").repeat(1_000);
    client.created_all((0..TASKS).map(|n| due_at("a", &payload(n), now_ms() + 3_600_000)).collect()).await;
    let db = peer.db_dir();
    let tables = || {
        let tables = files_below(&db).into_iter().filter(|path| path.parent().is_some_and(|dir| dir.ends_with("1/tables")));
        tables.map(|path| (fs::metadata(&path).map_or(0, |file| file.len()), path))
    };
    until("tasks are in a table", async || tables().any(|(bytes, _)| bytes > 1_000_000).then_some(())).await;
    assert_eq!(peer.terminate().await.code(), Some(0));

    let (_, table) = tables().max().expect("a table");
    let bytes = fs::read(&table).expect("a readable file");
    write_byte(&table, bytes.len() / 2, bytes[bytes.len() / 2] ^ 0x10);
    peer.restart().await;
    let client = peer.client().await;
    let mut request = ListTasksRequest { namespace: "a".to_owned(), page_size: 1_000, ..ListTasksRequest::default() };
    while let Ok(page) = client.list_page(request.clone()).await {
        assert!(!page.next_page_token.is_empty(), "damaged rows were listed");
        request.page_token = page.next_page_token;
    }
    let status = until("the process ends", async || peer.exited()).await;
    assert_eq!(status.code(), Some(74), "{}", peer.log());
    assert!(peer.log().contains("damage was found on disk") && peer.log().contains("the partition of group "), "{}", peer.log());
}

/// A partition that does not open any more, of a peer that nobody has the rows of: each start is refused, and names it. Put right, it has
/// everything.
#[tokio::test]
async fn a_damaged_partition_ends_every_start_of_a_lone_peer() {
    for group in ["group-00000", "group-00001"] {
        let mut peer = Peer::start_with(&[("Z4_GROUPS", "1")]).await;
        peer.client().await.created_all((0..9).map(|n| due_at("a", &n.to_string(), now_ms() + 3_600_000)).collect()).await;
        assert_eq!(peer.terminate().await.code(), Some(0));
        let file = peer.db_dir().join(group).join("generation-1/version");
        let byte = fs::read(&file).expect("it is there")[0];
        write_byte(&file, 0, byte ^ 0x10);
        for _ in 0..2 {
            let attempt = peer.attempt().await;
            assert_eq!(attempt.status.code(), Some(74), "{}", attempt.log);
            for part in ["damage was found on disk", group, "add-peer --replace"] {
                assert!(attempt.log.contains(part), "{part} is not in: {}", attempt.log);
            }
        }
        write_byte(&file, 0, byte);
        peer.restart().await;
        assert_eq!(peer.client().await.namespace("a").await.live, 9);
    }
}

/// Files and directories of a stopped peer go away one at a time: each start is refused, and names what is missing, instead of going on
/// with less. With everything put back it starts, and has everything.
#[tokio::test]
async fn what_is_missing_is_refused_by_name_and_never_taken_for_new() {
    const TASKS: u64 = 50;
    let mut peer = Peer::start_with(&[("Z4_SHARDS", "1"), ("Z4_GROUPS", "1")]).await;
    let client = peer.client().await;
    client.created_all((0..TASKS).map(|n| due_at("a", &n.to_string(), now_ms() + 3_600_000)).collect()).await;
    assert_eq!(peer.terminate().await.code(), Some(0));
    let group = peer.db_dir().join("group-00001");
    let generation = group.join("generation-1");
    let missing = [
        group.clone(),
        group.join("current"),
        generation.clone(),
        generation.join("manifest"),
        generation.join("version"),
        generation.join("0.jnl"),
        generation.join("keyspaces"),
        generation.join("keyspaces/0/current"),
        generation.join("keyspaces/1"),
        generation.join("keyspaces/1/current"),
        generation.join("keyspaces/2/current"),
        peer.peer_dir().join("log-000/0000000001.log"),
    ];
    for path in missing {
        let aside = peer.db_dir().with_file_name("aside");
        fs::rename(&path, &aside).expect("it is there");
        let attempt = peer.attempt().await;
        assert_eq!(attempt.status.code(), Some(74), "{} is missing:\n{}", path.display(), attempt.log);
        let named = ["log-000", "generation-1", "current", "group-00001"];
        let named = named.into_iter().find(|name| path.iter().any(|part| part == *name)).expect("one of them");
        assert!(attempt.log.contains(named), "{} is missing, and {named} is not named:\n{}", path.display(), attempt.log);
        assert!(!path.exists(), "{} was made anew:\n{}", path.display(), attempt.log);
        fs::rename(&aside, &path).expect("put back");
    }
    peer.restart().await;
    assert_eq!(peer.client().await.namespace("a").await.live, TASKS);
    assert_eq!(peer.client().await.list_all("a").await.len() as u64, TASKS);
}

fn write_byte(file: &Path, at: usize, byte: u8) {
    let file = OpenOptions::new().write(true).open(file).expect("the log file opens");
    file.write_all_at(&[byte], at as u64).expect("one byte");
    file.sync_all().expect("synced");
}

/// The file with the most bytes that are not zero: segments are preallocated, so sizes tell nothing.
fn fullest_file(dir: &Path) -> (PathBuf, Vec<u8>) {
    let contents = files_below(dir).into_iter().map(|path| {
        let bytes = fs::read(&path).expect("a readable file");
        (path, bytes)
    });
    let content = |(_, bytes): &(PathBuf, Vec<u8>)| bytes.iter().filter(|b| **b != 0).count();
    contents.max_by_key(content).expect("the peer wrote files")
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).expect("a readable directory") {
        let entry = entry.expect("a directory entry");
        if entry.file_type().expect("a file type").is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

/// The first number after a word, wherever the word is followed by one.
fn number_after(text: &str, word: &str) -> Option<usize> {
    text.match_indices(word).find_map(|(at, _)| {
        let rest = text[at + word.len()..].trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}
