//! The pure part of a shard: names, rows, keys, commands, and the machine that applies them. Nothing here reads a clock, a file or a
//! socket, draws a random number or waits; whoever depends on this crate brings these along. So one can understand, test and replay it
//! without the rest of z4.
//!
//! Files build on each other in this order, and never the other way round:
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | names of groups, slots, peers, namespaces and tasks |
//! | [`encoding`] | the primitives of every byte format, and [`Malformed`](encoding::Malformed): bytes that are not what they should be |
//! | [`settings`] | a namespace's settings: names, defaults, ranges |
//! | [`log`] | what a raft log stores, said without openraft's types |
//! | [`rows`] | the values of rows: tasks, namespaces, the registry's |
//! | [`keys`] | every key kind and its layout |
//! | [`command`] | write intents, their answers, and the bytes of an entry |
//! | [`machine`] | `apply(store, index, entry) -> replies, effects`; one file per operation in `ops/` |

pub mod command;
pub mod encoding;
pub mod ids;
pub mod keys;
pub mod log;
pub mod machine;
pub mod rows;
pub mod settings;
