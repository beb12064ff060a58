//! The query that runs on this thread: what its virtual tables and SQLite's callbacks share.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use z4_model::ids::{GroupId, Namespace, TaskKey};
use z4_shards::runtime::clock;

use super::fault;
use super::memory;
use super::readers::Readers;
use super::tables::tasks::Seen;
use crate::sql::context::{Consistency, Context, Warning};
use crate::sql::data::{Data, Live, Rows};
use crate::sql::error::SqlError;
use crate::sql::result::{Batch, Progress};
use crate::sql::wait::wait_until;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Running>>> = const { RefCell::new(None) };
}

/// What a query without a limit to its time may spend in SLEEP.
const PAUSES_MAX: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 60_000 });

/// Warnings of a statement: MySQL's default of `max_error_count`.
const WARNINGS_MAX: usize = 1_024;

/// A query while it runs.
pub struct Running {
    /// The peer.
    pub data: Arc<dyn Data>,
    /// The server.
    pub live: Arc<dyn Live>,
    /// The session.
    pub context: Arc<Context>,
    /// Threads that read ahead.
    pub readers: Arc<Readers>,
    /// What the planner asked of `tasks`, for the rule's error and for EXPLAIN.
    pub seen: RefCell<Seen>,
    /// Virtual tables tell their ranges in `seen` and give no rows.
    pub explain: bool,
    /// `sql_unbounded_rows_max`.
    pub unbounded_rows_max: u64,
    /// What the query reads without bounds of time.
    pub unbounded: RefCell<Counted>,
    out: mpsc::Sender<Progress>,
    /// The room for the last word, kept from the start: it never waits for a client.
    last: RefCell<Option<mpsc::OwnedPermit<Progress>>>,
    deadline: Option<Instant>,
    why: Cell<Option<Why>>,
    ticks: Cell<u32>,
    paused: Cell<Duration>,
    groups: RefCell<HashMap<GroupId, Group>>,
    warnings: RefCell<Vec<Warning>>,
}

/// Namespaces whose tasks were counted, and how many they have together.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Counted {
    pub names: HashSet<Namespace>,
    pub tasks: u64,
}

/// What a query knows of a group.
struct Group {
    rows: Arc<dyn Rows>,
    leased: Arc<HashSet<TaskKey>>,
    asked: HashSet<Namespace>,
    unknown: bool,
}

/// Why a query was stopped from within.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    Gone,
    Late,
    Memory(memory::Bound),
}

/// What a query is started with.
pub struct Start {
    /// See [`Running`].
    pub data: Arc<dyn Data>,
    /// See [`Running`].
    pub live: Arc<dyn Live>,
    /// See [`Running`].
    pub context: Arc<Context>,
    /// See [`Running`].
    pub readers: Arc<Readers>,
    /// See [`Running`].
    pub explain: bool,
    /// See [`Running`].
    pub unbounded_rows_max: u64,
    /// Where its rows go.
    pub out: mpsc::Sender<Progress>,
    /// When it was asked.
    pub since: Instant,
}

/// Clears the thread when the query is over.
pub struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(Option::take);
    }
}

impl Running {
    /// A query that starts now.
    pub fn new(start: Start) -> Rc<Running> {
        let Start { data, live, context, readers, explain, unbounded_rows_max, out, since } = start;
        let deadline = match context.max_execution_ms {
            0 | u64::MAX => None,
            ms => since.checked_add(Duration::from_millis(ms)),
        };
        Rc::new(Running {
            data,
            live,
            context,
            readers,
            seen: RefCell::default(),
            explain,
            unbounded_rows_max,
            unbounded: RefCell::default(),
            last: RefCell::new(out.clone().try_reserve_owned().ok()),
            out,
            deadline,
            why: Cell::new(None),
            ticks: Cell::new(0),
            paused: Cell::default(),
            groups: RefCell::default(),
            warnings: RefCell::default(),
        })
    }

    /// Makes it the query of this thread until the guard goes.
    pub fn enter(self: &Rc<Self>) -> Entered {
        CURRENT.with_borrow_mut(|current| *current = Some(Rc::clone(self)));
        Entered(())
    }

    /// The query of this thread.
    pub fn current() -> Result<Rc<Running>, SqlError> {
        CURRENT.with_borrow(Clone::clone).ok_or_else(|| SqlError::other("a table is read and no query runs"))
    }

    /// Whether it must end; remembers why. Cheap: the clock is read once in many calls.
    pub fn must_stop(&self) -> bool {
        if self.why.get().is_some() {
            return true;
        }
        if let Some(bound) = memory::exceeded() {
            self.why.set(Some(Why::Memory(bound)));
            return true;
        }
        let tick = self.ticks.get().wrapping_add(1);
        self.ticks.set(tick);
        if tick.is_multiple_of(32) {
            self.look_at_the_world();
        }
        self.why.get().is_some()
    }

    fn look_at_the_world(&self) {
        if self.out.is_closed() {
            self.why.set(Some(Why::Gone));
        } else if self.deadline.is_some_and(|deadline| clock::monotonic() >= deadline) {
            self.why.set(Some(Why::Late));
        }
    }

