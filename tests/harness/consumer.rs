//! A consumer on a stream, as a user would write one.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use z4_proto::{ConsumeOpen, ConsumeRequest, ConsumeResponse, Delivery, SettleResult};

use super::client::Client;
use super::requests::ack_of;
use super::wait::within;

/// An open Consume stream. Dropping it is what a consumer that dies looks like to the peer.
pub struct ConsumeStream {
    requests: mpsc::Sender<ConsumeRequest>,
    answers: Streaming<ConsumeResponse>,
    deliveries: VecDeque<Delivery>,
    results: VecDeque<SettleResult>,
}

impl ConsumeStream {
    /// Opens a stream with some credit.
    pub async fn open(client: &Client, namespaces: &[&str], credit: u32) -> Self {
        let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let open = ConsumeOpen { namespaces, lease_ms: 0, held: Vec::new() };
        Self::open_with(client, ConsumeRequest { open: Some(open), credit, ..ConsumeRequest::default() }).await.expect("a stream")
    }

    /// Opens a stream with a first message of one's own.
    pub async fn open_with(client: &Client, first: ConsumeRequest) -> Result<Self, Status> {
        let (requests, outgoing) = mpsc::channel(64);
        requests.send(first).await.expect("the channel is new");
        let mut tasks = client.tasks.clone();
        let answers = within("Consume opens", tasks.consume(ReceiverStream::new(outgoing))).await?.into_inner();
        Ok(ConsumeStream { requests, answers, deliveries: VecDeque::new(), results: VecDeque::new() })
    }

    /// Sends a request; a stream that has ended says so with its answers.
    pub async fn send(&self, request: ConsumeRequest) {
        let _ = self.requests.send(request).await;
    }

    /// The next delivery.
    pub async fn next(&mut self) -> Delivery {
        loop {
            if let Some(delivery) = self.deliveries.pop_front() {
                return delivery;
            }
            self.receive("the next delivery").await;
        }
    }

    /// What comes next, deliveries and answers together, however long that takes. May be dropped at any await.
    pub async fn next_batch(&mut self) -> (Vec<Delivery>, Vec<SettleResult>) {
        while self.deliveries.is_empty() && self.results.is_empty() {
            let answer = self.answers.message().await.expect("the stream goes on").expect("the stream goes on");
            self.take(answer);
        }
        (self.deliveries.drain(..).collect(), self.results.drain(..).collect())
    }

    /// Acknowledges a delivery and waits for the answer.
    pub async fn ack(&mut self, delivery: &Delivery) -> SettleResult {
        let acks = vec![ack_of(delivery)];
        self.settle(ConsumeRequest { acks, ..ConsumeRequest::default() }).await
    }

    /// Sends a request that settles one delivery, and waits for the answer.
    pub async fn settle(&mut self, request: ConsumeRequest) -> SettleResult {
        self.send(request).await;
        self.result().await
    }

    /// The next answer to an ack, nack or extension.
    pub async fn result(&mut self) -> SettleResult {
        loop {
            if let Some(result) = self.results.pop_front() {
                return result;
            }
            self.receive("the answer to an ack, nack or extension").await;
        }
    }

    /// Says that it has nothing more to say, and waits for the end; `None`: a clean one.
    pub async fn leave(self) -> Option<Status> {
        let ConsumeStream { requests, mut answers, .. } = self;
        drop(requests);
        let ending = async {
            loop {
                match answers.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(status) => return Some(status),
                }
            }
        };
        within("the peer ends the stream", ending).await
    }

    /// The status with which the peer ends the stream; `None`: it ended it cleanly.
    pub async fn end(mut self) -> Option<Status> {
        let ending = async {
            loop {
                match self.answers.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(status) => return Some(status),
                }
            }
        };
        within("the peer ends the stream", ending).await
    }

    async fn receive(&mut self, what: &str) {
        let answer = within(what, self.answers.message()).await.expect("the stream goes on");
        self.take(answer.expect("the stream goes on"));
    }

    fn take(&mut self, answer: ConsumeResponse) {
        self.deliveries.extend(answer.deliveries);
        self.results.extend(answer.results);
    }
}
