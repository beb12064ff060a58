//! The soft limits of the process, raised to what the hard ones allow.

use rlimit::Resource;

/// More descriptors than this are of no use and make some kernels' tables large.
const DESCRIPTORS_MAX: u64 = 1_048_576;

/// Descriptors for everything but client connections: segments, tables, rings, links.
const DESCRIPTORS_BESIDES: u64 = 1024;

/// Raises the soft limits of file descriptors and of locked memory as far as the hard ones allow, and warns when `connections_max`
/// connections would still run out of descriptors. Nothing here is fatal: the start-up probe refuses what cannot work.
pub fn raise(connections_max: usize) {
    raise_one(Resource::MEMLOCK, "locked memory", u64::MAX);
    let descriptors = raise_one(Resource::NOFILE, "file descriptors", DESCRIPTORS_MAX);
    let needed = connections_max as u64 + DESCRIPTORS_BESIDES;
    if let Some(limit) = descriptors.filter(|limit| *limit < needed) {
        tracing::warn!(limit, needed, connections_max, "few file descriptors: raise `ulimit -n` or lower --connections-max");
    }
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
