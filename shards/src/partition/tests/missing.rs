//! A file of a partition is gone, or empty. fjall takes some of them for what was never there and goes on with less: thousands of
//! tasks would be gone without a word. Each file and each directory in turn is removed or emptied; what opens afterwards must hold
//! everything, and what does not open must say what is missing.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use super::damage::files_below;
use super::history::{Replay, log, machine_rows};
use super::*;
use crate::partition::{Partition, PartitionError};

const PAYLOAD_BYTES: usize = 100;
const LAST: u64 = 90;

fn options() -> PartitionOptions {
    PartitionOptions { memtable_bytes: 64 << 10, compaction_tables: 2, table_bytes: 64 << 10, ..PartitionOptions::default() }
}

fn open(base: &Path) -> Result<Partition, PartitionError> {
    Partition::open_current(base, GroupId(1), &options())
}

/// A partition that was stopped: rows in tables, and in the journal those that came last.
fn stopped() -> TempDir {
    let base = temp();
    let mut partition = open(base.path()).expect("it opens");
    for run in log(1, LAST, PAYLOAD_BYTES).chunks(5) {
        partition.apply(run).expect("it applies");
        partition.persist().expect("it persists");
    }
    drop(partition);
    for file in files_below(base.path()).iter().filter(|file| file.extension().is_some_and(|it| it == "jnl")) {
        // Its unused space would be copied again and again.
        let bytes = fs::read(file).expect("a journal");
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        fs::write(file, &bytes[..used]).expect("it is cut");
    }
    base
}

/// As the first z4 left it: no manifest, and the name alone in `current`.
fn without_manifest(base: &Path) {
    fs::remove_file(base.join("generation-1/manifest")).expect("there is a manifest");
    fs::write(base.join("current"), "generation-1\n").expect("written");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), &to).expect("copied")),
        }
    }
}

fn directories_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(directories_below(&path));
            found.push(path);
        }
    }
    found
}

fn told(error: &PartitionError) -> String {
    format!("{error}: {}", error.source().map_or_else(String::new, ToString::to_string))
}

/// Does `harm` to a copy of `base`, at each of `paths`; `judge` sees what became of it.
fn each(
    base: &Path,
    paths: &[PathBuf],
    harm: impl Fn(&Path) -> std::io::Result<()>,
    mut judge: impl FnMut(&Path, Result<Partition, PartitionError>),
) {
    for path in paths {
        let name = path.strip_prefix(base).expect("it is below");
        let victim = temp();
        copy(base, victim.path());
        harm(&victim.path().join(name)).expect("harm is done");
        judge(name, open(victim.path()));
    }
}

#[test]
fn a_missing_or_empty_file_is_never_taken_for_a_new_one() {
    let base = stopped();
    let whole = Replay::new(PAYLOAD_BYTES).at(LAST);
    let mut refused = 0;
    let mut judge = |name: &Path, opened: Result<Partition, PartitionError>| match opened {
        Ok(partition) => {
            assert_eq!(partition.applied().map(|p| p.index), Some(LAST), "{} is missing, and entries with it", name.display());
            assert!(machine_rows(&partition.view()) == whole.0, "{} is missing, and rows with it", name.display());
        }
        Err(error) => {
            refused += 1;
            assert!(matches!(error, PartitionError::Damaged { .. }), "{}: {}", name.display(), told(&error));
            assert!(told(&error).contains("generation-1") || told(&error).contains("current"), "{}", told(&error));
        }
    };
    let files = files_below(base.path());
    assert!(files.iter().any(|file| file.parent().is_some_and(|dir| dir.ends_with("1/tables"))), "task rows are in tables");
    each(base.path(), &files, |path| fs::remove_file(path), &mut judge);
    each(base.path(), &files, |path| fs::write(path, b""), &mut judge);
    each(base.path(), &directories_below(base.path()), |path| fs::remove_dir_all(path), &mut judge);
    assert!(refused > files.len(), "{refused} of {} files", files.len());
}

