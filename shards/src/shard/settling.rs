//! What consumers say about deliveries, on its way to the leader's engine, and what happens there.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::select;
use z4_model::command::Op;
use z4_model::encoding::Malformed;
use z4_model::ids::Namespace;

use crate::link::Body;
use crate::runtime::clock::Instant;
use crate::runtime::{clock, executor, random};
use crate::shard::api::{Rejection, Settle, SettleError, Settled, Verdict};
use crate::shard::delivery::{Claim, Claimed, ConsumerId, Step};
use crate::shard::forward::{At, Repeat};
use crate::shard::group::Group;
use crate::shard::mint;
use crate::shard::wire;

/// Wakes those who wait for the outcome of somebody's command.
#[derive(Default)]
pub(super) struct Outcomes(RefCell<Vec<oneshot::Sender<()>>>);

impl Outcomes {
    /// There is one.
    pub(super) fn call(&self) {
        self.0.take();
    }

    /// Ends with the next one.
    fn next(&self) -> oneshot::Receiver<()> {
        let (tx, rx) = oneshot::channel();
        self.0.borrow_mut().push(tx);
        rx
    }
}

/// Acks and nacks that travel in one command have no more reasons than these, bytes: each is answered for itself, so many together need no
/// entry as large as they are.
const PART_BYTES_MAX: usize = 1 << 20;

/// And are no more than these.
const PART_OPS_MAX: usize = 10_000;

/// Acks and nacks of one call that travel together.
#[derive(Default)]
struct Part {
    ops: Vec<Op>,
    claims: Vec<Claim>,
    /// Their places in the call.
    waiting: Vec<usize>,
    bytes: usize,
}

impl Part {
    fn is_full(&self) -> bool {
        self.bytes >= PART_BYTES_MAX || self.ops.len() >= PART_OPS_MAX
    }

    fn add(&mut self, place: usize, op: Op, claim: Claim) {
        if let Op::Retry { error, .. } = &op {
            self.bytes += error.len();
        }
        self.ops.push(op);
        self.claims.push(claim);
        self.waiting.push(place);
    }
}

/// What the engine says to a round of settles.
#[derive(Default)]
struct Round {
    /// What is proposed.
    parts: Vec<Part>,
    /// Of those that wait for somebody else's command.
    waiting: Vec<usize>,
    /// Of those of which nothing is known here.
    unknown: Vec<usize>,
}

/// It is an ack (`true`), or a nack.
fn said(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Ack => Some(true),
        Verdict::Nack { .. } => Some(false),
        Verdict::Extend { .. } | Verdict::GivenUp { .. } => None,
    }
}

impl Group {
    /// Settles deliveries, wherever the group is led. What was surely not done is said again to the next leader, for as long as a request may
    /// take; what may have been done is not, for it may belong to another consumer by now.
    pub(super) async fn settle(self: Rc<Self>, namespace: Namespace, settles: Vec<Settle>) -> Vec<Settled> {
        let until = self.until();
        let mut settled = self.settle_once(&namespace, &settles, until).await;
        loop {
            let undone = |result: &Settled| matches!(result, Err(SettleError::Rejected(Rejection::NoLeader { .. })));
            let open: Vec<usize> = (0..settled.len()).filter(|i| undone(&settled[*i])).collect();
            if open.is_empty() || !self.route_changed(until).await {
                break;
            }
            let again: Vec<Settle> = open.iter().map(|i| settles[*i].clone()).collect();
            for (i, result) in open.into_iter().zip(self.settle_once(&namespace, &again, until).await) {
                settled[i] = result;
            }
        }
        let mut holdings = self.relays.holdings.borrow_mut();
        for (settle, result) in settles.iter().zip(&settled) {
            match (&settle.verdict, result) {
                (Verdict::Extend { .. }, Ok(deadline_ms)) => holdings.extend(settle.token, self.held_until(*deadline_ms)),
                (_, Ok(_)) | (_, Err(SettleError::LeaseLost { .. })) => holdings.remove(settle.token),
                _ => {}
            }
        }
        drop(holdings);
        settled
    }

    async fn settle_once(self: &Rc<Self>, namespace: &Namespace, settles: &[Settle], until: Instant) -> Vec<Settled> {
        if self.leads() {
            return self.settle_here(namespace, settles).await;
        }
        let body = || Body::Settle(wire::put_settle(namespace, settles));
        let answer = match self.at_leader(body, Repeat::IfNotDone, until).await {
            Ok(At::Here) => return self.settle_here(namespace, settles).await,
            Ok(At::There(Body::Settled(message), _)) => wire::settled(self.id, settles, &message).map_err(|e| self.unreadable(e)),
            Ok(At::There(..)) => Err(self.unreadable(Malformed("not what was asked for"))),
            Err(rejection) => Err(rejection),
        };
        answer.unwrap_or_else(|rejection| settles.iter().map(|_| Err(SettleError::Rejected(rejection.clone()))).collect())
    }

