//! Jobs that can wait for others: few of a kind are with the storage thread at a time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;

use super::{Partitions, Storage};

/// A kind of job that can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// For the delivery engine: up to a few thousand rows, a millisecond or two.
    Scan,
    /// For a client: a few rows.
    Read,
    /// For claims of what consumers hold, which count only if they come in time: some hundred rows.
    Claim,
}

impl Pace {
    /// So many are with the thread at a time. An apply may stand behind all of them.
    fn at_once(self) -> usize {
        match self {
            Pace::Scan => 4,
            Pace::Read => 32,
            Pace::Claim => 2,
        }
    }
}

type Start = Box<dyn FnOnce(&Storage)>;

/// The jobs of one kind.
#[derive(Default)]
pub(super) struct Paced {
    running: Cell<usize>,
    waiting: RefCell<VecDeque<Start>>,
}

impl Paced {
    pub(super) fn clear(&self) {
        self.waiting.take();
    }
}

impl Storage {
    fn paced(&self, pace: Pace) -> &Paced {
        match pace {
            Pace::Scan => &self.0.scans,
            Pace::Read => &self.0.reads,
            Pace::Claim => &self.0.claims,
        }
    }

    /// As [`Storage::run`], when it is this job's turn: in the order of these calls for one kind. What is applied meanwhile is seen by it.
    pub fn run_paced<T: Send + 'static>(
        &self,
        pace: Pace,
        job: impl FnOnce(&mut Partitions) -> T + Send + 'static,
        done: impl FnOnce(T) + 'static,
    ) {
        let paced = self.paced(pace);
        if paced.running.get() < pace.at_once() {
            self.begin(pace, job, done);
        } else if self.0.worker.is_open() {
            paced.waiting.borrow_mut().push_back(Box::new(move |storage| storage.begin(pace, job, done)));
        }
    }

    fn begin<T: Send + 'static>(
        &self,
        pace: Pace,
        job: impl FnOnce(&mut Partitions) -> T + Send + 'static,
        done: impl FnOnce(T) + 'static,
    ) {
        let paced = self.paced(pace);
        paced.running.set(paced.running.get() + 1);
        let inner = Rc::downgrade(&self.0);
        self.run(job, move |result| {
            if let Some(inner) = inner.upgrade() {
                let storage = Storage(inner);
                let paced = storage.paced(pace);
                paced.running.set(paced.running.get() - 1);
                let next = paced.waiting.borrow_mut().pop_front();
                if let Some(next) = next {
                    next(&storage);
                }
            }
            done(result);
        });
    }

    /// As [`Storage::call`], when it is this job's turn.
    pub async fn call_paced<T: Send + 'static>(
        &self,
        pace: Pace,
        job: impl FnOnce(&mut Partitions) -> T + Send + 'static,
    ) -> Option<T> {
        let (tx, rx) = oneshot::channel::<T>();
        self.run_paced(pace, job, move |result| {
            let _ = tx.send(result);
        });
        rx.await.ok()
    }
}

#[cfg(test)]
mod tests {
    //! At a failover every namespace with consumers is loaded and scanned: applies, and so all writes, must not wait for all of them. Nor must
    //! consumers that say what they hold: they are late then.

    use std::sync::{Arc, Mutex, mpsc};

    use super::*;
    use crate::runtime::testing::run;

    #[test]
    fn an_apply_and_a_claim_stand_behind_few_scans_however_many_wait() {
        run(async {
            let storage = Storage::start("pace-test").expect("started");
            let done: Arc<Mutex<Vec<&str>>> = Arc::default();
            let (go, gate) = mpsc::channel::<()>();
            storage.run(move |_| gate.recv().is_ok(), |_| {});
            let note = |what: &'static str| {
                let done = Arc::clone(&done);
                move |_: &mut Partitions| done.lock().expect("whole").push(what)
            };
            for _ in 0..1_000 {
                storage.run_paced(Pace::Scan, note("scan"), |()| {});
                storage.run_paced(Pace::Read, note("read"), |()| {});
            }
            storage.run(note("apply"), |()| {});
            storage.run_paced(Pace::Claim, note("claim"), |()| {});
            let last = storage.call_paced(Pace::Scan, note("last"));
            go.send(()).expect("the thread waits");
            last.await.expect("all scans are done");
            let done = done.lock().expect("whole").clone();
            let apply = done.iter().position(|what| *what == "apply").expect("applied");
            assert!(apply <= 4 + 32, "the apply was the {apply}th job");
            let claim = done.iter().position(|what| *what == "claim").expect("looked up");
            assert!(claim <= 4 + 32 + 1, "the claim was the {claim}th job");
            assert_eq!(done.iter().filter(|what| **what == "scan").count(), 1_000);
            storage.stop().await;
            assert_eq!(storage.call_paced(Pace::Read, |_| ()).await, None, "after a stop nothing runs");
        });
    }
}
