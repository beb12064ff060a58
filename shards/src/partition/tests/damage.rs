//! One flipped byte anywhere in a table file must never change what a read says: the right answer, or an error that names group and
//! directory, but not other data.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rand::{RngExt, SeedableRng};

use super::*;
use crate::partition::PartitionError;

pub(super) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("it can be listed") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Everything that the partition holds, or the first error.
fn read_all(dir: &Path) -> Result<BTreeMap<Bytes, Bytes>, PartitionError> {
    let place = Place::new(GroupId(1), Arc::from(dir));
    let tree = Tree::open(dir, &PartitionOptions::default()).map_err(|error| place.tree(error))?;
    let parts = Parts { place, tree, queue: Arc::new(Queue::new(usize::MAX, None)) };
    let view = parts.view();
    let rows = view.range(&[0], &[255]).collect::<Result<BTreeMap<_, _>, _>>()?;
    for (key, value) in &rows {
        assert_eq!(view.value(key)?.as_ref(), Some(value), "scan and get disagree");
    }
    Ok(rows)
}

#[test]
fn a_flipped_byte_in_a_table_is_never_served() {
    let dir = temp();
    let parts = Parts::open(dir.path());
    for n in 0..200u8 {
        parts.commit(&[(&task_key(n), &[n; 300]), (&state_key(n % 20), &[n; 40])]);
        if n % 50 == 49 {
            parts.flush();
        }
    }
    while parts.tree.compact().expect("it compacts") {}
    drop(parts);
    let intact = read_all(dir.path()).expect("it is intact");
    assert_eq!(intact.len(), 220);

    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let tables: Vec<_> = files_below(&dir.path().join("keyspaces"))
        .into_iter()
        .filter(|p| p.components().any(|c| c.as_os_str() == "tables"))
        .collect();
    assert!(!tables.is_empty(), "rows were flushed into tables");
    let (mut refused, mut same) = (0, 0);
    for _ in 0..150 {
        let copy = temp();
        copy_dir(dir.path(), copy.path());
        let table = &tables[random.random_range(0..tables.len())];
        let table = copy.path().join(table.strip_prefix(dir.path()).expect("it is below"));
        let mut bytes = fs::read(&table).expect("read");
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1 << random.random_range(0..8);
        fs::write(&table, bytes).expect("written");
        match read_all(copy.path()) {
            Ok(rows) => {
                assert!(rows == intact, "byte {at} of {} changed what is read", table.display());
                same += 1;
            }
            Err(error) => {
                assert!(matches!(error, PartitionError::Damaged { .. }), "{error:?}");
                let text = error.to_string();
                assert!(text.contains("group 1") && text.contains(&copy.path().display().to_string()), "{text}");
                refused += 1;
            }
        }
    }
    println!("refused {refused}, unchanged {same}");
    assert!(refused > 0, "no flip was noticed");
}

/// Copies a directory that may be in use. A file that goes meanwhile makes it start again: a crash would not see half of a removal.
pub(super) fn copy_dir(from: &Path, to: &Path) {
    for _ in 0..100 {
        match try_copy_dir(from, to) {
            Ok(()) => return,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => fs::remove_dir_all(to).expect("removed"),
            Err(error) => panic!("{}: {error}", from.display()),
        }
    }
    panic!("{} changes all the time", from.display());
}

fn try_copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).expect("it is below"));
        fs::create_dir_all(target.parent().expect("it has one"))?;
        // Holes stay holes: the journal is 64 MiB of unused space.
        if file.extension().is_some_and(|e| e == "jnl") {
            let bytes = fs::read(&file)?;
            let end = bytes.chunks(4096).rposition(|block| block != &[0; 4096][..block.len()]).map_or(0, |end| end + 1);
            fs::write(&target, &bytes[..bytes.len().min(end * 4096)])?;
        } else {
            fs::copy(&file, &target)?;
        }
    }
    Ok(())
}
