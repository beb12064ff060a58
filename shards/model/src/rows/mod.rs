//! The values of rows, and their bytes. Under which keys they stand: [`keys`](crate::keys).

pub mod incarnation;
pub mod metadata;
pub mod namespace;
pub mod peer_row;
pub mod record;
pub mod registry;
pub mod task;
