//! A disk that lies. A peer that started on a damaged log could have lost acknowledged tasks without anybody noticing.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

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
    let name = file.file_name().and_then(|name| name.to_str()).expect("an ASCII name");
    assert!(attempt.log.contains(name), "the file {name} is not named:\n{}", attempt.log);
    let offset = number_after(&attempt.log, "at byte").unwrap_or_else(|| panic!("no offset is named:\n{}", attempt.log));
    assert!(offset <= middle, "offset {offset} is behind the damage at {middle}");
    assert!(offset + (1 << 20) > middle, "offset {offset} is far from the damage at {middle}");

    write_byte(&file, middle, bytes[middle]);
    peer.restart().await;
    assert_eq!(peer.client().await.namespace("a").await.live, ENTRIES);
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
