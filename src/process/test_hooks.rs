//! What a test of whole processes can do to a peer while it runs. It is in builds with debug assertions alone.
//!
//! With one of these variables in its environment a peer looks in the directory that it names for a file that is called like its id, and
//! follows the number in it, milliseconds. No file is 0.
//!
//! - `TEST_Z4_CLOCK_DIR`: by so much its wall clock is wrong, ahead or (negative) behind.
//! - `TEST_Z4_DISK_DIR`: so much longer each fdatasync of its raft logs takes.
//! - `TEST_Z4_SPACE_DIR`: so many bytes its disks have left at most; below 0 they have nothing, and its raft logs cannot be written.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use z4_shards::runtime::clock;
use z4_shards::runtime::files::{Disk, Faults};

const CLOCK: &str = "TEST_Z4_CLOCK_DIR";
const DISK: &str = "TEST_Z4_DISK_DIR";
const SPACE: &str = "TEST_Z4_SPACE_DIR";

/// How often the files are read.
const LOOK: Duration = Duration::from_millis(50);

/// So much longer each sync takes, milliseconds.
static SYNC_DELAY_MS: AtomicU64 = AtomicU64::new(0);

/// What the disks have left at most, bytes. 0: as much as they say.
static SPACE_BYTES: AtomicI64 = AtomicI64::new(0);

type Turn = fn(i64);

/// What follows which file.
struct Hook {
    file: PathBuf,
    turn: Turn,
}

impl Hook {
    fn look(&self) {
        let ms = std::fs::read_to_string(&self.file).ok().and_then(|text| text.trim().parse().ok());
        (self.turn)(ms.unwrap_or(0));
    }
}

/// Follows the files that the environment asks for: reads them once, and from then on on a thread of its own.
pub fn follow(peer_id: &str) {
    let known: [(&str, Turn); 3] = [(CLOCK, clock::set_wrong_by), (DISK, delay_syncs_by), (SPACE, leave)];
    let mut hooks = Vec::new();
    for (variable, turn) in known {
        let Some(dir) = std::env::var_os(variable) else { continue };
        tracing::warn!(peer_id, "this peer follows {variable}: this is a test");
        hooks.push(Hook { file: PathBuf::from(dir).join(peer_id), turn });
    }
    hooks.iter().for_each(Hook::look);
    if hooks.is_empty() {
        return;
    }
    let look = move || {
        // Nobody sends: it is there to be waited for.
        let (_open, never) = mpsc::channel::<()>();
        loop {
            let _ = never.recv_timeout(LOOK);
            hooks.iter().for_each(Hook::look);
        }
    };
    let _ = std::thread::Builder::new().name("z4-test-hooks".to_owned()).spawn(look);
}

fn delay_syncs_by(ms: i64) {
    SYNC_DELAY_MS.store(u64::try_from(ms).unwrap_or(0), Ordering::Relaxed);
}

fn leave(bytes: i64) {
    SPACE_BYTES.store(bytes, Ordering::Relaxed);
}

/// What is left of so many free bytes.
pub fn free_bytes(free: u64) -> u64 {
    match SPACE_BYTES.load(Ordering::Relaxed) {
        0 => free,
        left => free.min(u64::try_from(left).unwrap_or(0)),
    }
}

/// The disk of the raft logs: slow or full, when the environment says where that is told.
pub fn disk() -> Disk {
    match [DISK, SPACE].iter().any(|name| std::env::var_os(name).is_some()) {
        true => Disk::with_faults(Rc::new(Hooked)),
        false => Disk::default(),
    }
}

struct Hooked;

impl Faults for Hooked {
    fn before_write(&self, _: &Path, _: u64, _: usize) -> io::Result<()> {
        match SPACE_BYTES.load(Ordering::Relaxed) {
            left if left < 0 => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn before_sync(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_delay(&self, _: &Path) -> Duration {
        Duration::from_millis(SYNC_DELAY_MS.load(Ordering::Relaxed))
    }
}
