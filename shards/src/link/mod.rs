//! Links to the other peers: one TCP connection between a shard here and a shard there, shared by every group of the two.
//!
//! Either end asks and answers; frames that one end sends arrive in their order or the link is down. What was asked and not answered
//! when a link goes down is *lost*: it may or may not have been done. Connections come here when both ends have said who they are;
//! who dials, and what is said first, is not this module's business.

mod beats;
mod clocks;
mod connection;
mod disks;
mod error;
mod frame;
mod outgoing;
mod pace;
mod reach;
mod requests;
#[cfg(test)]
mod requests_tests;
mod space;
mod unread;

use std::cell::RefCell;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto::peer::Append;
pub use z4_proto::peer::frame::Body;

use crate::account::{Full, Share};
use crate::runtime::executor;
use crate::runtime::maps::HashMap;
pub use clocks::{Clocks, Reading};
use connection::Connection;
pub use connection::Established;
pub use disks::{DiskState, Disks, Life, Outdated, Seen, SeenDisk, Unproven};
pub use error::LinkError;
pub use frame::FRAME_BYTES_MAX;
pub use reach::{Reach, Reachability};
pub use requests::{REQUESTS, Turn};
pub use space::Space;

/// What a shard does with what its links bring.
pub trait Inbound {
    /// A request; `answer` takes the answer's body. Dropped unanswered, the other end is told that nothing is known of it.
    fn ask(&self, from: PeerNumber, group: GroupId, body: Body, answer: oneshot::Sender<Body>);

    /// A message that wants no answer.
    fn tell(&self, from: PeerNumber, group: GroupId, body: Body);

    /// A link to the peer is up, the first one of this shard.
    fn up(&self, peer: PeerNumber);

    /// A link of this shard to the peer is down: what was on its way is gone. Followed by `up` when there is another one.
    fn down(&self, peer: PeerNumber);
}

/// The links of one shard. Cheap to clone; stays on its thread.
#[derive(Clone, Default)]
pub struct Links(Rc<Inner>);

#[derive(Default)]
struct Inner {
    reach: Reach,
    /// The number of the last durable frame of this shard's raft log.
    log_end: Arc<AtomicU64>,
    inbound: RefCell<Option<Weak<dyn Inbound>>>,
    /// The oldest first: that one is used. A peer with several shards has a link to each; were another one taken while requests are under
    /// way, later ones would arrive before them.
    peers: RefCell<HashMap<PeerNumber, Vec<Rc<Connection>>>>,
}

impl Links {
    /// No links yet of the shard with this index. `reach` is told which peers are reached.
    pub fn new(reach: Reach, shard: usize) -> Self {
        let log_end = reach.disks().log_end(shard);
        Links(Rc::new(Inner { reach, log_end, ..Inner::default() }))
    }

    /// The last durable frame of this shard's raft log, as of now.
    fn log_end(&self) -> u64 {
        self.0.log_end.load(Ordering::Acquire)
    }

    /// Says who takes what the links bring.
    pub fn deliver_to(&self, inbound: Weak<dyn Inbound>) {
        *self.0.inbound.borrow_mut() = Some(inbound);
    }

