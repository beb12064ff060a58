//! What the disk can do on its own: one aligned write and one fdatasync at a time, on a file whose blocks exist already.
//!
//! Every acknowledged write of z4 waits for at least one of these, so each run prints it beside its own figures.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Origin;
use crate::error::{Error, Result};
use crate::latency::{Latency, Percentiles};

/// O_DIRECT, which the standard library does not name.
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
const O_DIRECT: i32 = 0o40_000;
#[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
const O_DIRECT: i32 = 0o200_000;

/// Memory and file offsets are multiples of this, which suits every disk.
const ALIGNMENT: usize = 4096;
/// The size of the file that is written over and over.
const FILE_BYTES: usize = 16 << 20;

/// The disk alone.
#[derive(Clone, Debug)]
pub struct RawSync {
    /// Latency of one write and its fdatasync.
    pub latency: Percentiles,
    /// Such pairs per second, one after another.
    pub per_second: f64,
    /// Bytes of each write.
    pub write_bytes: usize,
    /// False where the file system has no O_DIRECT.
    pub direct: bool,
    /// The directory that was measured.
    pub directory: PathBuf,
}

impl RawSync {
    /// For the JSON line.
    pub fn json(&self) -> Value {
        json!({
            "latency": self.latency.json(), "per_second": self.per_second.round(), "write_bytes": self.write_bytes,
            "direct": self.direct, "directory": self.directory,
        })
    }
}

/// Writes `write_bytes` (rounded up to 4 KiB) and syncs, for `duration`, in a file that is made and removed in `directory`.
/// Blocks the calling thread.
pub fn measure(directory: &Path, write_bytes: usize, duration: Duration) -> Result<RawSync> {
    std::fs::create_dir_all(directory).map_err(Error::io(format!("cannot create {}", directory.display())))?;
    let path = directory.join(format!("fdatasync-{}.tmp", std::process::id()));
    let result = run(&path, write_bytes.max(1).next_multiple_of(ALIGNMENT), duration);
    // The figure counts, not whether the scratch file went away.
    let _ = std::fs::remove_file(&path);
    let (latency, per_second, write_bytes, direct) =
        result.map_err(Error::io(format!("cannot measure fdatasync in {}", directory.display())))?;
    Ok(RawSync { latency, per_second, write_bytes, direct, directory: directory.to_owned() })
}

fn run(path: &Path, write_bytes: usize, duration: Duration) -> std::io::Result<(Percentiles, f64, usize, bool)> {
    let file_bytes = FILE_BYTES.max(write_bytes).next_multiple_of(write_bytes);
    fill_with_zeros(path, file_bytes)?;
    let (file, direct) = open(path)?;
    let mut memory = vec![0u8; write_bytes + ALIGNMENT];
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    let latency = Latency::new();
    let clock = Origin::start();
    let (mut offset, mut writes) = (0, 0u64);
    while clock.elapsed() < duration {
        let buffer = &mut memory[start..start + write_bytes];
        buffer[..8].copy_from_slice(&writes.to_le_bytes());
        let before = clock.nanos();
        file.write_all_at(buffer, offset as u64)?;
        file.sync_data()?;
        latency.record(clock.nanos() - before);
        writes += 1;
        offset = (offset + write_bytes) % file_bytes;
    }
    Ok((latency.percentiles(), writes as f64 / clock.elapsed().as_secs_f64(), write_bytes, direct))
}

/// Written, not truncated to size: blocks must be allocated and initialised, or each sync would also write metadata.
fn fill_with_zeros(path: &Path, bytes: usize) -> std::io::Result<()> {
    let file = File::create(path)?;
    file.write_all_at(&vec![0; bytes], 0)?;
    file.sync_all()
}

fn open(path: &Path) -> std::io::Result<(File, bool)> {
    match OpenOptions::new().write(true).custom_flags(O_DIRECT).open(path) {
        Ok(file) => Ok((file, true)),
        Err(_) => Ok((OpenOptions::new().write(true).open(path)?, false)),
    }
}

#[cfg(test)]
mod tests {
    //! The measurement must really write and sync, leave nothing behind, and name the directory it failed in.
    use super::*;

    #[test]
    fn measures_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let raw = measure(directory.path(), 5_000, Duration::from_millis(20)).expect("a figure");
        assert_eq!(raw.write_bytes, 8_192);
        assert!(raw.latency.count > 0 && raw.per_second > 0.0, "{raw:?}");
        assert_eq!(std::fs::read_dir(directory.path()).expect("the directory").count(), 0);
    }

    #[test]
    fn names_the_directory_that_cannot_be_used() {
        let error = measure(Path::new("/proc/none"), 4096, Duration::ZERO).expect_err("no directory can be made there");
        assert!(error.to_string().contains("/proc/none"), "{error}");
    }
}
