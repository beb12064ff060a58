//! Executors for tests: small enough that many run in parallel.

use std::future::Future;

use glommio::{LocalExecutorBuilder, Placement};

/// Runs one future on a fresh executor and drops the executor with every task that is left: what a process leaves behind when it
/// is killed.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(128 << 10)
        .ring_depth(32)
        .make()
        .expect("an executor needs io_uring and 512 KiB of locked memory")
        .run(future)
}
