//! What other peers ask of the groups of this shard.

use std::rc::Rc;

use futures_channel::oneshot;
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto::peer::{Done, Failure, failure};

use crate::link::{Body, Inbound};
use crate::runtime::mailbox::SendError;
use crate::shard::handle::Shards;
use crate::shard::message::Message;
use crate::shard::wire;
use crate::shard::worker::Shard;

/// The door through which links bring requests: to the shard that hosts the group, which is mostly the link's own and takes them at
/// once. Another shard's mailbox may be full: then what wants an answer is refused. What wants none arrives all the same, in its order:
/// it is about links and consumers, and the sender of a lost one would never know.
pub(super) struct Door {
    shards: Shards,
}

impl Door {
    pub(super) fn new(shards: Shards) -> Self {
        Door { shards }
    }
}

impl Inbound for Door {
    fn ask(&self, from: PeerNumber, group: GroupId, body: Body, answer: oneshot::Sender<Body>) {
        let message = Message::Inbound(from, group, Box::new(body), Some(answer));
        if let Err(SendError::Full(Message::Inbound(_, _, _, Some(answer)))) = self.shards.post(group, message) {
            let text = format!("the mailbox of the shard with group {group} is full");
            let _ = answer.send(Body::Failure(Failure { kind: failure::Kind::Overloaded.into(), text, limit: 0 }));
        }
    }

    fn tell(&self, from: PeerNumber, group: GroupId, body: Body) {
        self.shards.post_surely(group, Message::Inbound(from, group, Box::new(body), None));
    }

    fn up(&self, peer: PeerNumber) {
        self.shards.for_each_shard(|| Message::Reached(peer, true));
    }

    fn down(&self, peer: PeerNumber) {
        self.shards.for_each_shard(|| Message::Reached(peer, false));
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
            (body @ (Body::MoveLeader(_) | Body::Arm(_)), _, answer) => self.operate_for_peer(id, &body, answer),
            (body @ (Body::SnapshotBegin(_) | Body::SnapshotChunk(_) | Body::SnapshotEnd(_)), Some(group), answer) => {
                if let Some(replica) = group.replica() {
                    // A sender that gives up wants no answer.
                    replica.inbound(body, answer.unwrap_or_else(|| oneshot::channel().0));
                }
            }
            (Body::Rebuild(_), Some(group), Some(answer)) => {
                let body = match group.send_rebuild(from) {
                    true => Body::Done(Done::default()),
                    false => wire::not_leading(id),
                };
                let _ = answer.send(body);
            }
            (
                body @ (Body::Submit(_)
                | Body::Reserve(_)
                | Body::ReadIndex(_)
                | Body::ListLeases(_)
                | Body::ListTasks(_)
                | Body::ListNamespaces(_)
                | Body::Settle(_)),
                Some(group),
                Some(answer),
            ) => group.asked(body, answer),
            (Body::Subscribe(message), Some(group), Some(answer)) => group.take_consumer(from, message, answer),
            (Body::Estate(message), Some(group), Some(answer)) => group.take_estate(message, answer),
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
