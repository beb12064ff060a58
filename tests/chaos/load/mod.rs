//! The load: producers, consumers and people who change their minds, each talking to one peer after the other, and everything that
//! they ask and hear is recorded.
//!
//! None of them gives up: a call that fails is recorded as that, and the next one goes to another peer.

mod consume;
mod create;
mod early;
mod edit;
mod frames;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tonic::{Response, Status};
use z4_proto::{CreateTaskRequest, NamespaceSettings, Task};

use crate::harness::wait::until;
use crate::harness::{Client, due_at, now_ms};
use crate::history::{Recorder, What};

/// Namespaces that are consumed; they spread over slots and groups.
pub const CONSUMED: [&str; 4] = ["chaos-a", "chaos-b", "chaos-c", "chaos-d"];

/// Each of these has a consumer of its own while a peer boots.
pub const EARLY: [&str; 3] = ["chaos-early-a", "chaos-early-b", "chaos-early-c"];

/// Tasks of this one are due in an hour, and stay.
pub const KEPT: &str = "chaos-kept";

/// A peer that has not answered by then is taken for gone.
const CALL_MAX: Duration = Duration::from_secs(8);

/// How far in the future a task may be due, milliseconds.
const DUE_MS: u64 = 2_000;

/// Tasks that were heard of lately, for those who change their minds.
const KNOWN_MAX: usize = 200;

/// A peer that takes requests.
#[derive(Clone)]
pub struct Target {
    pub id: String,
    /// `HOST:PORT`, for those who make connections of their own.
    pub address: String,
    pub client: Client,
}

/// What the load has in common.
pub struct Load {
    pub recorder: RefCell<Recorder>,
    targets: RefCell<Vec<Target>>,
    rng: RefCell<StdRng>,
    numbers: Cell<u64>,
    calls: Cell<u64>,
    /// Creates with a request id that were not answered with OK.
    again: RefCell<Vec<(u64, CreateTaskRequest)>>,
    known: RefCell<VecDeque<(String, String)>>,
    /// Streams of creates that go on.
    streams: Cell<usize>,
    /// New tasks are created, tasks are changed, consumers are careless.
    pub wild: Cell<bool>,
    /// Consumers go on.
    pub consuming: Cell<bool>,
}

impl Load {
    /// A load that has not begun.
    pub fn new(rng: &mut impl Rng, recorder: Recorder) -> Self {
        Load {
            recorder: RefCell::new(recorder),
            targets: RefCell::default(),
            rng: RefCell::new(StdRng::seed_from_u64(rng.random())),
            numbers: Cell::default(),
            calls: Cell::default(),
            again: RefCell::default(),
            known: RefCell::default(),
            streams: Cell::default(),
            wild: Cell::new(true),
            consuming: Cell::new(true),
        }
    }

    /// Who is asked from now on.
    pub fn set_targets(&self, targets: Vec<Target>) {
        *self.targets.borrow_mut() = targets;
    }

    /// Leases are short, and failed attempts come back soon and without end: a run has no time to wait.
    pub async fn configure(&self) {
        let settings = NamespaceSettings {
            lease_ms: Some(1_500),
            max_attempts: Some(10_000),
            backoff_first_ms: Some(100),
            backoff_factor: Some(1.0),
            ..NamespaceSettings::default()
        };
        for namespace in CONSUMED {
            let client = self.target().client;
            until("the settings are taken", async || client.configure(namespace, settings).await.ok()).await;
        }
    }

    /// Everything at once, until `wild` and then `consuming` are no more.
    pub async fn run(&self) {
        let creating = async {
            let streams =
                async { tokio::join!(self.create_on_streams(), self.create_on_streams(), self.create_in_small_frames()) };
            tokio::join!(self.create_one_by_one(), self.create_one_by_one(), streams);
        };
        let consuming = async {
            tokio::join!(self.consume_streams(), self.consume_streams(), self.consume_streams(), self.lease_and_ack());
        };
        tokio::join!(creating, self.change_minds(), consuming);
    }

    /// Creates that were never answered with OK and are asked for again.
    pub fn unanswered(&self) -> usize {
        self.again.borrow().len()
    }

    fn record(&self, peer: &str, what: What) {
        self.recorder.borrow_mut().record(peer, what);
    }

    fn target(&self) -> Target {
        let targets = self.targets.borrow();
        let n = self.rng.borrow_mut().random_range(0..targets.len());
        targets[n].clone()
    }

    fn call(&self) -> u64 {
        self.calls.set(self.calls.get() + 1);
        self.calls.get()
    }

    /// A number below `below`.
    fn chance(&self, below: u64) -> u64 {
        self.rng.borrow_mut().random_range(0..below)
    }

    /// A while, up to so many milliseconds.
    async fn pause(&self, ms_max: u64) {
        let ms = self.chance(ms_max + 1);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn knows(&self, task: &Task) {
        let mut known = self.known.borrow_mut();
        known.push_back((task.namespace.clone(), task.id.clone()));
        if known.len() > KNOWN_MAX {
            known.pop_front();
        }
    }

    /// A new task, or one whose create has not succeeded.
    fn next(&self) -> (u64, CreateTaskRequest) {
        let again = self.again.borrow_mut().pop();
        again.unwrap_or_else(|| self.new_task())
    }

    fn new_task(&self) -> (u64, CreateTaskRequest) {
        // Some are large, so that the log is purged every few seconds.
        let padding = if self.chance(3) == 0 { self.chance(60_000) } else { 0 };
        self.task_of_size(padding as usize)
    }

    fn task_of_size(&self, padding: usize) -> (u64, CreateTaskRequest) {
        let (namespace, due_ms) = match self.chance(20) {
            0 => (KEPT, now_ms() + 3_600_000),
            kind => {
                let namespace = CONSUMED[self.chance(CONSUMED.len() as u64) as usize];
                let due_ms = match kind {
                    1..8 => 0,
                    8..10 => now_ms() - self.chance(DUE_MS),
                    _ => now_ms() + self.chance(DUE_MS),
                };
                (namespace, due_ms)
            }
        };
        let number = self.number();
        let payload = format!("{number}:{}", "-".repeat(padding));
        let request_id = if self.chance(3) == 0 { String::new() } else { format!("request-{number}") };
        let request = match due_ms {
            0 => crate::harness::create(namespace, &payload),
            due_ms => due_at(namespace, &payload, due_ms),
        };
        (number, CreateTaskRequest { request_id, ..request })
    }

    fn number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }
}

/// The number of a task, from its payload.
pub fn number_of(task: &Task) -> u64 {
    let number =
        task.payload.split(|byte| *byte == b':').next().and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    number.unwrap_or(u64::MAX)
}

/// An answer in time, or what went wrong.
async fn in_time<T>(calling: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    match tokio::time::timeout(CALL_MAX, calling).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(Status::deadline_exceeded("no answer in time")),
    }
}