    /// Takes over a connection whose ends know each other. An older one from the same shard of that peer is closed: its other end
    /// has given it up, or it would not have made a new one. But one that was heard just now was not given up: then it is the new one
    /// that is closed, whoever made it. Only one to a process that is over goes at once.
    pub fn adopt(&self, established: Established) {
        let peer = established.peer;
        let same = |link: &Rc<Connection>| link.remote_shard == established.remote_shard;
        let living =
            self.0.peers.borrow().get(&peer).is_some_and(|links| links.iter().any(|link| same(link) && link.is_living()));
        if living {
            tracing::info!(peer, "a second connection was closed: the link that there is lives");
            return;
        }
        let connection = match Connection::start(established, self) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(peer, %error, "a link could not be taken over");
                return;
            }
        };
        let (first, replaced) = {
            let mut peers = self.0.peers.borrow_mut();
            let links = peers.entry(peer).or_default();
            let first = links.is_empty();
            let replaced = links.iter().position(|link| link.remote_shard == connection.remote_shard).map(|at| links.remove(at));
            links.push(connection);
            (first, replaced)
        };
        self.0.reach.came_up(peer);
        let lost = replaced.is_some();
        if let Some(old) = replaced {
            self.0.reach.went_down(peer, "replaced by a newer link");
            old.close("replaced by a newer link");
        }
        if let Some(inbound) = self.inbound() {
            if lost {
                // What was on its way over the old one is gone, although there is a link now.
                inbound.down(peer);
            }
            if first || lost {
                inbound.up(peer);
            }
        }
    }

    /// Asks a peer and waits for the answer.
    ///
    /// # Errors
    /// See [`LinkError`]; a [`Body::Failure`] that the peer answers comes as `Ok`.
    pub async fn ask(&self, to: PeerNumber, group: GroupId, body: Body, within: Duration) -> Result<Body, LinkError> {
        self.post(to, group, body, within).await
    }

    /// The same, but the request is on its way when this returns: requests are sent in the order of these calls.
    pub fn post(
        &self,
        to: PeerNumber,
        group: GroupId,
        body: Body,
        within: Duration,
    ) -> impl Future<Output = Result<Body, LinkError>> + use<> {
        let sent = self.connection(to).and_then(|connection| connection.ask(group, body));
        answer(to, sent, within)
    }

    /// Sends a heartbeat: it leaves with those of other groups, a few milliseconds later at most.
    pub fn beat(
        &self,
        to: PeerNumber,
        group: GroupId,
        append: Append,
        within: Duration,
    ) -> impl Future<Output = Result<Body, LinkError>> + use<> {
        let sent = self.connection(to).map(|connection| connection.beat(group, append));
        answer(to, sent, within)
    }

    /// Takes memory for something of a peer's that is kept here. `None`: nobody is charged.
    ///
    /// # Errors
    /// The peer has more than its part already.
    pub fn charge(&self, of: PeerNumber, bytes: usize) -> Result<Option<Share>, Full> {
        self.connection(of).map_or(Ok(None), |connection| connection.charge(bytes))
    }

    /// Waits until a request may be sent to a peer, which refuses what is beyond its bound. The turn is over when it is dropped. `None`: there
    /// is no link, or no more.
    pub async fn turn(&self, to: PeerNumber, body: &Body) -> Option<Turn> {
        self.connection(to).ok()?.turn(body).await
    }

    /// Waits until less than half of the bound waits to be sent to a peer; returns at once when there is no link.
    pub async fn room(&self, to: PeerNumber) {
        if let Ok(connection) = self.connection(to) {
            connection.room().await;
        }
    }

    /// Sends a message that wants no answer. It arrives, after everything that was sent before, or the link breaks.
    ///
    /// # Errors
    /// `Down` or `Full`.
    pub fn tell(&self, to: PeerNumber, group: GroupId, body: Body) -> Result<(), LinkError> {
        self.connection(to)?.tell(group, body)
    }

    /// There is a link to the peer now.
    pub fn is_up(&self, to: PeerNumber) -> bool {
        self.0.peers.borrow().get(&to).is_some_and(|links| !links.is_empty())
    }

    /// Which peers this one reaches, from any shard.
    pub fn reach(&self) -> &Reach {
        &self.0.reach
    }

    /// Closes every link.
    pub fn close(&self) {
        let all: Vec<_> = self.0.peers.borrow_mut().drain().flat_map(|(_, links)| links).collect();
        for link in all {
            self.0.reach.went_down(link.peer, "this peer is stopping");
            link.close("this peer is stopping");
        }
    }

    fn connection(&self, to: PeerNumber) -> Result<Rc<Connection>, LinkError> {
        let oldest = self.0.peers.borrow().get(&to).and_then(|links| links.first().cloned());
        oldest.ok_or_else(|| {
            let reason = self.0.reach.table().get(&to).map(|reach| reach.error.clone()).unwrap_or_default();
            LinkError::Down { peer: to, reason }
        })
    }

    fn inbound(&self) -> Option<Rc<dyn Inbound>> {
        self.0.inbound.borrow().as_ref()?.upgrade()
    }

    /// A connection has ended by itself.
    fn gone(&self, connection: &Rc<Connection>, reason: &str) {
        let peer = connection.peer;
        let (found, last) = {
            let mut peers = self.0.peers.borrow_mut();
            let links = peers.entry(peer).or_default();
            let before = links.len();
            links.retain(|link| !Rc::ptr_eq(link, connection));
            (links.len() < before, links.is_empty())
        };
        if !found {
            return;
        }
        tracing::info!(peer, reason, "a link went down");
        self.0.reach.went_down(peer, reason);
        if let Some(inbound) = self.inbound() {
            inbound.down(peer);
            if !last {
                inbound.up(peer);
            }
        }
    }
}

async fn answer(peer: PeerNumber, sent: Result<oneshot::Receiver<Body>, LinkError>, within: Duration) -> Result<Body, LinkError> {
    match select(sent?, std::pin::pin!(executor::sleep(within))).await {
        Either::Left((Ok(body), _)) => Ok(body),
        Either::Left((Err(oneshot::Canceled), _)) => Err(LinkError::Lost { peer }),
        Either::Right(_) => Err(LinkError::TimedOut { peer, within }),
    }
}
