//! Raft: the only place that names openraft. Type config, adapters of our raft log and partition, network, one replica's handle.

mod config;
mod inbound;
mod leader;
mod log_store;
mod membership;
mod membership_steps;
mod network;
mod rebuild;
mod replica;
mod retention;
mod sane;
mod snapshot_receive;
mod snapshot_send;
mod standing;
mod state_machine;
#[cfg(test)]
mod suite_tests;
#[cfg(test)]
mod tests;
mod types;
mod wire;

pub use leader::Leader;
pub use membership_steps::{Members, StepError};
pub use replica::{ProposeError, Replica, ReplicaError, ReplicaStatus};
pub use retention::{Purge, Retention};
pub use state_machine::{AppliedRun, OnApplied};

/// Under this name the library behind the replicas logs.
pub const LOG_TARGET: &str = "openraft";
/// Under this one it logs each request to a replica that has stopped, the request with it: as ordinary as a peer that stops.
pub const LOG_TARGET_STOPPED: &str = "openraft::raft::raft_inner";
