//! Leases that outlive a leadership. A leader that hands over leaves an estate; where there is none, consumers claim what they hold.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use z4_model::encoding::Malformed;
use z4_model::ids::{GroupId, PeerNumber};
use z4_model::machine::Claimable;
use z4_model::rows::task::TaskRow;
use z4_proto::peer::{self, Done, failure};

use crate::link::Body;
use crate::raft::Replica;
use crate::runtime::clock::Instant;
use crate::runtime::maps::HashSet;
use crate::runtime::{clock, executor};
use crate::shard::api::Rejection;
use crate::shard::delivery::{Claimed, ConsumerId, Engine, Estate, Known, Made};
use crate::shard::group::Group;
use crate::shard::holdings::HELD_MAX_MS;
use crate::shard::members::MoveError;
use crate::shard::message::Held;
use crate::shard::relaying::HELD_PER_FRAME;
use crate::shard::served::unreadable;
use crate::shard::wire;
use crate::storage::Pace;

/// An estate that was not taken over within this is void: the leader that left it may have gone on.
const ESTATE_MAX: Duration = Duration::from_secs(10);

/// How long the next leader may take to answer a part of an estate.
const PART_MAX: Duration = Duration::from_secs(2);

/// So many claims are looked up in one job of the storage thread.
const CLAIMS_PER_READ: usize = 500;

/// What a leadership has left behind, and where the log ended then.
struct Left {
    index: Option<u64>,
    estate: Estate,
    at: Instant,
    /// By this very replica, for another one that did not take over.
    own: bool,
}

/// The estates of one group.
#[derive(Default)]
pub(super) struct Estates {
    /// Complete.
    left: RefCell<Option<Left>>,
    /// Parts that have come, and the number of the next one.
    coming: RefCell<(u32, Estate)>,
    /// This peer is about to stop, and takes none.
    pub(super) refused: Cell<bool>,
}

impl Group {
    /// Stops to deliver and leaves what it knows of leases to `to`. Must be followed by a transfer, or by [`Group::lead`].
    pub(super) async fn bequeath(self: &Rc<Self>, replica: &Replica, to: PeerNumber) -> Result<(), MoveError> {
        // Who waits for claims does not know the whole truth, and leaves nothing: the next leader waits again.
        let knows = |engine: &&Engine| !engine.awaits_claims();
        let estate = self.engine.borrow().as_ref().filter(knows).map(|engine| engine.estate(self.now()));
        let index = replica.status().last_log_index;
        self.step_aside();
        let parts = match &estate {
            Some(estate) => wire::put_estate(index.unwrap_or(0), estate),
            None => vec![wire::no_estate()],
        };
        // If nothing comes of the transfer, this replica goes on with it.
        *self.estates.left.borrow_mut() = estate.map(|estate| Left { index, estate, at: clock::monotonic(), own: true });
        for part in parts {
            match self.links.ask(to, self.id, Body::Estate(part), PART_MAX).await {
                Ok(Body::Done(_)) => {}
                Ok(Body::Failure(failure)) if failure.kind() == failure::Kind::Stopping => return Err(MoveError::Leaving(to)),
                Ok(Body::Failure(failure)) => return Err(MoveError::Unfit(failure.text)),
                Ok(_) => return Err(MoveError::Unreachable(format!("peer {to} gave an answer of another kind"))),
                Err(e) => return Err(MoveError::Unreachable(e.to_string())),
            }
        }
        Ok(())
    }

    /// The leader is about to ask this replica to lead, and tells what is leased.
    pub(super) fn take_estate(&self, message: peer::Estate, answer: oneshot::Sender<Body>) {
        let _ = answer.send(match self.take_part(message) {
            _ if self.estates.refused.get() => Body::Failure(wire::put_failure(&Rejection::Stopping)),
            Ok(()) => Body::Done(Done::default()),
            Err(error) => Body::Failure(unreadable(error)),
        });
    }

    fn take_part(&self, message: peer::Estate) -> Result<(), Malformed> {
        let mut coming = self.estates.coming.borrow_mut();
        if message.part == 0 {
            *coming = Default::default();
            self.estates.left.take();
        }
        let (next, estate) = &mut *coming;
        if message.part != *next {
            return Err(Malformed("a part of an estate is missing"));
        }
        *next += 1;
        let (index, last) = (message.index, message.last);
        wire::estate(message, estate)?;
        if last {
            let estate = std::mem::take(&mut *coming).1;
            *self.estates.left.borrow_mut() = Some(Left { index: Some(index), estate, at: clock::monotonic(), own: false });
        }
        Ok(())
    }

    /// Takes over what the leadership before has left, if that is the whole truth: nothing may have been written since but the beginning of
    /// this leadership. Else what is due already waits for claims. Tells whether there was an estate.
    pub(super) fn inherit(&self, engine: &mut Engine, (claimable, made): (Claimable, Made), replica: &Replica) -> bool {
        let last = replica.status().last_log_index;
        let left = self.estates.left.take().filter(|left| {
            let next = left.index.map_or(0, |index| index + 1);
            (last == left.index || last == Some(next)) && left.at.elapsed() < ESTATE_MAX
        });
        let inherits = left.is_some();
        match left {
            Some(left) => {
                engine.inherit(left.estate, self.now());
                // The registry has no tasks.
                if left.own && self.id != GroupId::REGISTRY {
                    engine.void_estate(self.now());
                }
            }
            None if self.id == GroupId::REGISTRY => {}
            None => engine.await_claims(claimable, made, self.now()),
        }
        inherits
    }

