//! The peer's handle to its shards: routes a request to the shard that hosts the group, through its mailbox or, when that is the
//! caller's own shard, straight.

use crate::command::{Command, Created, OpReply};
use crate::ids::{GroupId, Namespace, TaskId};
use crate::shard::api::{Delivered, GroupInfo, ListQuery, NamespaceView, Rejection, Settle, Settled, TaskPage, TaskView};

/// A handle to every shard of this peer. Cheap to clone; `Send`. Its futures may be polled on any executor thread of the peer but
/// are not `Send` themselves.
#[derive(Clone)]
pub struct Shards {
    _private: (),
}

#[allow(unused_variables)]
impl Shards {
    /// A handle to no shards at all, for tests of what never reaches one: every other call on it panics.
    pub fn disconnected() -> Self {
        Self { _private: () }
    }

    /// How many shards this peer has.
    pub fn count(&self) -> usize {
        unimplemented!()
    }

    /// The group that owns a namespace.
    pub fn group_of(&self, namespace: &Namespace) -> GroupId {
        unimplemented!()
    }

    /// Has a command applied. The answer means that it is on the disks of a quorum.
    pub async fn submit(&self, command: Command) -> Result<Vec<OpReply>, Rejection> {
        unimplemented!()
    }

    /// Queues a command of creates at the leader and answers with reserved ids, before anything is durable.
    pub async fn submit_async(&self, command: Command) -> Result<Vec<Created>, Rejection> {
        unimplemented!()
    }

    /// Reads one task, linearizable.
    pub async fn get(&self, namespace: Namespace, id: TaskId) -> Result<Option<TaskView>, Rejection> {
        unimplemented!()
    }

    /// Reads one page of a namespace's tasks.
    pub async fn list(&self, query: ListQuery) -> Result<TaskPage, Rejection> {
        unimplemented!()
    }

    /// Reads one namespace; one that does not exist yet shows the defaults and `created_ms` 0.
    pub async fn namespace(&self, namespace: Namespace) -> Result<NamespaceView, Rejection> {
        unimplemented!()
    }

    /// Namespaces of all groups in the order of their names, after `after`, at most `limit`.
    pub async fn namespaces(&self, after: Option<Namespace>, limit: usize) -> Result<Vec<NamespaceView>, Rejection> {
        unimplemented!()
    }

    /// Removes every task of a namespace; returns how many.
    pub async fn purge(&self, namespace: Namespace) -> Result<u64, Rejection> {
        unimplemented!()
    }

    /// Settles deliveries of one namespace; one answer for each, in their order, once they are durable.
    pub async fn settle(&self, namespace: Namespace, settles: Vec<Settle>) -> Vec<Settled> {
        unimplemented!()
    }

    /// Starts to consume, with no credit yet. `lease_ms` 0: each namespace's setting.
    pub fn consume(&self, namespaces: Vec<Namespace>, lease_ms: u32) -> Result<Consumer, Rejection> {
        unimplemented!()
    }

    /// Every group of the cluster as this peer sees it.
    pub async fn groups(&self) -> Vec<GroupInfo> {
        unimplemented!()
    }
}

/// A consumer. Dropping it gives its leases up: each counts an attempt and the tasks come again.
pub struct Consumer {
    _private: (),
}

#[allow(unused_variables)]
impl Consumer {
    /// Accepts `tasks` more deliveries.
    pub fn add_credit(&self, tasks: u32) {
        unimplemented!()
    }

    /// The next deliveries, at least one. `None`: the peer stops. Taking them tells the delivery engine that there is room again:
    /// what a consumer has not taken is bounded in bytes. Dropping the future before it is ready loses nothing.
    pub async fn next(&mut self) -> Option<Vec<Delivered>> {
        unimplemented!()
    }

    /// Ends the consumer but lets the leases of everything that [`Consumer::next`] gave out live on until they are settled or
    /// lapse. What was not taken goes back without counting an attempt.
    pub fn detach(self) {
        unimplemented!()
    }
}
