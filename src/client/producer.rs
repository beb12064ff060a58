//! Creating many tasks, with many in flight.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use z4_proto::{CreateTaskRequest, CreateTaskResponse};

use super::attempt::{Attempts, Repeat};
use super::error::Error;
use super::lane::{CALL, Item, Lane};
use super::peers::Address;
use super::tasks::give_request_id;
use super::{Client, slot};

/// Payloads are counted in units of so many bytes, so that the largest bound fits a semaphore.
const UNIT_BYTES: usize = 1 << 10;

/// Settings of a [`Producer`]; made with [`Client::producer_with`].
#[derive(Clone, Debug)]
pub struct ProducerBuilder {
    client: Client,
    in_flight: usize,
    in_flight_bytes: usize,
}

impl ProducerBuilder {
    /// How many tasks may be in flight: 1,024. [`Producer::send`] waits when there are so many.
    pub fn in_flight(mut self, tasks: usize) -> Self {
        self.in_flight = tasks.clamp(1, u32::MAX as usize);
        self
    }

    /// How much payload and metadata may be in flight, bytes: 16 MiB. A task that is larger goes alone.
    pub fn in_flight_bytes(mut self, bytes: usize) -> Self {
        self.in_flight_bytes = bytes.max(1);
        self
    }

    /// The producer. Its streams are opened when they are first needed.
    pub fn open(self) -> Producer {
        let units = self.in_flight_bytes.div_ceil(UNIT_BYTES).min(u32::MAX as usize >> 1);
        Producer {
            shared: Arc::new(Shared {
                tasks: Arc::new(Semaphore::new(self.in_flight)),
                bytes: Arc::new(Semaphore::new(units)),
                units,
                lanes: Mutex::default(),
                client: self.client,
            }),
        }
    }
}

/// Creates tasks over streams, without waiting for one answer before the next request.
///
/// Tasks go to the leaders of their namespaces, one stream to each. What goes over one stream is taken in the order of [`Producer::send`].
/// When a stream breaks, everything unanswered is sent again, in its order and with the same request ids, to the same peer or another.
/// A single task that was refused for the moment is sent again after the ones that were not.
///
/// Clones share the streams and the bounds. What was sent goes on after the last clone was dropped.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    tasks: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// All of `bytes`.
    units: usize,
    /// By the leader that they are meant for; `None`: whoever answers.
    lanes: Mutex<HashMap<Option<Address>, mpsc::UnboundedSender<Item>>>,
}

/// A place among what is in flight; given back when the answer is there.
pub(super) type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Client {
    /// A producer with the usual bounds.
    pub fn producer(&self) -> Producer {
        self.producer_with().open()
    }

    /// A producer with other bounds.
    pub fn producer_with(&self) -> ProducerBuilder {
        ProducerBuilder { client: self.clone(), in_flight: 1_024, in_flight_bytes: 16 << 20 }
    }
}

impl Producer {
    /// Sends a task as soon as there is room for it, and returns the future of its creation, which need not be polled for the task to
    /// be created. A request without a `request_id` gets a random one. Dropped before it is done, it has sent nothing.
    pub async fn send(&self, mut request: CreateTaskRequest) -> Creation {
        let own_id = give_request_id(&mut request);
        let shared = &self.shared;
        let metadata: usize = request.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        let units = (request.payload.len() + metadata).div_ceil(UNIT_BYTES).clamp(1, shared.units);
        let (answer, created) = oneshot::channel();
        let creation = Creation { created };
        let Ok(task) = shared.tasks.clone().acquire_owned().await else { return creation };
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let Ok(bytes) = shared.bytes.clone().acquire_many_owned(units).await else { return creation };
        let slot = slot(&request.namespace);
        let since = Instant::now();
        let until = since + shared.client.options().timeout;
        let (room, attempts) = ((task, bytes), Attempts::new(Repeat::Safe));
        let item = Item { request, own_id, slot, answer, room, attempts, since, until };
        shared.dispatch(item);
        creation
    }
}

impl Shared {
    /// Gives an item to the lane of its leader.
    fn dispatch(&self, item: Item) {
        let leader = self.client.leader(item.slot);
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(leader.clone()).or_insert_with(|| {
            let (sender, items) = mpsc::unbounded_channel();
            tokio::spawn(Lane::new(self.client.clone(), leader, items).run());
            sender
        });
        // A lane ends only after its sender; a runtime that is going down drops the item, which its creation tells.
        let _ = lane.send(item);
    }
}

/// The creation of one task: becomes the answer to its request.
#[must_use = "the task may be refused"]
pub struct Creation {
    created: oneshot::Receiver<Result<CreateTaskResponse, Error>>,
}

impl Future for Creation {
    type Output = Result<CreateTaskResponse, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let abandoned = |_| Err(Attempts::new(Repeat::Safe).error(CALL));
        Pin::new(&mut self.created).poll(cx).map(|answered| answered.unwrap_or_else(abandoned))
    }
}
