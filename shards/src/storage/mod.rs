//! The storage thread: one plain thread beside each executor, where everything that touches a partition runs, in the order given.
//!
//! A job goes over in one hop and its result comes back in one hop. Results arrive in the order of their jobs (one FIFO for all
//! groups of the shard): when a scan's rows arrive, the effects of every apply before it were already seen, and those of later
//! applies come after.
//!
//! Jobs that read for clients and for the delivery engine are given to the thread a few at a time, the rest wait here ([`Pace`]): an apply
//! stands behind those few, however many consumers come back at once after a change of leader.

mod pace;

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use futures_channel::oneshot;
use z4_model::ids::GroupId;

use crate::partition::Partition;
use crate::runtime::worker::Worker;
pub use pace::Pace;
use pace::Paced;

/// The partitions of a shard; they live on its storage thread.
pub type Partitions = BTreeMap<GroupId, Partition>;

struct Inner {
    worker: Worker<Partitions>,
    scans: Paced,
    reads: Paced,
    claims: Paced,
}

/// The executor's side of the storage thread; cheap to clone.
#[derive(Clone)]
pub struct Storage(Rc<Inner>);

impl Storage {
    /// Starts the thread, and on the calling executor the task that takes its results.
    pub fn start(name: &str) -> io::Result<Self> {
        let worker = Worker::start(name)?;
        Ok(Storage(Rc::new(Inner { worker, scans: Paced::default(), reads: Paced::default(), claims: Paced::default() })))
    }

    /// Has `job` run on the thread, then `done` on the executor. After [`Storage::stop`] neither runs.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Partitions) -> T + Send + 'static,
        done: impl FnOnce(T) + 'static,
    ) {
        self.0.worker.run(job, done);
    }

    /// Has `job` run on the thread and waits for its result. `None`: the storage thread was stopped.
    pub async fn call<T: Send + 'static>(&self, job: impl FnOnce(&mut Partitions) -> T + Send + 'static) -> Option<T> {
        let (tx, rx) = oneshot::channel();
        self.run(job, move |result| {
            let _ = tx.send(result);
        });
        rx.await.ok()
    }

    /// Ends the thread after the jobs that it was given; its partitions are closed when this returns.
    pub async fn stop(&self) {
        // Who waits for one of these hears that it will not be done.
        self.0.scans.clear();
        self.0.reads.clear();
        self.0.claims.clear();
        self.0.worker.stop().await;
    }
}
