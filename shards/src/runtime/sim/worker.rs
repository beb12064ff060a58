//! What stands for a plain thread beside an executor: a job runs at once, and its result comes a little later, in the order of the jobs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::{executor, world};

/// The longest that a job takes, microseconds.
const JOB_US_MAX: u64 = 400;

type Done = Box<dyn FnOnce()>;

/// A state and the results of what was done with it.
pub struct Worker<S> {
    state: RefCell<Option<S>>,
    results: Rc<Results>,
}

#[derive(Default)]
struct Results {
    waiting: RefCell<VecDeque<Done>>,
    /// Somebody takes them.
    taken: Cell<bool>,
}

impl<S: Default + 'static> Worker<S> {
    /// With a state of its own.
    ///
    /// # Errors
    /// None here.
    pub fn start(_name: &str) -> io::Result<Self> {
        Ok(Worker { state: RefCell::new(Some(S::default())), results: Rc::default() })
    }

    /// Has `job` run, then `done`. After [`Worker::stop`] neither runs.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce(&mut S) -> T + Send + 'static, done: impl FnOnce(T) + 'static) {
        let Some(result) = self.state.borrow_mut().as_mut().map(job) else { return };
        self.results.waiting.borrow_mut().push_back(Box::new(move || done(result)));
        if !self.results.taken.replace(true) {
            executor::spawn(take(Rc::clone(&self.results)));
        }
    }

    /// It was not stopped yet.
    pub fn is_open(&self) -> bool {
        self.state.borrow().is_some()
    }

    /// Takes no more jobs; returns when its state is dropped.
    pub async fn stop(&self) {
        drop(self.state.borrow_mut().take());
        executor::yield_now().await;
    }
}

async fn take(results: Rc<Results>) {
    loop {
        executor::sleep(Duration::from_micros(1 + world::below(JOB_US_MAX))).await;
        let next = results.waiting.borrow_mut().pop_front();
        match next {
            Some(done) => done(),
            None => {
                results.taken.set(false);
                return;
            }
        }
    }
}
