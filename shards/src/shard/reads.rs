//! Reads of one group: the partition's rows, and what only the leader knows (who is leased). A follower asks its leader up to where it
//! must have applied and reads its own rows, or has the leader read.

use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use z4_proto::peer::{self, ReadAt};

use crate::command::{Command, NamespaceRow, Op, OpReply, TaskRow};
use crate::ids::{Namespace, TaskId, TaskKey};
use crate::link::Body;
use crate::machine::namespace::absent;
use crate::partition::{ListPage, ListRange};
use crate::raft::ProposeError;
use crate::runtime::{clock, executor};
use crate::shard::api::{
    Consistency, ListCursor, ListQuery, NamespaceView, Rejection, Settle, SettleError, Settled, TaskPage, TaskState, TaskView,
};
use crate::shard::forward::{At, Repeat};
use crate::shard::group::Group;
use crate::shard::queue::Bound;
use crate::shard::wire::{self, Namespaces, WireError};

/// A purge goes in steps of so many rows, so that no single entry holds up the group.
const PURGE_ROWS: u32 = 2_000;

/// A page's rows are read in steps of about this many bytes, and a page ends when it has as many.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// What a replica that may be read has heard.
enum Heard {
    /// It leads.
    Leads,
    /// The leader told whether the task in question is with a consumer.
    Leased(bool),
}

impl Group {
    /// One task.
    pub(super) async fn get(
        self: Rc<Self>,
        namespace: Namespace,
        id: TaskId,
        consistency: Consistency,
    ) -> Result<Option<TaskView>, Rejection> {
        let heard = match consistency {
            Consistency::Linearizable => self.catch_up(Some(id)).await?,
            Consistency::Stale => Heard::Leads,
        };
        let row = self.read(move |partition| partition.get(&namespace, id)).await?;
        Ok(row.map(|row| match heard {
            Heard::Leased(true) if !row.dead => TaskView { row, state: TaskState::Leased },
            _ => self.view(row),
        }))
    }

    /// Returns when this replica has applied everything that was committed before the call.
    pub(super) async fn barrier(self: Rc<Self>) -> Result<(), Rejection> {
        self.catch_up(None).await.map(|_| ())
    }

    /// Waits until this replica may be read: it leads, confirmed by a quorum, or it has applied what the leader said.
    async fn catch_up(&self, task: Option<TaskId>) -> Result<Heard, Rejection> {
        let until = self.until();
        let asked = || Body::ReadIndex(peer::ReadIndex { task: task.map(wire::put_task_id) });
        loop {
            match self.at_leader(asked, Repeat::Always, until).await? {
                At::There(Body::ReadAt(ReadAt { index, leased }), _) => {
                    self.wait_applied(index.unwrap_or(0), until).await?;
                    return Ok(Heard::Leased(leased));
                }
                At::There(..) => return Err(self.unreadable(WireError("not what was asked for"))),
                // Bounded by itself: openraft gives up after the time of a leader's lease.
                At::Here => match self.confirm_leadership().await {
                    Ok(()) => return Ok(Heard::Leads),
                    Err(Rejection::NoLeader { .. }) if self.route_changed(until).await => {}
                    Err(rejection) => return Err(rejection),
                },
            }
        }
    }

