//! Reads of a view: tasks, namespaces, the registry.

use bytes::Bytes;
use z4_model::ids::{Namespace, TaskId, TaskKey};
use z4_model::keys::{self, KeyRange};
use z4_model::machine::{ApplyError, find_task};
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::record::TaskRecord;
use z4_model::rows::task::TaskRow;

use super::error::PartitionError;
use super::layer::Row;
use super::layout::Applied;
use super::store::BatchStore;
use super::view::View;

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
    /// Rows come without payload, and hold nothing of it in memory. It is read all the same, for it stands in one block with the rest, and
    /// counts in `bytes_max`.
    pub omit_payload: bool,
}

/// Rows of a [`ListRange`].
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// In due order.
    pub rows: Vec<TaskRow>,
    /// The position of the first row of the range that was not returned; `None`: all were.
    pub next: Option<TaskKey>,
    /// Bytes of all values that were read.
    pub bytes: usize,
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

/// A part of a count of [`Due`] rows.
#[derive(Clone, Debug, Default)]
pub struct DuePart {
    /// What it found.
    pub due: Due,
    /// The last namespace that it looked at.
    pub last: Option<Namespace>,
    /// There may be more namespaces.
    pub full: bool,
    /// Rows that it read.
    pub read_rows: usize,
    /// Bytes of values of rows that were counted one by one.
    pub read_bytes: usize,
}

/// Namespaces are looked through in pages of so many.
const NAMESPACES_PER_PAGE: usize = 1_000;

/// One part of a count reads about so many rows.
const DUE_ROWS_MAX: usize = 10_000;

/// And so many bytes of values: keys stand beside them.
const DUE_BYTES_MAX: usize = 4 << 20;

impl View {
    /// One task by its id: where it was born, or where it was moved to; a dead one too.
    pub fn get(&self, namespace: &Namespace, id: TaskId) -> Result<Option<TaskRow>, PartitionError> {
        if id.group != self.place.group {
            return Ok(None);
        }
        find_task(&mut BatchStore::new(self), namespace, id).map_err(|error| self.place.reading(error))
    }

    /// Tasks by their ids, in that order. Once their payloads and metadata have `bytes_max` bytes, the rest comes without payload.
    pub fn get_many(
        &self,
        namespace: &Namespace,
        ids: &[TaskId],
        bytes_max: usize,
    ) -> Result<Vec<Option<TaskRow>>, PartitionError> {
        let mut bytes = 0usize;
        let read = |id: &TaskId| {
            let mut row = self.get(namespace, *id)?;
            if let Some(row) = &mut row {
                let record = &mut row.record;
                if bytes >= bytes_max {
                    record.drop_payload();
                }
                bytes = bytes.saturating_add(record.payload.len() + record.metadata.len());
            }
            Ok(row)
        };
        ids.iter().map(read).collect()
    }

    /// A page of tasks in due order.
    pub fn list(&self, range: &ListRange) -> Result<ListPage, PartitionError> {
        let mut page = ListPage::default();
        for row in self.tasks(&range.namespace, range.dead, range.from, TaskKey::at(range.until_ms)) {
            let (key, value) = row?;
            let key = self.position_of(&key)?;
            if page.rows.len() >= range.rows_max || (page.bytes >= range.bytes_max && !page.rows.is_empty()) {
                page.next = Some(key);
                break;
            }
            page.bytes += value.len();
            page.rows.push(self.task_row(key, range.dead, range.omit_payload, &value)?);
        }
        Ok(page)
    }

    /// The live rows at these positions, as far as they are there, until their values have `bytes_max` bytes; and how many positions were
    /// looked at.
    pub fn rows_at(
        &self,
        namespace: &Namespace,
        keys: &[TaskKey],
        bytes_max: usize,
        omit_payload: bool,
    ) -> Result<(Vec<TaskRow>, usize), PartitionError> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for (looked, key) in keys.iter().enumerate() {
            if bytes >= bytes_max && !rows.is_empty() {
                return Ok((rows, looked));
            }
            if let Some(value) = self.value(&keys::task(namespace, *key))? {
                bytes += value.len();
                rows.push(self.task_row(*key, false, omit_payload, &value)?);
            }
        }
        Ok((rows, keys.len()))
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

    /// Counts the live rows that are due at `now_ms`, leased ones included, in some of the namespaces after `after`. The work is bounded,
    /// however many rows there are and however large: where all rows are due, or none, the namespace's count says so, and only a mixture is
    /// counted row by row, up to `DUE_ROWS_MAX` or `DUE_BYTES_MAX`: there are so many at least.
    pub fn due(&self, now_ms: u64, after: Option<&Namespace>) -> Result<DuePart, PartitionError> {
        let page = self.namespaces(after, NAMESPACES_PER_PAGE)?;
        let mut part = DuePart { full: page.len() == NAMESPACES_PER_PAGE, ..DuePart::default() };
        for (name, row) in page {
            if row.live > 0 {
                self.due_of(&name, &row, now_ms, &mut part)?;
            }
            part.last = Some(name);
            if part.read_rows >= DUE_ROWS_MAX || part.read_bytes >= DUE_BYTES_MAX {
                part.full = true;
                break;
            }
        }
        Ok(part)
    }

    fn due_of(&self, name: &Namespace, row: &NamespaceRow, now_ms: u64, part: &mut DuePart) -> Result<(), PartitionError> {
        let future = TaskKey::at(now_ms.saturating_add(1));
        let first = self.oldest_due(name, TaskKey::at(row.low_water_ms))?;
        part.read_rows += 1;
        let Some(first) = first.filter(|first| *first < future) else { return Ok(()) };
        part.due.oldest_ms = Some(part.due.oldest_ms.map_or(first.due_ms, |oldest| oldest.min(first.due_ms)));
        if self.oldest_due(name, future)?.is_none() {
            part.due.rows += row.live;
            return Ok(());
        }
        for task in self.tasks(name, false, first, future) {
            part.due.rows += 1;
            part.read_rows += 1;
            part.read_bytes += task?.1.len();
            if part.read_rows >= DUE_ROWS_MAX || part.read_bytes >= DUE_BYTES_MAX {
                break;
            }
        }
        Ok(())
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
        NamespaceRow::decode(row).map_err(|error| self.place.damaged(ApplyError::Row(error)))
    }

    fn position_of(&self, key: &Bytes) -> Result<TaskKey, PartitionError> {
        keys::parse_position(key).ok_or_else(|| self.malformed("a task's key", key))
    }

    fn task_row(&self, key: TaskKey, dead: bool, omit_payload: bool, row: &Bytes) -> Result<TaskRow, PartitionError> {
        let mut record = TaskRecord::decode(row).map_err(|error| self.place.damaged(ApplyError::Row(error)))?;
        if omit_payload {
            record.drop_payload();
        }
        Ok(TaskRow { id: record.id(self.place.group, key), key, dead, record })
    }

    pub(super) fn malformed(&self, what: &str, bytes: &[u8]) -> PartitionError {
        self.place.finding(format!("{what} is malformed: {bytes:02x?}"))
    }
}
