//! The executor: the only place in this crate that names glommio.
//!
//! Everything above sees a clock, tasks, sleeps, mailboxes, files and sockets, and could run on another thread-per-core executor.

pub mod clock;
pub mod disk;
pub mod executor;
pub mod files;
pub mod mailbox;
pub mod net;
pub mod notify;
pub mod pace;
pub mod probe;
mod pulse;
mod raft;
#[cfg(test)]
pub(crate) mod testing;

pub use raft::ExecutorRuntime;
