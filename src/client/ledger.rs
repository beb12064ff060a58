//! What a consumer holds, what it has to say, and what it waits for. Pure: time is an input, and messages are values.
//!
//! One thing at a time is in flight for a delivery: the answer to an extension cannot be told from the answer to an ack.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::{Code, Status};
use z4_proto::{Ack, ConsumeRequest, Delivery, HeldDelivery, LeaseExtension, Nack, SettleResult};

use super::attempt::{Attempts, Failure, Repeat};
use super::consuming::CALL;
use super::error::Error;
use super::tasks::passes;

/// A message says at most so much about deliveries; peers have a bound of their own.
const SETTLES_MAX: usize = 1_000;

/// A claim of a lease that is not kept up, if it was refused for the moment, is made again after this.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);

/// Names a delivery. Tokens are unique within a group only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) task_id: Arc<str>,
    pub(super) token: u64,
}

/// What is said about a delivery at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ack,
    Nack { delay_ms: Option<u64>, reason: String },
}

/// The end of a delivery, on its way.
struct Settle {
    verdict: Verdict,
    answer: Option<oneshot::Sender<Result<(), Error>>>,
    attempts: Attempts,
}

enum Stage {
    /// With the user.
    Held,
    /// With the user or, when `then` is set, settled by the user; the answer to an extension is awaited.
    Extending { then: Option<Settle> },
    /// Said, or about to be said.
    Settling(Settle),
}

struct Entry {
    namespace: Arc<str>,
    stage: Stage,
    /// Its row in `extensions`.
    extends_at: Option<Instant>,
    standing: Arc<Standing>,
}

impl Entry {
    fn names(&self, key: &Key) -> HeldDelivery {
        HeldDelivery { namespace: self.namespace.to_string(), task_id: key.task_id.to_string(), token: key.token }
    }
}

/// Whether a lease is still ours, for the delivery's holder.
#[derive(Debug, Default)]
pub(super) struct Standing(AtomicU8);

impl Standing {
    const DOUBTFUL: u8 = 1;
    const LOST: u8 = 2;

