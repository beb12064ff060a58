//! The shell of a shard.

pub mod api;
pub mod delivery;
pub mod handle;