    async fn wait_applied(&self, index: u64, until: Instant) -> Result<(), Rejection> {
        let replica = self.replica().ok_or_else(|| self.no_leader())?;
        let left = until.saturating_duration_since(clock::monotonic());
        match select(pin!(replica.applied(index)), pin!(executor::sleep(left))).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => Err(Rejection::Behind { group: self.id }),
        }
    }

    pub(super) async fn confirm_leadership(&self) -> Result<(), Rejection> {
        let replica = self.replica().filter(|_| self.leads()).ok_or_else(|| self.no_leader())?;
        replica.read_barrier().await.map_err(|e| match e {
            ProposeError::Stopped(_) => Rejection::Stopping,
            _ => self.no_leader(),
        })
    }

    fn view(&self, row: TaskRow) -> TaskView {
        let state = self.state_of(&row);
        TaskView { row, state }
    }

    fn state_of(&self, row: &TaskRow) -> TaskState {
        if row.dead {
            return TaskState::Dead;
        }
        let leased = self.engine.borrow().as_ref().is_some_and(|engine| engine.is_leased(row.key));
        match leased {
            true => TaskState::Leased,
            false if row.key.due_ms > clock::wall_ms() => TaskState::Scheduled,
            false => TaskState::Ready,
        }
    }

    /// One page of tasks: the live ones in due order, then the dead ones.
    pub(super) async fn list(self: Rc<Self>, query: ListQuery) -> Result<TaskPage, Rejection> {
        if self.leads() || query.consistency == Consistency::Stale {
            return self.list_here(query).await;
        }
        match self.at_leader(|| Body::ListTasks(wire::put_list(&query)), Repeat::Always, self.until()).await? {
            At::Here => self.list_here(query).await,
            At::There(Body::ListedTasks(page), _) => wire::listed(page).map_err(|e| self.unreadable(e)),
            At::There(..) => Err(self.unreadable(WireError("not what was asked for"))),
        }
    }

    /// The same by this replica.
    pub(super) async fn list_here(self: &Rc<Self>, query: ListQuery) -> Result<TaskPage, Rejection> {
        if query.consistency == Consistency::Linearizable {
            self.confirm_leadership().await?;
        }
        let (mut page, mut bytes) = (TaskPage::default(), 0);
        let mut dead = query.after.is_some_and(|after| after.dead) || query.state == Some(TaskState::Dead);
        let start = TaskKey::at(query.due_from_ms);
        let mut from = query.after.map_or(start, |after| after.key.next().max(start));
        loop {
            let range = ListRange {
                namespace: query.namespace.clone(),
                dead,
                from,
                until_ms: self.until_ms(&query, dead),
                rows_max: query.limit.saturating_sub(page.tasks.len()).max(1),
                bytes_max: PAGE_BYTES_MAX,
            };
            let ListPage { rows, next } = self.read(move |partition| partition.list(&range)).await?;
            for mut row in rows {
                let state = self.state_of(&row);
                if query.state.is_none_or(|wanted| wanted == state) {
                    if query.omit_payload {
                        row.record.payload = bytes::Bytes::new();
                    }
                    bytes += row.record.payload.len() + row.record.metadata.len();
                    page.tasks.push(TaskView { row, state });
                }
            }
            let live_only = matches!(query.state, Some(state) if state != TaskState::Dead);
            match next {
                Some(key) => from = key,
                None if dead || live_only => return Ok(page),
                None => (dead, from) = (true, start),
            }
            if page.tasks.len() >= query.limit || bytes >= PAGE_BYTES_MAX {
                page.next = page.tasks.last().map(|last| ListCursor { dead: last.row.dead, key: last.row.key });
                return Ok(page);
            }
        }
    }

    /// Where the range ends: for ready tasks now is soon enough, the rest is not due.
    fn until_ms(&self, query: &ListQuery, dead: bool) -> u64 {
        match query.state {
            Some(TaskState::Ready | TaskState::Leased) if !dead => query.due_until_ms.min(clock::wall_ms() + 1),
            _ => query.due_until_ms,
        }
    }

    fn namespace_view(&self, name: Namespace, row: NamespaceRow) -> NamespaceView {
        let leased = self.engine.borrow().as_ref().map_or(0, |engine| engine.leased(&name));
        NamespaceView { name, group: self.id, row, leased }
    }

    /// One namespace; the defaults when it does not exist.
    pub(super) async fn namespace(self: Rc<Self>, name: Namespace) -> Result<NamespaceView, Rejection> {
        let views = self.namespace_views(Namespaces::One(name)).await?;
        views.into_iter().next().ok_or_else(|| self.unreadable(WireError("no namespace")))
    }

    /// The group's namespaces after a name.
    pub(super) async fn namespaces(
        self: Rc<Self>,
        after: Option<Namespace>,
        limit: usize,
    ) -> Result<Vec<NamespaceView>, Rejection> {
        self.namespace_views(Namespaces::After(after, limit)).await
    }

    async fn namespace_views(self: &Rc<Self>, asked: Namespaces) -> Result<Vec<NamespaceView>, Rejection> {
        let body = || Body::ListNamespaces(wire::put_namespaces(&asked));
        match self.at_leader(body, Repeat::Always, self.until()).await? {
            At::Here => match asked {
                Namespaces::One(name) => self.namespace_here(name).await.map(|view| vec![view]),
                Namespaces::After(after, limit) => self.namespaces_here(after, limit).await,
            },
            At::There(Body::ListedNamespaces(views), _) => wire::namespace_views(self.id, &views).map_err(|e| self.unreadable(e)),
            At::There(..) => Err(self.unreadable(WireError("not what was asked for"))),
        }
    }

    /// One namespace, by this replica.
    pub(super) async fn namespace_here(self: &Rc<Self>, name: Namespace) -> Result<NamespaceView, Rejection> {
        self.confirm_leadership().await?;
        let key = name.clone();
        let row = self.read(move |partition| partition.namespace(&key)).await?;
        Ok(self.namespace_view(name, row.unwrap_or_else(absent)))
    }

    /// The group's namespaces after a name, by this replica.
    pub(super) async fn namespaces_here(
        self: &Rc<Self>,
        after: Option<Namespace>,
        limit: usize,
    ) -> Result<Vec<NamespaceView>, Rejection> {
        self.confirm_leadership().await?;
        let rows = self.read(move |partition| partition.namespaces(after.as_ref(), limit)).await?;
        Ok(rows.into_iter().map(|(name, row)| self.namespace_view(name, row)).collect())
    }

    /// Settles deliveries, wherever the group is led. Tried again only when it was surely not done: what may have been done may belong to
    /// another consumer by now.
    pub(super) async fn settle(self: Rc<Self>, namespace: Namespace, settles: Vec<Settle>) -> Vec<Settled> {
        if self.leads() {
            return self.settle_here(namespace, settles).await;
        }
        let body = || Body::Settle(wire::put_settle(&namespace, &settles));
        let answer = match self.at_leader(body, Repeat::IfNotDone, self.until()).await {
            Ok(At::Here) => return self.settle_here(namespace, settles).await,
            Ok(At::There(Body::Settled(message), _)) => {
                wire::settled(self.id, &settles, &message).map_err(|e| self.unreadable(e))
            }
            Ok(At::There(..)) => Err(self.unreadable(WireError("not what was asked for"))),
            Err(rejection) => Err(rejection),
        };
        answer.unwrap_or_else(|rejection| settles.iter().map(|_| Err(SettleError::Rejected(rejection.clone()))).collect())
    }

    /// Removes every task of a namespace, step by step.
    pub(super) async fn purge(self: Rc<Self>, namespace: Namespace) -> Result<u64, Rejection> {
        let mut removed = 0;
        loop {
            let (tx, rx) = oneshot::channel();
            let command = Command { namespace: namespace.clone(), ops: vec![Op::Purge { limit: PURGE_ROWS }] };
            let answer = Box::new(move |result| {
                let _ = tx.send(result);
            });
            self.submit(command, Bound::Anywhere, answer);
            let reply = rx.await.unwrap_or(Err(Rejection::Stopping))?.value?;
            let step = reply.iter().map(|r| if let OpReply::Purged { removed } = r { *removed } else { 0 }).sum::<u32>();
            removed += u64::from(step);
            if step < PURGE_ROWS {
                return Ok(removed);
            }
        }
    }
}
