//! Write intents: what goes through a group's Raft log.

use bytes::Bytes;

use crate::ids::{Namespace, RequestHash, TaskId, TaskKey};
use crate::settings::SettingsPatch;

/// Commands that were batched into one log entry, with the leader's times.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is remembered for a while (request ids) is measured by these: milliseconds, never below the stamp of an entry before it,
    /// and between two entries of one leader as far apart as its monotonic clock says. About the time since 1970-01-01 UTC.
    pub stamp_ms: u64,
    /// What time it was when the leader proposed this, milliseconds since 1970-01-01 UTC. It may be before that of an entry before it.
    /// `None`: an older z4 wrote it, which knew one time, the stamp.
    pub now_ms: Option<u64>,
    /// In the order in which they apply.
    pub commands: Vec<Command>,
}

/// Operations on one namespace, applied all-or-nothing: when one is refused, none has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Whose tasks these are. The registry's commands use [`registry_namespace`](crate::rows::registry::namespace).
    pub namespace: Namespace,
    /// At least one. A task is named at most once in a command.
    pub ops: Vec<Op>,
}

/// One operation. A new kind gets the next number in `codec.rs`; numbers are never reused.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// A new task.
    Create(Create),
    /// A delivered task is done: its row goes. Blind, because the leader's lease table vouches that the row is there and is the one
    /// that was delivered: nothing else that names the task may be on its way when an ack is proposed.
    Ack {
        /// The task, as its record says (not as a consumer does).
        id: TaskId,
        /// The row.
        key: TaskKey,
        /// As the record says: the delete must not be a weak one (which cancels one write only).
        rewritten: bool,
        /// The delivery's token; 0: an older z4 wrote it.
        token: u64,
    },
    /// A delivery ended without an ack: the attempt counts, and the task is due again at `due_ms`, or dead.
    Retry {
        /// The row.
        key: TaskKey,
        /// When it is due again; decided by the leader (backoff, jitter), not before the entry's time.
        due_ms: u64,
        /// What the nack said, or why the attempt ended.
        error: Bytes,
        /// The delivery; `None`: an older z4 wrote it.
        of: Option<Ended>,
    },
    /// A delivery was given back: no attempt counts, and the task is due again as it was. Written before it is delivered again, or a later
    /// leader could take the old token for the present one.
    GiveBack {
        /// The row.
        key: TaskKey,
        /// The delivery's token.
        token: u64,
    },
    /// What earlier leaders delivered and nobody has claimed is over, see [`Claimable`](crate::machine::Claimable). Alone in its command.
    EndClaims {
        /// Deliveries under smaller tokens are over, but for those that are kept.
        below: u64,
        /// Tokens whose deliveries go on, strictly ascending.
        kept: Vec<u64>,
        /// Another part with the same `below` follows, and adds to what is kept.
        more: bool,
    },
    /// Changes a task, which keeps its id.
    Update(Update),
    /// Removes a task, whatever its state.
    Delete {
        /// Which one.
        id: TaskId,
        /// Refused unless the task has this version; 0: any.
        expected_version: u32,
    },
    /// Changes the namespace's settings.
    Configure(SettingsPatch),
    /// No row of the namespace is due before this: scans need not start earlier. Alone in its command.
    LowWater {
        /// Milliseconds since 1970-01-01 UTC.
        due_ms: u64,
    },
    /// Removes up to `limit` tasks, live ones first. Alone in its command. Only in logs of before: it begins where it began the last time,
    /// among all that was removed since. See [`Op::PurgeFrom`].
    Purge {
        /// At most this many rows.
        limit: u32,
    },
    /// Removes up to `limit` tasks from a place on, live ones first, and tells where to go on. Alone in its command.
    PurgeFrom {
        /// Where to begin.
        from: PurgeCursor,
        /// At most this many rows.
        limit: u32,
    },
    /// Removes the namespace's row, settings and all, if no task is left in it. Alone in its command.
    DropNamespace,
    /// Group 0 only: sets one registry row.
    Register {
        /// The row's name, within the registry.
        key: Bytes,
        /// Its content.
        value: Bytes,
        /// What must hold for the row as it is, or the command is refused.
        before: Before,
    },
}

/// A delivery that ended without an ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its token, not 0.
    pub token: u64,
    /// Its consumer said so.
    pub nacked: bool,
}

/// How far a purge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgeCursor {
    /// Live rows before this were looked at.
    pub live: TaskKey,
    /// The same for dead ones.
    pub dead: TaskKey,
}

impl PurgeCursor {
    /// Where a purge begins.
    pub const START: PurgeCursor = PurgeCursor { live: TaskKey::MIN, dead: TaskKey::MIN };
}

/// What a registry row must be before it is set: compare-and-set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Before {
    /// Anything, or nothing.
    #[default]
    Any,
    /// It must not be there.
    Absent,
    /// It must have this content.
    Value(Bytes),
}

/// A new task.
#[derive(Clone, Debug, PartialEq)]
pub struct Create {
    /// The hash of a request id that was not empty.
    pub request: Option<RequestHash>,
    /// When it is due; a time before the entry's time becomes that, unless `sequence` is given.
    pub due_ms: u64,
    /// The due time that the producer asked for: kept and shown when the task is placed later because that is past. `None`: it asked for
    /// none, or an older z4 wrote the entry.
    pub asked_ms: Option<u64>,
    /// The sequence that the leader reserved and already told the producer (asynchronous creates), with its top bit set so that it
    /// is never one that `apply` assigns; 0: `apply` assigns it.
    pub sequence: u64,
    /// Packed, see [`crate::rows::metadata::pack_metadata`].
    pub metadata: Bytes,
    /// As the producer sent it.
    pub payload: Bytes,
}

/// A change to one task. What is `None` stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Which one.
    pub id: TaskId,
    /// Refused unless the task has this version; 0: any.
    pub expected_version: u32,
    /// The new due time; one before the entry's time becomes that.
    pub due_ms: Option<u64>,
    /// The new metadata, packed.
    pub metadata: Option<Bytes>,
    /// The new payload.
    pub payload: Option<Bytes>,
    /// Attempts start at 0 again, and a dead task lives.
    pub revive: bool,
    /// Deliveries of the task under tokens up to this are over; set by the leader that proposes it. 0: an older z4 wrote it.
    pub fence: u64,
}
