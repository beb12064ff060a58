//! A plain thread beside an executor, with a state of its own: what blocks runs there, in the order given.
//!
//! A job goes over in one hop and its result comes back in one hop. Results arrive in the order of their jobs.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::thread::JoinHandle;

use crossbeam::channel;
use futures_channel::oneshot;

use super::executor;
use crate::runtime::mailbox;

/// Results that wait for the executor without a list of their own. There can be more, one for each job that was given: the thread waits
/// for nobody.
const RESULTS_RING: usize = 4_096;

/// How many results the executor takes before it lets other tasks run.
const RESULTS_PER_TURN: usize = 64;

type JobResult = Box<dyn Any + Send>;
type Job<S> = Box<dyn FnOnce(&mut S) -> JobResult + Send>;
type Done = Box<dyn FnOnce(JobResult)>;

/// The executor's side of the thread.
pub struct Worker<S> {
    jobs: RefCell<Option<channel::Sender<Job<S>>>>,
    waiting: Rc<RefCell<VecDeque<Done>>>,
    thread: RefCell<Option<JoinHandle<()>>>,
}

impl<S: Default + 'static> Worker<S> {
    /// Starts the thread, and on the calling executor the task that takes its results.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(name: &str) -> io::Result<Self> {
        let (jobs, todo) = channel::unbounded::<Job<S>>();
        let (results, done) = mailbox::mailbox::<JobResult>(RESULTS_RING);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&todo, &results))?;
        let waiting = Rc::<RefCell<VecDeque<Done>>>::default();
        executor::spawn(take_results(Rc::clone(&waiting), done));
        Ok(Worker { jobs: RefCell::new(Some(jobs)), waiting, thread: RefCell::new(Some(thread)) })
    }

    /// Has `job` run on the thread, then `done` on the executor. After [`Worker::stop`] neither runs.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut S) -> T + Send + 'static, done: impl FnOnce(T) + 'static) {
        let jobs = self.jobs.borrow();
        let Some(jobs) = jobs.as_ref() else { return };
        self.waiting.borrow_mut().push_back(Box::new(move |result: JobResult| {
            if let Ok(result) = result.downcast::<T>() {
                done(*result);
            }
        }));
        // The thread ends only after this sender is dropped.
        let _ = jobs.send(Box::new(move |state| Box::new(job(state))));
    }

    /// It was not stopped yet.
    pub fn is_open(&self) -> bool {
        self.jobs.borrow().is_some()
    }

    /// Takes no more jobs; returns when those that it was given are done and its state is dropped.
    pub async fn stop(&self) {
        self.jobs.borrow_mut().take();
        let Some(thread) = self.thread.borrow_mut().take() else { return };
        let (tx, rx) = oneshot::channel::<()>();
        // Joining blocks, so it happens elsewhere.
        executor::aside("z4-close", move || {
            let _ = thread.join();
            let _ = tx.send(());
        });
        let _ = rx.await;
    }
}

fn work<S: Default>(todo: &channel::Receiver<Job<S>>, results: &mailbox::Sender<JobResult>) {
    let mut state = S::default();
    for job in todo {
        if !results.send_surely(job(&mut state)) {
            return;
        }
    }
}

async fn take_results(waiting: Rc<RefCell<VecDeque<Done>>>, mut results: mailbox::Receiver<JobResult>) {
    let mut batch = Vec::with_capacity(RESULTS_PER_TURN);
    while results.receive(&mut batch, RESULTS_PER_TURN).await {
        for result in batch.drain(..) {
            let done = waiting.borrow_mut().pop_front();
            if let Some(done) = done {
                done(result);
            }
        }
        executor::yield_if_needed().await;
    }
}
