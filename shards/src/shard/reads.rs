//! Reads of one group, answered by its leader: the partition's rows, and what only the leader knows (who is leased).

use std::rc::Rc;

use futures_channel::oneshot;

use crate::command::{Command, NamespaceRow, Op, OpReply, TaskRow};
use crate::ids::{Namespace, TaskId, TaskKey};
use crate::machine::namespace::absent;
use crate::partition::{ListPage, ListRange};
use crate::raft::ProposeError;
use crate::runtime::clock;
use crate::shard::api::{ListCursor, ListQuery, NamespaceView, Rejection, TaskPage, TaskState, TaskView};
use crate::shard::group::Group;

/// A purge goes in steps of so many rows, so that no single entry holds up the group.
const PURGE_ROWS: u32 = 2_000;

/// A page's rows are read in steps of about this many bytes.
const PAGE_BYTES_MAX: usize = 8 << 20;

impl Group {
    /// One task, linearizable.
    pub(super) async fn get(self: Rc<Self>, namespace: Namespace, id: TaskId) -> Result<Option<TaskView>, Rejection> {
        self.confirm_leadership().await?;
        let row = self.read(move |partition| partition.get(&namespace, id)).await?;
        Ok(row.map(|row| self.view(row)))
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
        let mut page = TaskPage::default();
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
                    page.tasks.push(TaskView { row, state });
                }
            }
            let live_only = matches!(query.state, Some(state) if state != TaskState::Dead);
            match next {
                Some(key) => from = key,
                None if dead || live_only => return Ok(page),
                None => (dead, from) = (true, start),
            }
            if page.tasks.len() >= query.limit {
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
        self.confirm_leadership().await?;
        let key = name.clone();
        let row = self.read(move |partition| partition.namespace(&key)).await?;
        Ok(self.namespace_view(name, row.unwrap_or_else(absent)))
    }

    /// The group's namespaces after a name.
    pub(super) async fn namespaces(
        self: Rc<Self>,
        after: Option<Namespace>,
        limit: usize,
    ) -> Result<Vec<NamespaceView>, Rejection> {
        let rows = self.read(move |partition| partition.namespaces(after.as_ref(), limit)).await?;
        Ok(rows.into_iter().map(|(name, row)| self.namespace_view(name, row)).collect())
    }

    /// Removes every task of a namespace, step by step.
    pub(super) async fn purge(self: Rc<Self>, namespace: Namespace) -> Result<u64, Rejection> {
        self.with_engine(|engine| engine.revoke_all(&namespace));
        let removed = self.purge_steps(&namespace).await;
        self.with_engine(|engine| engine.release_all(&namespace));
        removed
    }

    async fn purge_steps(self: &Rc<Self>, namespace: &Namespace) -> Result<u64, Rejection> {
        let mut removed = 0;
        loop {
            let (tx, rx) = oneshot::channel();
            let command = Command { namespace: namespace.clone(), ops: vec![Op::Purge { limit: PURGE_ROWS }] };
            let answer = Box::new(move |result| {
                let _ = tx.send(result);
            });
            self.submit(command, answer);
            let reply = rx.await.unwrap_or(Err(Rejection::Stopping))??;
            let step = reply.iter().map(|r| if let OpReply::Purged { removed } = r { *removed } else { 0 }).sum::<u32>();
            removed += u64::from(step);
            if step < PURGE_ROWS {
                return Ok(removed);
            }
        }
    }
}
