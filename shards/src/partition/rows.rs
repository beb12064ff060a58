//! Reads of a view: tasks, namespaces, the registry.

use bytes::Bytes;

use super::error::PartitionError;
use super::layout::Applied;
use super::store::BatchStore;
use super::view::{Row, View};
use crate::command::{NamespaceRow, TaskRow};
use crate::ids::{Namespace, TaskId, TaskKey};
use crate::machine::keys::{self, KeyRange};
use crate::machine::record::TaskRecord;
use crate::machine::{find_task, namespace};

/// A range of one namespace's tasks, in due order.
#[derive(Clone, Debug)]
pub struct ListRange {
    /// Whose.
    pub namespace: Namespace,
    /// The dead ones instead of the live ones.
    pub dead: bool,
    /// From this position on.
    pub from: TaskKey,
    /// Due before, milliseconds; `u64::MAX`: no end.
    pub until_ms: u64,
    /// At most so many rows.
    pub rows_max: usize,
    /// Stop once the rows' values have so many bytes together; the first row is returned whatever its size.
    pub bytes_max: usize,
}

/// Rows of a [`ListRange`].
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// In due order.
    pub rows: Vec<TaskRow>,
    /// The position of the first row of the range that was not returned; `None`: all were.
    pub next: Option<TaskKey>,
}

/// Live rows for the delivery engine.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Due at or before the time asked for, in due order, as encoded [`TaskRecord`]s.
    pub rows: Vec<(TaskKey, Bytes)>,
    /// The position of the first row at or after the window's start that was not returned, whatever its due time: when that lies in
    /// the future nothing needs to be read before it. `None`: there are no more rows at all.
    pub next: Option<TaskKey>,
}

/// The live rows that are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// How many.
    pub rows: u64,
    /// The earliest due time among them, milliseconds.
    pub oldest_ms: Option<u64>,
}

/// Namespaces are looked through in pages of so many.
const NAMESPACES_PER_PAGE: usize = 1_000;

impl View {
    /// One task by its id: where it was born, or where it was moved to; a dead one too.
    pub fn get(&self, namespace: &Namespace, id: TaskId) -> Result<Option<TaskRow>, PartitionError> {
        if id.group != self.place.group {
            return Ok(None);
        }
        find_task(&mut BatchStore::new(self), namespace, id).map_err(|error| self.place.reading(error))
    }

    /// A page of tasks in due order.
    pub fn list(&self, range: &ListRange) -> Result<ListPage, PartitionError> {
        let mut page = ListPage::default();
        let mut bytes = 0;
        for row in self.tasks(&range.namespace, range.dead, range.from, TaskKey::at(range.until_ms)) {
            let (key, value) = row?;
            let key = self.position_of(&key)?;
            if page.rows.len() >= range.rows_max || (bytes >= range.bytes_max && !page.rows.is_empty()) {
                page.next = Some(key);
                break;
            }
            bytes += value.len();
            page.rows.push(self.task_row(key, range.dead, &value)?);
        }
        Ok(page)
    }

    /// The live rows from `from` on that are due at or before `until_ms`, at most `rows_max`, and no more once `bytes_max` bytes of
    /// values are reached.
    pub fn scan_window(
        &self,
        namespace: &Namespace,
        from: TaskKey,
        until_ms: u64,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Window, PartitionError> {
        let mut window = Window::default();
        let mut bytes = 0;
        for row in self.tasks(namespace, false, from, TaskKey::MAX) {
            let (key, value) = row?;
            let key = self.position_of(&key)?;
            let full = window.rows.len() >= rows_max || (bytes >= bytes_max && !window.rows.is_empty());
            if full || key.due_ms > until_ms {
                window.next = Some(key);
                break;
            }
            bytes += value.len();
            window.rows.push((key, value));
        }
        Ok(window)
    }

    /// The position of a namespace's first live row at or after `from`: one seek, cheap when `from` is its low-water mark.
    pub fn oldest_due(&self, namespace: &Namespace, from: TaskKey) -> Result<Option<TaskKey>, PartitionError> {
        let first = self.tasks(namespace, false, from, TaskKey::MAX).next().transpose()?;
        first.map(|(key, _)| self.position_of(&key)).transpose()
    }

    fn tasks(
        &self,
        namespace: &Namespace,
        dead: bool,
        from: TaskKey,
        until: TaskKey,
    ) -> impl Iterator<Item = Result<Row, PartitionError>> + use<'_> {
        self.rows(&if dead { keys::dead_tasks(namespace, from, until) } else { keys::tasks(namespace, from, until) })
    }

