//! Tasks that somebody is about to change or delete: they are not delivered and what consumers say of them waits until the outcome is known.
//!
//! Acks are blind, because a lease vouches that the row is there. Were a task delivered, or its delivery acknowledged, between the
//! proposal of a delete and its application, the ack would be applied to a row that is gone.

use crate::runtime::maps::HashMap;
use bytes::Bytes;
use z4_model::ids::{Namespace, TaskKey};

#[derive(Default)]
struct Hold {
    /// Proposals in flight.
    count: u32,
    /// The row, when delivery came across it meanwhile.
    row: Option<(Namespace, TaskKey, Bytes)>,
}

/// Holds by the row's sequence; few, and for as long as a proposal takes.
#[derive(Default)]
pub(super) struct Holds {
    by_sequence: HashMap<u64, Hold>,
}

impl Holds {
    pub(super) fn is_empty(&self) -> bool {
        self.by_sequence.is_empty()
    }

    /// Delivery came across a held row of this namespace. Looks at all holds, which are few.
    pub(super) fn keeps_any_of(&self, namespace: &Namespace) -> bool {
        self.by_sequence.values().any(|hold| hold.row.as_ref().is_some_and(|(of, ..)| of == namespace))
    }

    pub(super) fn has(&self, sequence: u64) -> bool {
        !self.by_sequence.is_empty() && self.by_sequence.contains_key(&sequence)
    }

    pub(super) fn add(&mut self, sequence: u64) {
        self.by_sequence.entry(sequence).or_default().count += 1;
    }

    /// Ends one hold; the row comes back when it was the last one.
    pub(super) fn release(&mut self, sequence: u64) -> Option<(TaskKey, Bytes)> {
        let hold = self.by_sequence.get_mut(&sequence)?;
        hold.count -= 1;
        if hold.count > 0 {
            return None;
        }
        self.by_sequence.remove(&sequence)?.row.map(|(_, key, row)| (key, row))
    }

    /// Delivery came across a held row.
    pub(super) fn keep(&mut self, namespace: &Namespace, key: TaskKey, row: Bytes) {
        if let Some(hold) = self.by_sequence.get_mut(&key.sequence) {
            hold.row = Some((namespace.clone(), key, row));
        }
    }

    /// The row changed, moved or went.
    pub(super) fn forget_row(&mut self, sequence: u64) {
        if self.by_sequence.is_empty() {
            return;
        }
        if let Some(hold) = self.by_sequence.get_mut(&sequence) {
            hold.row = None;
        }
    }
}
