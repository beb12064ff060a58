//! Threads that run queries, one at a time each, and the queries that wait for them.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc;

use super::connection;
use super::readers::Readers;
use super::{Options, What, memory};
use crate::sql::context::Context;
use crate::sql::data::{Data, Live};
use crate::sql::error::SqlError;
use crate::sql::result::Progress;
use crate::sql::statement::Query;
use crate::sql::types::Datum;

/// SQL waits for delivery, never the other way round.
const NICE: i32 = 15;

/// A query that waits.
pub struct Job {
    /// What is asked.
    pub query: Arc<Query>,
    /// Its parameters: the client's, then those that stand for literals.
    pub params: Vec<Datum>,
    /// Its session.
    pub context: Arc<Context>,
    /// What is to be done.
    pub what: What,
    /// Where rows go.
    pub out: mpsc::Sender<Progress>,
    /// When it was asked: waiting counts.
    pub since: Instant,
}

/// Tables that an operator asks when every thread is taken: about the server itself, and small.
const SMALL: &[&str] = &["PROCESSLIST", "SESSION_STATUS", "SESSION_VARIABLES", "WARNINGS", "groups", "peers"];

/// Which threads take a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Any query; `queries_max` threads.
    Any,
    /// Those of [`SMALL`] tables alone; one thread, so that there is an answer to what takes the others.
    Small,
}

impl Lane {
    fn of(query: &Query) -> Lane {
        let is_small = |table: &&str| SMALL.contains(table);
        if !query.uses.is_empty() && query.uses.iter().all(is_small) { Lane::Small } else { Lane::Any }
    }
}

/// What every thread of the pool has.
pub struct Shared {
    /// The peer.
    pub data: Arc<dyn Data>,
    /// The server.
    pub live: Arc<dyn Live>,
    /// Bounds.
    pub options: Options,
    /// Threads that read ahead.
    pub readers: Arc<Readers>,
    any: Waiting,
    small: Waiting,
}

#[derive(Default)]
struct Waiting {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    closed: bool,
}

/// Ends the threads when it goes.
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// Starts the threads.
    ///
    /// # Errors
    /// A thread cannot be started, or SQLite cannot.
    pub fn start(data: Arc<dyn Data>, live: Arc<dyn Live>, options: Options) -> io::Result<Pool> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let readers = Readers::start(cores)?;
        let shared = Arc::new(Shared { data, live, options, readers, any: Waiting::default(), small: Waiting::default() });
        let pool = Pool { shared };
        for i in 0..options.queries_max.max(1) {
            pool.spawn(format!("z4-sql-{i}"), Lane::Any)?;
        }
        pool.spawn("z4-sql-small".to_owned(), Lane::Small)?;
        Ok(pool)
    }

    fn spawn(&self, name: String, lane: Lane) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let (tell, opened) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new().name(name).spawn(move || {
            lower_priority();
            // Here and not by the caller: what SQLite allocates counts for the thread that frees it.
            match connection::open() {
                Ok(connection) => {
                    let _ = tell.send(Ok(()));
                    connection::serve(connection, &shared, lane);
                }
                Err(error) => {
                    let _ = tell.send(Err(error));
                }
            }
            memory::leave();
        })?;
        opened.recv().map_err(io::Error::other)?.map_err(io::Error::other)
    }

    /// Queues a query, or says why not.
    pub fn submit(&self, job: Job) -> Result<(), (Job, SqlError)> {
        let options = self.shared.options;
        let waiting = self.shared.lane(Lane::of(&job.query));
        let mut queue = waiting.lock();
        if queue.jobs.len() >= queue.idle + options.waiting_max {
            drop(queue);
            let text = format!(
                "Too many queries: {} run and {} wait, as many as may (sql_queries_max, sql_waiting_max); try again later",
                options.queries_max, options.waiting_max
            );
            return Err((job, SqlError::new(1040, "08004", text)));
        }
        queue.jobs.push_back(job);
        drop(queue);
        waiting.work.notify_one();
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for lane in [&self.shared.any, &self.shared.small] {
            let waiting = {
                let mut queue = lane.lock();
                queue.closed = true;
                std::mem::take(&mut queue.jobs)
            };
            lane.work.notify_all();
            for job in waiting {
                let error = SqlError::new(1053, "08S01", "Server shutdown in progress");
                // The channel is unused: it has room.
                let _ = job.out.try_send(Progress::Failed(error));
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The last query is over: until then it may wait for what they read.
        self.readers.close();
    }
}

impl Shared {
    fn lane(&self, lane: Lane) -> &Waiting {
        match lane {
            Lane::Any => &self.any,
            Lane::Small => &self.small,
        }
    }

    /// The next query of a lane; `None`: the pool is closed.
    pub fn take(&self, lane: Lane) -> Option<Job> {
        self.lane(lane).take()
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Job> {
        let mut queue = self.lock();
        queue.idle += 1;
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                queue.idle -= 1;
                return Some(job);
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Lowers the priority of this thread alone: on Linux a thread's id stands for the thread here.
pub fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::warn!(%error, "a thread of SQL keeps its priority: queries may slow delivery down");
    }
}
