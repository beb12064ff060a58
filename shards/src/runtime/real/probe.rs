//! The start-up probe: can this process run its executors here? Asked before anything is opened, so that the answer says what to
//! change and not which system call failed deep inside.

use std::io;

use glommio::{GlommioError, LocalExecutorBuilder, Placement, ReactorErrorKind};

/// Memory that one executor wants to lock, bytes. glommio refuses to start when the limit is below it.
pub const LOCKED_BYTES_PER_SHARD: u64 = 512 * 1024;

const LIMITS: &str = "/proc/self/limits";
const IO_URING_DISABLED: &str = "/proc/sys/kernel/io_uring_disabled";
const KERNEL: &str = "/proc/sys/kernel/osrelease";

/// Why executors cannot run here, and what to change.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The limit of locked memory is too low.
    #[error(
        "the limit of locked memory is {limit} bytes; {shards} shards want {needed} ({LOCKED_BYTES_PER_SHARD} each). Raise it: \
         `ulimit -l {kib}` in the shell, LimitMEMLOCK={needed} in a systemd unit, `--ulimit memlock={needed}` for docker; or run fewer \
         shards (--shards)"
    )]
    LockedMemory {
        /// What the process may lock, bytes.
        limit: u64,
        /// What it needs, bytes.
        needed: u64,
        /// The same, in the unit of `ulimit -l`, KiB.
        kib: u64,
        /// Executors asked for.
        shards: usize,
    },
    /// The administrator switched io_uring off.
    #[error(
        "io_uring is switched off here: kernel.io_uring_disabled is {value} (1: for processes without privilege, 2: for all). Allow it: \
         `sysctl kernel.io_uring_disabled=0`, or 1 and CAP_SYS_ADMIN or membership of kernel.io_uring_group"
    )]
    Disabled {
        /// The sysctl's value.
        value: String,
        /// The refused system call.
        source: io::Error,
    },
    /// A sandbox refuses io_uring.
    #[error(
        "io_uring_setup is refused (EPERM), most likely by a seccomp profile; Docker's default profile does that. Use the one that \
         comes with z4: `docker run --security-opt seccomp=deploy/seccomp.json`; in Kubernetes, a Localhost seccompProfile with that file"
    )]
    Refused {
        /// The refused system call.
        source: io::Error,
    },
    /// The kernel does not know io_uring.
    #[error("this kernel ({kernel}) has no io_uring; z4 needs Linux 5.8 or newer with CONFIG_IO_URING=y")]
    Missing {
        /// Its release.
        kernel: String,
        /// The refused system call.
        source: io::Error,
    },
    /// Anything else.
    #[error("an io_uring executor cannot be made on kernel {kernel}")]
    Other {
        /// The kernel's release.
        kernel: String,
        /// What happened.
        source: io::Error,
    },
}

/// Makes one small executor, which ends at once. A limit of locked memory that is too low for one executor is an error; one that is
/// too low for all of `shards` is a warning, because kernels since 5.12 account only the registered buffers and glommio does without
/// those when it must.
pub fn probe(shards: usize) -> Result<(), ProbeError> {
    let limit = locked_memory_limit(&read(LIMITS));
    check_locked_memory(limit, shards)?;
    if let Some(limit) = limit.filter(|l| *l < needed(shards)) {
        tracing::warn!(
            limit,
            needed = needed(shards),
            shards,
            "little memory may be locked: registered IO buffers will not be used"
        );
    }
    let made = LocalExecutorBuilder::new(Placement::Unbound).name("z4-probe").io_memory(64 * 1024).ring_depth(8).make();
    match made {
        Ok(_) => Ok(()),
        Err(GlommioError::ReactorError(ReactorErrorKind::MemLockLimit(limit, _))) => Err(too_low(limit, shards)),
        Err(GlommioError::IoError(source)) if source.kind() == io::ErrorKind::OutOfMemory => {
            Err(too_low(limit.unwrap_or_default(), shards))
        }
        Err(GlommioError::IoError(source)) => Err(explain(source, read(KERNEL), read(IO_URING_DISABLED))),
        Err(other) => Err(ProbeError::Other { kernel: read(KERNEL), source: io::Error::other(other.to_string()) }),
    }
}

/// What `shards` executors want to lock, bytes.
fn needed(shards: usize) -> u64 {
    LOCKED_BYTES_PER_SHARD * shards as u64
}

/// An unreadable file of `/proc` is an empty one: what it would have told is missing from the answer, nothing else.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The soft limit in a text of the form of `/proc/self/limits`, bytes. `None`: unlimited or not told.
fn locked_memory_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|l| l.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn check_locked_memory(limit: Option<u64>, shards: usize) -> Result<(), ProbeError> {
    match limit {
        Some(limit) if limit < LOCKED_BYTES_PER_SHARD => Err(too_low(limit, shards)),
        _ => Ok(()),
    }
}

fn too_low(limit: u64, shards: usize) -> ProbeError {
    let needed = needed(shards);
    ProbeError::LockedMemory { limit, needed, kib: needed / 1024, shards }
}

fn explain(source: io::Error, kernel: String, disabled: String) -> ProbeError {
    match source.kind() {
        io::ErrorKind::PermissionDenied if disabled == "1" || disabled == "2" => ProbeError::Disabled { value: disabled, source },
        io::ErrorKind::PermissionDenied => ProbeError::Refused { source },
        io::ErrorKind::Unsupported => ProbeError::Missing { kernel, source },
        _ => ProbeError::Other { kernel, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_run_an_executor() {
        probe(1).expect("io_uring works here");
    }

    /// The table of `/proc/self/limits` has columns that shift with their contents. Read wrongly, the probe would refuse a good machine
    /// or let a bad one fail later without advice.
    #[test]
    fn the_limit_of_locked_memory_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max locked memory         65536                8388608              bytes     \n";
        assert_eq!(locked_memory_limit(limits), Some(65_536));
        assert_eq!(locked_memory_limit("Max locked memory         unlimited            unlimited            bytes"), None);
        assert_eq!(locked_memory_limit(""), None);
        assert!(check_locked_memory(Some(512 * 1024), 2).is_ok());
        let error = check_locked_memory(Some(65_536), 2).expect_err("too low").to_string();
        for told in ["65536", "2 shards want 1048576", "ulimit -l 1024", "LimitMEMLOCK=1048576", "memlock=1048576"] {
            assert!(error.contains(told), "{told} is missing: {error}");
        }
    }

    /// Each reason has its own remedy; a wrong one sends the operator looking in the wrong place.
    #[test]
    fn each_refusal_names_its_remedy() {
        let told = |errno: i32, disabled: &str| {
            explain(io::Error::from_raw_os_error(errno), "6.1.0".into(), disabled.into()).to_string()
        };
        assert!(told(1, "2").contains("sysctl kernel.io_uring_disabled=0"));
        assert!(told(1, "0").contains("seccomp=deploy/seccomp.json"));
        assert!(told(1, "").contains("seccomp=deploy/seccomp.json"));
        assert!(told(38, "0").contains("6.1.0"));
    }
}
