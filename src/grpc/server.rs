//! The accept loop of one shard.

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::select;
use z4_shards::account::{CLIENT_PARTS, Holder, Share};
use z4_shards::runtime::net::{self, Listener};

use super::Limits;
use super::connection::{self, Shared};
use super::services::Services;

/// How long accepting rests after an error, which mostly means that the process is out of file descriptors.
const REST: Duration = Duration::from_millis(50);

/// Counts the open connections of a peer; its shards share one.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<AtomicUsize>);

impl Connections {
    /// How many are open now.
    pub fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes a place, unless all are taken.
    fn enter(&self, max: usize) -> Option<Place> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < max).then_some(open + 1));
        taken.ok().map(|_| Place(self.clone()))
    }
}

/// A connection's place, given back when dropped.
struct Place(Connections);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The open connections of one shard.
#[derive(Default)]
struct Registry {
    next: u64,
    connections: HashMap<u64, Rc<Shared>>,
}

/// Serves one shard's share of the connections until `shutdown` is ready, then waits for open calls, `drain_ms` at most.
///
/// Every shard runs it on its own executor, with a listener on the same address. No error ends it.
pub async fn serve(listener: Listener, services: Services, connections: Connections, shutdown: impl Future<Output = ()>) {
    let registry = Rc::new(RefCell::new(Registry::default()));
    let accepting = accept(&listener, &services, &connections, &registry);
    let checking = check(services.limits(), &registry);
    let working = futures_util::future::join(accepting, checking);
    select(pin!(working), pin!(shutdown)).await;
    // New connections are refused from here on.
    drop(listener);
    drain(&registry, services.limits().drain_ms).await;
}

async fn accept(listener: &Listener, services: &Services, connections: &Connections, registry: &Rc<RefCell<Registry>>) {
    let max = services.limits().connections_max;
    let (mut full, mut failing) = (false, false);
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(error = &error as &dyn std::error::Error, "accepting a connection failed");
                }
                net::sleep(REST).await;
                continue;
            }
        };
        failing = false;
        let holder = services.context().account.holder(CLIENT_PARTS);
        let Ok(share) = holder.take(connection::CONNECTION_BYTES) else {
            // Everything is in use: a client that tries again later finds room.
            continue;
        };
        match connections.enter(max) {
            Some(place) => {
                full = false;
                start(stream, services.clone(), (holder, (place, share)), registry);
            }
            None => {
                if !std::mem::replace(&mut full, true) {
                    tracing::warn!(max, "connections are refused: connections_max are open");
                }
            }
        }
    }
}

/// Starts to serve; what is `kept` is given up at the end.
fn start(stream: net::Stream, services: Services, (holder, kept): (Holder, (Place, Share)), registry: &Rc<RefCell<Registry>>) {
    let shared = Shared::new(stream.received());
    let id = {
        let mut registry = registry.borrow_mut();
        registry.next += 1;
        let id = registry.next;
        registry.connections.insert(id, shared.clone());
        id
    };
    let registry = registry.clone();
    net::spawn(async move {
        connection::serve(stream, services, shared, holder).await;
        registry.borrow_mut().connections.remove(&id);
        drop(kept);
    });
}

/// Looks at every connection now and then: one timer for all of them, so that none costs a timer per message.
async fn check(limits: &Limits, registry: &Rc<RefCell<Registry>>) {
    let times_ms =
        [limits.handshake_ms, limits.idle_ms, limits.drain_ms.max(1), limits.keep_alive_ms, limits.keep_alive_timeout_ms];
    let shortest_ms = times_ms.into_iter().min().unwrap_or(1_000);
    let tick_ms = (shortest_ms / 4).clamp(10, 1_000);
    loop {
        net::sleep(Duration::from_millis(tick_ms)).await;
        for connection in open(registry) {
            connection.check(tick_ms, limits);
        }
    }
}

fn open(registry: &Rc<RefCell<Registry>>) -> Vec<Rc<Shared>> {
    registry.borrow().connections.values().cloned().collect()
}

/// Asks every connection to go, and cuts those that are still there after `drain_ms`.
async fn drain(registry: &Rc<RefCell<Registry>>, drain_ms: u64) {
    const STEP_MS: u64 = 10;
    open(registry).iter().for_each(|connection| connection.leave());
    let mut waited_ms = 0;
    while !registry.borrow().connections.is_empty() {
        if waited_ms >= drain_ms {
            open(registry).iter().for_each(|connection| connection.cut());
        }
        net::sleep(Duration::from_millis(STEP_MS)).await;
        waited_ms += STEP_MS;
    }
}
