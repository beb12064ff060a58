//! Consumers that do not wait until a peer is up.

use std::time::Duration;

use z4_proto::CreateTaskRequest;

use super::{Load, Target};
use crate::harness::create;

/// Between two attempts to reach a peer that is not there.
const AGAIN: Duration = Duration::from_millis(5);

impl Load {
    /// Subscribes at a peer again and again, whether anybody is there or not, until a task has come; how many streams it took.
    pub async fn consume_early(&self, target: &Target, namespace: &str) -> usize {
        let mut streams = 0;
        loop {
            if let Ok(stream) = self.open_stream(target, &[namespace]).await {
                streams += 1;
                if stream.be_careful().await {
                    return streams;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// One of the producers creates a task there, as soon as it can.
    pub fn will_create(&self, namespace: &str) {
        let number = self.number();
        let request_id = format!("request-{number}");
        let request = CreateTaskRequest { request_id, ..create(namespace, &format!("{number}:")) };
        self.again.borrow_mut().push((number, request));
    }
}
