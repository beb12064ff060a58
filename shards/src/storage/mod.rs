//! The storage thread: one plain thread beside each executor, where everything that touches a partition runs, in the order given.
//!
//! A job goes over in one hop and its result comes back in one hop. Results arrive in the order of their jobs (one FIFO for all
//! groups of the shard): when a scan's rows arrive, the effects of every apply before it were already seen, and those of later
//! applies come after.
//!
//! Jobs that read for clients and for the delivery engine are given to the thread a few at a time, the rest wait here ([`Pace`]): an apply
//! stands behind those few, however many consumers come back at once after a change of leader.

mod pace;

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::thread::JoinHandle;

use crossbeam::channel;
use futures_channel::oneshot;
use z4_model::ids::GroupId;

use crate::partition::Partition;
use crate::runtime::{executor, mailbox};
pub use pace::Pace;
use pace::Paced;

/// Results that wait for the executor without a list of their own. There can be more, one for each job that was given: the thread waits
/// for nobody.
const RESULTS_RING: usize = 4_096;

/// How many results the executor takes before it lets other tasks run.
const RESULTS_PER_TURN: usize = 64;

/// The partitions of a shard; they live on its storage thread.
pub type Partitions = BTreeMap<GroupId, Partition>;

type JobResult = Box<dyn Any + Send>;
type Job = Box<dyn FnOnce(&mut Partitions) -> JobResult + Send>;
type Done = Box<dyn FnOnce(JobResult)>;

struct Inner {
    jobs: RefCell<Option<channel::Sender<Job>>>,
    waiting: RefCell<VecDeque<Done>>,
    thread: RefCell<Option<JoinHandle<()>>>,
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
        let (jobs, todo) = channel::unbounded::<Job>();
        let (results, done) = mailbox::mailbox::<JobResult>(RESULTS_RING);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&todo, &results))?;
        let inner = Rc::new(Inner {
            jobs: RefCell::new(Some(jobs)),
            waiting: RefCell::default(),
            thread: RefCell::new(Some(thread)),
            scans: Paced::default(),
            reads: Paced::default(),
            claims: Paced::default(),
        });
        executor::spawn(take_results(Rc::clone(&inner), done));
        Ok(Storage(inner))
    }

    /// Has `job` run on the thread, then `done` on the executor. After [`Storage::stop`] neither runs.
    pub fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Partitions) -> T + Send + 'static,
        done: impl FnOnce(T) + 'static,
    ) {
        let jobs = self.0.jobs.borrow();
        let Some(jobs) = jobs.as_ref() else { return };
        self.0.waiting.borrow_mut().push_back(Box::new(move |result: JobResult| {
            if let Ok(result) = result.downcast::<T>() {
                done(*result);
            }
        }));
        // The thread ends only after this sender is dropped.
        let _ = jobs.send(Box::new(move |partitions| Box::new(job(partitions))));
    }

    /// Has `job` run on the thread and waits for its result. `None`: the storage thread was stopped.
    pub async fn call<T: Send + 'static>(&self, job: impl FnOnce(&mut Partitions) -> T + Send + 'static) -> Option<T> {
        let (tx, rx) = oneshot::channel();
        self.run(job, move |result| {
            let _ = tx.send(result);
        });
        rx.await.ok()
    }

    /// Ends the thread after the jobs that it was given; its partitions are closed then.
    pub fn stop(&self) -> Option<JoinHandle<()>> {
        self.0.jobs.borrow_mut().take();
        // Who waits for one of these hears that it will not be done.
        self.0.scans.clear();
        self.0.reads.clear();
        self.0.claims.clear();
        self.0.thread.borrow_mut().take()
    }
}

fn work(todo: &channel::Receiver<Job>, results: &mailbox::Sender<JobResult>) {
    let mut partitions = Partitions::new();
    for job in todo {
        if !results.send_surely(job(&mut partitions)) {
            return;
        }
    }
}

async fn take_results(inner: Rc<Inner>, mut results: mailbox::Receiver<JobResult>) {
    let mut batch = Vec::with_capacity(RESULTS_PER_TURN);
    while results.receive(&mut batch, RESULTS_PER_TURN).await {
        for result in batch.drain(..) {
            let done = inner.waiting.borrow_mut().pop_front();
            if let Some(done) = done {
                done(result);
            }
        }
        executor::yield_if_needed().await;
    }
}