    /// Settles deliveries, as the leader; acks and nacks of one call travel in one command, or in a few when they are many.
    pub(super) async fn settle_here(self: &Rc<Self>, namespace: &Namespace, settles: &[Settle]) -> Vec<Settled> {
        let until = clock::monotonic() + Duration::from_millis(self.limits.hold_wait_ms);
        let undone = || Err(SettleError::Rejected(self.no_leader()));
        let mut settled: Vec<Settled> = settles.iter().map(|_| undone()).collect();
        let mut open: Vec<usize> = (0..settles.len()).collect();
        let mut claimed = false;
        loop {
            let mut round = self.say(namespace, settles, &open, &mut settled);
            let outcome = (!round.waiting.is_empty()).then(|| self.outcomes.next());
            self.drive();
            self.propose_settles(namespace, std::mem::take(&mut round.parts), &mut settled).await;
            open = self.claim_unknown(namespace, settles, (&round.unknown, claimed), &mut settled).await;
            claimed |= !round.unknown.is_empty();
            if let (true, Some(outcome)) = (open.is_empty(), outcome) {
                let left = until.saturating_duration_since(clock::monotonic());
                if left.is_zero() {
                    return settled;
                }
                let _ = select(outcome, pin!(executor::sleep(left))).await;
            }
            open.extend(round.waiting);
            if open.is_empty() {
                return settled;
            }
        }
    }

    /// Tells the engine. What it answers at once is settled.
    fn say(&self, namespace: &Namespace, settles: &[Settle], open: &[usize], settled: &mut [Settled]) -> Round {
        let (mut round, now) = (Round::default(), self.now());
        for i in open.iter().copied() {
            let step = match self.engine.borrow_mut().as_mut() {
                Some(engine) => engine.settle(namespace, &settles[i], now, random::fraction()),
                None => Err(SettleError::Rejected(self.no_leader())),
            };
            match step {
                Ok(Step::Extended { deadline_ms }) => settled[i] = Ok(deadline_ms),
                Ok(Step::Wait) => round.waiting.push(i),
                Ok(Step::Unknown) => round.unknown.push(i),
                Ok(Step::Propose { op, claim }) => {
                    if round.parts.last().is_none_or(Part::is_full) {
                        round.parts.push(Part::default());
                    }
                    if let Some(part) = round.parts.last_mut() {
                        part.add(i, op, claim);
                    }
                }
                Err(error) => settled[i] = Err(error),
            }
        }
        round
    }

    async fn propose_settles(self: &Rc<Self>, namespace: &Namespace, parts: Vec<Part>, settled: &mut [Settled]) {
        let mut answers = Vec::with_capacity(parts.len());
        for Part { ops, claims, waiting, .. } in parts {
            let (tx, rx) = oneshot::channel();
            self.propose(namespace.clone(), ops, claims, move |result| {
                let _ = tx.send(result);
            });
            answers.push((waiting, rx));
        }
        for (waiting, rx) in answers {
            let result = rx.await.unwrap_or(Err(Rejection::Stopping));
            waiting.into_iter().for_each(|i| settled[i] = result.clone().map(|()| 0).map_err(SettleError::Rejected));
        }
    }

    /// Claims deliveries of earlier leaders that are settled by name, and answers what was said before. Returns those that are to be said
    /// again.
    async fn claim_unknown(
        self: &Rc<Self>,
        namespace: &Namespace,
        settles: &[Settle],
        (unknown, again): (&[usize], bool),
        settled: &mut [Settled],
    ) -> Vec<usize> {
        let lost = |i: usize| Err(SettleError::LeaseLost { id: settles[i].id, token: settles[i].token });
        let (ask, not): (Vec<usize>, Vec<usize>) =
            unknown.iter().copied().partition(|i| !again && mint::is_token(settles[*i].token));
        not.into_iter().for_each(|i| settled[i] = lost(i));
        if ask.is_empty() {
            return ask;
        }
        let held = ask.iter().map(|i| (namespace.clone(), settles[*i].id, settles[*i].token)).collect();
        let Some(claimed) = self.claim(ConsumerId::NOBODY, held).await else { return Vec::new() };
        let mut ours = Vec::new();
        for (i, claimed) in ask.into_iter().zip(claimed) {
            match claimed {
                Claimed::Ours => ours.push(i),
                Claimed::Settled(acked) if said(&settles[i].verdict) == Some(acked) => settled[i] = Ok(0),
                // Gone: another consumer may have done it since, and of two only one may hear that it did.
                Claimed::Gone | Claimed::Settled(_) | Claimed::Refused => settled[i] = lost(i),
            }
        }
        ours
    }
}
