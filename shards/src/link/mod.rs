//! Links to the other peers: one TCP connection between a shard here and a shard there, shared by every group of the two.
//!
//! Either end asks and answers; frames that one end sends arrive in their order or the link is down. A link that is down is dialled
//! again. What was asked and not answered when a link goes down is *lost*: it may or may not have been done.

mod reach;

use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
pub use reach::{Reach, Reachability};
pub use z4_proto::peer::frame::Body;

use crate::ids::{GroupId, PeerNumber};

/// Why a request to another peer has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no link to the peer now: nothing was sent.
    #[error("no link to peer {peer}: {reason}; nothing was sent")]
    Down {
        /// To whom.
        peer: PeerNumber,
        /// Why.
        reason: String,
    },
    /// Too much waits to be sent: nothing was sent.
    #[error("{limit} bytes wait to be sent to peer {peer}; nothing was sent")]
    Full {
        /// To whom.
        peer: PeerNumber,
        /// The bound.
        limit: usize,
    },
    /// The link broke before the answer came.
    #[error("the link to peer {peer} broke before the answer came")]
    Lost {
        /// To whom.
        peer: PeerNumber,
    },
    /// The answer did not come in time.
    #[error("peer {peer} did not answer within {} ms", within.as_millis())]
    TimedOut {
        /// To whom.
        peer: PeerNumber,
        /// How long was waited.
        within: Duration,
    },
}

impl LinkError {
    /// The request never left this peer.
    pub fn was_not_sent(&self) -> bool {
        matches!(self, LinkError::Down { .. } | LinkError::Full { .. })
    }
}

/// What a shard does with what its links bring.
pub trait Inbound {
    /// A request; `answer` takes the answer's body. Dropped unanswered, the other end is told that nothing is known of it.
    fn ask(&self, from: PeerNumber, group: GroupId, body: Body, answer: oneshot::Sender<Body>);

    /// A message that wants no answer.
    fn tell(&self, from: PeerNumber, group: GroupId, body: Body);

    /// A link to the peer is up, the first one of this shard.
    fn up(&self, peer: PeerNumber);

    /// The last link of this shard to the peer is down: what it sent will not be followed by more.
    fn down(&self, peer: PeerNumber);
}

/// The links of one shard. Cheap to clone; stays on its thread.
#[derive(Clone, Default)]
pub struct Links(Rc<Inner>);

#[derive(Default)]
struct Inner {}

impl Links {
    /// Asks a peer and waits for the answer.
    ///
    /// # Errors
    /// See [`LinkError`]; a [`Body::Failure`] that the peer answers comes as `Ok`.
    pub async fn ask(&self, to: PeerNumber, group: GroupId, body: Body, within: Duration) -> Result<Body, LinkError> {
        let _ = (group, body, within, &self.0);
        Err(LinkError::Down { peer: to, reason: "there are no links yet".to_owned() })
    }

    /// Sends a message that wants no answer. It arrives, after everything that was sent before, or the link breaks.
    ///
    /// # Errors
    /// `Down` or `Full`.
    pub fn tell(&self, to: PeerNumber, group: GroupId, body: Body) -> Result<(), LinkError> {
        let _ = (group, body);
        Err(LinkError::Down { peer: to, reason: "there are no links yet".to_owned() })
    }

    /// There is a link to the peer now.
    pub fn is_up(&self, to: PeerNumber) -> bool {
        let _ = to;
        false
    }
}
