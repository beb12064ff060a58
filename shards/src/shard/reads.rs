//! Reads of one group: the partition's rows, and what only the leader knows (who is leased). A follower asks its leader up to where it
//! must have applied and reads its own rows, or has the leader read.

use std::pin::pin;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use z4_model::command::{Command, Op, OpReply, PurgeCursor};
use z4_model::encoding::Malformed;
use z4_model::ids::{Namespace, TaskId};
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::task::TaskRow;
use z4_proto::peer::{self, ReadAt};

use crate::link::Body;
use crate::raft::ProposeError;
use crate::runtime::clock::Instant;
use crate::runtime::maps::HashSet;
use crate::runtime::{clock, executor};
use crate::shard::api::{Consistency, NamespaceView, Rejection, TaskState, TaskView};
use crate::shard::forward::{At, Repeat};
use crate::shard::group::Group;
use crate::shard::queue::{Bound, Done};
use crate::shard::wire::{self, Namespaces};

/// A purge goes in steps of so many rows, so that no single entry holds up the group.
const PURGE_ROWS: u32 = 2_000;

/// A second pass takes what moved behind the first one's cursor. No third: a producer that goes on would keep it busy for ever.
const PURGE_PASSES: u32 = 2;

/// What a replica that may be read has heard.
enum Heard {
    /// It leads.
    Leads,
    /// The leader told which of the tasks in question, by their places, are with a consumer.
    Leased(HashSet<u32>),
}

impl Group {
    /// Tasks, in the order of their ids: one confirmation and one visit to the storage thread for all of them. Once what was read has
    /// `bytes_max` bytes of payload and metadata, the rest comes without payload.
    pub(super) async fn get(
        self: Rc<Self>,
        (namespace, ids, bytes_max): (Namespace, Vec<TaskId>, usize),
        consistency: Consistency,
    ) -> Result<Vec<Option<TaskView>>, Rejection> {
        let _waiting = self.reads.enter()?;
        let heard = match consistency {
            Consistency::Linearizable => self.catch_up(&ids).await?,
            Consistency::Stale => Heard::Leads,
        };
        let rows = self.read(move |partition| partition.view().get_many(&namespace, &ids, bytes_max)).await?;
        let view = |(at, row): (usize, Option<TaskRow>)| {
            row.map(|row| match &heard {
                Heard::Leased(leased) if !row.dead && leased.contains(&(at as u32)) => TaskView { row, state: TaskState::Leased },
                _ => self.view(row),
            })
        };
        Ok(rows.into_iter().enumerate().map(view).collect())
    }

    /// Returns when this replica has applied everything that was committed before the call.
    pub(super) async fn barrier(self: Rc<Self>) -> Result<(), Rejection> {
        let _waiting = self.reads.enter()?;
        self.catch_up(&[]).await.map(|_| ())
    }

    /// Waits until this replica may be read: it leads, confirmed by a quorum, or it has applied what the leader said.
    async fn catch_up(&self, tasks: &[TaskId]) -> Result<Heard, Rejection> {
        let until = self.until();
        let asked = || Body::ReadIndex(peer::ReadIndex { tasks: tasks.iter().copied().map(wire::put_task_id).collect() });
        loop {
            match self.at_leader(asked, Repeat::Always, until).await? {
                At::There(Body::ReadAt(ReadAt { index, leased }), _) => {
                    self.wait_applied(index.unwrap_or(0), until).await?;
                    return Ok(Heard::Leased(leased.into_iter().collect()));
                }
                At::There(..) => return Err(self.unreadable(Malformed("not what was asked for"))),
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
            Either::Left((true, _)) => Ok(()),
            Either::Left((false, _)) => Err(Rejection::Stopping),
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

    pub(super) fn state_of(&self, row: &TaskRow) -> TaskState {
        if row.dead {
            return TaskState::Dead;
        }
        let leased = self.engine.borrow().as_ref().is_some_and(|engine| engine.is_leased(row.key));
        match leased {
            true => TaskState::Leased,
            false if row.key.due_ms > self.now_ms() => TaskState::Scheduled,
            false => TaskState::Ready,
        }
    }

    fn namespace_view(&self, name: Namespace, row: NamespaceRow) -> NamespaceView {
        let leased = self.engine.borrow().as_ref().map_or(0, |engine| engine.leased(&name));
        NamespaceView { name, group: self.id, row, leased }
    }

    /// One namespace; the defaults when it does not exist.
    pub(super) async fn namespace(self: Rc<Self>, name: Namespace) -> Result<NamespaceView, Rejection> {
        let views = self.namespace_views(Namespaces::One(name)).await?;
        views.into_iter().next().ok_or_else(|| self.unreadable(Malformed("no namespace")))
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
        let _waiting = self.reads.enter()?;
        let body = || Body::ListNamespaces(wire::put_namespaces(&asked));
        match self.at_leader(body, Repeat::Always, self.until()).await? {
            At::Here => match asked {
                Namespaces::One(name) => self.namespace_here(name).await.map(|view| vec![view]),
                Namespaces::After(after, limit) => self.namespaces_here(after, limit).await,
            },
            At::There(Body::ListedNamespaces(views), _) => wire::namespace_views(self.id, &views).map_err(|e| self.unreadable(e)),
            At::There(..) => Err(self.unreadable(Malformed("not what was asked for"))),
        }
    }

    /// One namespace, by this replica.
    pub(super) async fn namespace_here(self: &Rc<Self>, name: Namespace) -> Result<NamespaceView, Rejection> {
        self.confirm_leadership().await?;
        let key = name.clone();
        let row = self.read(move |partition| partition.namespace(&key)).await?;
        Ok(self.namespace_view(name, row.unwrap_or_default()))
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

    /// Removes every task of a namespace, step by step, to the end, whether its answer is waited for or not. What is created, or moved to an earlier time, while it goes on may stay.
    pub(super) async fn purge(self: Rc<Self>, namespace: Namespace) -> Result<u64, Rejection> {
        let _waiting = self.reads.enter()?;
        let (mut total, mut from, mut passes) = (0, PurgeCursor::START, 0);
        loop {
            let (tx, rx) = oneshot::channel();
            let command = Command { namespace: namespace.clone(), ops: vec![Op::PurgeFrom { from, limit: PURGE_ROWS }] };
            let answer = Done::call(move |result| {
                let _ = tx.send(result);
            });
            self.submit(command, Bound::Anywhere, answer);
            let reply = rx.await.unwrap_or(Err(Rejection::Stopping))?.value?;
            let [OpReply::PurgedTo { removed, next, left }] = reply[..] else {
                return Err(self.unreadable(Malformed("a purge was answered as something else")));
            };
            total += u64::from(removed);
            passes += u32::from(next.is_none());
            match next {
                Some(next) => from = next,
                None if left > 0 && passes < PURGE_PASSES => from = PurgeCursor::START,
                None => return Ok(total),
            }
        }
    }
}
