//! Consuming tasks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use z4_proto::ConsumeOpen;

use super::Client;
use super::attempt::{Attempts, Repeat};
use super::consuming::{CALL, Consuming, Shared};
use super::delivery::Delivery;
use super::error::Error;
use super::ledger::Ledger;

/// How often it is looked whether a claim has an answer.
const DOUBT_LOOK: Duration = Duration::from_millis(20);

/// Settings of a [`Consumer`]; made with [`Client::consumer`].
#[derive(Clone, Debug)]
pub struct ConsumerBuilder {
    client: Client,
    namespaces: Vec<String>,
    credit: u32,
    limit: u64,
    lease: Option<Duration>,
    lease_ms: u32,
}

impl ConsumerBuilder {
    /// How many deliveries it holds at most, those included that wait in [`Consumer::next`]: 100.
    pub fn credit(mut self, tasks: u32) -> Self {
        self.credit = tasks.max(1);
        self
    }

    /// How many deliveries it takes in all: no limit. Then [`Consumer::next`] waits for ever.
    pub fn limit(mut self, tasks: u64) -> Self {
        self.limit = tasks;
        self
    }

    /// How long a lease is, 100 ms to 12 h: 30 s. It is extended when half of it is over, as long as the delivery is held; so it says how
    /// soon another consumer gets the tasks of one that died.
    pub fn lease(mut self, lease: Duration) -> Self {
        let lease_ms = u32::try_from(lease.as_millis()).unwrap_or(u32::MAX);
        (self.lease, self.lease_ms) = (Some(lease), lease_ms);
        self
    }

    /// Leases are as long as this, milliseconds, 0: as the namespace's setting says, and are not extended. They begin anew when another stream
    /// claims them.
    pub fn fixed_lease_ms(mut self, lease_ms: u32) -> Self {
        (self.lease, self.lease_ms) = (None, lease_ms);
        self
    }

    /// The consumer, which begins at once.
    pub fn open(self) -> Consumer {
        let ledger = Ledger::new(self.credit, self.limit, self.lease);
        let open = ConsumeOpen { namespaces: self.namespaces, lease_ms: self.lease_ms, held: Vec::new() };
        let shared = Arc::<Shared>::default();
        let (deliveries, incoming) = mpsc::unbounded_channel();
        let (orders, ordered) = mpsc::unbounded_channel();
        let patience = self.client.options().timeout;
        let consuming = Consuming::new(self.client, open, ledger, shared.clone(), deliveries, orders.downgrade(), ordered);
        let task = tokio::spawn(consuming.run());
        Consumer { incoming, shared, ended: None, doubtful: VecDeque::new(), task, patience, _orders: orders }
    }
}

/// Tasks that are due, as they come.
///
/// When its stream ends it opens another one, to another peer if need be, and claims the deliveries that are held, and the latest of those
/// that were left: what no other consumer has got since stays its own, of the others [`Delivery::is_lost`] tells after a moment. Acks without an
/// answer are said again.
///
/// Dropped, it takes no more tasks; deliveries that are still held can be settled, and then its stream ends. A program that ends should wait
/// for that with [`Consumer::close`].
#[derive(Debug)]
pub struct Consumer {
    incoming: mpsc::UnboundedReceiver<Result<Delivery, Error>>,
    shared: Arc<Shared>,
    ended: Option<Error>,
    /// Deliveries of earlier streams whose claims have no answer yet.
    doubtful: VecDeque<Delivery>,
    task: JoinHandle<()>,
    /// How long it is waited for, the client's timeout.
    patience: Duration,
    /// Keeps the background task: it ends with the last one who may give orders.
    _orders: mpsc::UnboundedSender<super::delivery::Order>,
}

impl Client {
    /// A consumer of these namespaces, 1 to 1,000. They need not exist yet.
    pub fn consumer<N: Into<String>>(&self, namespaces: impl IntoIterator<Item = N>) -> ConsumerBuilder {
        let namespaces = namespaces.into_iter().map(Into::into).collect();
        let lease = Duration::from_secs(30);
        ConsumerBuilder { client: self.clone(), namespaces, credit: 100, limit: u64::MAX, lease: Some(lease), lease_ms: 30_000 }
    }
}

impl Consumer {
    /// The next delivery, however long it takes. Dropping the future loses nothing.
    ///
    /// # Errors
    /// The peers refuse the consumer: it has ended, and says so again whenever it is asked. Or there was no peer to consume from for as
    /// long as the client's timeout: it goes on trying, and may be asked again.
    pub async fn next(&mut self) -> Result<Delivery, Error> {
        loop {
            // Those of earlier streams are shown once it is known that they are still ours.
            if self.doubtful.front().is_some_and(|delivery| !delivery.is_doubtful())
                && let Some(delivery) = self.doubtful.pop_front()
            {
                match delivery.is_lost() {
                    true => delivery.discard(),
                    false => return Ok(delivery),
                }
                continue;
            }
            let next = match self.doubtful.is_empty() {
                true => self.incoming.recv().await,
                false => match timeout(DOUBT_LOOK, self.incoming.recv()).await {
                    Ok(next) => next,
                    Err(_) => continue,
                },
            };
            let Some(next) = next else { break };
            match next {
                Ok(delivery) if delivery.is_lost() => delivery.discard(),
                Ok(delivery) if delivery.stream != self.shared.stream.load(Ordering::Acquire) && delivery.is_doubtful() => {
                    self.doubtful.push_back(delivery);
                }
                Ok(delivery) => return Ok(delivery),
                Err(error) => {
                    self.ended = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Err(self.ended.clone().unwrap_or_else(|| Attempts::new(Repeat::Read).error(CALL)))
    }

    /// Ends its stream with good manners: what it was not shown, and what was left, goes back at once and counts no attempt. Returns when the
    /// peer has ended the stream, or there is none, at the latest after the client's timeout. Settle or leave what is held before: the stream
    /// stays as long as anything is.
    pub async fn close(mut self) {
        self.shared.closes.store(true, Ordering::Release);
        self.incoming.close();
        while let Ok(unseen) = self.incoming.try_recv() {
            let _ = unseen.map(Delivery::discard);
        }
        self.doubtful.drain(..).for_each(Delivery::discard);
        let Consumer { task, incoming, patience, _orders, .. } = self;
        drop((incoming, _orders));
        let _ = timeout(patience, task).await;
    }
}