    /// The same for a table that reads: an error when the query must end.
    pub fn check(&self) -> Result<(), SqlError> {
        if self.must_stop() { Err(self.stopped().unwrap_or_else(fault::interrupted)) } else { Ok(()) }
    }

    /// The same at once, with the clock: before anything that may take long.
    pub fn check_now(&self) -> Result<(), SqlError> {
        self.look_at_the_world();
        self.check()
    }

    /// Waits, as long as the query may run. One that may run for as long as it likes has [`PAUSES_MAX`] for all its pauses: others want
    /// the thread, too.
    ///
    /// # Errors
    /// Nobody listens any more, or the query's time is over first.
    pub fn pause(&self, span: Duration) -> Result<(), SqlError> {
        let (now, left) = (clock::monotonic(), PAUSES_MAX.saturating_sub(self.paused.get()));
        let deadline = self.deadline.or_else(|| now.checked_add(left));
        let wake = now.checked_add(span);
        let first = [wake, deadline].into_iter().flatten().min();
        self.paused.set(self.paused.get().saturating_add(span));
        if self.deadline.is_none() && span > left {
            wait_until(self.out.closed(), first);
            self.why.set(Some(if self.out.is_closed() { Why::Gone } else { Why::Late }));
        }
        wait_until(self.out.closed(), first);
        self.check_now()
    }

    /// Why it was stopped, when it was.
    pub fn stopped(&self) -> Option<SqlError> {
        Some(match self.why.get()? {
            Why::Gone => fault::interrupted(),
            Why::Late => fault::too_long(),
            Why::Memory(bound) => bound.error(),
        })
    }

    /// Sends rows, and waits for room as long as the query may run.
    ///
    /// # Errors
    /// Nobody listens any more, or the time is over: a client that reads slowly does not keep the thread.
    pub fn send(&self, rows: Batch) -> Result<(), SqlError> {
        match wait_until(self.out.reserve(), self.deadline) {
            Some(Ok(room)) => room.send(Progress::Rows(rows)),
            Some(Err(_)) => self.why.set(Some(Why::Gone)),
            None => self.why.set(Some(Why::Late)),
        }
        self.stopped().map_or(Ok(()), Err)
    }

    /// Says how it ended. Never waits.
    pub fn end(&self, last: Progress) {
        if let Some(room) = self.last.take() {
            room.send(last);
        }
    }

    /// The rows of these groups, taken once and kept for the query.
    ///
    /// # Errors
    /// What the peer says.
    pub fn rows(&self, wanted: &[GroupId]) -> Result<Vec<Arc<dyn Rows>>, SqlError> {
        let new: Vec<GroupId> = {
            let known = self.groups.borrow();
            wanted.iter().filter(|group| !known.contains_key(group)).copied().collect()
        };
        if !new.is_empty() {
            self.check_now()?;
            if self.context.consistency == Consistency::Linearizable {
                self.data.barrier(&new)?;
            }
            for group in new {
                let rows = self.data.rows(group)?;
                let group_row = Group { rows, leased: Arc::default(), asked: HashSet::new(), unknown: false };
                self.groups.borrow_mut().insert(group, group_row);
            }
        }
        let known = self.groups.borrow();
        wanted
            .iter()
            .map(|group| {
                known.get(group).map(|g| Arc::clone(&g.rows)).ok_or_else(|| SqlError::other("a group's rows are missing"))
            })
            .collect()
    }

    /// What is leased in a group, of these namespaces at least; each is asked for once in a query. Its rows were taken before.
    ///
    /// # Errors
    /// What the peer says.
    pub fn leased(&self, group: GroupId, namespaces: &[Namespace]) -> Result<Arc<HashSet<TaskKey>>, SqlError> {
        let mut groups = self.groups.borrow_mut();
        let known = groups.get_mut(&group).ok_or_else(|| SqlError::other("a group's rows are missing"))?;
        let new: Vec<Namespace> = namespaces.iter().filter(|name| !known.asked.contains(*name)).cloned().collect();
        if new.is_empty() {
            return Ok(Arc::clone(&known.leased));
        }
        self.check_now()?;
        let answer = self.data.leases(group, &new)?;
        known.asked.extend(new);
        if known.leased.is_empty() {
            known.leased = answer.keys;
        } else if !answer.keys.is_empty() {
            Arc::make_mut(&mut known.leased).extend(answer.keys.iter().copied());
        }
        if answer.unknown && !known.unknown {
            known.unknown = true;
            let text = format!(
                "The leases of group {group} are not known, because its leader did not answer: leased tasks are shown as ready"
            );
            self.warn(|| SqlError::other(text));
        }
        Ok(Arc::clone(&known.leased))
    }

    /// Keeps what the statement is to be warned of; what is more than [`WARNINGS_MAX`] is not kept.
    pub fn warn(&self, warning: impl FnOnce() -> SqlError) {
        let mut warnings = self.warnings.borrow_mut();
        if warnings.len() < WARNINGS_MAX {
            warnings.push(Warning { level: "Warning", error: warning() });
        }
    }

    /// For SHOW WARNINGS.
    pub fn take_warnings(&self) -> Vec<Warning> {
        self.warnings.take()
    }

    /// What is ready and what is scheduled is told by this, milliseconds; the same as NOW().
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.context.now_us / 1000).unwrap_or(0)
    }
}