/// Without a manifest what was lost with the journal cannot be told from what was never written, but the log has it: then no row
/// may be there in one keyspace and not in the other.
#[test]
fn a_partition_of_the_first_version_is_not_taken_for_a_new_one() {
    let base = stopped();
    without_manifest(base.path());
    let mut judge = |name: &Path, opened: Result<Partition, PartitionError>| match opened {
        Ok(partition) => {
            let index = partition.applied().map_or(0, |p| p.index);
            let rows = Replay::new(PAYLOAD_BYTES).at(index).0;
            assert!(machine_rows(&partition.view()) == rows, "{} is missing, and rows with it", name.display());
            let is_journal = name.extension().is_some_and(|it| it == "jnl");
            let is_everything = name == Path::new("generation-1");
            assert!(index == LAST || is_journal || is_everything, "{} is missing, and entries with it", name.display());
        }
        Err(error) => assert!(matches!(error, PartitionError::Damaged { .. }), "{}: {}", name.display(), told(&error)),
    };
    let files = files_below(base.path());
    each(base.path(), &files, |path| fs::remove_file(path), &mut judge);
    each(base.path(), &files, |path| fs::write(path, b""), &mut judge);
    each(base.path(), &directories_below(base.path()), |path| fs::remove_dir_all(path), &mut judge);
}

/// It opens, has everything, and from then on its files are looked after.
#[test]
fn a_partition_of_the_first_version_opens_and_gets_a_manifest() {
    let base = stopped();
    without_manifest(base.path());
    let partition = open(base.path()).expect("it opens");
    assert!(machine_rows(&partition.view()) == Replay::new(PAYLOAD_BYTES).at(LAST).0);
    drop(partition);
    fs::remove_dir_all(base.path().join("generation-1")).expect("removed");
    let error = open(base.path()).err().expect("it is missing now");
    assert!(told(&error).contains("generation-1, but its directory is missing"), "{}", told(&error));
}

/// A crash while the first generation is being made leaves some of its files; nothing was in it.
#[test]
fn what_a_crash_left_of_a_creation_is_made_again() {
    let base = temp();
    drop(open(base.path()).expect("it opens"));
    let files = files_below(base.path());
    for made in 0..files.len() {
        let crashed = temp();
        copy(base.path(), crashed.path());
        fs::remove_file(crashed.path().join("current")).expect("it is named last");
        let later = files.iter().skip(made).map(|file| crashed.path().join(file.strip_prefix(base.path()).expect("below")));
        later.for_each(|file| drop(fs::remove_file(file)));
        let mut partition = open(crashed.path()).unwrap_or_else(|error| panic!("after {made} files: {}", told(&error)));
        partition.apply(&log(1, 1, 1)).expect("it applies");
    }
}

/// The oldest journal is gone before what it held was in tables; a later one is there, and with it the position. It looks like a
/// partition whose older journals were flushed and removed.
#[test]
fn a_missing_first_journal_is_refused() {
    let base = temp();
    let mut partition = Partition::open_current(base.path(), GroupId(1), &PartitionOptions::default()).expect("it opens");
    for run in log(1, 40, PAYLOAD_BYTES).chunks(5) {
        partition.apply(run).expect("it applies");
        partition.persist().expect("it persists");
    }
    drop(partition);
    let generation = base.path().join("generation-1");
    let bytes = fs::read(generation.join("0.jnl")).expect("a journal");
    // A batch ends with these bytes.
    let ends: Vec<_> = bytes.windows(4).enumerate().filter(|(_, four)| four == b"FJL\x03").map(|(at, _)| at + 4).collect();
    assert!(ends.len() >= 8, "{} batches", ends.len());
    for first in [1, ends.len() - 1] {
        fs::write(generation.join("1.jnl"), &bytes[ends[first - 1]..*ends.last().expect("some")]).expect("written");
        let _ = fs::remove_file(generation.join("0.jnl"));
        let error = Partition::open_current(base.path(), GroupId(1), &PartitionOptions::default()).err().expect("refused");
        assert!(told(&error).contains("journal") || told(&error).contains("tasks are counted"), "{}", told(&error));
        if first == 1 {
            assert!(told(&error).contains("the journals begin after entry 5"), "{}", told(&error));
        }
    }
}
