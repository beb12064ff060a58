//! Black-box tests: real z4 processes on loopback, real clients, no knowledge of what is inside.
//!
//! One binary, because linking is what costs; one module per subject. Every test has a peer of its own.

#[path = "../harness/mod.rs"]
mod harness;

mod attempts;
mod batches;
mod cluster;
mod consumers;
mod damage;
mod directories;
mod full_disk;
mod health;
mod history;
mod idempotency;
mod kill;
mod leases;
mod lifecycle;
mod limits;
mod limits_of_connections;
mod limits_of_consumers;
mod log;
mod members;
mod namespaces;
mod observe;
mod older_clients;
mod rust_client;
mod small_frames;
mod sql;
mod sql_sessions;
mod streams;
mod tasks;
mod trimming;
mod z4t;
