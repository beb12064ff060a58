//! Who this peer is: written once, at its first start, and never changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file, in the peer directory.
const FILE: &str = "identity.toml";

/// A peer's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The cluster that it belongs to: 32 hexadecimal digits, made up at bootstrap.
    pub cluster_id: String,
    /// Its name.
    pub peer_id: String,
    /// Its number inside Raft; 1 is the peer that bootstrapped the cluster.
    pub peer_number: u64,
    /// How many shards its directories were made with: raft logs belong to shards.
    pub shards: usize,
    /// How many groups of tasks the cluster has; 0: the registry tells.
    #[serde(default)]
    pub groups: u16,
    /// Which disk it is, 32 hexadecimal digits: the registry has it, too. Empty: written before disks were told apart.
    #[serde(default)]
    pub incarnation: String,
}

/// An identity that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Reading or writing the file failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file says something else than an identity.
    #[error("{path} is no identity of a peer: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A peer that has no identity found somebody's tasks.
    #[error("{} holds partitions, but {} has no identity: one of the two directories is missing or belongs to another peer", db.display(), peer.display())]
    Orphaned {
        /// The directory of the partitions.
        db: PathBuf,
        /// The peer directory.
        peer: PathBuf,
    },
    /// A member's directory is not what it was.
    #[error(
        "{} is not the directory that peer {peer_id} had: its {file} is missing. It was emptied, or its file system is not mounted; a peer \
         that has lost it starts with both directories empty and takes its own place: z4t add-peer --replace",
        dir.display()
    )]
    Emptied {
        /// The directory.
        dir: PathBuf,
        /// What is missing.
        file: &'static str,
        /// Whose it was.
        peer_id: String,
    },
    /// A directory belongs to another peer.
    #[error("{} belongs to {owner}, and not to this peer, peer {peer_id}", dir.display())]
    OthersDirectory {
        /// The directory.
        dir: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who this peer is.
        peer_id: String,
    },
    /// The partitions are another cluster's than the identity.
    #[error("{} holds the registry of the cluster {found}, but this peer belongs to the cluster {cluster_id}", dir.display())]
    OthersCluster {
        /// The directory of the partitions.
        dir: PathBuf,
        /// The cluster of the registry there.
        found: String,
        /// The cluster of the identity.
        cluster_id: String,
    },
    /// Somebody else's files.
    #[error("{} holds {file}, which this z4 has not written there: it is the directory of another program (the original z4 keeps its data so), or db_data_dir and peer_data_dir are the wrong way around", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// The file.
        file: String,
    },
    /// Raft logs tell of groups, and nothing says whose they are.
    #[error("{} holds the entries of groups, but the identity of their peer is missing from {}", log.display(), peer.display())]
    Nameless {
        /// The directory of a raft log.
        log: PathBuf,
        /// The peer directory.
        peer: PathBuf,
    },
    /// The configuration contradicts it.
    #[error("{option} is {configured}, but {dir} belongs to a peer with {option} {stored}; it cannot be changed")]
    Contradiction {
        /// The option.
        option: &'static str,
        /// Its value now.
        configured: String,
        /// Its value at the first start.
        stored: String,
        /// The peer directory.
        dir: PathBuf,
    },
}

impl Identity {
    /// Reads the identity of a peer directory; `None`: the peer has not started before.
    pub fn read(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => match toml::from_str(&text) {
                Ok(identity) => Ok(Some(identity)),
                Err(e) => Err(IdentityError::Malformed { path, reason: e.to_string() }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IdentityError::Io { path, source }),
        }
    }

    /// Writes it, durable and whole or not at all.
    pub fn write(&self, dir: &Path) -> Result<(), IdentityError> {
        let path = dir.join(FILE);
        let text = format!(
            "# Who this peer is. Written at its first start; never edit it.\ncluster_id = {:?}\npeer_id = {:?}\npeer_number = {}\nshards = {}\ngroups = {}\nincarnation = {:?}\n",
            self.cluster_id, self.peer_id, self.peer_number, self.shards, self.groups, self.incarnation
        );
        write_whole(&path, text.as_bytes()).map_err(|source| IdentityError::Io { path, source })
    }

    /// Refuses a configuration that says something else.
    pub fn check(&self, dir: &Path, peer_id: &str, shards: usize) -> Result<(), IdentityError> {
        let differs = |option, configured: String, stored: String| {
            Err(IdentityError::Contradiction { option, configured, stored, dir: dir.to_owned() })
        };
        if !peer_id.is_empty() && peer_id != self.peer_id {
            return differs("peer_id", peer_id.to_owned(), self.peer_id.clone());
        }
        if shards != 0 && shards != self.shards {
            return differs("shards", shards.to_string(), self.shards.to_string());
        }
        Ok(())
    }
}

/// Writes a file so that a crash leaves the old content or the new one.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A restart reads what the first start wrote, and a configuration that would tear the directory apart is refused by name.
    #[test]
    fn an_identity_is_kept_and_defended() {
        let dir = tempfile::tempdir().expect("temporary directory");
        assert_eq!(Identity::read(dir.path()).expect("no file"), None);
        let identity = Identity {
            cluster_id: "00ff".into(),
            peer_id: "a \"b\"".into(),
            peer_number: 1,
            shards: 2,
            groups: 3,
            incarnation: String::new(),
        };
        identity.write(dir.path()).expect("write");
        assert_eq!(Identity::read(dir.path()).expect("read"), Some(identity.clone()));
        assert!(identity.check(dir.path(), "", 0).is_ok());
        let refused = identity.check(dir.path(), "", 4).expect_err("other shards").to_string();
        assert!(refused.starts_with("shards is 4, but "), "{refused}");
        std::fs::write(dir.path().join(FILE), "peer_number = true").expect("write");
        assert!(matches!(Identity::read(dir.path()), Err(IdentityError::Malformed { .. })));
    }
}
