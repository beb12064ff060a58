//! Pages of tasks. A list reads beside the storage thread, from a view, so that it holds up no apply; few read at a time, each reads a
//! bounded number of rows and bytes for its page, and one that nobody waits for any more ends.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;
use z4_model::encoding::Malformed;
use z4_model::ids::TaskKey;
use z4_model::rows::task::TaskRow;

use crate::link::Body;
use crate::partition::{ListPage, ListRange, PartitionError, View};
use crate::runtime::executor;
use crate::shard::api::{Consistency, ListCursor, ListQuery, Rejection, TaskPage, TaskState, TaskView};
use crate::shard::forward::{At, Repeat};
use crate::shard::group::Group;
use crate::shard::wire;

/// A group's lists that read at a time: each holds a page in memory, and a thread.
const READING_MAX: usize = 4;

/// Lists that wait for their turn.
const WAITING_MAX: usize = 1_024;

/// What too many lists are called.
pub(crate) const LISTS: &str = "the group's line of lists that wait to read";

/// A page ends after so many rows were looked at, whatever it has found.
const LOOKED_ROWS_MAX: usize = 10_000;

/// And when their values, payloads included, had so many bytes: they are read from disk also where nobody asked for them.
const LOOKED_BYTES_MAX: usize = 64 << 20;

/// With a filter, fewer rows than this are not worth a step; nor are fewer bytes.
const STEP_ROWS_MIN: usize = 256;
const STEP_BYTES_MIN: usize = 64 << 10;

/// Who may read. Requests come in one by one, so this is also the place where the memory of a page can be reserved before it is read.
#[derive(Default)]
pub(super) struct Lists {
    reading: Cell<usize>,
    waiting: RefCell<VecDeque<oneshot::Sender<()>>>,
    /// How often rows were read.
    #[cfg(test)]
    pub(super) steps: Cell<usize>,
}

/// A turn to read; ends when it is dropped.
pub(super) struct Turn<'a>(&'a Lists);

impl Lists {
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Rejection> {
        while self.reading.get() >= READING_MAX {
            let (tx, rx) = oneshot::channel();
            {
                let mut waiting = self.waiting.borrow_mut();
                waiting.retain(|one| !one.is_canceled());
                if waiting.len() >= WAITING_MAX {
                    return Err(Rejection::Overloaded { what: LISTS, limit: WAITING_MAX });
                }
                waiting.push_back(tx);
            }
            let _ = rx.await;
        }
        self.reading.set(self.reading.get() + 1);
        Ok(Turn(self))
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.borrow().iter().filter(|one| !one.is_canceled()).count()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Turn(lists) = self;
        lists.reading.set(lists.reading.get() - 1);
        // The first that still waits.
        while let Some(next) = lists.waiting.borrow_mut().pop_front() {
            if next.send(()).is_ok() {
                return;
            }
        }
    }
}

/// A page while it fills.
#[derive(Default)]
struct Filling {
    page: TaskPage,
    bytes: usize,
    looked_rows: usize,
    looked_bytes: usize,
}

impl Filling {
    /// Takes what matches of the rows that were read; `others`: there is another range behind theirs. `false`: the page is full, and tells
    /// where the next one starts.
    fn take(&mut self, query: &ListQuery, read: ListPage, others: bool, state_of: impl Fn(&TaskRow) -> TaskState) -> bool {
        let ListPage { rows, next, bytes } = read;
        self.looked_rows += rows.len();
        self.looked_bytes += bytes;
        let last = rows.len().saturating_sub(1);
        for (at, row) in rows.into_iter().enumerate() {
            let cursor = ListCursor { dead: row.dead, key: row.key };
            let state = state_of(&row);
            if query.state.is_none_or(|wanted| wanted == state) {
                self.bytes += row.record.payload.len() + row.record.metadata.len();
                self.page.tasks.push(TaskView { row, state });
            }
            let more = at < last || next.is_some() || others;
            if more && (self.is_full(query) || at == last && self.has_looked_enough()) {
                self.page.next = Some(cursor);
                return false;
            }
        }
        true
    }

    fn is_full(&self, query: &ListQuery) -> bool {
        self.page.tasks.len() >= query.limit || self.bytes >= query.bytes_max
    }

    fn has_looked_enough(&self) -> bool {
        self.looked_rows >= LOOKED_ROWS_MAX || self.looked_bytes >= LOOKED_BYTES_MAX
    }
}

