//! What a command is going to do. Operations are planned first, which reads and checks everything; nothing is written before the
//! last of them agreed. So a command is done as a whole or not at all.

use bytes::Bytes;

use super::effect::Effect;
use super::error::ApplyError;
use super::idempotency::Window;
use super::store::{Store, StoreError};
use super::write::Write;
use crate::command::{OpReply, Refusal};
use crate::encoding::Malformed;
use crate::ids::{GroupId, Namespace, TaskId};
use crate::keys;
use crate::rows::namespace::NamespaceRow;
use crate::rows::record::TaskRecord;
use crate::rows::task::Place;

/// Why planning stopped.
pub(super) enum Stop {
    /// The command is answered with this.
    Refused(Refusal),
    /// The replica stops.
    Fatal(ApplyError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Fatal(error.into())
    }
}

impl From<Malformed> for Stop {
    fn from(error: Malformed) -> Self {
        Stop::Fatal(error.into())
    }
}

/// Where and when a command applies.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) group: GroupId,
    pub(super) namespace: &'a Namespace,
    /// The entry's log index.
    pub(super) index: u64,
    /// What is remembered for a while is measured by this.
    pub(super) stamp_ms: u64,
    /// The time: what is due before it is due now.
    pub(super) now_ms: u64,
}

/// The writes and effects of one command, kept from command to command for their room.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) writes: Vec<Write>,
    pub(super) effects: Vec<Effect>,
    /// Deliveries that their consumers settled: token, sequence, and whether it was an ack.
    pub(super) settled: Vec<(u64, u64, bool)>,
}

impl Draft {
    /// Between two commands nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.effects.is_empty() && self.settled.is_empty()
    }
}

/// A command while its operations are planned, in their order. Reads go to the store and so see earlier commands but not earlier
/// operations of this one: that is why a command names a row once. Settings, counts and request ids of earlier operations are seen.
pub(super) struct Plan<'a, S> {
    pub(super) at: At<'a>,
    pub(super) store: &'a mut S,
    pub(super) window: &'a mut Window,
    pub(super) draft: &'a mut Draft,
    /// The namespace's row as it will be.
    pub(super) row: NamespaceRow,
    /// How many sequences the entry has assigned so far.
    pub(super) assigned: u64,
}

impl<S: Store> Plan<'_, S> {
    pub(super) fn put(&mut self, key: Bytes, value: Bytes) {
        self.draft.writes.push(Write::Put(key, value));
    }

    pub(super) fn delete(&mut self, key: Bytes, weak: bool) {
        self.draft.writes.push(Write::Delete(key, weak));
    }

    /// A consumer settled this delivery; `token` 0: it is not known.
    pub(super) fn settled(&mut self, token: u64, sequence: u64, acked: bool) {
        if token != 0 {
            self.draft.settled.push((token, sequence, acked));
        }
    }

    pub(super) fn not_found(&self, id: TaskId) -> Stop {
        Stop::Refused(Refusal::NotFound { namespace: self.at.namespace.clone(), id })
    }

    /// The namespace is there from now on, if it was not before.
    pub(super) fn touch(&mut self) {
        if self.row.created_ms == 0 {
            // 0 says that it is not there.
            self.row.created_ms = self.at.now_ms.max(1);
        }
    }

    /// A live row will be at this due time that was not there before.
    pub(super) fn row_appears(&mut self, due_ms: u64) {
        self.row.low_water_ms = self.row.low_water_ms.min(due_ms);
    }

    /// Writes a task's row anew, in its place or in another one, and keeps counts, the low-water mark and the row that tells where
    /// the task is. Returns the row's value; effects are left to the caller.
    pub(super) fn rewrite(&mut self, id: TaskId, from: Place, to: Place, record: &mut TaskRecord) -> Bytes {
        let namespace = self.at.namespace;
        assert_eq!((id.sequence, from.key.sequence), (to.key.sequence, to.key.sequence), "a sequence is one task's for ever");
        if from != to {
            // Dead rows may come to the same place again, and so are never deleted weakly.
            self.delete(keys::row(namespace, from.dead, from.key), !from.dead && !record.rewritten);
            self.count(from, false);
            self.count(to, true);
            if !to.dead {
                self.row_appears(to.key.due_ms);
            }
        }
        // Also in a new place: the task may have been there before, and a weak delete would bring back what was written then.
        record.rewritten = true;
        let value = record.encode();
        self.put(keys::row(namespace, to.dead, to.key), value.clone());
        if from != to {
            if !to.is_home_of(id) {
                self.put(keys::moved(namespace, id), to.encode());
            } else if !from.is_home_of(id) {
                self.delete(keys::moved(namespace, id), false);
            }
        }
        value
    }

    /// Removes a task's row and the row that tells where it is.
    pub(super) fn remove(&mut self, id: TaskId, from: Place, rewritten: bool) {
        assert_eq!(id.sequence, from.key.sequence, "a sequence is one task's for ever");
        let namespace = self.at.namespace;
        self.delete(keys::row(namespace, from.dead, from.key), !from.dead && !rewritten);
        if !from.is_home_of(id) {
            self.delete(keys::moved(namespace, id), false);
        }
        self.count(from, false);
    }

    /// Counts are for people: one that a blind delete brought out of step stays at 0 and never stops the replica.
    fn count(&mut self, place: Place, comes: bool) {
        let count = if place.dead { &mut self.row.dead } else { &mut self.row.live };
        *count = if comes { count.saturating_add(1) } else { count.saturating_sub(1) };
    }
}

/// What planning an operation gives.
pub(super) type Planned = Result<OpReply, Stop>;
