//! Which tasks of a group are with consumers: only its leader's delivery engine knows.

use std::rc::Rc;
use std::time::Duration;

use z4_model::encoding::Malformed;
use z4_model::ids::{GroupId, Namespace};
use z4_proto::peer;

use crate::link::Body;
use crate::runtime::{clock, executor};
use crate::shard::api::{Leased, Rejection};
use crate::shard::forward::{At, Repeat};
use crate::shard::group::Group;
use crate::shard::handle::Shards;
use crate::shard::message::Message;
use crate::shard::served::unreadable;
use crate::shard::wire;

/// An answer has no more positions: 3 MiB.
const KEYS_MAX: usize = 200_000;

/// So many leases are looked at before other tasks run: a tenth of a millisecond.
const SLOTS_PER_TURN: u32 = 8_192;

/// Whoever asks about more namespaces is told of all: their tasks' positions are no others'.
const NAMESPACES_MAX: usize = 1_000;

/// A leader that does not answer within this is not waited for: the question is not worth more.
const ANSWER_MAX: Duration = Duration::from_millis(500);

impl Shards {
    /// Which tasks of these namespaces of a group are with consumers, and maybe others of that group. None named: of all.
    pub async fn leased(&self, group: GroupId, mut namespaces: Vec<Namespace>) -> Result<Leased, Rejection> {
        if namespaces.len() > NAMESPACES_MAX {
            namespaces.clear();
        }
        self.ask(group, |answer| Message::Leased(group, namespaces, answer)).await
    }
}

impl Group {
    /// What is leased of these namespaces, wherever the group is led.
    pub(super) async fn leased(self: Rc<Self>, namespaces: Vec<Namespace>) -> Result<Leased, Rejection> {
        let _waiting = self.reads.enter()?;
        let asked = || Body::ListLeases(wire::put_leased_of(&namespaces));
        match self.at_leader(asked, Repeat::Always, clock::monotonic() + ANSWER_MAX).await? {
            At::Here => self.leased_here(&namespaces).await,
            At::There(Body::ListedLeases(leased), _) => wire::leased(&leased).map_err(|e| self.unreadable(e)),
            At::There(..) => Err(self.unreadable(Malformed("not what was asked for"))),
        }
    }

    /// The same by this replica.
    async fn leased_here(&self, namespaces: &[Namespace]) -> Result<Leased, Rejection> {
        let (mut leased, mut from, engine) = (Leased::default(), 0, self.engines.get());
        loop {
            let next = match self.engine.borrow().as_ref() {
                Some(now) if self.engines.get() == engine => now.leased_keys(namespaces, from, SLOTS_PER_TURN, &mut leased.keys),
                _ => return Err(self.no_leader()),
            };
            leased.truncated = leased.keys.len() > KEYS_MAX;
            leased.keys.truncate(KEYS_MAX);
            match next {
                Some(next) if !leased.truncated => from = next,
                _ => return Ok(leased),
            }
            executor::yield_now().await;
        }
    }

    /// Another peer asks.
    pub(super) async fn tell_leases(self: Rc<Self>, message: &peer::ListLeases) -> Result<Body, peer::Failure> {
        let namespaces = wire::leased_of(message).map_err(unreadable)?;
        let leased = self.leased_here(&namespaces).await.map_err(|rejection| wire::put_failure(&rejection))?;
        Ok(Body::ListedLeases(wire::put_leased(&leased)))
    }
}
