//! Which disk this is: whose the two directories are, found out before anything in them is touched.
//!
//! ```text
//! peer_data_dir/owner.toml      the disk: made up when both directories were empty
//! peer_data_dir/identity.toml   the member that it became, with the same disk
//! peer_data_dir/starts.toml     how often it was started (`links/starts.rs`)
//! peer_data_dir/seen.toml       how far other peers' disks were (`links/seen.rs`)
//! db_data_dir/owner.toml        the same disk again: the two directories belong together
//! ```

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use z4_model::rows::incarnation::Incarnation;

use crate::config::Config;
use crate::links::identity::{Identity, IdentityError, write_whole};

/// The file in each directory that says to which disk it belongs.
const OWNER: &str = "owner.toml";

/// Files of the original z4 (badger's and its raft's), and of this one in the wrong directory.
const FOREIGN_IN_DB: [&str; 5] = ["KEYREGISTRY", "MANIFEST", "DISCARD", "identity.toml", "log-000"];
const FOREIGN_IN_PEER: [&str; 6] = ["logs.dat", "stable.dat", "KEYREGISTRY", "MANIFEST", "DISCARD", "group-00000"];
const FOREIGN_ENDINGS: [&str; 3] = [".vlog", ".sst", ".mem"];

/// The two directories, looked at.
#[derive(Debug)]
pub struct Disk {
    /// Which disk it is.
    pub incarnation: Incarnation,
    /// The member that it is; `None`: of no cluster.
    pub identity: Option<Identity>,
}

/// What stands in an `owner.toml`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    incarnation: String,
    /// Empty as long as the peer is no member.
    #[serde(default)]
    cluster_id: String,
    #[serde(default)]
    peer_id: String,
}

impl Owner {
    fn read(dir: &Path) -> Result<Option<(Owner, Incarnation)>, IdentityError> {
        let path = dir.join(OWNER);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(IdentityError::Io { path, source }),
        };
        let malformed = |path, reason: String| Err(IdentityError::Malformed { path, reason });
        match toml::from_str::<Owner>(&text) {
            Ok(owner) => match Incarnation::parse(&owner.incarnation) {
                Some(incarnation) => Ok(Some((owner, incarnation))),
                None => malformed(path, "incarnation takes 32 hexadecimal digits".to_owned()),
            },
            Err(error) => malformed(path, error.to_string()),
        }
    }

    fn write(&self, dir: &Path) -> Result<(), IdentityError> {
        let path = dir.join(OWNER);
        let Owner { incarnation, cluster_id, peer_id } = self;
        let text = format!(
            "# To which disk this directory belongs. Written at its first use; never edit it.\n\
             incarnation = {incarnation:?}\ncluster_id = {cluster_id:?}\npeer_id = {peer_id:?}\n"
        );
        write_whole(&path, text.as_bytes()).map_err(|source| IdentityError::Io { path, source })
    }

    /// For people.
    fn told(&self) -> String {
        match self.peer_id.as_str() {
            "" => "a peer that was no member yet".to_owned(),
            id => format!("peer {id} of the cluster {}", self.cluster_id),
        }
    }
}

/// Looks at the directories, and marks them as belonging together when nothing was ever in them. Both exist and are locked.
pub fn examine(config: &Config) -> Result<Disk, IdentityError> {
    let (db, peer) = (config.db_data_dir.as_path(), config.peer_data_dir.as_path());
    match Identity::read(peer)? {
        Some(identity) => {
            identity.check(peer, &config.peer_id, config.shards)?;
            member(db, peer, identity)
        }
        None => nobody(db, peer),
    }
}

/// Writes down that the disk is this member from now on; the identity comes last, and counts.
pub fn become_member(db: &Path, peer: &Path, identity: &Identity) -> Result<(), IdentityError> {
    mark(db, identity)?;
    identity.write(peer)
}

fn mark(db: &Path, identity: &Identity) -> Result<(), IdentityError> {
    let Identity { incarnation, cluster_id, peer_id, .. } = identity.clone();
    Owner { incarnation, cluster_id, peer_id }.write(db)
}

