//! When deliveries came, by both clocks. A lease's end is told as a time of day; a clock that is set while deliveries wait to be taken would
//! have their reader believe that leases are over that are not, or the other way round.

use crate::link::Clocks;
use crate::runtime::clock;
use crate::shard::api::Delivered;

/// Two looks at one clock differ by less, milliseconds.
const SLACK_MS: i64 = 50;

/// A moment, by the members' clocks and by the monotonic one.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    wall_ms: u64,
    mono_us: u64,
}

impl Arrival {
    /// This moment.
    pub fn now(clocks: &Clocks) -> Self {
        Arrival { wall_ms: clocks.now_ms(), mono_us: clock::monotonic_us() }
    }

    /// Has the ends of leases, as they were told at this moment, be told by the clock as it is now.
    pub fn tell_again(self, tasks: &mut [Delivered], clocks: &Clocks) {
        let now = Arrival::now(clocks);
        let passed_ms = now.mono_us.saturating_sub(self.mono_us) / 1_000;
        let set_by_ms = now.wall_ms.saturating_sub(passed_ms).wrapping_sub(self.wall_ms) as i64;
        if set_by_ms.abs() > SLACK_MS {
            tasks.iter_mut().for_each(|task| task.deadline_ms = task.deadline_ms.saturating_add_signed(set_by_ms));
        }
    }
}
