//! CPU time and memory of a process, from /proc.

use std::fs;

use crate::error::{Error, Result};

/// Linux reports times in /proc/PID/stat in units of 1/100 s on every platform that z4 runs on (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far, and its memory now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time of all threads, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory now (VmRSS), in bytes.
    pub rss_bytes: u64,
    /// The most it ever was (VmHWM), in bytes; 0 when unknown.
    pub rss_peak_bytes: u64,
}

impl Usage {
    /// The usage of two processes together.
    #[must_use]
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            rss_bytes: self.rss_bytes + other.rss_bytes,
            rss_peak_bytes: self.rss_peak_bytes + other.rss_peak_bytes,
        }
    }
}

/// Reads the usage of a process.
pub fn usage(pid: u32) -> Result<Usage> {
    let read = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        fs::read_to_string(&path).map_err(Error::io(format!("cannot read {path}")))
    };
    let (stat, status) = (read("stat")?, read("status")?);
    let cpu_seconds = cpu_seconds(&stat).ok_or_else(|| Error::Input(format!("/proc/{pid}/stat is not understood: {stat:?}")))?;
    let bytes = |key| kibibytes(&status, key).unwrap_or(0) * 1024;
    Ok(Usage { cpu_seconds, rss_bytes: bytes("VmRSS:"), rss_peak_bytes: bytes("VmHWM:") })
}

/// Reads the usage of this process.
pub fn own_usage() -> Result<Usage> {
    usage(std::process::id())
}

/// Fields 14 and 15 of /proc/PID/stat. The name in field 2 may contain spaces and parentheses, so counting starts after the last ')'.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let user: f64 = fields.nth(11)?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(key))?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    //! The cost per task rests on these two parsers: a field off by one would report another number that looks plausible.
    use super::*;

    #[test]
    fn cpu_time_is_user_plus_system_whatever_the_name() {
        let stat = "4711 (z4 (x) y) S 1 2 3 4 5 6 7 8 9 10 250 75 13 14 20 0 4 0 100 1000 2000";
        assert_eq!(cpu_seconds(stat), Some(3.25));
        assert_eq!(cpu_seconds("4711 (z4"), None);
    }

    #[test]
    fn memory_lines_are_found_by_name() {
        let status = "Name:\tz4\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(1024));
        assert_eq!(kibibytes(status, "VmHWM:"), Some(2048));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_has_memory() {
        let usage = own_usage().expect("/proc of this process");
        assert!(usage.rss_bytes > 0 && usage.rss_peak_bytes >= usage.rss_bytes, "{usage:?}");
    }
}
