//! z4: a distributed database for tasks, actions that should take place in the future.

pub mod tool;
