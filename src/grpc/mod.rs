//! The gRPC edge of a peer: `z4.Collection`, `z4.Admin`, health and reflection, served by every shard on its own executor.
//!
//! A connection belongs to the shard that accepted it, with all its streams: requests are checked against [`Limits`], made into
//! commands ([`convert`]), and handed to [`Shards`](z4_shards::shard::handle::Shards), which finds the shard that owns the
//! namespace. Nothing here decides about tasks, and nothing here outlives a connection.
//!
//! tonic wants `Send` futures and streams although they never leave their thread: they are wrapped with `send_wrapper`.

mod adding;
mod admin;
mod call;
mod cluster_info;
mod collection;
mod connection;
mod consume;
#[cfg(test)]
mod consume_tests;
pub mod convert;
mod create;
mod create_batch;
mod create_stream;
mod deadline;
#[cfg(test)]
mod fakes;
mod flight;
mod health;
mod inlet;
mod invalid;
mod lease;
pub mod limits;
mod meanwhile;
mod memory;
mod messages;
mod namespaces;
pub mod observe;
mod pace;
mod page_token;
mod pieces;
mod reflection;
mod reply;
pub mod server;
pub mod services;
mod settle;
mod shape;
mod status;
mod task_stream;
mod tasks;
mod timestamp;

pub use cluster_info::{ClusterView, Me};
pub use invalid::Invalid;
pub use limits::Limits;
pub use observe::{NoObserver, Observer};
pub use server::{Connections, serve};
pub use services::{Context, Services};
