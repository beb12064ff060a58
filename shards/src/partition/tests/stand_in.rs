//! A partition is damaged when it is opened, and other replicas have its rows. What stands in its place must not answer from nothing, must
//! not say that it has more or less than the log and the manifest show, and must leave the damaged rows alone until others are there.

use std::fs;
use std::path::PathBuf;

use z4_model::ids::{Namespace, TaskKey};
use z4_model::log::LogEntry;

use super::history::{log, machine_rows};
use super::*;
use crate::partition::{Logged, Partition, PartitionError, Span};

const GROUP: GroupId = GroupId(1);
const LAST: u64 = 40;

/// A log that has everything.
const WHOLE: Logged = Logged { purged: Some(10), last: Some(LAST) };

fn open(base: &Path) -> Result<Partition, PartitionError> {
    Partition::open_current(base, GROUP, &PartitionOptions::default())
}

fn stand_in(base: &Path, logged: Logged) -> Result<Partition, PartitionError> {
    let damage = open(base).err().expect("it is damaged");
    Partition::stand_in(base, GROUP, &PartitionOptions::default(), logged, damage)
}

fn entries() -> Vec<LogEntry> {
    log(1, LAST, 100)
}

fn filled() -> TempDir {
    let base = temp();
    let mut partition = open(base.path()).expect("it opens");
    partition.apply(&entries()).expect("it applies");
    partition.persist().expect("it persists");
    base
}

/// fjall's own file, without which it opens nothing.
fn damage(base: &Path) {
    flip(&base.join("generation-1/version"));
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(file, bytes).expect("written");
}

fn directories(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base).expect("listed").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.is_dir()).collect()
}

fn is_damage<T>(result: Result<T, PartitionError>) -> bool {
    matches!(result, Err(PartitionError::Damaged { .. }))
}

/// It is as far as it was, and has nothing. Another replica's rows take its place, and the damaged ones are gone then, and not before.
#[test]
fn it_reads_and_applies_nothing_until_other_rows_are_there() {
    let (base, there) = (filled(), filled());
    let whole = open(there.path()).expect("it opens");
    damage(base.path());
    let mut partition = stand_in(base.path(), WHOLE).expect("others have the rows");
    assert_eq!((partition.applied(), partition.membership()), (whole.applied(), whole.membership()));
    assert!(partition.membership().is_some(), "the history has one");

    let namespace = Namespace::new("a").expect("valid");
    let (first, last) = (TaskKey::default(), TaskKey { due_ms: u64::MAX, sequence: u64::MAX });
    let span = Span { namespace: namespace.clone(), dead: false, from: first, until: last, backwards: false };
    assert!(is_damage(partition.namespace(&namespace)) && is_damage(partition.namespaces(None, 10)));
    assert!(is_damage(partition.registry(b"")) && is_damage(partition.scan_window(&namespace, first, u64::MAX, 10, 1_000)));
    assert!(is_damage(partition.view().read(&span, (10, 1_000), &mut Vec::new())));
    assert!(is_damage(partition.viewer().view().expect("it is open").registered(b"slots")));
    assert!(is_damage(partition.view().chunks().next().expect("a word")), "nobody is sent nothing as a snapshot");
    let next = log(LAST + 1, LAST + 3, 100);
    assert!(is_damage(partition.apply(&next).map(drop)) && is_damage(partition.whole()));
    assert_eq!(partition.persist().expect("there is nothing to persist"), None);
    drop(partition);
    assert!(is_damage(open(base.path()).map(drop)), "the damage is met again");

    let mut partition = stand_in(base.path(), WHOLE).expect("again");
    partition.install(&whole.view(), whole.applied(), whole.membership().expect("there is one")).expect("it is installed");
    partition.apply(&next).expect("the log goes on");
    assert!(partition.whole().is_ok());
    drop(partition);
    while directories(base.path()).len() > 1 {
        std::thread::yield_now();
    }
    let mut again = open(base.path()).expect("it is whole");
    let mut whole = whole;
    whole.apply(&next).expect("it applies");
    assert_eq!(again.state_hash(), whole.state_hash());
    assert!(machine_rows(&again.view()) == machine_rows(&whole.view()), "rows differ");
    again.persist().expect("it persists");
}

/// Who has lost more than its rows would vote as what it is no longer.
#[test]
fn it_takes_the_place_of_nothing_but_damaged_rows() {
    let (base, short, gone) = (filled(), Logged { last: Some(LAST - 1), ..WHOLE }, Logged { purged: Some(LAST + 1), ..WHOLE });
    damage(base.path());
    for logged in [short, gone] {
        assert!(is_damage(stand_in(base.path(), logged)), "{logged:?}: log and rows do not belong together");
    }
    stand_in(base.path(), WHOLE).expect("log and rows belong together");
    for missing in ["generation-1/manifest", "generation-1/version", "generation-1", "current"] {
        let base = filled();
        let path = base.path().join(missing);
        match path.is_dir() {
            true => fs::remove_dir_all(path).expect("removed"),
            false => fs::remove_file(path).expect("removed"),
        }
        assert!(is_damage(stand_in(base.path(), WHOLE)), "{missing} is missing");
        assert!(directories(base.path()).iter().all(|dir| !dir.ends_with("stand-in")));
    }
    let base = filled();
    flip(&base.path().join("generation-1/manifest"));
    assert!(is_damage(stand_in(base.path(), WHOLE)), "nobody knows how far it was");
}

/// The manifest of an earlier z4 does not tell who votes. As long as the log has everything, that tells it; the next open writes it down.
#[test]
fn a_manifest_of_an_earlier_version_is_enough_as_long_as_the_log_has_everything() {
    let older = |base: &Path| {
        let manifest = base.join("generation-1/manifest");
        let text = fs::read_to_string(&manifest).expect("there is one");
        let kept = |line: &&str| !line.starts_with("state ") && !line.starts_with("crc32c ");
        let mut text: String = text.lines().filter(kept).map(|line| format!("{line}\n")).collect();
        text += &format!("crc32c {:08x}\n", crc32c::crc32c(text.as_bytes()));
        fs::write(manifest, text).expect("written");
    };
    let base = filled();
    older(base.path());
    damage(base.path());
    assert!(is_damage(stand_in(base.path(), WHOLE)));
    let all = Logged { purged: None, ..WHOLE };
    assert_eq!(stand_in(base.path(), all).expect("the log has all").applied(), None);

    let base = filled();
    older(base.path());
    drop(open(base.path()).expect("it opens"));
    damage(base.path());
    stand_in(base.path(), WHOLE).expect("it is written down now");
}
