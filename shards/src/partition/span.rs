//! Long reads of one namespace's rows in either direction, page by page: what SQL does. Made to cost little per row.

use bytes::Bytes;
use z4_model::ids::{Namespace, TaskKey};
use z4_model::keys::{self, KeyRange};

use super::engine;
use super::error::PartitionError;
use super::layer::{Row, Write};
use super::view::View;

/// A range of one namespace's rows, live or dead, in due order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose.
    pub namespace: Namespace,
    /// The dead ones instead of the live ones.
    pub dead: bool,
    /// From this position on.
    pub from: TaskKey,
    /// Before this position.
    pub until: TaskKey,
    /// The last first.
    pub backwards: bool,
}

impl Span {
    fn keys(&self) -> KeyRange {
        let range = if self.dead { keys::dead_tasks } else { keys::tasks };
        range(&self.namespace, self.from, self.until)
    }

    /// What is left of it behind its row at `last`; `None`: nothing can be.
    fn behind(&self, last: TaskKey) -> Option<Span> {
        let left = match self.backwards {
            true => Span { until: last, ..self.clone() },
            false => Span { from: last.next(), ..self.clone() },
        };
        (left.from < left.until).then_some(left)
    }
}

impl View {
    /// Appends the first rows of a span, as encoded [`TaskRecord`](z4_model::rows::record::TaskRecord)s: at most `rows_max`, and no more
    /// once their values have `bytes_max` bytes together; one row at least, if there is any. Returns the span that is left, in which there
    /// need not be a row any more; `None`: there is none. Values share memory with the blocks that they were read from, 16 KiB each.
    ///
    /// # Errors
    /// What cannot be read; the rows before it were appended.
    pub fn read(
        &self,
        span: &Span,
        (rows_max, bytes_max): (usize, usize),
        into: &mut Vec<(TaskKey, Bytes)>,
    ) -> Result<Option<Span>, PartitionError> {
        let KeyRange { from, until } = span.keys();
        // fjall panics when a range ends before it starts.
        if from >= until {
            return Ok(None);
        }
        self.is_there()?;
        let over = self.overlay().between(&from, &until);
        let tree = self.rows_of_tree(&from, &until);
        let mut page =
            Page { view: self, key_bytes: from.len(), rows_left: rows_max.max(1), bytes_left: bytes_max, last: None, into };
        let all_read = match (over, span.backwards) {
            ([], false) => page.take(tree),
            ([], true) => page.take(tree.rev()),
            (over, false) => page.merge(tree, over.iter(), |a, b| a < b),
            (over, true) => page.merge(tree.rev(), over.iter().rev(), |a, b| a > b),
        }?;
        Ok(page.last.filter(|_| !all_read).and_then(|last| span.behind(last)))
    }
}

/// What is being read.
struct Page<'a> {
    view: &'a View,
    /// How long every key of the span is.
    key_bytes: usize,
    rows_left: usize,
    bytes_left: usize,
    last: Option<TaskKey>,
    into: &'a mut Vec<(TaskKey, Bytes)>,
}

impl Page<'_> {
    /// Takes rows while there is room; `true`: these were all.
    fn take(&mut self, rows: impl Iterator<Item = engine::Result<Row>>) -> Result<bool, PartitionError> {
        for row in rows {
            let (key, value) = row.map_err(|error| self.view.place.tree(error))?;
            let key = self.position(&key)?;
            if self.put(key, value) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same, with newer writes over the rows. `before`: the order of both.
    fn merge<'w>(
        &mut self,
        rows: impl Iterator<Item = engine::Result<Row>>,
        over: impl Iterator<Item = &'w Write>,
        before: impl Fn(TaskKey, TaskKey) -> bool,
    ) -> Result<bool, PartitionError> {
        let mut over = over.peekable();
        for row in rows {
            let (key, value) = row.map_err(|error| self.view.place.tree(error))?;
            let key = self.position(&key)?;
            let mut is_written = false;
            while let Some(write) = over.peek() {
                let at = self.position(&write.key)?;
                if before(key, at) {
                    break;
                }
                is_written = at == key;
                if let Some(value) = write.change.value()
                    && self.put(at, value.clone())
                {
                    return Ok(false);
                }
                over.next();
            }
            if !is_written && self.put(key, value) {
                return Ok(false);
            }
        }
        for write in over {
            let at = self.position(&write.key)?;
            if let Some(value) = write.change.value()
                && self.put(at, value.clone())
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Appends a row; `true`: there is room for no more.
    fn put(&mut self, key: TaskKey, value: Bytes) -> bool {
        self.rows_left -= 1;
        self.bytes_left = self.bytes_left.saturating_sub(value.len());
        self.last = Some(key);
        self.into.push((key, value));
        self.rows_left == 0 || self.bytes_left == 0
    }

    /// All keys of a span begin alike, and end with the position.
    fn position(&self, key: &[u8]) -> Result<TaskKey, PartitionError> {
        match key.split_last_chunk::<16>() {
            Some((_, position)) if key.len() == self.key_bytes => {
                let position = u128::from_be_bytes(*position);
                Ok(TaskKey { due_ms: (position >> 64) as u64, sequence: position as u64 })
            }
            _ => Err(self.view.malformed("a task's key", key)),
        }
    }
}
