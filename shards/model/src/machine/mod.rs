//! The replicated state machine of one group. Pure: no clock, no randomness, no IO but the [`Store`] it is given; the same entries
//! give the same bytes on every replica.
//!
//! `apply` decodes an entry and takes its commands in order. Each operation has a file of its own in `ops/` that plans it: reads, checks,
//! and notes writes and effects in a `Plan`. When the last operation of the command has agreed the writes go to the store and into the
//! state hash; when one is refused nothing of the command remains. What changes with every command (the namespace's row, the group's
//! row, the block of request ids) is written once, when the entry ends.

mod apply;
mod claims;
mod effect;
mod error;
mod find;
mod hash;
mod idempotency;
mod meta;
mod namespaces;
mod ops;
mod plan;
mod sequences;
mod settled;
mod store;
pub mod testing;
mod write;

pub use apply::Machine;
pub use claims::Claimable;
pub use effect::{Effect, Outcome};
pub use error::ApplyError;
pub use find::find_task;
pub use idempotency::WINDOW_BYTES_MAX;
pub use meta::Totals;
pub use ops::LAST_ERROR_BYTES_MAX;
pub use sequences::{INDEX_MAX, PER_TERM_BITS, RESERVED_SEQUENCE, SEQUENCES_PER_INDEX, TERM_MAX, first_sequence};
pub use settled::SettledLately;
pub use store::{Store, StoreError};

#[cfg(test)]
mod tests;
