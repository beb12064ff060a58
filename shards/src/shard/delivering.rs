//! The interpreter of the delivery engine: feeds it what happened, and does what it decided. The engine itself is pure.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use z4_model::command::{Command, Op, Reply, Tally};
use z4_model::ids::{Namespace, TaskKey};
use z4_model::machine::first_sequence;

use crate::metrics::Metrics;
use crate::partition::{Partition, PartitionError, Window};
use crate::raft::{AppliedRun, ProposeError};
use crate::runtime::{clock, executor, random};
use crate::shard::api::{Answered, Delivered, Rejection};
use crate::shard::arrival::Arrival;
use crate::shard::batcher::Route;
use crate::shard::damage::RowDamaged;
use crate::shard::delivery::{Action, Claim, ConsumerId, Engine, Gone, Made, Now, Wake};
use crate::shard::group::Group;
use crate::shard::holdings::HELD_MAX_MS;
use crate::shard::message::{Parcel, Subscription};
use crate::shard::mint::MintError;
use crate::shard::queue::{Bound, Done};
use crate::shard::relay::Taken;
use crate::shard::relaying::Unsent;
use crate::shard::stake::EngineStake;
use crate::storage::Pace;

/// A new leader without an answer from a quorum asks again after this.
const BARRIER_AGAIN: Duration = Duration::from_millis(50);

/// And whether the proposals of an earlier leadership are done, so often.
const PROPOSALS_AGAIN: Duration = Duration::from_millis(5);

/// Runs of the engine without a pause. One delivers a few thousand tasks at most; heartbeats must not wait for a whole backlog.
const RUNS_AT_ONCE_MAX: usize = 2;

impl Group {
    /// What time it is for the delivery engine.
    pub(super) fn now(&self) -> Now {
        Now { wall_ms: self.now_ms(), mono_ms: clock::monotonic_us() / 1_000 }
    }

    /// Starts to deliver, in the term in which this replica was elected, once everything that earlier leaders committed was applied.
    /// [`Group::follow`] ends it, also before it has begun.
    pub(super) async fn lead(self: Rc<Self>) {
        let Some(replica) = self.replica() else { return };
        self.follow();
        self.becoming.set(true);
        let (attempt, term) = (self.engines.get(), self.elected.get());
        while let Err(e) = replica.read_barrier().await {
            if self.engines.get() != attempt || matches!(e, ProposeError::Stopped(_)) {
                tracing::info!(group = %self.id, term, error = %e, "leadership ended before it began");
                return;
            }
            executor::sleep(BARRIER_AGAIN).await;
        }
        // What this replica proposed when it led before, perhaps in this very term, may still be applied: an ack says nothing of the row
        // that is gone, so an engine that had seen the row would deliver it again.
        while self.batcher.has_proposals() {
            executor::sleep(PROPOSALS_AGAIN).await;
            if self.engines.get() != attempt {
                return;
            }
        }
        let seen = self.read(|p| Ok((p.last_stamp_ms(), p.namespaces_count(), p.claimable(), p.applied()))).await;
        let Ok((stamp, namespaces, claimable, applied)) = seen else { return };
        if self.engines.get() != attempt {
            return;
        }
        self.namespaces.set(namespaces);
        self.engines.set(attempt + 1);
        self.becoming.set(false);
        let first = {
            let mut mint = self.mint.borrow_mut();
            mint.first_token(term).and_then(|token| Ok((token, mint.first_sequence(term)?)))
        };
        let (first_token, reserved) = match first {
            Ok(first) => first,
            Err(error) => return self.exhausted(&error),
        };
        // Whatever was proposed before is applied.
        let made = Made { assigned: first_sequence(applied.map_or(0, |at| at.index + 1)), reserved };
        self.batcher.begin(stamp, first_token);
        let mut engine = Engine::new(self.id, self.limits, first_token);
        let inherits = self.inherit(&mut engine, (claimable, made), &replica);
        self.batcher.renew(&mut engine);
        // The credit that was with the leader before comes back first.
        self.rise_all();
        let seats = self.seats_before();
        self.end_leaving();
        for s in self.subscriptions.borrow().values() {
            engine.subscribe(s.consumer, (s.flow.clone(), s.sent.clone()), &s.namespaces, s.lease_ms);
            engine.resume(s.consumer, s.consumer, u64::MAX);
            for (before, received) in seats.get(&s.consumer).into_iter().flatten() {
                engine.resume(s.consumer, *before, *received);
            }
        }
        *self.engine.borrow_mut() = Some(engine);
        self.gauges.is_leader.set(1);
        self.set_route(Route::Here { term });
        tracing::info!(group = %self.id, term, inherits, "leading");
        self.claim_holdings();
        self.drive();
    }

