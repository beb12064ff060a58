//! z4, a distributed database for tasks: the peer around the shards.

pub mod boot;
pub mod client;
pub mod config;
pub mod grpc;
pub mod links;
pub mod process;
pub mod sql;
pub mod telemetry;
pub mod tool;
