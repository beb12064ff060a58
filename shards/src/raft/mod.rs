//! Raft: the only place that names openraft. Type config, adapters of our raft log and partition, network, one replica's handle.

mod config;
mod inbound;
mod leader;
mod log_store;
mod membership;
mod network;
mod replica;
mod state_machine;
#[cfg(test)]
mod suite_tests;
mod types;
mod wire;

pub use leader::Leader;
pub use replica::{ProposeError, Replica, ReplicaError, ReplicaStatus};
pub use state_machine::{AppliedRun, OnApplied};
