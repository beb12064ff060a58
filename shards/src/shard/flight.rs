//! Batches on their way, and what becomes of their commands: done, tried again, or given up.
//!
//! A command that was surely not done waits for the next leader. One whose fate is unknown is tried again only when doing it twice is
//! doing it once: all its operations are creates with a request id, which the namespace remembers long enough. All of it within the
//! time that a request may take.

use std::rc::Rc;

use z4_model::command::{Command, Op, Reply};
use z4_model::ids::{GroupId, Namespace, PeerNumber};
use z4_proto::peer::Submitted;

use crate::link::{Body, LinkError};
use crate::raft::ProposeError;
use crate::runtime::clock::Instant;
use crate::runtime::maps::HashMap;
use crate::runtime::{clock, executor};
use crate::shard::api::{Answered, Rejection};
use crate::shard::batcher::{Batcher, Route, TICK};
use crate::shard::queue::{Batch, Bound, Pending};
use crate::shard::wire;

/// When another peer leads by now, what is with the old leader has so many ticks to be answered.
const STRAY_TICKS: u32 = 5;

/// A request id must be remembered so many times as long as a request may take, or its command is not tried twice: clocks of leaders
/// differ, and the second attempt may take as long as the first.
const REMEMBERED_TIMES: u32 = 3;

/// A batch on its way.
pub struct Flight {
    pub(super) id: u64,
    pub(super) to: Route,
    batch: Batch,
    /// Ticks since commands go another way.
    strayed: u32,
}

impl Flight {
    pub(super) fn new(id: u64, to: Route, batch: Batch) -> Self {
        Flight { id, to, batch, strayed: 0 }
    }

    #[cfg(test)]
    pub(super) fn commands(&self) -> &[Command] {
        &self.batch.commands
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = &Pending> {
        self.batch.pending.iter()
    }
}

/// What became of a batch.
pub enum Landed {
    /// Every command was done.
    Replies(Vec<Reply>),
    /// Each has a fate of its own.
    Each(Vec<Result<Reply, Rejection>>),
    /// None was done, or nothing is known of any.
    Not(Rejection),
}

impl Landed {
    /// The answer to a frame of commands.
    pub(super) fn answered(group: GroupId, answer: Result<Body, LinkError>) -> Self {
        match answer {
            Ok(Body::Submitted(Submitted { replies })) => {
                let outcomes = replies.into_iter().map(|reply| wire::outcome(group, reply)).collect::<Result<_, _>>();
                outcomes.map_or_else(
                    |error| {
                        tracing::warn!(%group, %error, "the leader's answer cannot be read");
                        Landed::Not(Rejection::Unknown { group })
                    },
                    Landed::Each,
                )
            }
            Ok(Body::Failure(failure)) => Landed::Not(wire::failure(group, &failure)),
            Err(e) if e.was_not_sent() => Landed::Not(Rejection::NoLeader { group }),
            Ok(_) | Err(_) => Landed::Not(Rejection::Unknown { group }),
        }
    }
}

/// Tells the batcher of a proposal's outcome, even when it is dropped with the replica.
pub struct Landing {
    batcher: Rc<Batcher>,
    flight: Option<u64>,
    since: Instant,
}

impl Landing {
    pub(super) fn new(batcher: &Rc<Batcher>, flight: u64) -> Self {
        Landing { batcher: Rc::clone(batcher), flight: Some(flight), since: clock::monotonic() }
    }

    pub(super) fn proposed(mut self, result: Result<Vec<Reply>, ProposeError>) {
        let batcher = &self.batcher;
        batcher.metrics.commit_seconds.observe(self.since.elapsed().as_secs_f64());
        let landed = match result {
            Ok(replies) => Landed::Replies(replies),
            Err(ProposeError::NotLeader { .. }) => Landed::Not(batcher.no_leader()),
            Err(ProposeError::Unknown) => Landed::Not(batcher.unknown()),
            Err(ProposeError::Stopped(_)) => Landed::Not(Rejection::Stopping),
        };
        if let Some(flight) = self.flight.take() {
            batcher.land(flight, landed);
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.batcher.land(flight, Landed::Not(Rejection::Stopping));
        }
    }
}

/// Commands that came back undone and may be tried again.
#[derive(Default)]
struct Again {
    commands: Vec<(Command, Pending)>,
    doubtful: bool,
}

impl Batcher {
    /// A batch has a fate. One that was given up before has none any more.
    pub(super) fn land(self: &Rc<Self>, flight: u64, landed: Landed) {
        let landing = {
            let mut flights = self.flights.borrow_mut();
            flights.iter().position(|f| f.id == flight).map(|at| flights.remove(at))
        };
        self.more.call();
        let Some(Flight { to, batch: Batch { commands, pending, .. }, .. }) = landing else { return };
        let by = if let Route::There { peer } = to { Some(peer) } else { None };
        let mut again = Again::default();
        match landed {
            Landed::Replies(replies) if replies.len() == pending.len() => {
                for (value, pending) in replies.into_iter().zip(pending) {
                    pending.end(Ok(Answered { value, by }), &self.unknown());
                }
            }
            Landed::Each(results) if results.len() == pending.len() => {
                for (result, one) in results.into_iter().zip(commands.into_iter().zip(pending)) {
                    self.one(one, result, by, &mut again);
                }
            }
            Landed::Not(rejection) => {
                commands.into_iter().zip(pending).for_each(|one| self.one(one, Err(rejection.clone()), by, &mut again));
            }
            Landed::Replies(_) | Landed::Each(_) => {
                tracing::warn!(group = %self.group, "an entry has more or fewer answers than commands");
                pending.into_iter().for_each(|pending| pending.end(Err(self.unknown()), &self.unknown()));
            }
        }
        self.try_again(again, to);
    }

