//! Watches how much space the disks have left, on a thread of its own: asking can take as long as the disk does.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use z4_shards::link::Space;
use z4_shards::metrics::DiskMetrics;
use z4_shards::runtime::disk;

/// How often it looks. At 500 MB/s a quarter of the default reserve is used in between.
const EVERY: Duration = Duration::from_millis(250);

/// What is watched.
#[derive(Debug)]
pub struct Watch {
    /// The directories that must have room.
    pub dirs: Vec<PathBuf>,
    /// What must be left, bytes. 0: nobody is refused anything.
    pub reserve_bytes: u64,
    /// Where it says so.
    pub space: Space,
    /// And where it can be seen.
    pub metrics: DiskMetrics,
}

/// Looks once, and starts the thread; it runs until the process ends.
pub fn start(watch: Watch) -> io::Result<()> {
    watch.look();
    let run = move || {
        loop {
            std::thread::park_timeout(EVERY);
            watch.look();
        }
    };
    std::thread::Builder::new().name("z4-space".into()).spawn(run).map(drop)
}

impl Watch {
    fn look(&self) {
        let Some(free) = self.free() else { return };
        self.metrics.free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
        self.space.set_free_bytes(free);
        let was_short = self.space.short_of().is_some();
        let short = is_short(free, self.reserve_bytes, was_short);
        if short == was_short {
            return;
        }
        self.space.set_short_of(short.then_some(self.reserve_bytes));
        self.metrics.short.set(i64::from(short));
        let reserve = self.reserve_bytes;
        match short {
            true => {
                tracing::error!(free_bytes = free, disk_reserve_bytes = reserve, "the disk is nearly full: creates are refused")
            }
            false => {
                tracing::info!(free_bytes = free, disk_reserve_bytes = reserve, "the disk has room again: creates are taken")
            }
        }
    }

    /// What the fullest of the disks has left. `None`: none of them says; who writes to it will hear.
    fn free(&self) -> Option<u64> {
        let free = self.dirs.iter().filter_map(|dir| disk::free_bytes(dir).ok()).min();
        #[cfg(debug_assertions)]
        let free = free.map(crate::process::test_hooks::free_bytes);
        free
    }
}

/// A little more than the reserve must be free until it is enough again: else each ack would open the door for one create.
fn is_short(free: u64, reserve: u64, was_short: bool) -> bool {
    let enough = if was_short { reserve.saturating_add(reserve / 16) } else { reserve };
    free < enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back_a_little_later_than_it_went() {
        assert!(!is_short(1_600, 1_600, false));
        assert!(is_short(1_599, 1_600, false));
        assert!(is_short(1_699, 1_600, true));
        assert!(!is_short(1_700, 1_600, true));
        assert!(!is_short(0, 0, false), "no reserve, no refusal");
    }
}
