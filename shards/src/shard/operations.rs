//! What the cluster asks of a shard: its members, its leaders, the state of its replicas.

use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::join_all;
use z4_model::ids::{GroupId, PeerNumber};
use z4_proto::peer::{Arm, Done, Failure, MoveLeader, failure};

use crate::link::Body;
use crate::partition::Partition;
use crate::runtime::{clock, executor};
use crate::shard::api::Rejection;
use crate::shard::group::Group;
use crate::shard::handle::Shards;
use crate::shard::members::MoveError;
use crate::shard::message::Message;
use crate::shard::publish;
use crate::shard::worker::{Shard, reply};

/// How long another peer may take to hand over: longer than it takes there.
const MOVE_MAX: Duration = Duration::from_secs(8);

impl Shard {
    pub(super) fn shards(&self) -> Option<Shards> {
        self.cluster.shards.borrow().clone()
    }

    /// Starts what a message about the cluster asks for.
    pub(super) fn operate(self: &Rc<Self>, message: Message) {
        match message {
            Message::Roster(roster) => {
                *self.cluster.roster.borrow_mut() = roster;
                self.cluster.arming.borrow_mut().arm(clock::monotonic());
                self.cluster.changed.call();
            }
            Message::Registry(answer) => self.with_group(GroupId::REGISTRY, answer, |group, answer| {
                reply(answer, async move {
                    let read =
                        |partitions: &mut crate::storage::Partitions| partitions.get_mut(&GroupId::REGISTRY).map(publish::read);
                    group.storage.call(read).await.flatten().unwrap_or(Err(Rejection::Stopping))
                });
            }),
            Message::StateHash(id, answer) => self.with_group(id, answer, |group, answer| {
                reply(answer, async move {
                    let state = |partition: &mut Partition| {
                        partition.whole()?;
                        Ok((partition.applied().map(|at| at.index), partition.state_hash()))
                    };
                    group.read(state).await
                });
            }),
            Message::IsDamaged(id, answer) => {
                let _ = answer.send(self.group(id).is_some_and(|group| group.damage.is_found()));
            }
            Message::MoveLeader(id, to, answer) => {
                let shard = Rc::clone(self);
                executor::spawn(async move {
                    let _ = answer.send(shard.move_leader(id, to).await);
                });
            }
            Message::HandOver(answer) => {
                let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
                executor::spawn(async move {
                    join_all(groups.into_iter().map(Group::retire)).await;
                    let _ = answer.send(());
                });
            }
            Message::Arm => self.cluster.arming.borrow_mut().arm(clock::monotonic()),
            Message::Rebalance => self.rebalance(),
            // The rest is handled elsewhere; a Stop only reaches the loop.
            _ => {}
        }
    }

    /// What another peer asks for.
    pub(super) fn operate_for_peer(self: &Rc<Self>, id: GroupId, body: &Body, answer: Option<oneshot::Sender<Body>>) {
        match (body, answer) {
            (Body::Arm(Arm {}), _) => self.arm_all(),
            (Body::MoveLeader(MoveLeader { to }), Some(answer)) => {
                let (shard, to) = (Rc::clone(self), *to);
                executor::spawn(async move {
                    let moved = match shard.group(id) {
                        // Whoever asked took this peer for the leader: it is not asked to ask on.
                        Some(group) => group.hand_over(to).await,
                        None => Err(MoveError::NoLeader(id)),
                    };
                    let _ = answer.send(moved.map_or_else(|e| Body::Failure(failure(&e)), |()| Body::Done(Done::default())));
                });
            }
            _ => {}
        }
    }

    /// Arms every shard of this peer.
    fn arm_all(&self) {
        if let Some(shards) = self.shards() {
            shards.for_each_shard(|| Message::Arm);
        }
    }

    fn rebalance(&self) {
        let me = self.me();
        for member in self.cluster.roster.borrow().present().filter(|member| member.number != me) {
            if let Err(error) = self.links.tell(member.number, GroupId::REGISTRY, Body::Arm(Arm {})) {
                tracing::info!(peer = member.id, %error, "this peer is not told to spread its leaders");
            }
        }
        self.arm_all();
    }

    /// Has another peer lead a group: as its leader, or by asking that.
    async fn move_leader(&self, id: GroupId, to: PeerNumber) -> Result<(), MoveError> {
        let group = self.group(id).ok_or(MoveError::UnknownGroup(id))?;
        let status = group.replica().map(|replica| replica.status()).ok_or(MoveError::NoLeader(id))?;
        match status.leader {
            Some(leader) if leader == to => Ok(()),
            Some(leader) if leader == group.me => group.hand_over(to).await,
            Some(leader) => self.ask_leader(&group, leader, to).await,
            None => Err(MoveError::NoLeader(id)),
        }
    }

    async fn ask_leader(&self, group: &Group, leader: PeerNumber, to: PeerNumber) -> Result<(), MoveError> {
        match self.links.ask(leader, group.id, Body::MoveLeader(MoveLeader { to }), MOVE_MAX).await {
            Ok(Body::Done(_)) => Ok(()),
            Ok(Body::Failure(Failure { kind, text, .. })) => Err(match failure::Kind::try_from(kind) {
                Ok(failure::Kind::Invalid) => MoveError::Unfit(text),
                Ok(failure::Kind::NoLeader) => MoveError::NoLeader(group.id),
                _ => MoveError::Unreachable(text),
            }),
            Ok(_) => Err(MoveError::Unreachable(format!("peer {leader} gave an answer of another kind"))),
            Err(e) => Err(MoveError::Unreachable(e.to_string())),
        }
    }
}

fn failure(e: &MoveError) -> Failure {
    let kind = match e {
        MoveError::UnknownGroup(_) | MoveError::UnknownMember(_) | MoveError::Unfit(_) => failure::Kind::Invalid,
        MoveError::NoLeader(_) => failure::Kind::NoLeader,
        MoveError::Leaving(_) => failure::Kind::Stopping,
        MoveError::TimedOut { .. } | MoveError::Unreachable(_) => failure::Kind::Unknown,
    };
    Failure { kind: kind.into(), text: e.to_string(), limit: 0 }
}