    fn one(
        &self,
        (command, mut pending): (Command, Pending),
        result: Result<Reply, Rejection>,
        by: Option<PeerNumber>,
        again: &mut Again,
    ) {
        let free = pending.bound == Bound::Anywhere && pending.is_open();
        match result {
            Ok(value) => pending.end(Ok(Answered { value, by }), &self.unknown()),
            Err(Rejection::NoLeader { .. }) if free => again.commands.push((command, pending)),
            Err(Rejection::Unknown { .. }) if free && is_remembered(&command) => {
                pending.uncertain = true;
                again.doubtful = true;
                again.commands.push((command, pending));
            }
            Err(rejection) => pending.end(Err(rejection), &self.unknown()),
        }
    }

    fn try_again(self: &Rc<Self>, again: Again, to: Route) {
        if again.commands.is_empty() {
            return;
        }
        // Not at once by the same way: it is not open yet.
        if self.route.get() == to {
            self.held_up.set(true);
        }
        if !again.doubtful {
            return self.queue.put_back(again.commands);
        }
        self.judging.set(self.judging.get() + 1);
        let batcher = Rc::clone(self);
        executor::spawn(async move {
            batcher.judge(again.commands).await;
            batcher.judging.set(batcher.judging.get() - 1);
            batcher.more.call();
        });
    }

    /// Gives up the commands of unknown fate whose namespace may have forgotten their request ids.
    async fn judge(&self, commands: Vec<(Command, Pending)>) {
        let least_ms = (REMEMBERED_TIMES * self.limits.forward_timeout).as_millis() as u64;
        let mut remembers: HashMap<Namespace, bool> = HashMap::default();
        for (command, _) in commands.iter().filter(|(_, pending)| pending.uncertain) {
            if remembers.contains_key(&command.namespace) {
                continue;
            }
            let (group, name) = (self.group, command.namespace.clone());
            let row = self.storage.call(move |partitions| partitions.get_mut(&group).map(|p| p.namespace(&name))).await;
            let window_ms = match row.flatten() {
                Some(Ok(row)) => row.unwrap_or_default().settings.idempotency_window_ms,
                _ => 0,
            };
            remembers.insert(command.namespace.clone(), window_ms >= least_ms);
        }
        let forgets = |command: &Command| !remembers.get(&command.namespace).copied().unwrap_or(false);
        let (lost, again): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|(command, pending)| pending.uncertain && forgets(command));
        lost.into_iter().for_each(|(_, pending)| pending.end(Err(self.unknown()), &self.unknown()));
        self.queue.put_back(again);
    }

    /// Looks for what is late. Called every [`TICK`] while there is something.
    pub(super) fn tick(self: &Rc<Self>) {
        let tick = self.tick.get() + 1;
        self.tick.set(tick);
        self.held_up.set(false);
        let ticks_max = self.limits.forward_timeout.as_millis().div_ceil(TICK.as_millis()) as u32;
        // One more, because what came right before a tick saw only a part of it.
        let late = tick.checked_sub(ticks_max + 1);
        let (mut given_up, mut strays) = (Vec::new(), Vec::new());
        for flight in self.flights.borrow_mut().iter_mut() {
            let is_late = |pending: &Pending| late.is_some_and(|late| pending.born <= late);
            // In their order: when the first is not late, none is.
            if flight.batch.pending.first().is_some_and(is_late) {
                given_up.extend(flight.batch.pending.iter_mut().filter(|p| is_late(p)).filter_map(Pending::give_up));
            }
            let route = self.route.get();
            flight.strayed = if route == flight.to || route == Route::Nobody { 0 } else { flight.strayed + 1 };
            if flight.strayed > STRAY_TICKS {
                strays.push(flight.id);
            }
        }
        given_up.into_iter().for_each(|done| done.tell(Err(self.unknown())));
        for flight in strays {
            self.land(flight, Landed::Not(self.unknown()));
        }
        if let Some(late) = late {
            for pending in self.queue.take_old(late) {
                pending.end(Err(self.no_leader()), &self.unknown());
            }
        }
        self.more.call();
    }
}

/// Doing it twice is doing it once, as long as its request ids are remembered.
fn is_remembered(command: &Command) -> bool {
    command.ops.iter().all(|op| matches!(op, Op::Create(create) if create.request.is_some()))
}