    /// Stops to deliver: another peer leads, or nobody.
    pub(super) fn follow(self: &Rc<Self>) {
        self.lease_until.set(None);
        self.engines.set(self.engines.get() + 1);
        self.becoming.set(false);
        let engine = self.engine.borrow_mut().take();
        if let Some(engine) = engine {
            self.remember_holdings(&engine);
            self.mint.borrow_mut().tokens_used(engine.next_token());
            tracing::info!(group = %self.id, "not leading any more");
        }
        self.gauges.is_leader.set(0);
        self.outcomes.call();
        self.batcher.leadership_lost();
        self.end_remotes(|_| true);
        self.set_route(self.route_elsewhere());
    }

    /// Feeds the engine, if this replica leads, and does what it decides.
    pub(super) fn with_engine<T>(self: &Rc<Self>, feed: impl FnOnce(&mut Engine) -> T) -> Option<T> {
        let fed = self.engine.borrow_mut().as_mut().map(feed);
        if fed.is_some() {
            self.drive();
        }
        fed
    }

    /// What an apply did.
    pub(super) fn on_applied(self: &Rc<Self>, run: AppliedRun) {
        self.metrics.apply_seconds.observe(run.took.as_secs_f64());
        self.metrics.applied_log_count.inc_by(run.entries);
        if self.leads() {
            // One peer counts what became of a task, not every replica.
            self.count(run.tally);
        }
        self.applied_since_trim.set(self.applied_since_trim.get() + run.bytes);
        if let Some(namespaces) = run.namespaces {
            self.namespaces.set(namespaces);
        }
        if !run.effects.is_empty() {
            let now_ms = self.now_ms();
            self.with_engine(|engine| engine.applied(run.effects, now_ms));
        }
    }

    fn count(&self, tally: Tally) {
        let Metrics { acked, nacked, dead, removed, given_back, .. } = &self.metrics;
        let Tally { acked: a, nacked: n, dead: d, removed: r, given_back: g } = tally;
        for (counter, tasks) in [(acked, a), (nacked, n), (dead, d), (removed, r), (given_back, g)] {
            counter.inc_by(tasks);
        }
    }

    /// Ticks the engine when it asked for it, for as long as the group is open.
    pub(super) async fn keep_time(self: Rc<Self>) {
        loop {
            // Without the lease nothing may be decided: who finds it again calls.
            let wake_at = self.engine.borrow().as_ref().filter(|_| self.holds_lease()).and_then(Engine::wake_at);
            let called = self.tick.wait();
            match wake_at {
                None => called.await,
                Some(Wake { wall_ms, mono_ms }) => {
                    let due_us = wall_ms.saturating_mul(1_000).saturating_sub(self.links.reach().clocks().now_us());
                    let wait_us = due_us.min(mono_ms.saturating_mul(1_000).saturating_sub(clock::monotonic_us()));
                    if wait_us > 0 {
                        let sleep = executor::sleep(Duration::from_micros(wait_us));
                        let (called, sleep) = (std::pin::pin!(called), std::pin::pin!(sleep));
                        if let Either::Left(_) = select(called, sleep).await {
                            continue;
                        }
                    }
                }
            }
            self.decide();
            executor::yield_if_needed().await;
        }
    }

    /// Does what the engine decides, and has [`Group::keep_time`] look when it is to decide next.
    pub(super) fn drive(self: &Rc<Self>) {
        self.decide();
        self.tick.call();
    }