/// The directories of a member: both have to be what they were.
fn member(db: &Path, peer: &Path, mut identity: Identity) -> Result<Disk, IdentityError> {
    let owner = Owner::read(db)?;
    if identity.incarnation.is_empty() {
        // From before disks were told apart: once, and only here, a disk that is somebody already gets its number.
        let incarnation = owner.map_or_else(made_up, |(_, incarnation)| incarnation);
        identity.incarnation = incarnation.to_string();
        become_member(db, peer, &identity)?;
        return Ok(Disk { incarnation, identity: Some(identity) });
    }
    let Some(incarnation) = Incarnation::parse(&identity.incarnation) else {
        let reason = "incarnation takes 32 hexadecimal digits".to_owned();
        return Err(IdentityError::Malformed { path: peer.join("identity.toml"), reason });
    };
    match owner {
        Some((_, known)) if known == incarnation => Ok(Disk { incarnation, identity: Some(identity) }),
        Some((owner, _)) => {
            Err(IdentityError::OthersDirectory { dir: db.to_owned(), owner: owner.told(), peer_id: identity.peer_id })
        }
        None => Err(IdentityError::Emptied { dir: db.to_owned(), file: OWNER, peer_id: identity.peer_id }),
    }
}

/// The directories of a peer that is no member: nothing is in them, or what a peer that waits makes.
fn nobody(db: &Path, peer: &Path) -> Result<Disk, IdentityError> {
    for (dir, names) in [(db, &FOREIGN_IN_DB[..]), (peer, &FOREIGN_IN_PEER[..])] {
        if let Some(file) = foreign(dir, names).map_err(|source| IdentityError::Io { path: dir.to_owned(), source })? {
            return Err(IdentityError::Foreign { dir: dir.to_owned(), file });
        }
    }
    // A new cluster over an old one's tasks would serve them without the raft log that may hold the rest.
    let (owner, own) = (Owner::read(db)?, Owner::read(peer)?.map(|(_, incarnation)| incarnation));
    let was_member = owner.as_ref().is_some_and(|(owner, known)| !owner.peer_id.is_empty() && Some(*known) != own);
    if holds_partitions(db) || was_member {
        return Err(IdentityError::Orphaned { db: db.to_owned(), peer: peer.to_owned() });
    }
    let incarnation = own.unwrap_or_else(made_up);
    if own.is_none() {
        blank(incarnation).write(peer)?;
    }
    if owner.is_none_or(|(_, known)| known != incarnation) {
        blank(incarnation).write(db)?;
    }
    Ok(Disk { incarnation, identity: None })
}

fn blank(incarnation: Incarnation) -> Owner {
    Owner { incarnation: incarnation.to_string(), cluster_id: String::new(), peer_id: String::new() }
}

fn made_up() -> Incarnation {
    Incarnation::new(rand::random())
}

/// The first file that no peer of this z4 keeps in this directory.
fn foreign(dir: &Path, names: &[&str]) -> io::Result<Option<String>> {
    let mut found: Vec<String> = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.push(entry?.file_name().to_string_lossy().into_owned());
    }
    found.sort_unstable();
    let is_foreign = |name: &String| names.contains(&name.as_str()) || FOREIGN_ENDINGS.iter().any(|end| name.ends_with(end));
    Ok(found.into_iter().find(is_foreign))
}

fn holds_partitions(dir: &Path) -> bool {
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.any(|entry| entry.file_name().to_string_lossy().starts_with("group-"))
}

#[cfg(test)]
mod tests {
    //! A disk that is taken for another one votes for what it has not got, or serves what it has lost.
    use super::*;

    struct Directories {
        root: tempfile::TempDir,
    }

    impl Directories {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a directory");
            let own = Directories { root };
            for dir in [own.config().db_data_dir, own.config().peer_data_dir] {
                fs::create_dir(dir).expect("made");
            }
            own
        }

        fn config(&self) -> Config {
            let (db, peer) = (self.root.path().join("db"), self.root.path().join("peer"));
            Config { db_data_dir: db, peer_data_dir: peer, ..Config::default() }
        }

