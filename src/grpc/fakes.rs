//! Stand-ins for the shards, for the tests of the streams.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use z4_model::ids::{GroupId, Namespace, TaskId, TaskKey};
use z4_model::rows::metadata::pack_metadata;
use z4_model::rows::record::TaskRecord;
use z4_shards::account::Account;
use z4_shards::shard::api::Delivered;
use z4_shards::shard::handle::Shards;

use super::consume::{Farewell, Source};
use super::services::Context;
use super::{ClusterView, Limits, Me, NoObserver};

struct Nobody;

impl ClusterView for Nobody {
    fn me(&self) -> Me {
        Me::default()
    }
}

/// A context whose clock stands at 1,000 seconds and whose shards must not be asked.
pub(super) fn context(limits: Limits) -> Arc<Context> {
    context_of(Shards::disconnected(), limits)
}

/// The same over shards that the test plays.
pub(super) fn context_of(shards: Shards, limits: Limits) -> Arc<Context> {
    context_with(shards, limits, Arc::new(Nobody))
}

/// The same of a peer that the test plays, without shards.
pub(super) fn context_seen(cluster: Arc<dyn ClusterView>) -> Arc<Context> {
    context_with(Shards::disconnected(), Limits::default(), cluster)
}

fn context_with(shards: Shards, limits: Limits, cluster: Arc<dyn ClusterView>) -> Arc<Context> {
    let observer = Arc::new(NoObserver);
    Arc::new(Context { shards, limits, account: Account::new(64 << 20), now_ms: Arc::new(|| 1_000_000), observer, cluster })
}

pub(super) fn name(name: &str) -> Namespace {
    Namespace::new(name).expect("valid")
}

pub(super) fn id(sequence: u64) -> TaskId {
    TaskId { due_ms: 5, group: GroupId(1), sequence }
}

/// A delivery of namespace "a" whose sequence is its token too; its lease ends far in the future.
pub(super) fn delivered(sequence: u64) -> Delivered {
    let metadata = pack_metadata(std::iter::empty());
    let row = TaskRecord { id_due_ms: 5, created_ms: 1, version: 1, metadata, ..Default::default() }.encode();
    let key = TaskKey { due_ms: 5, sequence };
    Delivered { namespace: name("a"), id: id(sequence), key, row, attempt: 1, token: sequence, deadline_ms: u64::MAX / 2 }
}

#[derive(Default)]
struct Deliveries {
    ready: VecDeque<Vec<Delivered>>,
    stopped: bool,
    sent: usize,
    left: bool,
    lingers: bool,
    credit: u32,
    waker: Option<Waker>,
}

/// A consumer whose deliveries the test gives out.
#[derive(Clone, Default)]
pub(super) struct FakeSource(Rc<RefCell<Deliveries>>);

impl FakeSource {
    /// Hands out deliveries.
    pub(super) fn deliver(&self, deliveries: Vec<Delivered>) {
        self.change(|d| d.ready.push_back(deliveries));
    }

    /// The peer stops.
    pub(super) fn stop(&self) {
        self.change(|d| d.stopped = true);
    }

    /// The peer stops, and listens for a while.
    pub(super) fn linger(&self, lingers: bool) {
        self.change(|d| (d.stopped, d.lingers) = (true, lingers));
    }

    /// How many deliveries went to the client, and whether the stream said good-bye.
    pub(super) fn went(&self) -> (usize, bool) {
        let deliveries = self.0.borrow();
        (deliveries.sent, deliveries.left)
    }

    /// All credit that was ever given.
    pub(super) fn credit(&self) -> u32 {
        self.0.borrow().credit
    }

    /// Batches that nobody took.
    pub(super) fn waiting(&self) -> usize {
        self.0.borrow().ready.len()
    }

    fn change(&self, change: impl FnOnce(&mut Deliveries)) {
        let mut deliveries = self.0.borrow_mut();
        change(&mut deliveries);
        if let Some(waker) = deliveries.waker.take() {
            waker.wake();
        }
    }
}

impl Source for FakeSource {
    fn add_credit(&self, tasks: u32) {
        self.0.borrow_mut().credit += tasks;
    }

    fn sent(&mut self, tasks: usize) {
        self.0.borrow_mut().sent += tasks;
    }

    fn leave(&mut self) {
        self.0.borrow_mut().left = true;
    }

    fn farewell(&self) -> Farewell {
        let source = self.0.clone();
        Box::pin(std::future::poll_fn(move |_| if source.borrow().lingers { Poll::Pending } else { Poll::Ready(()) }))
    }

    async fn next(&mut self) -> Option<Vec<Delivered>> {
        std::future::poll_fn(|cx| {
            let mut deliveries = self.0.borrow_mut();
            match deliveries.ready.pop_front() {
                Some(ready) => Poll::Ready(Some(ready)),
                None if deliveries.stopped => Poll::Ready(None),
                None => {
                    deliveries.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}
