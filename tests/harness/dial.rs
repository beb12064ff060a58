//! Numbers that running peers follow: by how much a clock is wrong, how slow a disk is. See `z4::process::test_hooks`.

use std::fs;

use tempfile::TempDir;

/// A directory with a number for each peer, to be named in an environment variable of theirs.
pub struct Dial(TempDir);

impl Dial {
    /// One that says 0 to everybody.
    pub fn new() -> Dial {
        Dial(tempfile::tempdir().expect("a temporary directory"))
    }

    /// The directory.
    pub fn dir(&self) -> String {
        self.0.path().to_str().expect("text").to_owned()
    }

    /// Sets a peer's number, milliseconds. It follows soon.
    pub fn set(&self, id: &str, ms: i64) {
        // Whole or not at all: the peer reads at any time.
        let draft = self.0.path().join("draft");
        fs::write(&draft, ms.to_string()).expect("written");
        fs::rename(&draft, self.0.path().join(id)).expect("renamed");
    }
}