    fn rows(&self, range: &KeyRange) -> impl Iterator<Item = Result<Row, PartitionError>> + use<'_> {
        self.range(&range.from, &range.until)
    }

    /// One namespace; `None` when no command has touched it yet.
    pub fn namespace(&self, namespace: &Namespace) -> Result<Option<NamespaceRow>, PartitionError> {
        self.value(&keys::namespace(namespace))?.map(|row| self.namespace_row(&row)).transpose()
    }

    /// Namespaces in the order of their names, after `after`, at most `limit`.
    pub fn namespaces(&self, after: Option<&Namespace>, limit: usize) -> Result<Vec<(Namespace, NamespaceRow)>, PartitionError> {
        let rows = self.rows(&keys::namespaces_after(after)).take(limit);
        rows.map(|row| {
            let (key, value) = row?;
            let name = keys::parse_namespace(&key).ok_or_else(|| self.malformed("a namespace's key", &key))?;
            Ok((name, self.namespace_row(&value)?))
        })
        .collect()
    }

    /// Counts the live rows that are due at `now_ms`, leased ones included. Stops at `rows_max`: there are that many at least.
    pub fn due(&self, now_ms: u64, rows_max: u64) -> Result<Due, PartitionError> {
        let mut due = Due::default();
        let mut after = None;
        loop {
            let page = self.namespaces(after.as_ref(), NAMESPACES_PER_PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(due) };
            after = Some(last.clone());
            for (name, row) in page.iter().filter(|(_, row)| row.live > 0) {
                for task in self.tasks(name, false, TaskKey::at(row.low_water_ms), TaskKey::at(now_ms.saturating_add(1))) {
                    let due_ms = self.position_of(&task?.0)?.due_ms;
                    due.oldest_ms = Some(due.oldest_ms.map_or(due_ms, |oldest| oldest.min(due_ms)));
                    due.rows += 1;
                    if due.rows >= rows_max {
                        return Ok(due);
                    }
                }
            }
        }
    }

    /// One row of the registry.
    pub fn registered(&self, name: &[u8]) -> Result<Option<Bytes>, PartitionError> {
        self.value(&keys::registry(name))
    }

    /// The rows of the registry whose names start with `prefix`, in the order of their names.
    pub fn registry(&self, prefix: &[u8]) -> Result<Vec<(Bytes, Bytes)>, PartitionError> {
        let rows = self.rows(&keys::registry_rows(prefix));
        rows.map(|row| {
            let (key, value) = row?;
            let name = keys::parse_registry(&key).ok_or_else(|| self.malformed("a registry key", &key))?;
            Ok((name, value))
        })
        .collect()
    }

    /// The last applied index as of this view; `None`: nothing was ever applied here.
    pub fn applied_index(&self) -> Result<Option<u64>, PartitionError> {
        Ok(self.applied()?.map(|applied| applied.position.index))
    }

    /// What of the raft log is applied; `None`: nothing.
    pub(super) fn applied(&self) -> Result<Option<Applied>, PartitionError> {
        let Some(row) = self.value(&keys::raft())? else { return Ok(None) };
        let applied = Applied::decode(&row).ok_or_else(|| self.malformed("the row of the applied position", &row))?;
        if applied.group != self.place.group {
            return Err(self.place.finding(format!("it is a partition of group {}", applied.group)));
        }
        Ok(Some(applied))
    }

    fn namespace_row(&self, row: &Bytes) -> Result<NamespaceRow, PartitionError> {
        namespace::decode(row).map_err(|error| self.place.damaged(error))
    }

    fn position_of(&self, key: &Bytes) -> Result<TaskKey, PartitionError> {
        keys::parse_position(key).ok_or_else(|| self.malformed("a task's key", key))
    }

    fn task_row(&self, key: TaskKey, dead: bool, row: &Bytes) -> Result<TaskRow, PartitionError> {
        let record = TaskRecord::decode(row).map_err(|error| self.place.damaged(error))?;
        Ok(TaskRow { id: record.id(self.place.group, key), key, dead, record })
    }

    pub(super) fn malformed(&self, what: &str, bytes: &[u8]) -> PartitionError {
        self.place.finding(format!("{what} is malformed: {bytes:02x?}"))
    }
}
