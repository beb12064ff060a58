//! Requests on their way to the group's leader, for as long as a request may wait.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use z4_model::command::{Command, Created};
use z4_model::encoding::Malformed;
use z4_model::ids::PeerNumber;
use z4_proto::peer::Reserve;

use crate::link::Body;
use crate::raft::Leader;
use crate::runtime::clock::Instant;
use crate::runtime::{clock, executor};
use crate::shard::api::{Answered, Rejection};
use crate::shard::batcher::{Route, TICK};
use crate::shard::group::Group;
use crate::shard::wire;

/// Where a request is to be done.
pub(super) enum At {
    /// By this replica, which leads.
    Here,
    /// It was done by that peer, which answered this.
    There(Body, PeerNumber),
}

/// A request that changes nothing may be sent to one leader after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Whatever became of it before.
    Always,
    /// Only when it was surely not done before.
    IfNotDone,
}

impl Group {
    /// The replica says who leads.
    pub(super) fn leader_changed(self: &Rc<Self>, leader: Leader) {
        self.leader.set(leader);
        if leader.peer == Some(self.me) {
            // Its own leadership is announced by `lead`; until then nobody can be asked.
            if let Route::There { .. } = self.batcher.route() {
                self.set_route(Route::Nobody);
            }
            return;
        }
        // This news may be older than this replica's own election.
        if leader.term <= self.elected.get() {
            return;
        }
        match self.leads() || self.becoming.get() {
            true => self.follow(),
            false => self.set_route(self.route_elsewhere()),
        }
    }

    /// Where commands go when this replica does not lead.
    pub(super) fn route_elsewhere(&self) -> Route {
        match self.leader.get().peer {
            Some(peer) if peer != self.me => Route::There { peer },
            _ => Route::Nobody,
        }
    }

    pub(super) fn set_route(self: &Rc<Self>, route: Route) {
        let changed = self.batcher.route() != route;
        self.batcher.set_route(route);
        if changed {
            self.route_watch.call();
            self.rise_all();
            self.sit_all();
        }
    }

    /// A link to a peer came up on some shard, or the last one of some shard went down.
    pub(super) fn reached(self: &Rc<Self>, peer: PeerNumber, up: bool) {
        if !up {
            // What it sent will not be followed by more, nor would deliveries arrive.
            self.end_remotes(|from| from == peer);
        } else if self.batcher.route() == (Route::There { peer }) {
            self.batcher.look_again();
            self.route_watch.call();
            self.sit_all();
        }
    }

    /// When a request that comes now must be answered.
    pub(super) fn until(&self) -> Instant {
        clock::monotonic() + self.batcher.limits.forward_timeout
    }

    /// Waits for a change of leader, or a while; `false`: the time is over.
    pub(super) async fn route_changed(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return false;
        }
        select(self.route_watch.next(), pin!(executor::sleep(left.min(TICK)))).await;
        true
    }

    /// Has the leader answer a request, unless this replica leads. Refused with [`Rejection::NoLeader`] when the time is over.
    pub(super) async fn at_leader(&self, body: impl Fn() -> Body, repeat: Repeat, until: Instant) -> Result<At, Rejection> {
        loop {
            match self.batcher.route() {
                Route::Here { .. } => return Ok(At::Here),
                Route::There { peer } if self.links.is_up(peer) => {
                    let left = until.saturating_duration_since(clock::monotonic());
                    match self.ask(peer, body(), left, repeat).await {
                        Ok(body) => return Ok(At::There(body, peer)),
                        Err(Rejection::NoLeader { .. }) => {}
                        Err(Rejection::Unknown { .. }) if repeat == Repeat::Always => {}
                        Err(rejection) => return Err(rejection),
                    }
                }
                Route::There { .. } | Route::Nobody => {}
            }
            if !self.route_changed(until).await {
                return Err(self.no_leader());
            }
        }
    }

    /// Asks a peer. When another one leads meanwhile, a request that may be repeated is not waited for.
    async fn ask(&self, peer: PeerNumber, body: Body, within: Duration, repeat: Repeat) -> Result<Body, Rejection> {
        let answer = pin!(self.ask_in_turn(peer, body, within));
        match repeat {
            Repeat::IfNotDone => answer.await,
            Repeat::Always => match select(answer, pin!(self.leads_no_more(peer))).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => Err(Rejection::Unknown { group: self.id }),
            },
        }
    }

    /// Asks a peer when the link has room for a request more.
    async fn ask_in_turn(&self, peer: PeerNumber, body: Body, within: Duration) -> Result<Body, Rejection> {
        let until = clock::monotonic() + within;
        let _turn = match select(pin!(self.links.turn(peer, &body)), pin!(executor::sleep(within))).await {
            Either::Left((Some(turn), _)) => turn,
            // Nothing was sent: the link is down, or too much is under way for too long.
            Either::Left((None, _)) | Either::Right(_) => return Err(self.no_leader()),
        };
        let left = until.saturating_duration_since(clock::monotonic());
        match self.links.post(peer, self.id, body, left).await {
            Ok(Body::Failure(failure)) => Err(wire::failure(self.id, &failure)),
            Ok(body) => Ok(body),
            Err(e) if e.was_not_sent() => Err(self.no_leader()),
            Err(_) => Err(Rejection::Unknown { group: self.id }),
        }
    }

    async fn leads_no_more(&self, peer: PeerNumber) {
        while self.batcher.route() == (Route::There { peer }) {
            self.route_watch.next().await;
        }
    }

    /// An answer that cannot be read, or is another one than was asked for.
    pub(super) fn unreadable(&self, error: Malformed) -> Rejection {
        tracing::warn!(group = %self.id, %error, "the leader's answer cannot be read");
        Rejection::Unknown { group: self.id }
    }

    /// Queues creates with reserved ids, wherever the group is led. Not tried again when nothing is known of the first attempt: it would
    /// get other ids.
    pub(super) async fn submit_async(self: Rc<Self>, command: Command) -> Result<Answered<Vec<Created>>, Rejection> {
        let command = self.room_for(command).await?;
        if self.leads() {
            return Ok(Answered { value: self.submit_async_here(command)?, by: None });
        }
        let (bytes, mut commands) = wire::put_commands(vec![command]);
        let until = self.until();
        match self.at_leader(|| Body::Reserve(Reserve { command: bytes.clone() }), Repeat::IfNotDone, until).await? {
            At::Here => {
                let command = commands.pop().ok_or(Rejection::Stopping)?;
                Ok(Answered { value: self.submit_async_here(command)?, by: None })
            }
            At::There(Body::Reserved(message), peer) => {
                let value = wire::reserved(&message).map_err(|e| self.unreadable(e))?;
                Ok(Answered { value, by: Some(peer) })
            }
            At::There(..) => Err(self.unreadable(Malformed("not what was asked for"))),
        }
    }
}
