//! What this peer has seen of the others' disks, kept over its own restarts: else an older disk would be unknown to whoever was started
//! after it.
//!
//! ```text
//! peer_data_dir/seen.toml   [[disk]] peer, incarnation, start, process, key, log_ends
//! ```
//! It is knowledge about others and no part of the disk: without it this peer knows less, and all else is as it was.

use std::fs;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use z4_model::rows::incarnation::Incarnation;
use z4_shards::link::{DiskState, Life, SeenDisk};

use super::State;
use super::identity::{IdentityError, write_whole};

/// The file, in the peer directory.
const FILE: &str = "seen.toml";

/// How often what was seen is written, when it has changed.
const WRITE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    disk: Vec<Row>,
}

/// Numbers that take 64 bits stand as text: those of TOML have 63.
#[derive(Deserialize)]
struct Row {
    peer: u64,
    incarnation: String,
    start: u64,
    process: String,
    key: u64,
    log_ends: Vec<u64>,
}

impl Row {
    fn seen(self) -> Result<SeenDisk, String> {
        let incarnation = Incarnation::parse(&self.incarnation).ok_or("incarnation takes 32 hexadecimal digits")?;
        let process = self.process.parse().map_err(|e| format!("process: {e}"))?;
        let life = Life { start: self.start, process };
        Ok(SeenDisk { peer: self.peer, incarnation, state: DiskState { life, key: self.key, log_ends: self.log_ends } })
    }
}

/// Reads what was seen; nothing, when there is no file.
///
/// # Errors
/// The file cannot be read or understood.
pub fn read(dir: &Path) -> Result<Vec<SeenDisk>, IdentityError> {
    let path = dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(IdentityError::Io { path, source }),
    };
    let rows = toml::from_str::<Kept>(&text).map_err(|e| e.to_string());
    let seen = rows.and_then(|kept| kept.disk.into_iter().map(Row::seen).collect());
    seen.map_err(|reason| IdentityError::Malformed { path, reason })
}

/// Writes it, durable and whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write(dir: &Path, seen: &[SeenDisk]) -> Result<(), IdentityError> {
    let path = dir.join(FILE);
    let mut text = "# What this peer has seen of the disks of others. Never edit it.\n".to_owned();
    for SeenDisk { peer, incarnation, state: DiskState { life: Life { start, process }, key, log_ends } } in seen {
        text += &format!(
            "\n[[disk]]\npeer = {peer}\nincarnation = \"{incarnation}\"\nstart = {start}\nprocess = \"{process}\"\nkey = {key}\n\
             log_ends = {log_ends:?}\n"
        );
    }
    write_whole(&path, text.as_bytes()).map_err(|source| IdentityError::Io { path, source })
}

impl State {
    /// Writes what was seen now and then. Never ends.
    pub(super) async fn keep_seen(self: Rc<Self>) {
        let mut kept = Vec::new();
        loop {
            tokio::time::sleep(WRITE).await;
            let seen = self.links.shards.reach().disks().seen();
            if seen == kept {
                continue;
            }
            let (dir, rows) = (self.links.peer_dir.clone(), seen.clone());
            match tokio::task::spawn_blocking(move || write(&dir, &rows)).await {
                Ok(Ok(())) => kept = seen,
                Ok(Err(error)) if self.told.is_due("seen", Instant::now()) => {
                    tracing::warn!(%error, "what was seen of other peers' disks cannot be kept now; it will be tried again");
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_read_again_and_never_guessed() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()).expect("no file"), Vec::new());
        let state = |start, process| DiskState { life: Life { start, process }, key: 9, log_ends: vec![1, 0, 1 << 40] };
        let disk = |peer, process| SeenDisk { peer, incarnation: Incarnation::new(peer.into()), state: state(peer, process) };
        let seen = vec![disk(1, u64::MAX), disk(2, 0)];
        write(dir.path(), &seen).expect("written");
        assert_eq!(read(dir.path()).expect("read"), seen);
        write(dir.path(), &[]).expect("written");
        assert_eq!(read(dir.path()).expect("read"), Vec::new());
        fs::write(dir.path().join(FILE), "[[disk]]\npeer = 1\n").expect("written");
        assert!(matches!(read(dir.path()), Err(IdentityError::Malformed { .. })));
    }
}