    /// This replica leads no more: its consumers may claim from the next leader what they hold.
    pub(super) fn remember_holdings(&self, engine: &Engine) {
        let here: HashSet<ConsumerId> = self.subscriptions.borrow().keys().copied().collect();
        let mut holdings = self.relays.holdings.borrow_mut();
        for (consumer, held) in engine.holdings().filter(|(consumer, _)| here.contains(consumer)) {
            holdings.add(consumer, [held]);
        }
    }

    /// When a lease is over for sure that ends then, milliseconds since 1970 by its leader's clock; by the monotonic clock here.
    pub(super) fn held_until(&self, deadline_ms: u64) -> u64 {
        let now = self.now();
        let left_ms = deadline_ms.saturating_sub(now.wall_ms).saturating_add(self.limits.clocks_differ_ms);
        now.mono_ms.saturating_add(left_ms.min(HELD_MAX_MS))
    }

    /// This replica leads now: its own consumers claim what they hold of what an earlier leader delivered.
    pub(super) fn claim_holdings(self: &Rc<Self>) {
        let all: Vec<ConsumerId> = self.subscriptions.borrow().keys().copied().collect();
        for consumer in all {
            let held = self.relays.holdings.borrow().of(consumer);
            self.claim_for(consumer, held);
        }
        self.relays.holdings.take();
    }

    /// A consumer claims what it holds.
    pub(super) fn claim_for(self: &Rc<Self>, consumer: ConsumerId, held: Vec<Held>) {
        if held.len() <= HELD_PER_FRAME {
            drop(self.claim(consumer, held));
            return;
        }
        let group = Rc::clone(self);
        executor::spawn(async move {
            for part in held.chunks(HELD_PER_FRAME) {
                drop(group.claim(consumer, part.to_vec()));
                executor::yield_now().await;
            }
        });
    }

    /// Claims deliveries of earlier leaders, for a consumer or for nobody. The answers are in the order of `held`; `None`: the leadership
    /// ended meanwhile. The claims are made also when nobody waits for the answer.
    pub(super) fn claim(
        self: &Rc<Self>,
        consumer: ConsumerId,
        held: Vec<Held>,
    ) -> impl Future<Output = Option<Vec<Claimed>>> + use<> {
        let parts: Vec<_> = held.chunks(CLAIMS_PER_READ).map(|part| self.claim_part(consumer, part.to_vec())).collect();
        async move {
            let mut claimed = Vec::new();
            for part in parts {
                claimed.extend(part.await.ok().flatten()?);
            }
            Some(claimed)
        }
    }

    fn claim_part(self: &Rc<Self>, consumer: ConsumerId, held: Vec<Held>) -> oneshot::Receiver<Option<Vec<Claimed>>> {
        let (tx, rx) = oneshot::channel();
        let (group, id, engine, asked) = (Rc::clone(self), self.id, self.engines.get(), held.clone());
        // Tokens can be made up: not each is worth a read.
        let may = |(_, _, token): &Held| self.engine.borrow().as_ref().is_some_and(|engine| engine.may_claim(*token));
        let may: Vec<bool> = held.iter().map(may).collect();
        let now = self.now();
        let in_time = self.engine.borrow_mut().as_mut().is_some_and(|engine| engine.claims_come(now));
        self.storage.run_paced(
            Pace::Claim,
            move |partitions| {
                let partition = partitions.get_mut(&id)?;
                let known = |((namespace, task, token), may): (Held, bool)| match partition.verdict(token, task.sequence) {
                    Some(acked) => Ok(Known::Settled(acked)),
                    None if may => partition.get(&namespace, task).map(without_payload),
                    None => Ok(Known::Task(None)),
                };
                Some(held.into_iter().zip(may).map(known).collect::<Result<Vec<_>, _>>())
            },
            move |known: Option<Result<Vec<Known>, _>>| {
                let known = match known {
                    Some(Err(e)) => {
                        group.read_failed(&e);
                        None
                    }
                    Some(Ok(known)) => Some(known),
                    None => None,
                };
                let make = |engine: &mut Engine| {
                    let claim = |((namespace, task, token), known): (&Held, &Known)| {
                        engine.claim(namespace, (*task, *token), known, consumer, group.now())
                    };
                    let claimed = known.map(|known| asked.iter().zip(&known).map(claim).collect());
                    if in_time {
                        engine.claims_made();
                    }
                    claimed
                };
                let here = group.engines.get() == engine;
                let claimed: Option<Vec<Claimed>> = if here { group.with_engine(make).flatten() } else { None };
                claimed.iter().flatten().for_each(|claimed| group.metrics.claimed(claimed.outcome()));
                let _ = tx.send(claimed);
            },
        );
        rx
    }
}

/// The payload does not matter to a claim, and many are read at a time.
fn without_payload(mut row: Option<TaskRow>) -> Known {
    if let Some(row) = &mut row {
        row.record.drop_payload();
    }
    Known::Task(row)
}
