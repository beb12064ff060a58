//! Everything that one core of a z4 peer does. `ARCHITECTURE.md` beside this crate's `Cargo.toml` tells the life of a write, of a
//! read and of a delivery, and what never happens.
//!
//! Arrows point one way: `ids, command <- machine <- {partition, log} <- raft <- shard`.

pub mod command;
pub mod ids;
pub mod machine;
pub mod partition;
pub mod shard;