        fn examine(&self) -> Result<Disk, IdentityError> {
            examine(&self.config())
        }

        /// Makes it a member; its disk.
        fn join(&self, change: impl FnOnce(&mut Identity)) -> Incarnation {
            let disk = self.examine().expect("empty").incarnation;
            let (cluster_id, peer_id) = ("c".repeat(32), "b".to_owned());
            let mut identity =
                Identity { cluster_id, peer_id, peer_number: 2, shards: 1, groups: 1, incarnation: disk.to_string() };
            change(&mut identity);
            become_member(&self.config().db_data_dir, &self.config().peer_data_dir, &identity).expect("written");
            fs::create_dir(self.config().db_data_dir.join("group-00000")).expect("made");
            disk
        }
    }

    fn empty(dir: &Path) {
        fs::remove_dir_all(dir).expect("removed");
        fs::create_dir(dir).expect("made");
    }

    #[test]
    fn a_disk_stays_the_same_before_and_after_it_joined() {
        let own = Directories::new();
        let first = own.examine().expect("empty");
        assert!(first.identity.is_none());
        assert_eq!(own.examine().expect("it waits").incarnation, first.incarnation);
        assert_eq!(own.join(|_| {}), first.incarnation);
        let member = own.examine().expect("a member");
        assert_eq!((member.incarnation, member.identity.expect("it is one").peer_id), (first.incarnation, "b".to_owned()));
        for dir in [own.config().db_data_dir, own.config().peer_data_dir] {
            empty(&dir);
        }
        assert_ne!(own.examine().expect("empty").incarnation, first.incarnation, "emptied, it is another one");
    }

    #[test]
    fn half_of_a_disk_is_damage_and_no_new_one() {
        let own = Directories::new();
        own.join(|_| {});
        empty(&own.config().db_data_dir);
        let told = own.examine().expect_err("the tasks are gone");
        assert!(matches!(told, IdentityError::Emptied { .. }), "{told}");
        assert!(told.to_string().contains(&own.config().db_data_dir.display().to_string()), "{told}");

        let own = Directories::new();
        own.join(|_| {});
        empty(&own.config().peer_data_dir);
        assert!(matches!(own.examine().expect_err("the log is gone"), IdentityError::Orphaned { .. }));
        fs::remove_dir(own.config().db_data_dir.join("group-00000")).expect("removed");
        assert!(matches!(own.examine().expect_err("the owner tells"), IdentityError::Orphaned { .. }));
    }

    #[test]
    fn the_directory_of_another_peer_is_refused_by_its_name() {
        let (own, other) = (Directories::new(), Directories::new());
        own.join(|_| {});
        other.join(|identity| identity.peer_id = "c".to_owned());
        let config = Config { db_data_dir: other.config().db_data_dir, ..own.config() };
        let told = examine(&config).expect_err("another one's").to_string();
        assert!(told.contains("peer c of the cluster cccc") && told.contains("peer b"), "{told}");
    }

    /// The directories of a version that knew no disks go on, and are told apart from then on.
    #[test]
    fn a_disk_of_before_gets_its_number_once() {
        let own = Directories::new();
        own.join(|identity| identity.incarnation.clear());
        for dir in [own.config().db_data_dir, own.config().peer_data_dir] {
            fs::remove_file(dir.join(OWNER)).expect("removed");
        }
        let first = own.examine().expect("it goes on").incarnation;
        assert_eq!(own.examine().expect("again").incarnation, first);
        empty(&own.config().db_data_dir);
        assert!(matches!(own.examine().expect_err("emptied"), IdentityError::Emptied { .. }));
    }

    #[test]
    fn what_the_original_z4_wrote_is_refused_by_name() {
        for (name, in_db) in [("MANIFEST", true), ("000001.vlog", true), ("logs.dat", false), ("stable.dat", false)] {
            let own = Directories::new();
            let dir = if in_db { own.config().db_data_dir } else { own.config().peer_data_dir };
            fs::write(dir.join(name), "x").expect("written");
            let told = own.examine().expect_err(name).to_string();
            assert!(told.contains(name) && told.contains(&dir.display().to_string()), "{told}");
        }
    }
}
