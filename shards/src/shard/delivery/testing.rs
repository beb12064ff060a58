//! A model of what is around the engine: the store, the log, the storage thread's one queue in each direction, and consumers.
//! It checks what must hold at every step.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use z4_model::command::{Ended, Op};
use z4_model::ids::{GroupId, Namespace, TaskId, TaskKey};
use z4_model::machine::{Claimable, Effect, SettledLately};
use z4_model::rows::namespace::NamespaceRow;
use z4_model::rows::record::TaskRecord;
use z4_model::rows::task::TaskRow;
use z4_model::settings::Settings;

use super::{Action, Claim, Claimed, ConsumerId, Engine, Finish, Flow, Gone, Known, Limits, Made, Now, Sent, Step, weight};
use crate::runtime::maps::{HashMap, HashSet};
use crate::shard::api::{Delivered, Rejection, Settle, SettleError, Verdict};

pub(super) const GROUP: GroupId = GroupId(1);

/// An answer that is not there yet: somebody else's command decides.
pub(super) const WAITS: Rejection = Rejection::Stopping;
/// The same: the row decides, and cannot be read in time.
pub(super) const UNKNOWN: Rejection = Rejection::Removed;

pub(super) fn name(n: usize) -> Namespace {
    Namespace::new(&format!("ns-{n}")).expect("valid")
}

/// A small random generator (splitmix64): the same seed gives the same run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(super) fn unit(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1u64 << 53) as f64
    }
}

/// What a proposal is for.
#[derive(Debug)]
pub(super) enum Change {
    Create { due_ms: u64, bytes: usize },
    Claimed { ops: Vec<Op>, claims: Vec<Claim> },
    Update { id: TaskId, due_ms: Option<u64> },
    Delete { id: TaskId },
    Configure(Settings),
    Purge,
}

/// For the storage thread, in order.
enum Job {
    Apply(usize, Change),
    Scan { n: usize, from: TaskKey, until_ms: u64, rows_max: usize, bytes_max: usize },
    Load(usize),
}

/// From the storage thread, in order.
enum Answer {
    Applied { effects: Vec<Effect>, finished: Vec<(Claim, Finish)>, released: Option<(usize, TaskId)>, purged: Option<usize> },
    Scanned { n: usize, from: TaskKey, rows: Vec<(TaskKey, Bytes)>, next: Option<TaskKey> },
    Loaded(usize, NamespaceRow),
}

#[derive(Default)]
pub(super) struct Tenant {
    pub(super) live: BTreeMap<TaskKey, TaskRecord>,
    pub(super) dead: HashSet<u64>,
    pub(super) settings: Settings,
    pub(super) low_water_ms: u64,
}

pub(super) struct Client {
    pub(super) flow: Arc<Flow>,
    pub(super) sent: Arc<Sent>,
    pub(super) inbox: VecDeque<Delivered>,
    pub(super) granted: u64,
    pub(super) delivered: u64,
}

pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) limits: Limits,
    pub(super) dice: Dice,
    pub(super) now_ms: u64,
    /// The wall clock less the monotonic one.
    ahead_ms: u64,
    pub(super) tenants: Vec<Tenant>,
    pub(super) clients: BTreeMap<u64, Client>,
    sequence: u64,
    proposals: VecDeque<(usize, Change)>,
    jobs: VecDeque<Job>,
    answers: VecDeque<Answer>,
    /// The newest token of each task.
    tokens: HashMap<u64, u64>,
    /// What the state machine knows of deliveries.
    claimable: Claimable,
    settled: SettledLately,
    /// Sequences whose ack, delete or purge was applied.
    pub(super) gone: HashSet<u64>,
    pub(super) scans: usize,
    pub(super) scanned_rows: usize,
    /// The low-water marks that the engine proposed.
    pub(super) waters: Vec<u64>,
    /// Consumers on demand for which credit was wanted.
    pub(super) wants: Vec<u64>,
    /// The error texts of retries that were applied.
    pub(super) errors: Vec<Bytes>,
}

