//! What an entry did, as it is told to the shell.

use bytes::Bytes;

use crate::command::Reply;
use crate::ids::{Namespace, TaskKey};
use crate::settings::Settings;

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
        /// The encoded [`TaskRecord`](crate::rows::record::TaskRecord).
        row: Bytes,
    },
    /// The live row at `key` has new content (same position).
    Replaced {
        /// Whose.
        namespace: Namespace,
        /// Where.
        key: TaskKey,
        /// The encoded [`TaskRecord`](crate::rows::record::TaskRecord).
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
