//! The producers and consumers of the kill test. Each of them runs until the peer is gone.

use std::cell::RefCell;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use z4_proto::{ConsumeOpen, ConsumeRequest, CreateTaskRequest, CreateTasksRequest, Delivery, Task};

use super::super::history::History;
use crate::harness::{Client, ack_of, create, due_at, nack_of, now_ms, payload_number};

/// They spread over slots and groups.
pub const NAMESPACES: [&str; 6] = ["kill-a", "kill-b", "kill-c", "kill-d", "kill-e", "kill-f"];

const UNARY_IN_FLIGHT: usize = 8;
const STREAM_IN_FLIGHT: usize = 32;
const BATCH_TASKS: usize = 20;
const CREDIT: u32 = 200;
/// How far in the future a task may be due, milliseconds.
const DUE_MS: u64 = 3_000;

/// Everything that outlives one process of the peer.
pub struct Load {
    pub history: RefCell<History>,
    /// Creates that were sent and got no answer.
    unanswered: RefCell<Vec<CreateTaskRequest>>,
    rng: RefCell<StdRng>,
}

impl Load {
    pub fn new(rng: &mut impl Rng) -> Self {
        let rng = RefCell::new(StdRng::seed_from_u64(rng.random()));
        Load { history: RefCell::default(), unanswered: RefCell::default(), rng }
    }

    /// Creates tasks in three ways at once, until the peer is gone.
    pub async fn produce(&self, client: &Client) {
        tokio::join!(self.produce_unary(client), self.produce_stream(client), self.produce_batches(client));
    }

    /// Sends what was never answered; all of it must be taken.
    pub async fn produce_rest(&self, client: &Client) {
        let rest = self.unanswered.take();
        println!("{} creates were never answered and are sent again", rest.len());
        for batch in rest.chunks(BATCH_TASKS) {
            self.batch(client, batch.to_vec()).await.expect("the peer is up");
        }
    }

    /// A create that was not answered, or else a new one.
    fn next(&self) -> CreateTaskRequest {
        if let Some(request) = self.unanswered.borrow_mut().pop() {
            return request;
        }
        let mut rng = self.rng.borrow_mut();
        let due = match rng.random_range(0..10) {
            0..4 => 0,
            4..6 => now_ms() - rng.random_range(0..DUE_MS),
            _ => now_ms() + rng.random_range(0..DUE_MS),
        };
        let number = self.history.borrow_mut().intend(due).to_string();
        let namespace = NAMESPACES[rng.random_range(0..NAMESPACES.len())];
        let request = if due == 0 { create(namespace, &number) } else { due_at(namespace, &number, due) };
        CreateTaskRequest { request_id: number, echo: true, ..request }
    }

    fn acknowledged(&self, request: &CreateTaskRequest, task: &Task) {
        let number = request.request_id.parse().expect("the request id is the number");
        if payload_number(task) != Some(number) || task.namespace != request.namespace {
            panic!("the answer to request {number} is about another task: {task:?}");
        }
        self.history.borrow_mut().acknowledged(number, task);
    }

    /// The request will be sent again: whether it was done is unknown.
    fn unanswered(&self, requests: impl IntoIterator<Item = CreateTaskRequest>) {
        self.unanswered.borrow_mut().extend(requests);
    }

    async fn produce_unary(&self, client: &Client) {
        let one = |request: CreateTaskRequest| async {
            let answer = client.tasks.clone().create_task(request.clone()).await;
            (request, answer)
        };
        let mut in_flight = FuturesUnordered::new();
        let mut up = true;
        while up || !in_flight.is_empty() {
            while up && in_flight.len() < UNARY_IN_FLIGHT {
                in_flight.push(one(self.next()));
            }
            let Some((request, answer)) = in_flight.next().await else { break };
            match answer {
                Ok(answer) => self.acknowledged(&request, &answer.into_inner().task.expect("a task")),
                Err(status) => {
                    self.unanswered([request]);
                    up &= !is_gone(&status);
                }
            }
        }
    }