impl World {
    pub(super) fn new(namespaces: usize, limits: Limits, seed: u64) -> Self {
        World {
            engine: Engine::new(GROUP, limits, 1),
            limits,
            dice: Dice(seed),
            now_ms: 1_000_000,
            ahead_ms: 900_000,
            tenants: (0..namespaces).map(|_| Tenant::default()).collect(),
            clients: BTreeMap::new(),
            sequence: 0,
            proposals: VecDeque::new(),
            jobs: VecDeque::new(),
            answers: VecDeque::new(),
            tokens: HashMap::default(),
            claimable: Claimable::default(),
            settled: SettledLately::default(),
            gone: HashSet::default(),
            scans: 0,
            scanned_rows: 0,
            waters: Vec::new(),
            wants: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { wall_ms: self.now_ms, mono_ms: self.now_ms - self.ahead_ms }
    }

    /// Somebody sets the wall clock.
    pub(super) fn set_wall_ms(&mut self, wall_ms: u64) {
        let mono_ms = self.now().mono_ms;
        (self.now_ms, self.ahead_ms) = (wall_ms, wall_ms - mono_ms);
    }

    /// When the engine wakes, as the wall clock will say if nobody sets it; 0: at once.
    pub(super) fn wake_at(&self) -> Option<u64> {
        let wake = self.engine.wake_at()?;
        Some(wake.wall_ms.min(wake.mono_ms.saturating_add(self.ahead_ms * u64::from(wake.mono_ms > 0))))
    }

    pub(super) fn connect(&mut self, id: u64, namespaces: &[usize], lease_ms: u32, queued_bytes_max: usize) {
        self.connect_flow(id, namespaces, lease_ms, Flow::new(queued_bytes_max));
    }

    pub(super) fn connect_flow(&mut self, id: u64, namespaces: &[usize], lease_ms: u32, flow: Flow) {
        let (flow, sent) = (Arc::new(flow), Arc::<Sent>::default());
        let names: Vec<_> = namespaces.iter().map(|n| name(*n)).collect();
        self.engine.subscribe(ConsumerId(id), (flow.clone(), sent.clone()), &names, lease_ms);
        self.clients.insert(id, Client { flow, sent, inbox: VecDeque::new(), granted: 0, delivered: 0 });
    }

    pub(super) fn disconnect(&mut self, id: u64) {
        self.leave(id, Gone::Lost);
    }

    /// The consumer goes.
    pub(super) fn leave(&mut self, id: u64, how: Gone) {
        self.clients.remove(&id);
        self.engine.unsubscribe(ConsumerId(id), how);
    }

    pub(super) fn credit(&mut self, id: u64, tasks: u32) {
        let client = self.clients.get_mut(&id).expect("connected");
        client.granted += u64::from(tasks);
        if client.flow.add_credit(tasks) {
            self.engine.kick(ConsumerId(id));
        }
    }

    /// Another engine takes over, with what the one before leaves, or without: nothing is on its way then, and what was proposed and not
    /// committed never will be. Its consumers come at once.
    pub(super) fn hand_over(&mut self, leaves: bool) {
        self.hand_over_at(leaves, self.now_ms);
    }

    /// The same, to one by whose clock it is `wall_ms`.
    pub(super) fn hand_over_at(&mut self, leaves: bool, wall_ms: u64) {
        while self.work() | self.answer() {}
        while self.fail() {}
        let leaves = leaves && !self.engine.awaits_claims();
        let estate = self.engine.estate(self.now());
        self.set_wall_ms(wall_ms);
        let first_token = self.engine.next_token() + 1_000;
        let before = std::mem::replace(&mut self.engine, Engine::new(GROUP, self.limits, first_token));
        match leaves {
            true => self.engine.inherit(estate, self.now()),
            false => {
                let made = Made { assigned: self.sequence + 1, reserved: u64::MAX };
                self.engine.await_claims(self.claimable.clone(), made, self.now());
            }
        }
        for (id, client) in &mut self.clients {
            let (names, lease_ms) = before.subscription(ConsumerId(*id)).expect("it was connected");
            self.engine.subscribe(ConsumerId(*id), (client.flow.clone(), client.sent.clone()), &names, lease_ms);
            self.engine.resume(ConsumerId(*id), ConsumerId(*id), u64::MAX);
        }
    }

    /// Takes up to `max` tasks out of the consumer's queue.
    pub(super) fn take(&mut self, id: u64, max: usize) -> Vec<Delivered> {
        let client = self.clients.get_mut(&id).expect("connected");
        let count = max.min(client.inbox.len());
        let tasks: Vec<_> = client.inbox.drain(..count).collect();
        tasks.iter().for_each(|task| client.sent.add(task.token));
        if !tasks.is_empty() && client.flow.took(&tasks) {
            self.engine.kick(ConsumerId(id));
        }
        tasks
    }

    pub(super) fn propose(&mut self, n: usize, change: Change) {
        match &change {
            Change::Update { id, .. } | Change::Delete { id } => self.engine.revoke(*id),
            Change::Purge => self.engine.revoke_all(&name(n)),
            _ => {}
        }
        self.proposals.push_back((n, change));
    }

    pub(super) fn create(&mut self, n: usize, due_ms: u64) {
        self.propose(n, Change::Create { due_ms, bytes: 10 });
    }

    pub(super) fn settle(&mut self, task: &Delivered, verdict: Verdict) -> Result<Option<u64>, SettleError> {
        let settle = Settle { id: task.id, token: task.token, verdict };
        let random = self.dice.unit();
        match self.engine.settle(&task.namespace, &settle, self.now(), random)? {
            Step::Extended { deadline_ms } => Ok(Some(deadline_ms)),
            Step::Wait => Err(SettleError::Rejected(WAITS)),
            Step::Unknown => match (self.claim(task, ConsumerId::NOBODY), &settle.verdict) {
                (None, _) => Err(SettleError::Rejected(UNKNOWN)),
                (Some(Claimed::Ours), _) => self.settle(task, settle.verdict),
                (Some(Claimed::Settled(true)), Verdict::Ack) | (Some(Claimed::Settled(false)), Verdict::Nack { .. }) => Ok(None),
                _ => Err(SettleError::LeaseLost { id: settle.id, token: settle.token }),
            },
            Step::Propose { op, claim } => {
                let n = self.number(&task.namespace);
                self.proposals.push_back((n, Change::Claimed { ops: vec![op], claims: vec![claim] }));
                Ok(None)
            }
        }
    }

    /// A consumer claims what it got of an earlier leader. `None`: something is on its way from the storage thread, which this read would
    /// overtake.
    pub(super) fn claim(&mut self, task: &Delivered, consumer: ConsumerId) -> Option<Claimed> {
        if !(self.jobs.is_empty() && self.answers.is_empty()) {
            return None;
        }
        let row = || {
            let found = self.tenants[self.number(&task.namespace)].find(task.id);
            found.map(|(key, record)| TaskRow { id: task.id, key, dead: false, record })
        };
        let known = match self.settled.verdict(task.token, task.id.sequence) {
            Some(acked) => Known::Settled(acked),
            None if self.engine.may_claim(task.token) => Known::Task(row()),
            None => Known::Task(None),
        };
        // Whoever holds a delivery was sent it.
        if let Some(client) = self.clients.get(&consumer.0) {
            client.sent.add(task.token);
        }
        Some(self.engine.claim(&task.namespace, (task.id, task.token), &known, consumer, self.now()))
    }

    pub(super) fn ack(&mut self, task: &Delivered) -> Result<Option<u64>, SettleError> {
        self.settle(task, Verdict::Ack)
    }

    /// The oldest proposal is committed.
    pub(super) fn commit(&mut self) -> bool {
        let Some((n, change)) = self.proposals.pop_front() else { return false };
        self.jobs.push_back(Job::Apply(n, change));
        true
    }

    /// The oldest proposal fails: nothing of it happens.
    pub(super) fn fail(&mut self) -> bool {
        let Some((n, change)) = self.proposals.pop_front() else { return false };
        match change {
            Change::Claimed { claims, .. } => {
                claims.into_iter().for_each(|claim| self.engine.finished(claim, Finish::NotDone, self.now()));
            }
            Change::Update { id, .. } | Change::Delete { id } => self.engine.release(&name(n), id, self.now_ms),
            Change::Purge => self.engine.release_all(&name(n)),
            Change::Create { .. } | Change::Configure(_) => {}
        }
        true
    }

    /// The oldest proposal, which must be of claims, is refused.
    pub(super) fn refuse(&mut self) -> Vec<Claim> {
        let Some((_, Change::Claimed { claims, .. })) = self.proposals.pop_front() else { panic!("no proposal of claims") };
        claims.iter().for_each(|claim| self.engine.finished(*claim, Finish::Refused, self.now()));
        claims
    }

    /// The storage thread does its oldest job.
    pub(super) fn work(&mut self) -> bool {
        let Some(job) = self.jobs.pop_front() else { return false };
        let answer = match job {
            Job::Apply(n, change) => self.apply(n, change),
            Job::Load(n) => {
                let tenant = &self.tenants[n];
                let (settings, low_water_ms, live) = (tenant.settings, tenant.low_water_ms, tenant.live.len() as u64);
                Answer::Loaded(n, NamespaceRow { settings, created_ms: 1, live, dead: 0, low_water_ms })
            }
            Job::Scan { n, from, until_ms, rows_max, bytes_max } => {
                let (mut rows, mut next, mut bytes) = (Vec::new(), None, 0);
                for (key, record) in self.tenants[n].live.range(from..) {
                    let full = rows.len() >= rows_max || (bytes >= bytes_max && !rows.is_empty());
                    if key.due_ms >= until_ms || full {
                        next = Some(*key);
                        break;
                    }
                    let row = record.encode();
                    bytes += weight(&row);
                    rows.push((*key, row));
                }
                self.scanned_rows += rows.len();
                Answer::Scanned { n, from, rows, next }
            }
        };
        self.answers.push_back(answer);
        true
    }

    /// The oldest answer reaches the engine.
    pub(super) fn answer(&mut self) -> bool {
        let Some(answer) = self.answers.pop_front() else { return false };
        match answer {
            Answer::Applied { effects, finished, released, purged } => {
                self.engine.applied(effects, self.now_ms);
                finished.into_iter().for_each(|(claim, finish)| self.engine.finished(claim, finish, self.now()));
                if let Some((n, id)) = released {
                    self.engine.release(&name(n), id, self.now_ms);
                }
                if let Some(n) = purged {
                    self.engine.release_all(&name(n));
                }
            }
            Answer::Scanned { n, from, rows, next } => self.engine.scanned(&name(n), from, rows, next),
            Answer::Loaded(n, row) => self.engine.loaded(&name(n), &row),
        }
        true
    }

    fn apply(&mut self, n: usize, change: Change) -> Answer {
        let namespace = name(n);
        let stamp_ms = self.now_ms;
        let (mut effects, mut finished, mut released, mut purged) = (Vec::new(), Vec::new(), None, None);
        let tenant = &mut self.tenants[n];
        let add = |tenant: &mut Tenant, effects: &mut Vec<Effect>, key: TaskKey, record: TaskRecord| {
            effects.push(Effect::Added { namespace: namespace.clone(), key, row: record.encode() });
            assert!(tenant.live.insert(key, record).is_none());
            tenant.low_water_ms = tenant.low_water_ms.min(key.due_ms);
        };
        match change {
            Change::Create { due_ms, bytes } => {
                self.sequence += 1;
                let key = TaskKey { due_ms: due_ms.max(stamp_ms), sequence: self.sequence };
                let payload = vec![7; bytes].into();
                add(tenant, &mut effects, key, TaskRecord { id_due_ms: key.due_ms, version: 1, payload, ..Default::default() });
            }
            Change::Claimed { ops, claims } => {
                for op in &ops {
                    match op {
                        Op::Ack { id, key, rewritten, token } => {
                            assert_eq!(self.tokens.get(&key.sequence), Some(token), "only the latest delivery can be acked");
                            self.settled.add(*token, key.sequence, true);
                            let record = &tenant.live[key];
                            assert_eq!((*id, *rewritten), (record.id(GROUP, *key), record.rewritten));
                            assert!(tenant.live.remove(key).is_some(), "an ack must find its row: {key:?}");
                            self.gone.insert(key.sequence);
                        }
                        Op::GiveBack { key, token } => {
                            let mut record = tenant.live.remove(key).expect("what is given back must find its row");
                            record.rewritten = true;
                            record.fence = record.fence.max(*token);
                            add(tenant, &mut effects, *key, record);
                        }
                        Op::EndClaims { below, kept, more } => {
                            self.claimable.end(*below, kept);
                            if !more {
                                effects.push(Effect::ClaimsEnded { below: *below });
                            }
                        }
                        Op::Retry { key, due_ms, error, of } => {
                            let mut record = tenant.live.remove(key).expect("a retry must find its row");
                            let Ended { token, nacked } = of.expect("which delivery");
                            assert_eq!(self.tokens.get(&key.sequence), Some(&token), "only the latest delivery can end");
                            record.fence = record.fence.max(token);
                            if nacked {
                                self.settled.add(token, key.sequence, false);
                            }
                            record.attempts += 1;
                            record.rewritten = true;
                            self.errors.push(error.clone());
                            if record.attempts >= tenant.settings.max_attempts {
                                tenant.dead.insert(key.sequence);
                                continue;
                            }
                            let key = TaskKey { due_ms: (*due_ms).max(stamp_ms), sequence: key.sequence };
                            add(tenant, &mut effects, key, record);
                        }
                        Op::LowWater { due_ms } => {
                            let first = tenant.live.keys().next().map_or(u64::MAX, |key| key.due_ms);
                            tenant.low_water_ms = tenant.low_water_ms.max((*due_ms).min(first));
                        }
                        other => panic!("the engine proposed {other:?}"),
                    }
                }
                finished = claims.into_iter().map(|claim| (claim, Finish::Applied)).collect();
            }
            Change::Update { id, due_ms } => {
                released = Some((n, id));
                if let Some((key, mut record)) = tenant.find(id) {
                    record.version += 1;
                    record.rewritten = true;
                    record.fence = record.fence.max(self.engine.next_token() - 1);
                    let moved = TaskKey { due_ms: due_ms.map_or(key.due_ms, |due| due.max(stamp_ms)), sequence: key.sequence };
                    if moved == key {
                        effects.push(Effect::Replaced { namespace: namespace.clone(), key, row: record.encode() });
                        tenant.live.insert(key, record);
                    } else {
                        tenant.live.remove(&key);
                        effects.push(Effect::Removed { namespace: namespace.clone(), key });
                        add(tenant, &mut effects, moved, record);
                    }
                }
            }
            Change::Delete { id } => {
                released = Some((n, id));
                if let Some((key, _)) = tenant.find(id) {
                    tenant.live.remove(&key);
                    self.gone.insert(key.sequence);
                    effects.push(Effect::Removed { namespace: namespace.clone(), key });
                }
            }
            Change::Configure(settings) => {
                tenant.settings = settings;
                effects.push(Effect::Configured { namespace: namespace.clone(), settings });
            }
            Change::Purge => {
                purged = Some(n);
                for key in std::mem::take(&mut tenant.live).into_keys() {
                    self.gone.insert(key.sequence);
                    effects.push(Effect::Removed { namespace: namespace.clone(), key });
                }
            }
        }
        Answer::Applied { effects, finished, released, purged }
    }

    /// One run of the engine, its actions carried out, everything checked.
    pub(super) fn run(&mut self) -> usize {
        let mut dice = Dice(self.dice.next());
        let actions = self.engine.run(self.now(), &mut || dice.unit());
        let count = actions.len();
        for action in actions {
            match action {
                Action::Load { namespaces } => {
                    let numbers: Vec<usize> = namespaces.iter().map(|namespace| self.number(namespace)).collect();
                    self.jobs.extend(numbers.into_iter().map(Job::Load));
                }
                Action::Scan { namespace, from, until_ms, rows_max, bytes_max } => {
                    assert!(rows_max > 0 && bytes_max > 0 && rows_max <= self.limits.window_rows_max);
                    self.scans += 1;
                    let n = self.number(&namespace);
                    self.jobs.push_back(Job::Scan { n, from, until_ms, rows_max, bytes_max });
                }
                Action::Propose { namespace, ops, claims } => {
                    assert!(!ops.is_empty() && ops.len() <= self.limits.propose_ops);
                    assert!(claims.len() == ops.len() || matches!(ops[..], [Op::LowWater { .. } | Op::EndClaims { .. }]));
                    let n = if claims.is_empty() && !namespace.as_str().starts_with("ns-") { 0 } else { self.number(&namespace) };
                    if let [Op::LowWater { due_ms }] = ops[..] {
                        self.waters.push(due_ms);
                    }
                    self.proposals.push_back((n, Change::Claimed { ops, claims }));
                }
                Action::Deliver { consumer, tasks } => self.receive(consumer.0, tasks),
                Action::Want { consumer } => self.wants.push(consumer.0),
                Action::Damaged { key, cause, .. } => panic!("{key:?}: {cause}"),
            }
        }
        self.check();
        count
    }

    fn receive(&mut self, id: u64, tasks: Vec<Delivered>) {
        assert!(!tasks.is_empty() && tasks.len() <= self.limits.deliver_tasks);
        for task in &tasks {
            assert!(task.key.due_ms <= self.now_ms, "early: {task:?} at {}", self.now_ms);
            assert!(!self.gone.contains(&task.key.sequence), "delivered after it was acked or deleted: {task:?}");
            assert_eq!((task.id.sequence, task.id.group), (task.key.sequence, GROUP));
            if let Some(old) = self.tokens.insert(task.id.sequence, task.token) {
                assert!(task.token > old, "tokens grow");
                let before = (task.id, old);
                let claimed = self.engine.claim(&task.namespace, before, &Known::Task(None), ConsumerId::NOBODY, self.now());
                assert_eq!(claimed, Claimed::Refused, "two valid tokens: {task:?}");
            }
        }
        let client = self.clients.get_mut(&id).expect("deliveries go to connected consumers");
        client.delivered += tasks.len() as u64;
        assert!(client.delivered <= client.granted, "credit exceeded");
        client.inbox.extend(tasks);
    }

    fn check(&self) {
        let counts = self.engine.counts();
        let rows_max = self.limits.window_rows_max;
        assert!(counts.window_rows <= rows_max * counts.namespaces, "{counts:?}");
        let bytes_max = self.limits.total_bytes_max / 8 * 9 + 10_000 * counts.namespaces;
        assert!(counts.window_bytes <= bytes_max, "{counts:?}");
        assert!(self.engine.timers_len() <= 2 * counts.leased + 2_000);
        for client in self.clients.values() {
            let queued: usize = client.inbox.iter().map(|t| weight(&t.row)).sum();
            assert_eq!(queued, client.flow.queued_bytes());
            // Tasks of the simulation weigh less than this.
            assert!(queued < client.flow.queued_bytes_max() + 1_200, "queued bytes: {queued}");
        }
    }

    /// Until nothing happens any more, at the present time.
    pub(super) fn pump(&mut self) {
        for _ in 0..20_000 {
            let acted = self.run() > 0;
            if !(self.commit() | self.work() | self.answer() | acted) && self.wake_at() != Some(0) {
                return;
            }
        }
        panic!("the engine never comes to rest");
    }

    /// Lets time pass, waking the engine exactly when it asks for it.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        self.pump();
        while let Some(at) = self.wake_at().filter(|at| *at <= end) {
            self.now_ms = self.now_ms.max(at);
            self.pump();
        }
        self.now_ms = end;
        self.pump();
    }

    pub(super) fn live(&self) -> usize {
        self.tenants.iter().map(|t| t.live.len()).sum()
    }

    fn number(&self, namespace: &Namespace) -> usize {
        namespace.as_str().trim_start_matches("ns-").parse().expect("one of ours")
    }
}

impl Tenant {
    pub(super) fn find(&self, id: TaskId) -> Option<(TaskKey, TaskRecord)> {
        self.live.iter().find(|(key, _)| key.sequence == id.sequence).map(|(key, record)| (*key, record.clone()))
    }
}
