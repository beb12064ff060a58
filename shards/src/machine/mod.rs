//! The replicated state machine of one group. Pure: no clock, no randomness, no IO but the [`Store`] it is given; the same entries
//! give the same bytes on every replica.
//!
//! `apply` decodes an entry and takes its commands in order. Each operation has a file of its own that plans it: reads, checks, and
//! notes writes and effects in a `Plan`. When the last operation of the command has agreed the writes go to the store and into the
//! state hash; when one is refused nothing of the command remains. What changes with every command (the namespace's row, the group's
//! row, the block of request ids) is written once, when the entry ends.

mod ack;
mod apply;
mod claims;
mod configure;
mod create;
mod delete;
mod drop_namespace;
mod give_back;
mod hash;
mod idempotency;
pub mod incarnation;
pub mod keys;
mod low_water;
mod meta;
mod metadata;
pub mod namespace;
pub mod peer_row;
mod plan;
mod purge;
pub mod record;
mod register;
pub mod registry;
mod retry;
mod settled;
mod store;
mod task;
pub mod testing;
mod update;

use bytes::Bytes;

pub use apply::{ApplyError, Machine, Totals};
pub use claims::Claimable;
pub use create::{RESERVED_SEQUENCE, SEQUENCES_PER_INDEX, first_sequence};
pub use idempotency::WINDOW_BYTES_MAX;
pub use retry::LAST_ERROR_BYTES_MAX;
pub use settled::SettledLately;
pub use store::{Store, StoreError};
pub use task::find_task;

use crate::command::{Reply, Settings};
use crate::ids::{Namespace, TaskKey};

/// What one entry did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One answer per command of the entry.
    pub replies: Vec<Reply>,
    /// What the leader's shell should know. Followers drop it.
    pub effects: Vec<Effect>,
}

/// What the leader's delivery engine does after an entry was applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A live row is at `key` now that was not there before (created, rescheduled, revived), or that is due again after a delivery that
    /// ended, where it was or elsewhere.
    Added {
        /// Whose.
        namespace: Namespace,
        /// Where.
        key: TaskKey,
        /// The encoded [`record::TaskRecord`].
        row: Bytes,
    },
    /// The live row at `key` has new content (same position).
    Replaced {
        /// Whose.
        namespace: Namespace,
        /// Where.
        key: TaskKey,
        /// The encoded [`record::TaskRecord`].
        row: Bytes,
    },
    /// The live row at `key` is gone (deleted, purged, or moved elsewhere). Acks and retries, which the leader's lease table asked
    /// for, do not say so.
    Removed {
        /// Whose.
        namespace: Namespace,
        /// Where it was.
        key: TaskKey,
    },
    /// The namespace has these settings now.
    Configured {
        /// Which.
        namespace: Namespace,
        /// All of them.
        settings: Settings,
    },
    /// It is known which deliveries of leaders before go on; the others are over.
    ClaimsEnded {
        /// The first token of the leader that says so.
        below: u64,
    },
    /// A row of the registry was set. Told on every replica: each peer reads the registry again.
    Registered,
}

#[cfg(test)]
mod tests;
