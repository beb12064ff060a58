//! SQL over tasks for any MySQL client, read-only.
//!
//! ```text
//! wire/     MySQL's protocol: listener, users, packets, one session per connection       (tokio thread; the only place of opensrv-mysql)
//! dialect/  MySQL's SQL → a [`statement::Statement`]: parse, check, type, rewrite for SQLite  (pure; the only place of sqlparser)
//! sqlite/   runs it: a pool of threads, virtual tables, MySQL's functions                     (plain threads; the only place of rusqlite)
//! peer.rs   what SQL sees of the peer                                                   (the only place of z4_shards::shard)
//! ```
//!
//! `README.md` lists what differs from MySQL 8.0.
//!
//! Between them stand plain values: [`types`], [`decimal`], [`error`], [`catalog`], [`context`], [`statement`], [`signatures`], [`extraction`], [`own`], [`data`], [`result`], [`zones`].
//! `wire` knows `dialect` and `sqlite`; `dialect` and `sqlite` do not know each other, nor `wire`.

pub mod catalog;
pub mod context;
pub mod data;
pub mod datetime;
pub mod decimal;
pub mod dialect;
pub mod error;
pub mod extraction;
pub mod information;
pub mod own;
pub mod peer;
pub mod result;
pub mod signatures;
pub mod sqlite;
pub mod statement;
#[cfg(test)]
pub mod testing;
pub mod types;
pub mod wait;
pub mod wire;
pub mod zones;