    /// Does what the engine decides, until it has nothing more to say, or others are to have their turn: [`Group::keep_time`] goes on then.
    fn decide(self: &Rc<Self>) {
        for _ in 0..RUNS_AT_ONCE_MAX {
            // Without it [`Group::watch_quorum`] comes back here when it is there again.
            if !self.holds_lease() {
                return;
            }
            let now = self.now();
            let actions = match self.engine.borrow_mut().as_mut() {
                Some(engine) => engine.run(now, &mut random::fraction),
                None => return,
            };
            if actions.is_empty() {
                return;
            }
            actions.into_iter().for_each(|action| self.act(action));
        }
        self.tick.call();
    }

    pub(super) fn act(self: &Rc<Self>, action: Action) {
        match action {
            Action::Load { namespaces } => self.load(namespaces),
            Action::Scan { namespace, from, until_ms, rows_max, bytes_max } => {
                self.scan(namespace, from, move |partition, name| {
                    partition.scan_window(name, from, until_ms, rows_max, bytes_max)
                });
            }
            Action::Propose { namespace, ops, claims } => self.propose(namespace, ops, claims, |_| {}),
            Action::Deliver { consumer, tasks } => self.deliver(consumer, tasks),
            Action::Want { consumer } => self.want(consumer),
            Action::Damaged { namespace, key, cause } => {
                self.row_damaged(&RowDamaged { group: self.id, namespace, key, source: cause });
            }
        }
    }

    fn deliver(self: &Rc<Self>, consumer: ConsumerId, tasks: Vec<Delivered>) {
        let now_ms = self.now_ms();
        let lateness = self.lateness.borrow();
        for task in tasks.iter().filter(|task| task.attempt == 1) {
            lateness.observe(now_ms.saturating_sub(task.key.due_ms) as f64 / 1e3);
        }
        drop(lateness);
        // A stream that has just gone: its unsubscription is on the way and ends these leases.
        let subscription = self.subscriptions.borrow().get(&consumer).cloned();
        if let Some(subscription) = subscription {
            self.hand(&subscription, tasks, None);
        }
    }

    /// Hands deliveries to a consumer's stream. One for whose deliveries there is no memory is ended.
    pub(super) fn hand(self: &Rc<Self>, to: &Subscription, tasks: Vec<Delivered>, taken: Option<Arc<Taken>>) {
        match to.gate.charge(&tasks, &to.flow) {
            Ok(share) => {
                let arrival = Arrival::now(self.links.reach().clocks());
                let _ = to.deliveries.unbounded_send(Parcel::Tasks(tasks, taken, arrival, share));
            }
            Err(full) => {
                tracing::debug!(group = %self.id, %full, "a consumer is ended");
                // Its stream hears of it when it has sent what it has.
                self.end_but_for_what_was_sent(to.consumer, Unsent::Late);
                let _ = to.deliveries.unbounded_send(Parcel::Cut(full));
            }
        }
    }

    fn load(self: &Rc<Self>, namespaces: Vec<Namespace>) {
        let (group, id, names) = (Rc::clone(self), self.id, namespaces.clone());
        self.storage.run_paced(
            Pace::Scan,
            move |partitions| {
                let partition = partitions.get_mut(&id)?;
                Some(names.iter().map(|name| partition.namespace(name)).collect::<Result<Vec<_>, _>>())
            },
            move |rows| match rows {
                Some(Ok(rows)) => {
                    group.with_engine(|engine| {
                        for (namespace, row) in namespaces.iter().zip(rows) {
                            engine.loaded(namespace, &row.unwrap_or_default());
                        }
                    });
                }
                Some(Err(e)) => group.read_failed(&e),
                None => {}
            },
        );
    }

    fn scan(
        self: &Rc<Self>,
        namespace: Namespace,
        from: TaskKey,
        job: impl FnOnce(&mut Partition, &Namespace) -> Result<Window, PartitionError> + Send + 'static,
    ) {
        let (group, id, name) = (Rc::clone(self), self.id, namespace.clone());
        self.storage.run_paced(
            Pace::Scan,
            move |partitions| partitions.get_mut(&id).map(|partition| job(partition, &name)),
            move |window| match window {
                Some(Ok(window)) => {
                    group.with_engine(|engine| engine.scanned(&namespace, from, window.rows, window.next));
                }
                Some(Err(e)) => group.read_failed(&e),
                None => {}
            },
        );
    }

