//! Starts of a disk are counted on it: of two processes with copies of one disk the others can tell which was started later. And it is kept
//! to whom the disk has still to prove itself, and with what: else a disk that lacks entries would only have to be started often enough.
//!
//! ```text
//! peer_data_dir/starts.toml   start, key, log_ends; [[since]] peer, log_ends
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use z4_model::ids::PeerNumber;
use z4_shards::link::{Disks, Life, Unproven};

use super::State;
use super::identity::{IdentityError, write_whole};

/// The file, in the peer directory.
const FILE: &str = "starts.toml";

#[derive(Deserialize)]
struct Kept {
    start: u64,
    key: u64,
    log_ends: Option<Vec<u64>>,
    #[serde(default)]
    since: Vec<Since>,
}

/// One who has said that it has seen no more. Without ends: to the process that wrote the file.
#[derive(Deserialize)]
struct Since {
    peer: PeerNumber,
    log_ends: Option<Vec<u64>>,
}

/// This start of the disk.
#[derive(Debug)]
pub struct Starts {
    path: PathBuf,
    /// Which process this is.
    pub life: Life,
    /// Made up once per disk.
    pub key: u64,
    /// As the processes before have left it.
    before: Unproven,
}

/// Counts one more, durably.
///
/// # Errors
/// The file cannot be read, understood or written.
pub fn count(dir: &Path) -> Result<Starts, IdentityError> {
    let path = dir.join(FILE);
    let kept = match fs::read_to_string(&path) {
        Ok(text) => match toml::from_str(&text) {
            Ok(kept) => kept,
            Err(error) => return Err(IdentityError::Malformed { path, reason: error.to_string() }),
        },
        // Its first start; or the first of a version that counts. TOML has numbers of 63 bits.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Kept { start: 0, key: rand::random::<u64>() >> 1, log_ends: None, since: Vec::new() }
        }
        Err(source) => return Err(IdentityError::Io { path, source }),
    };
    let Kept { start, key, log_ends, since } = kept;
    let since: BTreeMap<_, _> = since.into_iter().map(|Since { peer, log_ends }| (peer, log_ends)).collect();
    let life = Life { start: start + 1, process: rand::random() };
    let starts = Starts { path, life, key, before: Unproven { log_ends, since } };
    starts.write(&starts.before)?;
    Ok(starts)
}

impl Starts {
    /// The logs are open, and nothing was written to them yet: keeps with what this disk has to prove itself.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn opened(&self, disks: &Disks) -> Result<(), IdentityError> {
        let mut unproven = self.before.clone();
        unproven.started(&disks.opened());
        self.write(&unproven)?;
        disks.prove(unproven);
        Ok(())
    }

    fn write(&self, unproven: &Unproven) -> Result<(), IdentityError> {
        let (Life { start, .. }, key) = (self.life, self.key);
        let mut text = format!(
            "# How often this disk was started, the key of its copies, and what it was seen with. Never edit it.\n\
             start = {start}\nkey = {key}\n"
        );
        let ends = |ends: &Option<Vec<u64>>| ends.as_ref().map_or_else(String::new, |ends| format!("log_ends = {ends:?}\n"));
        text += &ends(&unproven.log_ends);
        for (peer, since) in &unproven.since {
            text += &format!("\n[[since]]\npeer = {peer}\n{}", ends(since));
        }
        write_whole(&self.path, text.as_bytes()).map_err(|source| IdentityError::Io { path: self.path.clone(), source })
    }
}

impl State {
    /// Another peer says that it has seen no more of this disk. That is durable before anything goes to it: what it sees from now on is there
    /// when the next process says how far the disk is.
    pub(super) async fn believed_by(&self, peer: PeerNumber) -> io::Result<()> {
        if self.links.shards.reach().disks().unproven().is_believed_by(peer) {
            return Ok(());
        }
        self.prove_to(|unproven| unproven.believed_by(peer)).await
    }

    /// Everybody has said so.
    pub(super) async fn believed_by_all(&self) -> io::Result<()> {
        if self.links.shards.reach().disks().unproven() == Unproven::default() {
            return Ok(());
        }
        self.prove_to(|unproven| *unproven = Unproven::default()).await
    }

    async fn prove_to(&self, change: impl FnOnce(&mut Unproven)) -> io::Result<()> {
        // One after the other: each writes the whole file.
        let _alone = self.proving.lock().await;
        let disks = self.links.shards.reach().disks();
        let mut unproven = disks.unproven();
        change(&mut unproven);
        let (starts, now) = (Arc::clone(&self.links.starts), unproven.clone());
        tokio::task::spawn_blocking(move || starts.write(&now)).await?.map_err(io::Error::other)?;
        disks.prove(unproven);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_a_later_one_of_the_same_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = count(dir.path()).expect("counted");
        let second = count(dir.path()).expect("counted");
        assert_eq!((first.life.start, second.life.start, second.key), (1, 2, first.key));
        assert_ne!(first.life.process, second.life.process);
        fs::write(dir.path().join(FILE), "start = -1").expect("written");
        assert!(matches!(count(dir.path()), Err(IdentityError::Malformed { .. })));
    }

    /// The file of a version that kept less is good; what is kept now is read again as it was written.
    #[test]
    fn what_the_disk_has_to_prove_itself_with_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join(FILE), "start = 3\nkey = 9\n").expect("written");
        let starts = count(dir.path()).expect("counted");
        assert_eq!((starts.life.start, starts.key, &starts.before), (4, 9, &Unproven::default()));
        let since = BTreeMap::from([(2, Some(vec![7, 8])), (3, None)]);
        let unproven = Unproven { log_ends: Some(vec![5, 1 << 40]), since };
        starts.write(&unproven).expect("written");
        assert_eq!(count(dir.path()).expect("counted").before, unproven);
        assert_eq!(count(dir.path()).expect("counted").before, unproven, "also when it ends before its logs are open");
        starts.write(&Unproven::default()).expect("written");
        assert_eq!(count(dir.path()).expect("counted").before, Unproven::default());
    }
}
