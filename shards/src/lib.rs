//! Everything that one core of a z4 peer does. `ARCHITECTURE.md` beside this crate's `Cargo.toml` tells the life of a write, of a
//! read and of a delivery, and what never happens.
//!
//! Arrows point one way: `z4_model <- {partition, log, roster, link} <- raft <- shard`. The pure part, the machine above all, is the crate
//! [`z4_model`].

#![cfg_attr(z4_sim, allow(clippy::arc_with_non_send_sync, reason = "a simulated world has one thread"))]

pub mod account;
pub mod link;
pub mod log;
pub mod metrics;
pub mod partition;
pub mod raft;
pub mod roster;
pub mod runtime;
pub mod shard;
pub mod storage;
