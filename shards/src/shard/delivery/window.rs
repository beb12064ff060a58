//! The rows of one namespace that are due, or soon will be, in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use z4_model::ids::TaskKey;

use super::claims::Floor;
use super::flow::weight;

/// Rows in due order, up to a horizon.
///
/// Invariant: every live row of the namespace that is before the horizon is in here, with a consumer, or held. What is at or after
/// the horizon is on disk only, and a scan that starts there finds it.
pub(super) struct Window {
    rows: BTreeMap<TaskKey, Bytes>,
    bytes: usize,
    horizon: TaskKey,
}

impl Default for Window {
    /// Nothing is known.
    fn default() -> Self {
        Window { rows: BTreeMap::new(), bytes: 0, horizon: TaskKey::MIN }
    }
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn horizon(&self) -> TaskKey {
        self.horizon
    }

    pub(super) fn first(&self) -> Option<TaskKey> {
        self.rows.first_key_value().map(|(key, _)| *key)
    }

    /// The first row that does not wait.
    pub(super) fn first_from(&self, floor: Floor) -> Option<TaskKey> {
        self.iter_from(floor).next().map(|(key, _)| *key)
    }

    /// How many rows wait. Counts them.
    pub(super) fn waiting(&self, floor: Floor) -> usize {
        self.rows.range(..floor.end()).filter(|(key, _)| !floor.lets(**key)).count()
    }

    /// The rows that do not wait.
    pub(super) fn iter_from(&self, floor: Floor) -> impl Iterator<Item = (&TaskKey, &Bytes)> {
        self.rows.range(floor.first()..).filter(move |(key, _)| floor.lets(**key))
    }

    pub(super) fn insert(&mut self, key: TaskKey, row: Bytes) {
        self.bytes += weight(&row);
        if let Some(old) = self.rows.insert(key, row) {
            self.bytes -= weight(&old);
        }
    }

    pub(super) fn remove(&mut self, key: TaskKey) -> Option<Bytes> {
        let row = self.rows.remove(&key)?;
        self.bytes -= weight(&row);
        Some(row)
    }

    /// Takes the first row that does not wait out.
    pub(super) fn pop_first_from(&mut self, floor: Floor) -> Option<(TaskKey, Bytes)> {
        let (key, row) = if floor.end() == TaskKey::MIN {
            self.rows.pop_first()?
        } else {
            let key = self.first_from(floor)?;
            (key, self.rows.remove(&key)?)
        };
        self.bytes -= weight(&row);
        Some((key, row))
    }

    /// A scan from the horizon has read all rows before `horizon`, and they were inserted.
    pub(super) fn advance(&mut self, horizon: TaskKey) {
        self.horizon = horizon;
    }

    /// Forgets what is at or after `horizon`, which must not be above the present one.
    pub(super) fn lower(&mut self, horizon: TaskKey) {
        for row in self.rows.split_off(&horizon).values() {
            self.bytes -= weight(row);
        }
        self.horizon = horizon;
    }

    /// Forgets the rows that are due last until the window is within both bounds. The row that crosses `bytes_max` stays: were it
    /// dropped, the window could be low again, and a scan would bring the same row for ever.
    pub(super) fn trim(&mut self, rows_max: usize, bytes_max: usize) {
        while let Some((key, row)) = self.rows.last_key_value() {
            let rest = self.bytes - weight(row);
            if self.rows.len() <= rows_max && rest < bytes_max || self.rows.len() == 1 {
                return;
            }
            self.horizon = *key;
            self.bytes = rest;
            self.rows.pop_last();
        }
    }
}
