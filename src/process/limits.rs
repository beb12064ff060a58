//! The soft limits of the process, raised to what the hard ones allow.

use rlimit::Resource;

/// More descriptors than this are of no use and make some kernels' tables large.
const DESCRIPTORS_MAX: u64 = 1_048_576;

/// Descriptors for everything but clients' connections: segments, tables, rings, links.
const DESCRIPTORS_BESIDES: u64 = 1024;

/// Descriptors for connections that are bounded elsewhere: the metrics port and callers of the peer port.
const DESCRIPTORS_OF_OTHERS: u64 = 128;

/// Raises the soft limits of file descriptors and of locked memory as far as the hard ones allow. Returns how many connections of gRPC
/// clients may be open at a time: `connections_max`, or fewer, told as a warning, when descriptors would run out, for then it would be a
/// file of the store that cannot be opened. `others` are the connections on other ports.
///
/// Nothing here is fatal: the start-up probe refuses what cannot work.
pub fn raise(connections_max: usize, others: usize) -> usize {
    raise_one(Resource::MEMLOCK, "locked memory", u64::MAX);
    let Some(limit) = raise_one(Resource::NOFILE, "file descriptors", DESCRIPTORS_MAX) else { return connections_max };
    let allowed = connections_within(limit, connections_max, others);
    if allowed < connections_max {
        tracing::warn!(
            limit,
            connections_max,
            allowed,
            "few file descriptors: fewer connections are taken than connections_max says; raise `ulimit -n`"
        );
    }
    allowed
}

/// How many connections `limit` descriptors allow: a reserve is kept for files, half of them at most, and one for the other ports.
fn connections_within(limit: u64, connections_max: usize, others: usize) -> usize {
    let reserve = DESCRIPTORS_BESIDES.min(limit / 2) + (DESCRIPTORS_OF_OTHERS + others as u64).min(limit / 4);
    let allowed = usize::try_from(limit - reserve).unwrap_or(usize::MAX).max(1);
    connections_max.min(allowed)
}

/// Returns the soft limit afterwards; `None`: unknown.
fn raise_one(resource: Resource, what: &str, at_most: u64) -> Option<u64> {
    let (soft, hard) = resource.get().inspect_err(|error| tracing::debug!(%error, what, "a limit cannot be read")).ok()?;
    let wanted = hard.min(at_most);
    if soft >= wanted {
        return Some(soft);
    }
    match resource.set(wanted, hard) {
        Ok(()) => Some(wanted),
        Err(error) => {
            tracing::debug!(%error, what, soft, hard, "a limit cannot be raised");
            Some(soft)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::connections_within;

    /// More connections than descriptors, and the next file that the store opens fails, which ends the process.
    #[test]
    fn connections_leave_descriptors_for_files() {
        assert_eq!(connections_within(1_048_576, 10_000, 200), 10_000);
        assert_eq!(connections_within(10_000, 10_000, 200), 8_648);
        assert_eq!(connections_within(1_024, 10_000, 200), 256);
        assert_eq!(connections_within(1, 10_000, 200), 1);
    }
}
