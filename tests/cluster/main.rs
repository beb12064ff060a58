//! Black-box tests of clusters: real z4 processes, and a network between them that can be disturbed.
//!
//! One binary, because linking is what costs; one module per subject. Every test has a cluster of its own.

#[path = "../harness/mod.rs"]
mod harness;

mod catching_up;
mod clocks;
mod damage;
mod emptied;
mod failover;
mod first_peer;
mod forming;
mod leasing;
mod network;
mod outdated;
mod quorum;
mod rolling;
mod spreading;
mod sql;
mod strangers;