    /// Has operations on deliveries applied as one command; the engine hears how it ended before `then` does.
    pub(super) fn propose(
        self: &Rc<Self>,
        namespace: Namespace,
        ops: Vec<Op>,
        claims: Vec<Claim>,
        then: impl FnOnce(Result<(), Rejection>) + 'static,
    ) {
        let (group, name) = (self.id, namespace.clone());
        let stake = EngineStake::claims(self, &namespace, claims);
        let done = Done::call(move |result: Result<Answered<Reply>, Rejection>| {
            let reply = result.map(|answered| answered.value);
            if let Ok(Err(refusal)) = &reply {
                tracing::warn!(%group, namespace = %name, error = %refusal, "a delivery's command was refused");
            }
            then(reply.and_then(|reply| reply.map(|_| ()).map_err(Rejection::from)));
        });
        self.batcher.submit(Command { namespace, ops }, Bound::Here, stake, done);
    }

    /// There are no numbers left: whoever goes on gives one out twice.
    pub(super) fn exhausted(&self, error: &MintError) {
        tracing::error!(group = %self.id, %error, "this replica cannot lead");
        (self.on_fatal)(&error.to_string());
    }

    /// A row that cannot be read: nothing that depends on this partition may be served any more.
    pub(super) fn fail(&self, reason: &str) {
        tracing::error!(group = %self.id, reason, "the partition cannot be read");
        (self.on_fatal)(reason);
    }

    /// A consumer comes: of this peer, or while it leads of another one.
    pub(super) fn subscribe(self: &Rc<Self>, mut s: Subscription) {
        let (consumer, held) = (s.consumer, std::mem::take(&mut s.held));
        self.subscriptions.borrow_mut().insert(consumer, s.clone());
        let here = self.with_engine(|engine| {
            engine.subscribe(consumer, (s.flow, s.sent), &s.namespaces, s.lease_ms);
            s.seats.iter().for_each(|(before, received)| engine.resume(consumer, *before, *received));
        });
        match here {
            Some(()) => self.claim_for(consumer, held),
            None => {
                // Nobody knows here when those leases end.
                let until = self.now().mono_ms.saturating_add(HELD_MAX_MS);
                self.relays.holdings.borrow_mut().add(consumer, held.into_iter().map(|held| (held, until)));
                self.relay(consumer);
            }
        }
    }

    /// A consumer goes; `gone` is told when nothing more comes.
    pub(super) fn unsubscribe(self: &Rc<Self>, consumer: ConsumerId, how: Gone, gone: Option<oneshot::Sender<()>>) {
        if let Some(gone) = self.leave_leader(consumer, how, gone) {
            self.end_subscription(consumer, how);
            if let Some(gone) = gone {
                let _ = gone.send(());
            }
        }
    }

    /// Every consumer goes, because the peer stops. What they hold stays theirs.
    pub(super) fn end_consumers(self: &Rc<Self>) {
        let all: Vec<ConsumerId> = self.subscriptions.borrow().keys().copied().collect();
        for consumer in all {
            let _ = self.leave_leader(consumer, Gone::Detached, None);
            self.end_subscription(consumer, Gone::Detached);
        }
    }

    /// A consumer has credit or room again.
    pub(super) fn kick(self: &Rc<Self>, consumer: ConsumerId) {
        if self.with_engine(|engine| engine.kick(consumer)).is_none() {
            self.tell_grant(consumer);
        }
    }

    pub(super) fn end_subscription(self: &Rc<Self>, consumer: ConsumerId, how: Gone) {
        self.subscriptions.borrow_mut().remove(&consumer);
        self.remotes.forget(consumer);
        self.relays.holdings.borrow_mut().forget(consumer);
        self.with_engine(|engine| engine.unsubscribe(consumer, how));
    }
}
