//! z4, a distributed database for tasks: the peer around the shards.
//!
//! | module | what it does |
//! |---|---|
//! | [`boot`] | starts a peer: threads, logs, groups, ports, in this order; and stops it |
//! | [`config`] | the options: names, defaults, ranges, from flags, variables and a file |
//! | [`grpc`] | the gRPC edge, on every shard's executor |
//! | [`sql`] | SQL for MySQL clients, read-only |
//! | [`links`] | dials other peers, and finds out who is at the other end, before a shard gets the connection |
//! | [`process`] | what z4 is to the operating system: directories, limits, signals, exit statuses |
//! | [`telemetry`] | what z4 tells about itself: logs, metrics, health |
//! | [`client`] | the client for other programs |
//! | [`tool`] | `z4t`, the admin tool, over gRPC only |
//!
//! Below the peer stand [`z4_shards`], everything that one core does, [`z4_model`], the pure part of it, and [`z4_proto`], the messages.
//! `shards/ARCHITECTURE.md` tells how it works together, and what never happens.

pub mod boot;
pub mod client;
pub mod config;
pub mod grpc;
pub mod links;
pub mod process;
pub mod sql;
pub mod telemetry;
pub mod tool;
