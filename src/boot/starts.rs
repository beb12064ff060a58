//! Starts of a disk are counted on it: of two processes with copies of one disk the others can tell which was started later.

use std::fs;
use std::io;
use std::path::Path;

use serde::Deserialize;
use z4_shards::link::Life;

use crate::links::identity::{IdentityError, write_whole};

/// The file, in the peer directory.
const FILE: &str = "starts.toml";

#[derive(Deserialize)]
struct Starts {
    start: u64,
    key: u64,
}

/// Counts one more, durably, and says which process this is and what the disk's key is.
///
/// # Errors
/// The file cannot be read, understood or written.
pub fn count(dir: &Path) -> Result<(Life, u64), IdentityError> {
    let path = dir.join(FILE);
    let before = match fs::read_to_string(&path) {
        Ok(text) => match toml::from_str(&text) {
            Ok(starts) => starts,
            Err(error) => return Err(IdentityError::Malformed { path, reason: error.to_string() }),
        },
        // Its first start; or the first of a version that counts. TOML has numbers of 63 bits.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Starts { start: 0, key: rand::random::<u64>() >> 1 },
        Err(source) => return Err(IdentityError::Io { path, source }),
    };
    let Starts { start, key } = Starts { start: before.start + 1, ..before };
    let text =
        format!("# How often this disk was started, and the key of its copies. Never edit it.\nstart = {start}\nkey = {key}\n");
    match write_whole(&path, text.as_bytes()) {
        Ok(()) => Ok((Life { start, process: rand::random() }, key)),
        Err(source) => Err(IdentityError::Io { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_a_later_one_of_the_same_disk() {
        let dir = tempfile::tempdir().expect("a directory");
        let (first, key) = count(dir.path()).expect("counted");
        let (second, same) = count(dir.path()).expect("counted");
        assert_eq!((first.start, second.start, same), (1, 2, key));
        assert_ne!(first.process, second.process);
        fs::write(dir.path().join(FILE), "start = -1").expect("written");
        assert!(matches!(count(dir.path()), Err(IdentityError::Malformed { .. })));
    }
}
