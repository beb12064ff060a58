//! The client: tasks, namespaces and the cluster from a program of one's own.
//!
//! ```no_run
//! use std::time::Duration;
//! use z4::client::{Client, proto::CreateTaskRequest};
//!
//! # async fn example() -> Result<(), z4::client::Error> {
//! // Some of the peers; the client learns the others from them.
//! let client = Client::connect(["peer1:6355", "peer2:6355"])?;
//!
//! // One task, due in five seconds. When this returns, it is on the disks of a quorum.
//! let reminder = |text: &'static str| CreateTaskRequest {
//!     namespace: "reminders".into(),
//!     payload: text.into(),
//!     tts_seconds: 5,
//!     ..Default::default()
//! };
//! let created = client.create(reminder("stretch your legs")).await?;
//! println!("created {}", created.task.unwrap_or_default().id);
//!
//! // Many tasks, many of them in flight at a time.
//! let producer = client.producer();
//! let first = producer.send(reminder("drink some water")).await;
//! let second = producer.send(reminder("look out of the window")).await;
//! first.await?;
//! second.await?;
//!
//! // What is due. The lease of a delivery is extended for as long as it is held.
//! let mut consumer = client.consumer(["reminders"]).credit(100).lease(Duration::from_secs(30)).open();
//! loop {
//!     let delivery = consumer.next().await?;
//!     println!("{}", String::from_utf8_lossy(&delivery.task().payload));
//!     delivery.ack().await?;
//! }
//! # }
//! ```
//!
//! **Which peer is asked.** Any peer takes any request and forwards it to the leader of its group. A client begins with the first of its
//! addresses, learns the others, and sends what belongs to a namespace to its leader once an answer told who that is. A peer that cannot
//! be reached, or that cannot serve now, is left alone for a while, and another one is asked.
//!
//! **What is sent again.** Reads, acks and nacks, settings of namespaces; creates, because each carries a request id (a random one unless
//! the caller chose it), so that the peers know the second one as a duplicate for as long as the namespace's idempotency window, which is
//! asked before: with a window of 0, or a short one, a create that may have been done is not sent again (a group that
//! gets hundreds of thousands of other request ids between two attempts has forgotten the first one all the same); updates and deletes that name
//! the version they expect. Everything else only when it is sure that nothing was done: there was no connection, or the peer said so (the
//! trailer `z4-done`). An error tells which of the two it is: [`Error::may_be_done`].
//!
//! **What runs in the background.** Producers and consumers have tasks of their own, and peers are asked for addresses now and then: a
//! client lives inside a tokio runtime with time and IO.

mod attempt;
mod call;
mod cluster;
mod consumer;
mod consuming;
mod delivery;
mod discovery;
mod error;
mod lane;
mod ledger;
mod namespaces;
mod options;
mod peers;
mod producer;
mod tasks;
mod window;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use z4_model::ids::Namespace;
/// The messages of `z4.proto`.
pub use z4_proto as proto;

pub use self::cluster::Adding;
pub use self::consumer::{Consumer, ConsumerBuilder};
pub use self::delivery::{Delivery, Settlement};
pub use self::error::{Error, ErrorKind, code_name};
pub use self::options::ClientBuilder;
use self::peers::{Address, Peers};
pub use self::producer::{Creation, Producer, ProducerBuilder};

/// HTTP/2 windows: a page of tasks, or what a consumer takes in at a time, fits without a pause.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// A client of a cluster. Clones share connections and everything that was learned.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    options: ClientBuilder,
    peers: Mutex<Peers>,
    discovery: discovery::Discovery,
    windows: window::Windows,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("addresses", &self.peers().addresses(Instant::now())).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for the peers at these addresses, `HOST:PORT` each, with the settings that [`Client::builder`] begins with.
    /// Connections are made when they are first needed.
    ///
    /// # Errors
    /// There is no address, or one of them is not `HOST:PORT`.
    pub fn connect<A: AsRef<str>>(addresses: impl IntoIterator<Item = A>) -> Result<Self, Error> {
        Self::builder().connect(addresses)
    }

    /// For other timeouts.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    fn new(options: ClientBuilder, addresses: Vec<Address>) -> Result<Self, Error> {
        for address in &addresses {
            endpoint(address)?;
        }
        let peers = Mutex::new(Peers::new(addresses));
        let shared = Shared { options, peers, discovery: discovery::Discovery::default(), windows: window::Windows::default() };
        Ok(Client { shared: Arc::new(shared) })
    }

    fn options(&self) -> &ClientBuilder {
        &self.shared.options
    }

    /// Nothing that is done under this lock waits.
    fn peers(&self) -> MutexGuard<'_, Peers> {
        self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to an address, which is made when it is first used.
    fn channel(&self, address: &str) -> Result<Channel, Error> {
        let endpoint = endpoint(address)?;
        let options = self.options();
        let make = || {
            endpoint
                .connect_timeout(options.connect_timeout)
                .http2_keep_alive_interval(options.keep_alive)
                .keep_alive_timeout(options.keep_alive_timeout)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .connect_lazy()
        };
        Ok(self.peers().channel(address, make))
    }

    /// Where requests for a slot go at best, if that is known.
    fn leader(&self, slot: Option<u16>) -> Option<Address> {
        if self.options().learn_addresses { self.peers().leader(slot) } else { None }
    }

    /// Notes what an answer told about the leader of a slot.
    fn follow(&self, slot: Option<u16>, forwarded_to: &str, answered: &Address) {
        let Some(slot) = slot.filter(|_| self.options().learn_addresses) else { return };
        let known = self.peers().follow(slot, forwarded_to, answered);
        if !known {
            self.discover();
        }
    }
}

/// Checks an address.
fn endpoint(address: &str) -> Result<Endpoint, Error> {
    if let Some((scheme, rest)) = address.split_once("://") {
        return Err(Error::address(
            address,
            &format!("is not HOST:PORT: write {:?}, without {scheme}://", rest.trim_end_matches('/')),
        ));
    }
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(['/', '@']));
    let port = parts.map(|(_, port)| port.parse::<u16>());
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    match (port, endpoint) {
        (Some(Ok(_)), Ok(endpoint)) => Ok(endpoint),
        _ => Err(Error::address(address, "is not HOST:PORT")),
    }
}

/// The slot of a namespace; `None` for a name that no namespace can have.
fn slot(namespace: &str) -> Option<u16> {
    Namespace::new(namespace).ok().map(|namespace| namespace.slot())
}
