//! Real z4 processes on loopback, and clients for them.
//!
//! A test starts a [`Peer`] in temporary directories with ports from the kernel and talks to it through [`Client`],
//! [`ConsumeStream`], [`http::get`] or the `z4t` binary. Whatever a test waits for, it waits for a condition, at most
//! [`wait::PATIENCE`]; when it panics, the tail of the peer's log is printed and the process is killed.

mod client;
mod consumer;
pub mod http;
pub mod members;
mod peer;
mod requests;
pub mod wait;

pub use client::{Client, endpoint};
pub use consumer::ConsumeStream;
pub use peer::Peer;
pub use requests::{ack_of, create, due_at, due_ms, extension_of, nack_of, now_ms, payload_number, timestamp};