impl Group {
    /// One page of tasks: the live ones in due order, then the dead ones.
    pub(super) async fn list(self: Rc<Self>, query: ListQuery) -> Result<TaskPage, Rejection> {
        if self.leads() || query.consistency == Consistency::Stale {
            return self.list_here(query).await;
        }
        match self.at_leader(|| Body::ListTasks(wire::put_list(&query)), Repeat::Always, self.until()).await? {
            At::Here => self.list_here(query).await,
            At::There(Body::ListedTasks(page), _) => wire::listed(page).map_err(|e| self.unreadable(e)),
            At::There(..) => Err(self.unreadable(Malformed("not what was asked for"))),
        }
    }

    /// The same by this replica.
    pub(super) async fn list_here(self: &Rc<Self>, query: ListQuery) -> Result<TaskPage, Rejection> {
        let _turn = self.lists.turn().await?;
        if query.consistency == Consistency::Linearizable {
            self.confirm_leadership().await?;
        }
        let mut view = self.read(|partition| Ok(partition.view())).await?;
        if query.state == Some(TaskState::Leased) {
            return self.list_leased(&query, view).await;
        }
        let mut filling = Filling::default();
        let now_ms = self.now_ms();
        // What is due is not scheduled, and the other way round: neither is looked at for the other's sake.
        let soonest_ms = if query.state == Some(TaskState::Scheduled) { now_ms.saturating_add(1) } else { 0 };
        let start = |dead: bool| TaskKey::at(if dead { query.due_from_ms } else { query.due_from_ms.max(soonest_ms) });
        let live_only = matches!(query.state, Some(state) if state != TaskState::Dead);
        let mut dead = query.after.is_some_and(|after| after.dead) || query.state == Some(TaskState::Dead);
        let mut from = query.after.map_or(start(dead), |after| after.key.next().max(start(dead)));
        loop {
            let missing = query.limit.saturating_sub(filling.page.tasks.len()).max(1);
            let range = ListRange {
                namespace: query.namespace.clone(),
                dead,
                from,
                until_ms: if query.state == Some(TaskState::Ready) {
                    query.due_until_ms.min(now_ms + 1)
                } else {
                    query.due_until_ms
                },
                rows_max: if query.state.is_none() { missing } else { missing.max(STEP_ROWS_MIN) },
                bytes_max: if query.omit_payload {
                    LOOKED_BYTES_MAX
                } else {
                    query.bytes_max.saturating_sub(filling.bytes).max(STEP_BYTES_MIN)
                },
                omit_payload: query.omit_payload,
            };
            let read = self.beside(move || (view.list(&range), view)).await?;
            view = read.1;
            let listed = read.0.map_err(|e| Rejection::Storage(e.to_string().into()))?;
            let next = listed.next;
            if !filling.take(&query, listed, !(dead || live_only), |row| self.state_of(row)) {
                return Ok(filling.page);
            }
            match next {
                Some(key) => from = key,
                None if dead || live_only => return Ok(filling.page),
                None => (dead, from) = (true, start(true)),
            }
        }
    }

    /// The tasks that are with consumers: the engine knows them, so no other row is read.
    async fn list_leased(&self, query: &ListQuery, view: View) -> Result<TaskPage, Rejection> {
        let from = TaskKey::at(query.due_from_ms);
        let from = query.after.map_or(from, |after| after.key.next().max(from));
        let until = TaskKey::at(query.due_until_ms);
        let keys = self.engine.borrow().as_ref().map(|engine| {
            let keys = engine.leased_from(&query.namespace, from).take_while(|key| *key < until);
            keys.take(query.limit + 1).collect::<Vec<_>>()
        });
        let Some(keys) = keys else { return Ok(TaskPage::default()) };
        let (name, omit, bytes_max) = (query.namespace.clone(), query.omit_payload, query.bytes_max);
        let (limit, asked) = (query.limit, keys.clone());
        let read = self.beside(move || view.rows_at(&name, &asked[..asked.len().min(limit)], bytes_max, omit)).await?;
        let (rows, looked) = read.map_err(|e: PartitionError| Rejection::Storage(e.to_string().into()))?;
        let next = keys.get(looked).and(looked.checked_sub(1)).and_then(|last| keys.get(last));
        Ok(TaskPage {
            tasks: rows.into_iter().map(|row| TaskView { row, state: TaskState::Leased }).collect(),
            next: next.map(|key| ListCursor { dead: false, key: *key }),
        })
    }

    /// Runs what reads on a thread of its own.
    async fn beside<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Result<T, Rejection> {
        #[cfg(test)]
        self.lists.steps.set(self.lists.steps.get() + 1);
        executor::run_blocking(read).await.map_err(|e| Rejection::Storage(e.to_string().into()))
    }
}
