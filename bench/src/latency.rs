//! Latency percentiles from an HDR histogram.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// The longest latency that is told apart: 10 minutes. Longer ones count as this.
const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// The shortest latency that is told apart: about 1 µs, which keeps the histogram small.
const LATENCY_NS_MIN: u64 = 1_000;

/// Latencies with three significant digits, shared by the tasks of a run; the lock is all but uncontended.
#[derive(Clone, Debug)]
pub struct Latency(Arc<Mutex<Histogram<u64>>>);

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// An empty histogram from 1 µs to 10 minutes.
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(LATENCY_NS_MIN, LATENCY_NS_MAX, 3)
            .unwrap_or_else(|_| unreachable!("1 µs to 10 min with 3 digits are bounds that the histogram takes"));
        Self(Arc::new(Mutex::new(histogram)))
    }

    fn lock(&self) -> MutexGuard<'_, Histogram<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records one latency in nanoseconds.
    pub fn record(&self, nanos: u64) {
        self.lock().saturating_record(nanos);
    }

    /// Records the same latency for `count` tasks.
    pub fn record_n(&self, nanos: u64, count: u64) {
        self.lock().saturating_record_n(nanos, count);
    }

    /// Adds what another one has recorded.
    pub fn merge(&self, other: &Latency) {
        // The bounds are the same, so everything fits; another one's lock is never held by whoever waits for this one's.
        let other = other.lock().clone();
        let _ = self.lock().add(other);
    }

    /// What has been recorded so far.
    pub fn percentiles(&self) -> Percentiles {
        let histogram = self.lock();
        let at = |q: f64| Duration::from_nanos(if histogram.is_empty() { 0 } else { histogram.value_at_quantile(q) });
        Percentiles {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: Duration::from_nanos(histogram.max()),
        }
    }
}

/// A summary of latencies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// How many were recorded.
    pub count: u64,
    /// Half were at most this.
    pub p50: Duration,
    /// 90 % were at most this.
    pub p90: Duration,
    /// 99 % were at most this.
    pub p99: Duration,
    /// 99.9 % were at most this.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

impl Percentiles {
    /// In microseconds.
    pub fn json(&self) -> Value {
        let us = |d: Duration| (d.as_secs_f64() * 1e7).round() / 10.0;
        json!({
            "count": self.count, "p50_us": us(self.p50), "p90_us": us(self.p90), "p99_us": us(self.p99),
            "p999_us": us(self.p999), "max_us": us(self.max),
        })
    }
}

impl std::fmt::Display for Percentiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e] = [self.p50, self.p90, self.p99, self.p999, self.max].map(crate::report::duration);
        write!(f, "p50 {a}   p90 {b}   p99 {c}   p99.9 {d}   max {e}")
    }
}

#[cfg(test)]
mod tests {
    //! Percentiles must be those of the recorded values, within the three digits that the histogram keeps, and values outside its
    //! range must be counted, not lost: a lost maximum would make every run look better than it was.
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_values() {
        let latency = Latency::new();
        for micros in 1..=10_000u64 {
            latency.record(micros * 1_000);
        }
        let p = latency.percentiles();
        for (got, want) in [(p.p50, 5_000.0), (p.p90, 9_000.0), (p.p99, 9_900.0), (p.p999, 9_990.0), (p.max, 10_000.0)] {
            let micros = got.as_secs_f64() * 1e6;
            assert!((micros - want).abs() <= want / 500.0, "{micros} instead of {want}");
        }
        assert_eq!(p.count, 10_000);
    }

    #[test]
    fn what_is_out_of_range_counts_as_the_limit() {
        let latency = Latency::new();
        latency.record(0);
        latency.record_n(u64::MAX, 2);
        let p = latency.percentiles();
        assert_eq!(p.count, 3);
        assert!(p.max.as_nanos() as u64 >= LATENCY_NS_MAX, "{:?}", p.max);
    }

    #[test]
    fn empty_is_all_zero() {
        assert_eq!(Latency::new().percentiles(), Percentiles::default());
    }
}
