//! Where a scan's rows come from: read in place while there are few, by threads once there are many, merged when due order is wanted.

use std::collections::VecDeque;
use std::sync::Arc;

use z4_model::ids::TaskKey;

use super::chunk::{Chunk, Reader};
use super::segments::Segment;
use crate::sql::data::Rows;
use crate::sql::error::SqlError;
use crate::sql::sqlite::memory;
use crate::sql::sqlite::readers::Gathering;
use crate::sql::sqlite::running::Running;

/// After so many rows read in place the rest is read by threads.
const ROWS_IN_PLACE: usize = 4096;

/// Segments, each with the rows of its group.
pub type Work = VecDeque<(Segment, Arc<dyn Rows>)>;

/// Chunks, in the order of their phases.
pub enum Feed {
    /// Nothing more.
    Empty,
    /// Chunks that are there already.
    Ready(VecDeque<Chunk>, Box<Feed>),
    /// Read in place; so many rows so far.
    InPlace(Box<Reader>, usize),
    /// Read by threads.
    Threads(Gathering),
    /// In due order.
    Merge(Merge),
}

impl Feed {
    /// Any order within a phase. `first`: rows to read at first.
    pub fn phases(work: Work, first: usize) -> Feed {
        if work.is_empty() { Feed::Empty } else { Feed::InPlace(Box::new(Reader::new(work, false, first)), 0) }
    }

    /// So many rows at most, read in place.
    pub fn first(work: Work, rows: usize) -> Feed {
        Feed::InPlace(Box::new(Reader::of_first(work, rows)), 0)
    }

    /// The next rows; `None`: no more.
    ///
    /// # Errors
    /// What the peer says, or that the query must end.
    pub fn next(&mut self, running: &Running) -> Result<Option<Chunk>, SqlError> {
        loop {
            match self {
                Feed::Empty => return Ok(None),
                Feed::Ready(chunks, rest) => match chunks.pop_front() {
                    Some(chunk) => return Ok(Some(chunk)),
                    None => *self = std::mem::replace(rest, Feed::Empty),
                },
                Feed::InPlace(reader, rows) if *rows < ROWS_IN_PLACE => {
                    let chunk = reader.next()?;
                    *rows += chunk.as_ref().map_or(0, |chunk| chunk.rows.len());
                    return Ok(chunk);
                }
                Feed::InPlace(..) => {
                    if let Feed::InPlace(reader, _) = std::mem::replace(self, Feed::Empty) {
                        *self = Feed::Threads(running.readers.gather(reader.split()));
                    }
                }
                Feed::Threads(gathering) => return gathering.next(|| running.check_now()),
                Feed::Merge(merge) => return merge.next(running),
            }
        }
    }
}

/// Merges segments in due order. Each is read in small steps, so that many namespaces take little memory.
pub struct Merge {
    /// Segments that have rows, the next one last.
    sources: Vec<Source>,
    waiting: Work,
    backwards: bool,
    first: usize,
}

struct Source {
    reader: Reader,
    chunk: Chunk,
}

impl Drop for Source {
    fn drop(&mut self) {
        memory::charge(-(self.chunk.bytes as i64));
    }
}

impl Merge {
    /// Of all segments at once.
    pub fn new(work: Work, backwards: bool, first: usize) -> Merge {
        let first = if work.len() > 2 { first.min((1 << 16) / work.len()).max(4) } else { first };
        Merge { sources: Vec::new(), waiting: work, backwards, first }
    }

    fn next(&mut self, running: &Running) -> Result<Option<Chunk>, SqlError> {
        while let Some(segment) = self.waiting.pop_front() {
            running.check()?;
            let mut reader = Reader::new(VecDeque::from([segment]), self.backwards, self.first);
            if let Some(chunk) = reader.next()? {
                memory::charge(chunk.bytes as i64);
                self.sources.push(Source { reader, chunk });
            }
            if self.waiting.is_empty() {
                let backwards = self.backwards;
                self.sources.sort_by(|a, b| precedes(head(b), head(a), backwards));
            }
        }
        let Some(mut source) = self.sources.pop() else { return Ok(None) };
        let until = self.sources.last().map(head);
        let run = source.take_run(until, self.backwards);
        if source.chunk.rows.is_empty() {
            memory::charge(-(source.chunk.bytes as i64));
            source.chunk.bytes = 0;
            match source.reader.next()? {
                Some(chunk) => {
                    memory::charge(chunk.bytes as i64);
                    source.chunk = chunk;
                    self.put(source);
                }
                None => drop(source),
            }
        } else {
            self.put(source);
        }
        Ok(Some(run))
    }

    fn put(&mut self, source: Source) {
        let key = head(&source);
        let at = self.sources.partition_point(|other| precedes(key, head(other), self.backwards).is_lt());
        self.sources.insert(at, source);
    }
}

impl Source {
    /// The rows that come before `until`, at least one.
    fn take_run(&mut self, until: Option<TaskKey>, backwards: bool) -> Chunk {
        let before = |key: TaskKey| until.is_none_or(|until| precedes(key, until, backwards).is_le());
        let count = self.chunk.rows.iter().take_while(|(key, _)| before(*key)).count().max(1);
        let rows: VecDeque<_> = self.chunk.rows.drain(..count.min(self.chunk.rows.len())).collect();
        Chunk { origin: Arc::clone(&self.chunk.origin), states: self.chunk.states, phase: 0, rows, bytes: 0, looked_up: false }
    }
}

fn head(source: &Source) -> TaskKey {
    source.chunk.rows.front().map_or(TaskKey::MAX, |(key, _)| *key)
}

/// Less: `a` comes before `b`.
fn precedes(a: TaskKey, b: TaskKey, backwards: bool) -> std::cmp::Ordering {
    if backwards { b.cmp(&a) } else { a.cmp(&b) }
}
