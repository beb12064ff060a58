//! What `/proc` says about this process. What cannot be read leaves its metric as it was.

use z4_shards::metrics::ProcessMetrics;

/// `/proc` counts time in ticks of this many per second (USER_HZ), on every architecture that z4 builds for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Sets the metrics.
pub fn observe(metrics: &ProcessMetrics) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{file}")).unwrap_or_default();
    let status = read("self/status");
    if let Some(kib) = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).and_then(first_number) {
        metrics.resident_bytes.set(kib * 1024.0);
    }
    if let Some(limit) = read("self/limits").lines().find_map(|l| l.strip_prefix("Max open files")).and_then(first_number) {
        metrics.max_fds.set(limit);
    }
    if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the directory that is being read.
        metrics.open_fds.set(descriptors.count().saturating_sub(1) as f64);
    }
    if let Some(stat) = Stat::parse(&read("self/stat")) {
        metrics.cpu_seconds.inc_by((stat.cpu_seconds - metrics.cpu_seconds.get()).max(0.0));
        metrics.threads.set(stat.threads);
        if let Some(boot) = read("stat").lines().find_map(|l| l.strip_prefix("btime ")).and_then(first_number) {
            metrics.start_time_seconds.set(boot + stat.started_seconds);
        }
    }
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The fields of `/proc/self/stat` that are used (proc_pid_stat(5)).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    /// Since the machine's start.
    started_seconds: f64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses and may hold spaces and parentheses: count from its end.
        let (_, after) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        // proc_pid_stat(5) counts from 1, and the first field here is its third.
        let field = |n: usize| fields.get(n - 3)?.parse::<f64>().ok();
        Some(Stat {
            cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
            threads: field(20)?,
            started_seconds: field(22)? / TICKS_PER_SECOND,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Field numbers are easy to get wrong by one, above all after a name with spaces.
    #[test]
    fn stat_is_read_by_the_manual() {
        let text = "7 (a (b) c) S 1 7 7 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 12300 1000 200";
        assert_eq!(Stat::parse(text), Some(Stat { cpu_seconds: 2.0, threads: 9.0, started_seconds: 123.0 }));
        assert_eq!(Stat::parse("7 (short) S"), None);
    }
}
