//! What other peers ask of the groups of this shard.

use std::rc::Rc;

use futures_channel::oneshot;
use z4_proto::peer::{Failure, failure};

use crate::ids::{GroupId, PeerNumber};
use crate::link::{Body, Inbound};
use crate::shard::handle::Shards;
use crate::shard::message::Message;
use crate::shard::worker::Shard;

/// The door through which links bring requests: to the shard that hosts the group, which is mostly the link's own.
pub(super) struct Door(pub(super) Shards);

impl Inbound for Door {
    fn ask(&self, from: PeerNumber, group: GroupId, body: Body, answer: oneshot::Sender<Body>) {
        // A full mailbox drops the request, and its sender is told that nothing is known of it.
        let _ = self.0.post(group, Message::Inbound(from, group, body, Some(answer)));
    }

    fn tell(&self, from: PeerNumber, group: GroupId, body: Body) {
        let _ = self.0.post(group, Message::Inbound(from, group, body, None));
    }

    fn up(&self, peer: PeerNumber) {
        self.0.for_each_shard(|| Message::Reached(peer, true));
    }

    fn down(&self, peer: PeerNumber) {
        self.0.for_each_shard(|| Message::Reached(peer, false));
    }
}

impl Shard {
    /// Hands what came over a link to the part that it is for.
    pub(super) fn inbound(self: &Rc<Self>, from: PeerNumber, id: GroupId, body: Body, answer: Option<oneshot::Sender<Body>>) {
        let group = self.group(id);
        match (body, group, answer) {
            (body @ (Body::Append(_) | Body::Ballot(_) | Body::Transfer(_)), Some(group), Some(answer)) => {
                if let Some(replica) = group.replica() {
                    replica.inbound(body, answer);
                }
            }
            (
                body @ (Body::Submit(_)
                | Body::Reserve(_)
                | Body::ReadIndex(_)
                | Body::ListTasks(_)
                | Body::ListNamespaces(_)
                | Body::Settle(_)),
                Some(group),
                Some(answer),
            ) => group.asked(body, answer),
            (Body::Subscribe(message), Some(group), Some(answer)) => group.take_consumer(from, message, answer),
            (
                body @ (Body::Unsubscribe(_)
                | Body::Grant(_)
                | Body::Want(_)
                | Body::Unused(_)
                | Body::Deliver(_)
                | Body::Done(_)),
                Some(group),
                None,
            ) => group.told(from, body),
            (_, None, Some(answer)) => {
                let text = format!("group {id} is not open on this peer");
                let _ = answer.send(Body::Failure(Failure { kind: failure::Kind::NoLeader.into(), text, limit: 0 }));
            }
            _ => {}
        }
    }
}
