//! Loads a z4 peer over gRPC and says what came out of it: latency percentiles, rates, the server's CPU and memory, and beside
//! them what the disk can do on its own.
//!
//! `z4-bench` is the load generator, `z4-demo` the main job on a file of reminders. Both start the peer as a process or talk to one
//! that runs already; neither reaches into it.
//!
//! The load generator shares the machine with the peer, so it spends as little as it can per task: requests are encoded once and
//! sent as bytes, replies are read only as far as they are needed, and its own CPU is printed beside the peer's.

pub mod bench;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod consume;
pub mod create;
pub mod demo;
pub mod error;
pub mod fsync;
pub mod interrupt;
pub mod latency;
pub mod pace;
pub mod peer;
pub mod process;
pub mod report;
pub mod runs;
pub mod scrape;
pub mod wire;
pub mod workload;

pub use error::{Error, Result};
