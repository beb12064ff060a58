//! Producers that send a frame per message, as clients written in Go do, and as fast as their socket takes them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::pending;

use tonic::Status;
use z4_proto::{CreateTaskRequest, TaskStreamResponse};

use super::{CALL_MAX, Load, Target};
use crate::harness::frames::{Answers, Failure, Raw, Sending, is_too_much};

/// Creates whose answer is waited for, in the order of the requests.
type InFlight = RefCell<VecDeque<(u64, u64, CreateTaskRequest)>>;

impl Load {
    /// One connection after the other, each to another peer.
    pub(super) async fn create_in_small_frames(&self) {
        self.streams.set(self.streams.get() + 1);
        while self.wild.get() {
            let target = self.target();
            let in_flight = InFlight::default();
            let status = match self.burst(&target, &in_flight).await {
                Ok(()) => Status::unavailable("the stream has ended"),
                Err(failure) => {
                    assert!(!is_too_much(&failure), "{} ends the connection of a client with small frames", target.id);
                    Status::unavailable(failure.to_string())
                }
            };
            for (call, number, request) in in_flight.into_inner() {
                self.answered(&target.id, call, (number, &request), Err(status.clone()));
            }
            self.pause(500).await;
        }
        self.streams.set(self.streams.get() - 1);
    }

    async fn burst(&self, target: &Target, in_flight: &InFlight) -> Result<(), Failure> {
        let raw = in_time(Raw::connect(&target.address)).await?;
        let (sending, answers) = in_time(raw.call("CreateTaskStream")).await?;
        // Who cannot send hears why, sooner or later.
        let sent = async {
            self.send_all(target, sending, in_flight).await?;
            pending().await
        };
        tokio::select! {
            heard = self.hear_all(target, answers, in_flight) => heard,
            failed = sent => failed,
        }
    }

    async fn send_all(&self, target: &Target, mut sending: Sending, in_flight: &InFlight) -> Result<(), Failure> {
        for _ in 0..50 + self.chance(250) {
            let (number, request) = self.task_of_size(0);
            let call = self.asks(&target.id, number, &request);
            in_flight.borrow_mut().push_back((call, number, request.clone()));
            sending.send(&request).await?;
        }
        sending.end()
    }

    async fn hear_all(&self, target: &Target, mut answers: Answers, in_flight: &InFlight) -> Result<(), Failure> {
        while let Some(answer) = in_time(answers.next::<TaskStreamResponse>()).await? {
            let (call, number, request) = in_flight.borrow_mut().pop_front().expect("an answer belongs to a request");
            let result = match answer.status {
                0 => Ok((answer.task.expect("a task"), answer.duplicate)),
                code => Err(Status::new((code as i32).into(), answer.message)),
            };
            self.answered(&target.id, call, (number, &request), result);
        }
        Ok(())
    }
}

/// What comes in time, or what went wrong.
async fn in_time<T>(coming: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(CALL_MAX, coming).await.unwrap_or_else(|_| Err("nothing came in time".into()))
}
