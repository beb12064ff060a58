//! Everything that one core of a z4 peer does. `ARCHITECTURE.md` beside this crate's `Cargo.toml` tells the life of a write, of a
//! read and of a delivery, and what never happens.
//!
//! Arrows point one way: `ids, command <- machine <- {partition, log, roster, link} <- raft <- shard`.

pub mod account;
pub mod command;
pub mod ids;
pub mod link;
pub mod log;
pub mod machine;
pub mod metrics;
pub mod partition;
pub mod raft;
pub mod roster;
pub mod runtime;
pub mod shard;
pub mod storage;
