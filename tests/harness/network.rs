//! The network between the peers of a test: each peer is reached through a listener of this one, so that ways between two peers can be
//! slowed down, interrupted and mended, each direction for itself.
//!
//! It runs on a thread of its own: what a test does meanwhile slows nobody down.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::proxy;

/// Whether bytes pass from one peer to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passage {
    /// They do.
    #[default]
    Open,
    /// They wait, as TCP has them wait while every packet is lost, and pass when the way is open again. New connections hear nothing.
    Held,
    /// They vanish while the connection stays. A connection that misses some breaks when the way is open again.
    Lost,
    /// Connections break at once, whoever made them, and new ones are refused.
    Cut,
}

/// What happens to bytes on the way from one peer to another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Way {
    /// Whether they pass.
    pub passage: Passage,
    /// Each arrives so much later.
    pub delay: Duration,
    /// And up to this much more, at random. Their order is kept.
    pub jitter: Duration,
    /// No more than these pass in a second; 0: no limit.
    pub bytes_per_second: u32,
    /// The chance that a read of up to 16 KiB is the last one of its connection.
    pub breaks: f64,
}

impl Way {
    /// A way that is open, or not.
    pub fn with(passage: Passage) -> Self {
        Way { passage, ..Way::default() }
    }
}

/// From one peer to another, by their ids.
type Pair = (String, String);

/// Every way that is not as it should be.
pub(super) type Ways = HashMap<Pair, Way>;

/// What the connections look at.
pub(super) struct Shared {
    pub(super) ways: watch::Sender<Ways>,
    /// Connections break when it changes.
    pub(super) breaks: watch::Sender<u64>,
    targets: Mutex<HashMap<String, SocketAddr>>,
    /// Connections that there were so far; the number of one is the seed of its chances.
    pub(super) connections: AtomicUsize,
}

impl Shared {
    /// Where a peer listens now; `None`: it does not.
    pub(super) fn target(&self, peer: &str) -> Option<SocketAddr> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner).get(peer).copied()
    }
}

/// A network. Everything that it carries ends when it is dropped.
pub struct Network {
    shared: Arc<Shared>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Network {
    /// An undisturbed network without peers.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || drop(runtime.block_on(stopped));
        let thread = std::thread::Builder::new().name("network".into()).spawn(run).expect("a thread");
        let shared = Shared {
            ways: watch::Sender::new(Ways::new()),
            breaks: watch::Sender::new(0),
            targets: Mutex::default(),
            connections: AtomicUsize::default(),
        };
        Network { shared: Arc::new(shared), runtime: handle, stop: Some(stop), thread: Some(thread) }
    }

    /// Gives a peer its address in this network, `HOST:PORT`. Nobody is there until [`Network::move_to`].
    pub async fn attach(&self, peer: &str) -> String {
        let (shared, peer) = (Arc::clone(&self.shared), peer.to_owned());
        let (bound, address) = oneshot::channel();
        // The listener belongs to the network's runtime, so it is made there.
        self.runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let _ = bound.send(listener.local_addr().expect("bound").to_string());
            proxy::accept(shared, peer, listener).await;
        });
        address.await.expect("the network runs")
    }

    /// Where a peer listens from now on.
    pub fn move_to(&self, peer: &str, address: &str) {
        let address = address.parse().expect("an address");
        self.shared.targets.lock().unwrap_or_else(PoisonError::into_inner).insert(peer.to_owned(), address);
    }

    /// Sets one way.
    pub fn set(&self, from: &str, to: &str, way: Way) {
        self.shared.ways.send_modify(|ways| {
            match way == Way::default() {
                true => ways.remove(&(from.to_owned(), to.to_owned())),
                false => ways.insert((from.to_owned(), to.to_owned()), way),
            };
        });
    }

    /// Sets both ways between two peers.
    pub fn set_between(&self, one: &str, other: &str, way: Way) {
        self.set(one, other, way);
        self.set(other, one, way);
    }

    /// Sets the ways between one peer and each of the others, both directions.
    pub fn set_around(&self, peer: &str, others: &[String], way: Way) {
        others.iter().filter(|other| *other != peer).for_each(|other| self.set_between(peer, other, way));
    }

    /// Everything is open and quick again.
    pub fn heal(&self) {
        self.shared.ways.send_modify(Ways::clear);
    }

    /// Breaks every connection once; new ones are taken.
    pub fn break_all(&self) {
        self.shared.breaks.send_modify(|breaks| *breaks += 1);
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
