//! The shell of a shard.

pub mod api;
pub mod handle;
