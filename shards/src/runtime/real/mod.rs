//! What glommio and the operating system give.

pub mod clock;
pub mod disk;
pub mod executor;
pub mod files;
pub mod fs;
pub mod net;
pub mod probe;
mod pulse;
mod raft;
pub mod random;
#[cfg(test)]
pub(crate) mod testing;
pub mod worker;

pub use raft::ExecutorRuntime;
