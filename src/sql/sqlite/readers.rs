//! Threads that read key ranges ahead of queries, shared by all queries: one reader per group and scan, never blocked by a query
//! that does not take what was read.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::pool::lower_priority;
use super::tables::tasks::chunk::{Chunk, Reader};
use crate::sql::error::SqlError;

/// Chunks of a group that wait to be taken; no more is read meanwhile.
const CHUNKS_AHEAD: usize = 2;

/// The threads.
pub struct Readers {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<(Arc<Gather>, usize)>,
    closed: bool,
}

/// A scan over several readers.
pub struct Gather {
    lanes: Mutex<Lanes>,
    news: Condvar,
}

struct Lanes {
    lanes: Vec<Lane>,
    stopped: bool,
}

struct Lane {
    /// `None`: a thread has it, or all was read.
    reader: Option<Reader>,
    /// A thread has it or will.
    busy: bool,
    chunks: VecDeque<Chunk>,
    failed: Option<SqlError>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Readers {
    /// Starts them.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(threads: usize) -> io::Result<Arc<Readers>> {
        let readers = Arc::new(Readers { queue: Mutex::default(), work: Condvar::new() });
        for i in 0..threads {
            let readers = Arc::clone(&readers);
            std::thread::Builder::new().name(format!("z4-sqlread-{i}")).spawn(move || {
                lower_priority();
                while let Some((gather, lane)) = readers.take() {
                    if gather.read(lane) {
                        readers.put(gather, lane);
                    }
                }
            })?;
        }
        Ok(readers)
    }

    /// Ends the threads.
    pub fn close(&self) {
        lock(&self.queue).closed = true;
        self.work.notify_all();
    }

    fn take(&self) -> Option<(Arc<Gather>, usize)> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, gather: Arc<Gather>, lane: usize) {
        lock(&self.queue).jobs.push_back((gather, lane));
        self.work.notify_one();
    }

    /// Reads with these from now on.
    pub fn gather(self: &Arc<Self>, readers: Vec<Reader>) -> Gathering {
        let count = readers.len();
        let lanes =
            readers.into_iter().map(|r| Lane { reader: Some(r), busy: true, chunks: VecDeque::new(), failed: None }).collect();
        let gather = Arc::new(Gather { lanes: Mutex::new(Lanes { lanes, stopped: false }), news: Condvar::new() });
        for lane in 0..count {
            self.put(Arc::clone(&gather), lane);
        }
        Gathering { gather, readers: Arc::clone(self) }
    }
}

impl Gather {
    /// Reads one chunk; `true`: another one may be read.
    fn read(&self, at: usize) -> bool {
        let reader = {
            let mut lanes = lock(&self.lanes);
            if lanes.stopped {
                return false;
            }
            lanes.lanes.get_mut(at).and_then(|lane| lane.reader.take())
        };
        let Some(mut reader) = reader else { return false };
        let chunk = reader.next();
        let mut lanes = lock(&self.lanes);
        let stopped = lanes.stopped;
        let Some(lane) = lanes.lanes.get_mut(at) else { return false };
        let more = match chunk {
            Ok(Some(chunk)) => {
                lane.chunks.push_back(chunk);
                true
            }
            Ok(None) => false,
            Err(error) => {
                lane.failed = Some(error);
                false
            }
        };
        lane.busy = more && !stopped && lane.chunks.len() < CHUNKS_AHEAD;
        if more && !stopped {
            lane.reader = Some(reader);
        }
        let again = lane.busy;
        drop(lanes);
        self.news.notify_all();
        again
    }
}

/// The query's end of a [`Gather`]; dropping it stops the readers.
pub struct Gathering {
    gather: Arc<Gather>,
    readers: Arc<Readers>,
}

impl Gathering {
    /// The next chunk of the lowest phase that is left; `None`: all was read. `check` is called now and then while it waits.
    ///
    /// # Errors
    /// What a reader or `check` says.
    pub fn next(&self, mut check: impl FnMut() -> Result<(), SqlError>) -> Result<Option<Chunk>, SqlError> {
        let mut lanes = lock(&self.gather.lanes);
        loop {
            let mut lowest: Option<(u32, usize)> = None;
            let mut unknown = false;
            for (at, lane) in lanes.lanes.iter_mut().enumerate() {
                match lane.chunks.front() {
                    Some(chunk) if lowest.is_none_or(|(phase, _)| chunk.phase < phase) => lowest = Some((chunk.phase, at)),
                    Some(_) => {}
                    None => {
                        if let Some(error) = lane.failed.take() {
                            return Err(error);
                        }
                        unknown |= lane.busy || lane.reader.is_some();
                    }
                }
            }
            match lowest {
                // A lane that has shown nothing yet may still have rows of an earlier phase; of phase 0 none is earlier.
                Some((phase, at)) if phase == 0 || !unknown => return Ok(self.pop(lanes, at)),
                None if !unknown => return Ok(None),
                _ => {}
            }
            let (guard, wait) =
                self.gather.news.wait_timeout(lanes, Duration::from_millis(20)).unwrap_or_else(PoisonError::into_inner);
            lanes = guard;
            if wait.timed_out() {
                check()?;
            }
        }
    }

    fn pop(&self, mut lanes: MutexGuard<'_, Lanes>, at: usize) -> Option<Chunk> {
        let lane = lanes.lanes.get_mut(at)?;
        let chunk = lane.chunks.pop_front();
        let again = !lane.busy && lane.reader.is_some();
        lane.busy |= again;
        drop(lanes);
        if again {
            self.readers.put(Arc::clone(&self.gather), at);
        }
        chunk
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let mut lanes = lock(&self.gather.lanes);
        lanes.stopped = true;
        lanes.lanes.clear();
    }
}
