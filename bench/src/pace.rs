//! An open loop: tasks are sent when the schedule says so, whether or not earlier ones were answered.
//!
//! Latency is measured from the intended time of a task, not from when it was really sent. A peer that stalls for a second delays
//! what was to be sent in that second, and those delays belong to its latency (coordinated omission is leaving them out).

use std::time::Duration;

/// When each task of a constant rate is to be sent. Tasks leave in bursts, one burst per tick, because a thread that wakes for each
/// task would cost the machine more than the peer does.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    per_second: u64,
    tick_ns: u64,
}

impl Pace {
    /// `per_second` tasks, in bursts that are `tick` apart; both at least 1 (a tick at least 1 ns).
    pub fn new(per_second: u64, tick: Duration) -> Self {
        Self { per_second: per_second.max(1), tick_ns: (tick.as_nanos() as u64).max(1) }
    }

    /// The intended time of task `index`, in nanoseconds since the start: its evenly spaced time, put back to the tick before.
    pub fn intended_ns(&self, index: u64) -> u64 {
        let even = (u128::from(index) * 1_000_000_000 / u128::from(self.per_second)) as u64;
        even / self.tick_ns * self.tick_ns
    }

    /// How many tasks should have been sent at this time: those whose intended time is not later.
    pub fn sent_by(&self, elapsed_ns: u64) -> u64 {
        let next_tick = u128::from(elapsed_ns / self.tick_ns + 1) * u128::from(self.tick_ns);
        (next_tick * u128::from(self.per_second)).div_ceil(1_000_000_000) as u64
    }

    /// How many tasks a run of `duration` sends.
    pub fn total(&self, duration: Duration) -> u64 {
        (duration.as_nanos() * u128::from(self.per_second) / 1_000_000_000) as u64
    }
}

#[cfg(test)]
mod tests {
    //! The pace decides what latency is counted from, so a mistake here would hide stalls. The count and the times must agree for any
    //! rate and tick, and a stall of the sender must show in full.
    use super::*;
    use crate::latency::Latency;

    const RATES: [(u64, u64); 5] = [(10_000, 500_000), (1, 1_000_000), (333, 7), (150_000, 1_000_000), (7, 300_000_000)];

    #[test]
    fn count_and_times_agree() {
        for (per_second, tick_ns) in RATES {
            let pace = Pace::new(per_second, Duration::from_nanos(tick_ns));
            for index in 0..5_000 {
                let at = pace.intended_ns(index);
                assert!(pace.sent_by(at) > index, "task {index} of {per_second}/s is not sent at its own time {at}");
                assert!(at == 0 || pace.sent_by(at - 1) <= index, "task {index} of {per_second}/s is sent before {at}");
            }
        }
    }

    #[test]
    fn the_rate_is_kept_and_bursts_are_on_ticks() {
        for (per_second, tick_ns) in RATES {
            let pace = Pace::new(per_second, Duration::from_nanos(tick_ns));
            assert_eq!(pace.total(Duration::from_secs(10)), per_second * 10);
            assert_eq!(pace.intended_ns(per_second * 10), 10_000_000_000 / tick_ns * tick_ns);
            assert!((0..1_000).all(|i| pace.intended_ns(i).is_multiple_of(tick_ns)));
        }
    }

    /// A peer that answers in 1 ms but stops for 1 s once: seen from the intended times a tenth of 10 s is late by up to 1 s. Seen
    /// from the times of sending, only one task would be.
    #[test]
    fn a_stall_is_counted_in_full() {
        let pace = Pace::new(1_000, Duration::from_millis(1));
        let (stall_from, stall_until) = (4_000_000_000u64, 5_000_000_000u64);
        let latency = Latency::new();
        for index in 0..10_000 {
            let intended = pace.intended_ns(index);
            let sent = if (stall_from..stall_until).contains(&intended) { stall_until } else { intended };
            latency.record(sent + 1_000_000 - intended);
        }
        let p = latency.percentiles();
        assert!(p.p50 < Duration::from_millis(2), "{p}");
        assert!(p.p99 > Duration::from_millis(880) && p.max > Duration::from_millis(990), "{p}");
    }
}
