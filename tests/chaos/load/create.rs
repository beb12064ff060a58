//! Producers: one call after the other, or many on a stream; with a request id and without; sometimes twice, at two peers.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use z4_proto::{CreateTaskRequest, Task};

use super::{CALL_MAX, Load, Target, in_time};
use crate::harness::due_ms;
use crate::history::What;

/// Requests of a stream that wait for their answer.
const STREAM_IN_FLIGHT: usize = 16;

impl Load {
    /// One call after the other, each to another peer.
    pub(super) async fn create_one_by_one(&self) {
        while self.wild.get() || self.unanswered() > 0 || self.streams.get() > 0 {
            if !self.wild.get() && self.unanswered() == 0 {
                // A stream may still bring some back.
                self.pause(30).await;
                continue;
            }
            let (number, request) = self.next();
            if !request.request_id.is_empty() && self.chance(10) == 0 {
                tokio::join!(self.create(self.target(), number, &request), self.create(self.target(), number, &request));
            } else {
                self.create(self.target(), number, &request).await;
            }
            if self.wild.get() {
                self.pause(30).await;
            }
        }
    }

    async fn create(&self, target: Target, number: u64, request: &CreateTaskRequest) {
        let call = self.asks(&target.id, number, request);
        let answer = in_time(target.client.tasks.clone().create_task(request.clone())).await;
        let answer = answer.map(|answer| (answer.task.expect("a task"), answer.duplicate));
        self.answered(&target.id, call, (number, request), answer);
    }

    pub(super) fn asks(&self, peer: &str, number: u64, request: &CreateTaskRequest) -> u64 {
        let call = self.call();
        let due_ms = request.deliver_at.map_or(0, |at| due_ms(&Task { deliver_at: Some(at), ..Task::default() }));
        let (namespace, request_id) = (request.namespace.clone(), request.request_id.clone());
        self.record(peer, What::Create { call, number, namespace, request_id, due_ms });
        call
    }

    pub(super) fn answered(
        &self,
        peer: &str,
        call: u64,
        (number, request): (u64, &CreateTaskRequest),
        answer: Result<(Task, bool), Status>,
    ) {
        match answer {
            Ok((task, duplicate)) => {
                self.record(peer, What::Created { call, id: task.id.clone(), duplicate });
                if request.namespace != super::KEPT {
                    self.knows(&task);
                }
            }
            Err(status) => {
                self.record(peer, What::Failed { call, code: status.code() as i32 });
                if !request.request_id.is_empty() {
                    self.again.borrow_mut().push((number, request.clone()));
                }
            }
        }
    }

    /// One stream after the other, each at another peer.
    pub(super) async fn create_on_streams(&self) {
        self.streams.set(self.streams.get() + 1);
        while self.wild.get() {
            let target = self.target();
            let mut in_flight = VecDeque::new();
            let status = self.create_on_stream(&target, &mut in_flight).await;
            for (call, number, request) in in_flight {
                self.answered(&target.id, call, (number, &request), Err(status.clone()));
            }
            self.pause(100).await;
        }
        self.streams.set(self.streams.get() - 1);
    }

    /// Until the stream breaks, or has had enough requests; says why what is still in flight has no answer.
    async fn create_on_stream(&self, target: &Target, in_flight: &mut VecDeque<(u64, u64, CreateTaskRequest)>) -> Status {
        let (requests, outgoing) = mpsc::channel(STREAM_IN_FLIGHT);
        let mut tasks = target.client.tasks.clone();
        let mut answers = match in_time(tasks.create_task_stream(ReceiverStream::new(outgoing))).await {
            Ok(answers) => answers,
            Err(status) => return status,
        };
        let mut left = 50 + self.chance(100);
        loop {
            while left > 0 && self.wild.get() && in_flight.len() < STREAM_IN_FLIGHT {
                left -= 1;
                let (number, request) = self.next();
                let call = self.asks(&target.id, number, &request);
                in_flight.push_back((call, number, request.clone()));
                if requests.send(request).await.is_err() {
                    return Status::unavailable("the stream is closed");
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            if in_flight.is_empty() {
                return Status::ok("nothing is in flight");
            }
            let answer = match tokio::time::timeout(CALL_MAX, answers.message()).await {
                Ok(Ok(Some(answer))) => answer,
                Ok(Ok(None)) => return Status::unavailable("the stream ended"),
                Ok(Err(status)) => return status,
                Err(_) => return Status::deadline_exceeded("no answer in time"),
            };
            // Answers come in the order of the requests.
            let (call, number, request) = in_flight.pop_front().expect("an answer belongs to a request");
            let result = match answer.status {
                0 => Ok((answer.task.expect("a task"), answer.duplicate)),
                code => Err(Status::new((code as i32).into(), answer.message)),
            };
            self.answered(&target.id, call, (number, &request), result);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
