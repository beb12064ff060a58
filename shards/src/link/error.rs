//! Why a request to another peer has no answer.

use std::time::Duration;

use z4_model::ids::PeerNumber;

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
