//! The shell of a shard.

pub mod api;
