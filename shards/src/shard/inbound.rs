//! What other peers ask of the groups of this shard.

use std::rc::Rc;

use futures_channel::oneshot;

use crate::ids::{GroupId, PeerNumber};
use crate::link::Body;
use crate::shard::worker::Shard;

impl Shard {
    /// Hands what came over a link to the part that it is for.
    pub(super) fn inbound(self: &Rc<Self>, from: PeerNumber, group: GroupId, body: Body, answer: Option<oneshot::Sender<Body>>) {
        let _ = (from, group, body, answer);
    }
}