    /// Another consumer has the task, or will have it.
    pub(super) fn is_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::LOST
    }

    /// The stream over which it came is gone, and whether a claim was granted is not known yet.
    pub(super) fn is_doubtful(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::DOUBTFUL
    }

    fn lose(&self) {
        self.0.store(Self::LOST, Ordering::Relaxed);
    }

    fn doubt(&self) {
        let _ = self.0.compare_exchange(0, Self::DOUBTFUL, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn confirm(&self) {
        let _ = self.0.compare_exchange(Self::DOUBTFUL, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The books of a consumer.
pub(super) struct Ledger {
    credit_max: u32,
    /// How many deliveries may still come in all.
    left: u64,
    /// Granted to the present stream and not used.
    granted: u32,
    /// Deliveries that the user has, or that wait for the user.
    held: u32,
    lease: Option<Duration>,
    entries: HashMap<Key, Entry>,
    extensions: BTreeSet<(Instant, Key)>,
    /// What the next messages say.
    to_say: VecDeque<(Key, Said)>,
    /// The latest deliveries that the user has said nothing about: they are leased until their leases end, under whichever leader.
    left_alone: VecDeque<HeldDelivery>,
}

enum Said {
    Settle,
    Extend,
}

impl Ledger {
    /// `lease` `None`: nothing is extended, but once when another stream is opened.
    pub(super) fn new(credit_max: u32, limit: u64, lease: Option<Duration>) -> Self {
        Ledger {
            credit_max,
            left: limit,
            granted: 0,
            held: 0,
            lease,
            entries: HashMap::new(),
            extensions: BTreeSet::new(),
            to_say: VecDeque::new(),
            left_alone: VecDeque::new(),
        }
    }

    /// No more deliveries are wanted.
    pub(super) fn close(&mut self) {
        self.left = 0;
    }

    /// Nothing is held and nothing awaits an answer.
    pub(super) fn is_settled(&self) -> bool {
        self.entries.is_empty()
    }

    /// Somebody waits for an answer.
    pub(super) fn awaits_answers(&self) -> bool {
        self.entries.values().any(|entry| !matches!(entry.stage, Stage::Held))
    }

    /// What a new stream claims: what the ones before delivered and what is not settled, as many as a peer surely takes. Those that are said
    /// anyway come after those that would go without a word, and then those that were left alone, the latest. A lease that is over is claimed
    /// in vain.
    pub(super) fn claims(&self) -> Vec<HeldDelivery> {
        let names = |settled: bool| {
            let of = move |(_, entry): &(&Key, &Entry)| matches!(entry.stage, Stage::Settling(_)) == settled;
            self.entries.iter().filter(of).map(|(key, entry)| entry.names(key))
        };
        names(false).chain(names(true)).chain(self.left_alone.iter().rev().cloned()).take(self.credit_max as usize).collect()
    }

    /// A new stream begins: it has no credit, and what the one before left unanswered is said again. What is held is extended at once,
    /// to learn whether it is still ours; also where leases are not kept up, for one that is claimed begins anew in any case.
    pub(super) fn reopen(&mut self, now: Instant) {
        self.granted = 0;
        self.to_say.clear();
        self.extensions.clear();
        for (key, entry) in &mut self.entries {
            entry.stage = match std::mem::replace(&mut entry.stage, Stage::Held) {
                Stage::Extending { then: Some(settle) } | Stage::Settling(settle) => {
                    self.to_say.push_back((key.clone(), Said::Settle));
                    Stage::Settling(settle)
                }
                Stage::Extending { then: None } | Stage::Held => {
                    entry.standing.doubt();
                    entry.extends_at = Some(now);
                    self.extensions.insert((now, key.clone()));
                    Stage::Held
                }
            };
        }
    }

    /// The stream broke: whoever waits for an answer is told so if none comes.
    pub(super) fn broken(&mut self, failure: Failure, peer: &str, status: &Status) {
        for entry in self.entries.values_mut() {
            if let Stage::Extending { then: Some(settle) } | Stage::Settling(settle) = &mut entry.stage {
                settle.attempts.failed(failure, peer, status.clone());
            }
        }
        // Nobody waits any more, and the peer ends the lease of a consumer that went away.
        let given_up = |settle: &Settle| settle.answer.as_ref().is_none_or(oneshot::Sender::is_closed);
        self.entries.retain(|_, entry| match &entry.stage {
            Stage::Extending { then: Some(settle) } | Stage::Settling(settle) => !given_up(settle),
            _ => true,
        });
    }

    /// A task came. Returns what tells its holder of a lost lease.
    pub(super) fn delivered(&mut self, delivery: &Delivery, now: Instant) -> Arc<Standing> {
        let standing = Arc::<Standing>::default();
        let task = delivery.task.as_ref();
        let key = Key { task_id: task.map_or("", |task| &task.id).into(), token: delivery.token };
        let extends_at = self.lease.map(|lease| now + lease / 2);
        let namespace = task.map_or("", |task| &task.namespace).into();
        let entry = Entry { namespace, stage: Stage::Held, extends_at, standing: standing.clone() };
        self.granted = self.granted.saturating_sub(1);
        self.left = self.left.saturating_sub(1);
        self.held += 1;
        self.extensions.extend(extends_at.map(|at| (at, key.clone())));
        self.entries.insert(key, entry);
        standing
    }

    /// The user is done with a delivery.
    pub(super) fn settle(&mut self, key: Key, verdict: Verdict, answer: Option<oneshot::Sender<Result<(), Error>>>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        self.held = self.held.saturating_sub(1);
        if let Some(at) = entry.extends_at.take() {
            self.extensions.remove(&(at, key.clone()));
        }
        let settle = Settle { verdict, answer, attempts: Attempts::new(Repeat::Safe) };
        match &mut entry.stage {
            Stage::Extending { then } => *then = Some(settle),
            stage => {
                *stage = Stage::Settling(settle);
                self.to_say.push_back((key, Said::Settle));
            }
        }
    }

    /// The user says nothing about a delivery; `unused`: it was not shown, and counts for no limit.
    pub(super) fn leave(&mut self, key: &Key, unused: bool) {
        if let Some(entry) = self.entries.remove(key) {
            if let Some(at) = entry.extends_at {
                self.extensions.remove(&(at, key.clone()));
            }
            self.held = self.held.saturating_sub(1);
            self.left = self.left.saturating_add(unused.into());
            if !unused {
                self.left_alone.push_back(entry.names(key));
                if self.left_alone.len() > self.credit_max as usize {
                    self.left_alone.pop_front();
                }
            }
        }
    }

    /// What was refused for the moment is said again.
    pub(super) fn again(&mut self, key: Key) {
        if matches!(self.entries.get(&key), Some(Entry { stage: Stage::Settling(_), .. })) {
            self.to_say.push_back((key, Said::Settle));
        }
    }

    /// An answer. Returns after which number of attempts a settle is to be said again, if it was refused for the moment.
    pub(super) fn answered(&mut self, result: SettleResult, peer: &str, now: Instant) -> Option<(Key, u32)> {
        let key = Key { task_id: result.task_id.as_str().into(), token: result.token };
        let entry = self.entries.get_mut(&key)?;
        match std::mem::replace(&mut entry.stage, Stage::Held) {
            // Not asked for.
            Stage::Held => None,
            Stage::Extending { then } => {
                if result.status == Code::FailedPrecondition as u32 {
                    entry.standing.lose();
                } else if result.status == 0 {
                    entry.standing.confirm();
                }
                // What was refused for the moment is asked for again before the lease is over.
                let again = match self.lease {
                    _ if entry.standing.is_lost() => None,
                    Some(lease) => Some(if result.status == 0 { lease / 2 } else { lease / 8 }),
                    None => (result.status != 0).then_some(CLAIM_AGAIN),
                };
                match (then, again) {
                    (Some(settle), _) => {
                        entry.stage = Stage::Settling(settle);
                        self.to_say.push_back((key, Said::Settle));
                    }
                    (None, Some(again)) => {
                        let at = now + again;
                        entry.extends_at = Some(at);
                        self.extensions.insert((at, key));
                    }
                    (None, None) => {}
                }
                None
            }
            Stage::Settling(mut settle) => {
                let waits = settle.answer.as_ref().is_some_and(|answer| !answer.is_closed());
                if result.status == 0 {
                    self.entries.remove(&key);
                    settle.answer.map(|answer| answer.send(Ok(())));
                    return None;
                }
                let status = Status::new(Code::from_i32(i32::try_from(result.status).unwrap_or(-1)), result.message);
                settle.attempts.failed(Failure::of(&status), peer, status);
                if passes(result.status) && waits {
                    let count = settle.attempts.count();
                    entry.stage = Stage::Settling(settle);
                    return Some((key, count));
                }
                self.entries.remove(&key);
                settle.answer.map(|answer| answer.send(Err(settle.attempts.error(CALL))));
                None
            }
        }
    }

    /// When the next lease is to be extended.
    pub(super) fn next_extension(&self) -> Option<Instant> {
        self.extensions.first().map(|(at, _)| *at)
    }

    /// Extends the leases whose time has come.
    pub(super) fn extend(&mut self, now: Instant) {
        while let Some((at, _)) = self.extensions.first()
            && *at <= now
            && let Some((_, key)) = self.extensions.pop_first()
        {
            if let Some(entry) = self.entries.get_mut(&key)
                && matches!(entry.stage, Stage::Held)
            {
                entry.extends_at = None;
                entry.stage = Stage::Extending { then: None };
                self.to_say.push_back((key, Said::Extend));
            }
        }
    }

    /// The next message to the peer, if there is something to say: settles, extensions, and credit for what is free.
    pub(super) fn message(&mut self) -> Option<ConsumeRequest> {
        let mut message = ConsumeRequest::default();
        for _ in 0..self.to_say.len().min(SETTLES_MAX) {
            let Some((key, said)) = self.to_say.pop_front() else { break };
            let Some(entry) = self.entries.get(&key) else { continue };
            let (namespace, task_id, token) = (entry.namespace.to_string(), key.task_id.to_string(), key.token);
            match (said, &entry.stage) {
                (Said::Extend, Stage::Extending { .. }) => {
                    message.extensions.push(LeaseExtension { namespace, task_id, token, lease_ms: 0 });
                }
                (Said::Settle, Stage::Settling(settle)) => match settle.verdict.clone() {
                    Verdict::Ack => message.acks.push(Ack { namespace, task_id, token }),
                    Verdict::Nack { delay_ms, reason } => {
                        message.nacks.push(Nack { namespace, task_id, token, delay_ms, reason });
                    }
                },
                _ => {}
            }
        }
        message.credit = self.free_credit();
        self.granted += message.credit;
        (message != ConsumeRequest::default()).then_some(message)
    }

    fn free_credit(&self) -> u32 {
        let left = u32::try_from(self.left).unwrap_or(u32::MAX);
        self.credit_max.saturating_sub(self.held).min(left).saturating_sub(self.granted)
    }
}

#[cfg(test)]
mod tests {
    //! Books that are wrong lose tasks (an ack that was never said, credit that never comes back), or tell a user that a task is done
    //! which comes again.
    use z4_proto::Task;

    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn delivery(token: u64) -> Delivery {
        let task = Task { id: format!("t{token}"), namespace: "a".into(), ..Task::default() };
        Delivery { task: Some(task), token, attempt: 1, ..Delivery::default() }
    }

    fn key(token: u64) -> Key {
        Key { task_id: format!("t{token}").into(), token }
    }

    fn result(token: u64, status: Code) -> SettleResult {
        SettleResult { task_id: format!("t{token}"), token, status: status as u32, ..SettleResult::default() }
    }

    fn acked(ledger: &mut Ledger, token: u64) -> oneshot::Receiver<Result<(), Error>> {
        let (answer, answered) = oneshot::channel();
        ledger.settle(key(token), Verdict::Ack, Some(answer));
        answered
    }

    fn tokens(message: &ConsumeRequest) -> (Vec<u64>, Vec<u64>, u32) {
        let acks = message.acks.iter().map(|ack| ack.token).collect();
        (acks, message.extensions.iter().map(|extension| extension.token).collect(), message.credit)
    }

    #[test]
    fn credit_is_what_is_not_held() {
        let (mut ledger, now) = (Ledger::new(3, u64::MAX, Some(LEASE)), Instant::now());
        assert_eq!(ledger.message().expect("credit").credit, 3);
        assert!(ledger.message().is_none());
        ledger.delivered(&delivery(1), now);
        ledger.delivered(&delivery(2), now);
        assert!(ledger.message().is_none(), "two are held and one may come");
        let _answer = acked(&mut ledger, 1);
        assert_eq!(tokens(&ledger.message().expect("an ack")), (vec![1], vec![], 1));
        ledger.leave(&key(2), false);
        assert_eq!(ledger.message().expect("credit").credit, 1);
        ledger.reopen(now);
        assert_eq!(tokens(&ledger.message().expect("credit")), (vec![1], vec![], 3), "a new stream has no credit");
    }

    #[test]
    fn a_limit_counts_what_was_shown() {
        let (mut ledger, now) = (Ledger::new(10, 2, None), Instant::now());
        assert_eq!(ledger.message().expect("credit").credit, 2);
        ledger.delivered(&delivery(1), now);
        ledger.delivered(&delivery(2), now);
        ledger.leave(&key(2), true);
        assert_eq!(ledger.message().expect("credit").credit, 1);
        ledger.leave(&key(1), false);
        assert!(ledger.message().is_none());
    }

    /// An ack that is said while an extension is in flight waits for its answer: the two answers look alike.
    #[test]
    fn one_thing_at_a_time_is_in_flight_for_a_delivery() {
        let (mut ledger, now) = (Ledger::new(1, u64::MAX, Some(LEASE)), Instant::now());
        ledger.message();
        let lost = ledger.delivered(&delivery(1), now);
        ledger.extend(now);
        assert!(ledger.message().is_none(), "half of the lease is not over");
        ledger.extend(now + LEASE / 2);
        assert_eq!(tokens(&ledger.message().expect("an extension")).1, [1]);
        let mut answer = acked(&mut ledger, 1);
        assert_eq!(tokens(&ledger.message().expect("credit")), (vec![], vec![], 1));
        ledger.answered(result(1, Code::FailedPrecondition), "p:1", now);
        assert!(lost.is_lost());
        assert!(answer.try_recv().is_err(), "that was the answer to the extension");
        assert_eq!(tokens(&ledger.message().expect("the ack")).0, [1]);
        ledger.answered(result(1, Code::FailedPrecondition), "p:1", now);
        let error = answer.try_recv().expect("answered").expect_err("refused");
        assert_eq!((error.code(), error.may_be_done()), (Code::FailedPrecondition, false));
        assert!(ledger.is_settled());
    }

    #[test]
    fn leases_are_extended_again_and_again_until_they_are_lost() {
        let (mut ledger, mut now) = (Ledger::new(1, u64::MAX, Some(LEASE)), Instant::now());
        ledger.delivered(&delivery(1), now);
        for answer in [Code::Ok, Code::Unavailable, Code::Ok, Code::FailedPrecondition] {
            now = ledger.next_extension().expect("it is held");
            ledger.extend(now);
            assert_eq!(tokens(&ledger.message().expect("an extension")).1, [1]);
            ledger.answered(result(1, answer), "p:1", now);
        }
        assert_eq!(ledger.next_extension(), None);
        let _answer = acked(&mut ledger, 1);
        assert_eq!(tokens(&ledger.message().expect("its user may try")).0, [1]);
    }

    /// Leases that are not kept up are claimed all the same, also of deliveries that were left alone, and asked for once; as many as a peer takes
    /// that takes the credit.
    #[test]
    fn another_stream_claims_leases_of_a_fixed_length() {
        let (mut ledger, now) = (Ledger::new(3, u64::MAX, None), Instant::now());
        for token in 1..=2 {
            ledger.delivered(&delivery(token), now);
            ledger.leave(&key(token), false);
        }
        let standing = ledger.delivered(&delivery(3), now);
        ledger.delivered(&delivery(4), now);
        ledger.leave(&key(4), true);
        ledger.message();
        assert_eq!(ledger.next_extension(), None, "they are not kept up");
        ledger.reopen(now);
        let claimed: Vec<_> = ledger.claims().into_iter().map(|held| held.token).collect();
        assert_eq!(claimed, [3, 2, 1], "4 was never shown");
        assert!(standing.is_doubtful());
        ledger.extend(now);
        assert_eq!(tokens(&ledger.message().expect("an extension")).1, [3]);
        ledger.answered(result(3, Code::Unavailable), "p:1", now);
        let again = ledger.next_extension().expect("asked again");
        ledger.extend(again);
        assert_eq!(tokens(&ledger.message().expect("an extension")).1, [3]);
        ledger.answered(result(3, Code::Ok), "p:1", again);
        assert!(!standing.is_doubtful() && !standing.is_lost());
        assert_eq!(ledger.next_extension(), None, "once");
        let _answer = acked(&mut ledger, 3);
        ledger.delivered(&delivery(5), now);
        ledger.reopen(now);
        let claimed: Vec<_> = ledger.claims().into_iter().map(|held| held.token).collect();
        assert_eq!(claimed, [5, 3, 2], "what is said anyway after what is not, and no more than the credit");
    }

    /// After a broken stream, acks without an answer are said again. If the second one is refused, the first may have been done.
    #[test]
    fn what_was_not_answered_is_said_again() {
        let (mut ledger, now) = (Ledger::new(4, u64::MAX, Some(LEASE)), Instant::now());
        for token in 1..=3 {
            ledger.delivered(&delivery(token), now);
        }
        let (mut first, second) = (acked(&mut ledger, 1), acked(&mut ledger, 2));
        ledger.message();
        drop(second);
        ledger.broken(Failure::Lost, "p:1", &Status::unknown("reset"));
        ledger.reopen(now);
        ledger.extend(now);
        let message = ledger.message().expect("there is much to say");
        assert_eq!(tokens(&message), (vec![1], vec![3], 3), "nobody waits for 2; 3 is held and asks whether it still is");
        ledger.answered(result(1, Code::FailedPrecondition), "p:2", now);
        let error = first.try_recv().expect("answered").expect_err("refused");
        assert!(error.may_be_done(), "{error}");
    }

    #[test]
    fn what_was_refused_for_the_moment_is_said_again() {
        let (mut ledger, now) = (Ledger::new(1, u64::MAX, None), Instant::now());
        ledger.delivered(&delivery(1), now);
        let mut answer = acked(&mut ledger, 1);
        ledger.message();
        let (again, attempts) = ledger.answered(result(1, Code::ResourceExhausted), "p:1", now).expect("another attempt");
        assert_eq!(attempts, 1);
        ledger.again(again);
        assert_eq!(tokens(&ledger.message().expect("the ack")).0, [1]);
        ledger.answered(result(1, Code::Ok), "p:1", now);
        assert!(answer.try_recv().expect("answered").is_ok());
    }
}