    /// Answers come in the order of the requests, so the oldest request in flight is the one that an answer belongs to.
    async fn produce_stream(&self, client: &Client) {
        let (requests, outgoing) = mpsc::channel(STREAM_IN_FLIGHT);
        let mut in_flight = std::collections::VecDeque::new();
        let Ok(answers) = client.tasks.clone().create_task_stream(ReceiverStream::new(outgoing)).await else { return };
        let mut answers = answers.into_inner();
        loop {
            while in_flight.len() < STREAM_IN_FLIGHT {
                let request = self.next();
                in_flight.push_back(request.clone());
                if requests.send(request).await.is_err() {
                    return self.unanswered(in_flight);
                }
            }
            let Ok(Some(answer)) = answers.message().await else { return self.unanswered(in_flight) };
            let request = in_flight.pop_front().expect("an answer belongs to a request");
            match answer.status {
                0 => self.acknowledged(&request, &answer.task.expect("a task")),
                _ => self.unanswered([request]),
            }
        }
    }

    async fn produce_batches(&self, client: &Client) {
        loop {
            let batch = (0..BATCH_TASKS).map(|_| self.next()).collect();
            if self.batch(client, batch).await.is_err_and(|status| is_gone(&status)) {
                return;
            }
        }
    }

    async fn batch(&self, client: &Client, batch: Vec<CreateTaskRequest>) -> Result<(), Status> {
        match client.tasks.clone().create_tasks(CreateTasksRequest { tasks: batch.clone() }).await {
            Ok(answer) => {
                let results = answer.into_inner().results;
                assert_eq!(results.len(), batch.len(), "a batch has one result for each request");
                for (request, result) in batch.into_iter().zip(results) {
                    match result.status {
                        0 => self.acknowledged(&request, &result.task.expect("a task")),
                        _ => self.unanswered([request]),
                    }
                }
                Ok(())
            }
            Err(status) => {
                self.unanswered(batch);
                Err(status)
            }
        }
    }

    /// Takes tasks and acknowledges them, one in twenty only the second time, until the peer is gone.
    pub async fn consume(&self, client: &Client) {
        let (requests, outgoing) = mpsc::channel(64);
        let open = ConsumeOpen { namespaces: NAMESPACES.map(str::to_owned).to_vec(), lease_ms: 0, held: Vec::new() };
        let first = ConsumeRequest { open: Some(open), credit: CREDIT, ..ConsumeRequest::default() };
        requests.send(first).await.expect("the channel is new");
        let Ok(answers) = client.tasks.clone().consume(ReceiverStream::new(outgoing)).await else { return };
        let mut answers = answers.into_inner();
        let mut taken = std::collections::HashMap::new();
        while let Ok(Some(answer)) = answers.message().await {
            for result in answer.results {
                // A nack's answer has status 0 as well, but it was never put into the map.
                if let Some(number) = taken.remove(&(result.task_id, result.token))
                    && result.status == 0
                {
                    self.history.borrow_mut().settled(number);
                }
            }
            let request = self.settle(&answer.deliveries, &mut taken);
            if !answer.deliveries.is_empty() && requests.send(request).await.is_err() {
                return;
            }
        }
    }

    fn settle(&self, deliveries: &[Delivery], taken: &mut std::collections::HashMap<(String, u64), u64>) -> ConsumeRequest {
        let at_ms = now_ms();
        let mut request = ConsumeRequest { credit: deliveries.len() as u32, ..ConsumeRequest::default() };
        for delivery in deliveries {
            self.history.borrow_mut().delivered(delivery, at_ms);
            if self.rng.borrow_mut().random_ratio(1, 20) {
                request.nacks.push(nack_of(delivery, Some(100), "once more"));
                continue;
            }
            let task = delivery.task.as_ref().expect("a task");
            taken.insert((task.id.clone(), delivery.token), payload_number(task).unwrap_or(u64::MAX));
            request.acks.push(ack_of(delivery));
        }
        request
    }
}

/// A full queue is worth another try; anything else that fails under a kill is the kill.
fn is_gone(status: &Status) -> bool {
    status.code() != tonic::Code::ResourceExhausted
}
