//! Real z4 processes on loopback, and clients for them.
//!
//! A test starts a [`Peer`] in temporary directories with ports from the kernel and talks to it through [`Client`],
//! [`ConsumeStream`], [`http::get`] or the `z4t` binary. Whatever a test waits for, it waits for a condition, at most
//! [`wait::PATIENCE`]; when it panics, the tail of the peer's log is printed and the process is killed. With `Z4_TEST_KEEP=1` the
//! directories of the peers of a failed test stay.
//!
//! A [`Cluster`](cluster::Cluster) is several of them with a [`Network`](network::Network) between them that can be disturbed.
#![allow(dead_code, unused_imports, reason = "each binary of tests uses a part of it")]

mod client;
pub mod cluster;
mod consumer;
pub mod dial;
pub mod frames;
pub mod http;
pub mod members;
pub mod mysql;
pub mod network;
mod peer;
mod proxy;
mod requests;
pub mod wait;

pub use client::{Client, endpoint};
pub use consumer::ConsumeStream;
pub use peer::Peer;
pub use requests::{ack_of, create, due_at, due_ms, extension_of, nack_of, now_ms, payload_number, timestamp};
