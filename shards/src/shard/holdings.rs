//! What consumers of this peer hold of a group that another peer leads: told to the next leader when the one before went without a word.
//! Pure: time is an input.
//!
//! This peer learns what is delivered to its consumers, and what is settled through it. What is settled elsewhere, or lapses, stays until
//! it was held for [`HELD_MAX_MS`] without an extension; a claim of it does no harm, for the leader looks whether anybody else has the task.

use std::collections::HashMap;

use crate::ids::{Namespace, TaskId};
use crate::shard::delivery::ConsumerId;
use crate::shard::message::Held;

/// A lease is not longer than twelve hours; nobody is believed to hold anything for longer without a word.
const HELD_MAX_MS: u64 = 12 * 3_600_000;

/// Deliveries by their consumers.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    of: HashMap<ConsumerId, HashMap<u64, (Namespace, TaskId, u64)>>,
    /// Whose a token is.
    whose: HashMap<u64, ConsumerId>,
    /// How many there were after the last look at all of them.
    swept: usize,
}

impl Holdings {
    /// A consumer has these, by the monotonic clock in milliseconds.
    pub(super) fn add(&mut self, consumer: ConsumerId, held: impl IntoIterator<Item = Held>, mono_ms: u64) {
        for (namespace, id, token) in held {
            self.whose.insert(token, consumer);
            self.of.entry(consumer).or_default().insert(token, (namespace, id, mono_ms));
        }
    }

    /// This delivery is over.
    pub(super) fn remove(&mut self, token: u64) {
        if let Some(consumer) = self.whose.remove(&token)
            && let Some(held) = self.of.get_mut(&consumer)
        {
            held.remove(&token);
            if held.is_empty() {
                self.of.remove(&consumer);
            }
        }
    }

    /// The consumer has gone.
    pub(super) fn forget(&mut self, consumer: ConsumerId) {
        for token in self.of.remove(&consumer).unwrap_or_default().into_keys() {
            self.whose.remove(&token);
        }
    }

    /// What a consumer holds.
    pub(super) fn of(&self, consumer: ConsumerId) -> Vec<Held> {
        let held = self.of.get(&consumer).into_iter().flatten();
        held.map(|(token, (namespace, id, _))| (namespace.clone(), *id, *token)).collect()
    }

    /// Drops what is too old, now and then: a look at all of them is paid for by what came since the last one.
    pub(super) fn sweep(&mut self, mono_ms: u64) {
        if self.whose.len() <= 2 * self.swept + 1_024 {
            return;
        }
        for held in self.of.values_mut() {
            held.retain(|_, (_, _, since)| since.saturating_add(HELD_MAX_MS) > mono_ms);
        }
        self.of.retain(|_, held| !held.is_empty());
        let of = &self.of;
        self.whose.retain(|token, consumer| of.get(consumer).is_some_and(|held| held.contains_key(token)));
        self.swept = self.whose.len();
    }
}
