//! A consumer: takes what is due, "sends the reminder", and acknowledges a little later, several at a time. When the peer goes away it
//! comes back as soon as there is one; what it had not acknowledged is delivered again then.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;
use z4_proto::collection_client::CollectionClient;
use z4_proto::{Ack, ConsumeOpen, ConsumeRequest, ConsumeResponse};

use super::ledger::Ledger;
use crate::error::{Error, Result};
use crate::wire;

/// The most tasks that a consumer holds.
const CREDIT: u32 = 500;
/// How long a delivery may wait for its ack.
const ACK_EVERY: Duration = Duration::from_millis(50);
/// How long a consumer waits before it connects again.
const RECONNECT_AFTER: Duration = Duration::from_millis(20);

/// Consumes for ever, from whichever address is the peer's.
pub async fn consume(address: watch::Receiver<String>, namespaces: Vec<String>, ledger: Ledger) {
    loop {
        let peer = address.borrow().clone();
        // The peer is being killed and restarted: an error here is part of the story, and the final check sees what it cost.
        let _ = stream(&peer, &namespaces, &ledger).await;
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

async fn stream(address: &str, namespaces: &[String], ledger: &Ledger) -> Result<()> {
    let channels = wire::connect(address, 1).await?;
    let mut client = CollectionClient::new(channels[0].clone());
    let (requests, receiver) = mpsc::unbounded_channel();
    let open = ConsumeOpen { namespaces: namespaces.to_vec(), lease_ms: 0, held: Vec::new() };
    let mut consumer = Consumer { requests, acks: Vec::new(), ledger };
    consumer.send(ConsumeRequest { open: Some(open), credit: CREDIT, ..ConsumeRequest::default() });
    let failed = Error::call("Consume");
    let mut responses = match client.consume(UnboundedReceiverStream::new(receiver)).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(failed(status)),
    };
    let mut ticks = tokio::time::interval(ACK_EVERY);
    loop {
        tokio::select! {
            _ = ticks.tick() => consumer.acknowledge(),
            response = responses.message() => match response.map_err(Error::call("Consume"))? {
                Some(response) => consumer.take(response),
                None => return Ok(()),
            },
        }
    }
}

struct Consumer<'a> {
    requests: mpsc::UnboundedSender<ConsumeRequest>,
    acks: Vec<Ack>,
    ledger: &'a Ledger,
}

impl Consumer<'_> {
    fn take(&mut self, response: ConsumeResponse) {
        for delivery in response.deliveries {
            self.ledger.delivered(&delivery);
            let token = delivery.token;
            let task = delivery.task.unwrap_or_default();
            self.acks.push(Ack { namespace: task.namespace, task_id: task.id, token });
        }
        let accepted = response.results.iter().filter(|result| result.status == 0).count();
        self.ledger.acknowledged(accepted as u64);
    }

    fn acknowledge(&mut self) {
        if !self.acks.is_empty() {
            let acks = std::mem::take(&mut self.acks);
            self.send(ConsumeRequest { credit: acks.len() as u32, acks, ..ConsumeRequest::default() });
        }
    }

    /// A closed channel means that the stream has ended, which its receiver sees.
    fn send(&self, request: ConsumeRequest) {
        let _ = self.requests.send(request);
    }
}
