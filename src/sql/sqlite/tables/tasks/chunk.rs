//! Rows of one origin, some at a time, and how they are read.

use std::collections::VecDeque;
use std::sync::Arc;

use super::segments::{Origin, Segment, States};
use crate::sql::data::{Range, RawRow, Rows};
use crate::sql::error::SqlError;

/// Rows of the first read, and the most of any.
const ROWS: (usize, usize) = (64, 4096);
/// Bytes of one read.
const BYTES: usize = 512 << 10;
/// What a row takes beside its value, about.
const ROW_BYTES: usize = 64;

/// Rows of one origin.
#[derive(Debug)]
pub struct Chunk {
    /// Whose.
    pub origin: Arc<Origin>,
    /// Rows in other states are skipped.
    pub states: States,
    /// See [`Segment::phase`].
    pub phase: u32,
    /// In due order, or the other way round.
    pub rows: VecDeque<RawRow>,
    /// What they take in memory.
    pub bytes: usize,
    /// They were found by their ids.
    pub looked_up: bool,
}

/// Reads segments one after another.
pub struct Reader {
    /// Segments that are not begun, each with its group's rows.
    pub segments: VecDeque<(Segment, Arc<dyn Rows>)>,
    begun: Option<(Segment, Arc<dyn Rows>, Range)>,
    rows_max: usize,
    /// Rows that may still be read.
    left: usize,
    backwards: bool,
}

impl Reader {
    /// A reader; `rows` are read at first, more later.
    pub fn new(segments: VecDeque<(Segment, Arc<dyn Rows>)>, backwards: bool, rows: usize) -> Reader {
        Reader { segments, begun: None, rows_max: rows.clamp(1, ROWS.1), left: usize::MAX, backwards }
    }

    /// A reader of so many rows at most.
    pub fn of_first(segments: VecDeque<(Segment, Arc<dyn Rows>)>, rows: usize) -> Reader {
        Reader { left: rows, ..Reader::new(segments, false, rows) }
    }

    /// How many rows are read at first when nothing is known about how many are wanted.
    pub const FIRST: usize = ROWS.0;

    /// The next rows; `None`: all was read.
    ///
    /// # Errors
    /// What the rows say.
    pub fn next(&mut self) -> Result<Option<Chunk>, SqlError> {
        loop {
            if self.left == 0 {
                return Ok(None);
            }
            let (segment, rows, range) = match self.begun.take() {
                Some(begun) => begun,
                None => match self.segments.pop_front() {
                    Some((segment, rows)) => {
                        let range = segment.range(self.backwards);
                        (segment, rows, range)
                    }
                    None => return Ok(None),
                },
            };
            let mut found = Vec::new();
            let left = rows.read(&range, (self.rows_max.min(self.left), BYTES), &mut found)?;
            self.left = self.left.saturating_sub(found.len());
            let chunk = (!found.is_empty()).then(|| {
                let bytes = found.iter().map(|(_, value)| value.len() + ROW_BYTES).sum();
                let (origin, states, phase) = (Arc::clone(&segment.origin), segment.states, segment.phase);
                Chunk { origin, states, phase, rows: found.into(), bytes, looked_up: false }
            });
            if let Some(range) = left {
                self.begun = Some((segment, rows, range));
            }
            if chunk.is_some() {
                self.rows_max = (self.rows_max * 2).min(ROWS.1);
                return Ok(chunk);
            }
        }
    }

    /// What is left, a reader per group.
    pub fn split(mut self) -> Vec<Reader> {
        let mut readers: Vec<(u16, Reader)> = Vec::new();
        if let Some((segment, rows, range)) = self.begun.take() {
            let mut reader = Reader::new(VecDeque::new(), self.backwards, ROWS.1);
            let group = segment.origin.group.0;
            reader.begun = Some((segment, rows, range));
            readers.push((group, reader));
        }
        for (segment, rows) in self.segments {
            let group = segment.origin.group.0;
            match readers.iter_mut().find(|(of, _)| *of == group) {
                Some((_, reader)) => reader.segments.push_back((segment, rows)),
                None => readers.push((group, Reader::new(VecDeque::from([(segment, rows)]), self.backwards, ROWS.1))),
            }
        }
        readers.into_iter().map(|(_, reader)| reader).collect()
    }
}
