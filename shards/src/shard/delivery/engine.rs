//! The engine: its parts, who consumes, and the order of work in one run.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use z4_model::ids::{GroupId, Namespace, TaskKey};
use z4_model::machine::Claimable;
use z4_model::rows::namespace::NamespaceRow;

use super::action::{Action, ConsumerId};
use super::claims::Grace;
use super::flow::{Flow, Sent};
use super::hold::Holds;
use super::keep::Keeping;
use super::lane::{Consumer, Lane};
use super::lease::{BY_CONSUMER, Leases, List, State, Why};
use super::limits::Limits;
use super::loading::Loading;
use super::now::{Now, Wake};
use super::slab::{NONE, Slab};
use super::timers::Timers;
use crate::runtime::maps::{HashMap, HashSet};

/// So many consumers of a ring may have gone before they are taken out.
const RING_GONE_MIN: usize = 16;

/// Delivers the tasks of one group, on its leader. It lives as long as the leadership and starts when everything earlier was applied.
///
/// Calls tell it what happened; [`Engine::run`] decides what to do about it. It does no IO and reads no clock. Memory is bounded by
/// [`Limits`], the number of leases (which credit bounds) and the number of namespaces that have consumers or leases.
pub struct Engine {
    pub(super) group: GroupId,
    pub(super) limits: Limits,
    pub(super) next_token: u64,
    /// Smaller tokens are of earlier leaders, or of this one before it lost its leadership for a while.
    pub(super) first_token: u64,
    /// What was due before waits for claims.
    pub(super) grace: Option<Grace>,
    /// Which deliveries of earlier leaders may be claimed.
    pub(super) claimable: Claimable,
    pub(super) lanes: Slab<Box<Lane>>,
    pub(super) lanes_by_name: HashMap<Namespace, u32>,
    pub(super) consumers: Slab<Consumer>,
    pub(super) consumers_by_id: HashMap<ConsumerId, u32>,
    pub(super) leases: Leases,
    pub(super) timers: Timers,
    pub(super) holds: Holds,
    /// Lanes that have something to do, each at most once. A number may be stale: a turn for nothing is harmless.
    pub(super) ready: VecDeque<u32>,
    /// Consumers with credit again whose waiting lanes are to be served.
    pub(super) pulling: VecDeque<u32>,
    /// When lanes have something to do next, by the wall clock, milliseconds.
    pub(super) alarms: BTreeSet<(u64, u32)>,
    /// Ended leases (slot, token) whose retries are to be proposed.
    pub(super) ended: Vec<(u32, u64)>,
    /// Consumers whose `out` is not empty.
    pub(super) outs: Vec<u32>,
    /// Lanes with consumers, and those that are kept for the next one.
    pub(super) active: usize,
    pub(super) keeping: Keeping,
    pub(super) loading: Loading,
    pub(super) next_serial: u64,
    /// Bytes in all windows.
    pub(super) window_bytes: usize,
    /// Bytes that windows gained since they were last squeezed.
    pub(super) gained_bytes: usize,
    pub(super) actions: Vec<Action>,
    /// Leases (slot, token) from the leader before whose consumers have not come, by their names there.
    pub(super) orphans: HashMap<ConsumerId, Vec<(u32, u64)>>,
}

/// How a consumer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It broke: the task that it was sent first and has not settled counts an attempt, for that is what it may have broken over.
    /// The others are given back.
    Lost,
    /// It said good-bye, or never got what it holds: its tasks are given back, and count no attempt.
    Left,
    /// Its leases go on without it, until they are settled or lapse.
    Detached,
}

impl Engine {
    /// An engine without consumers. Tokens start at `first_token` and grow: the shell passes a number above every token of earlier
    /// leaderships (for example the term, shifted left).
    pub fn new(group: GroupId, limits: Limits, first_token: u64) -> Self {
        Engine {
            group,
            limits,
            next_token: first_token.max(1),
            first_token: first_token.max(1),
            grace: None,
            claimable: Claimable::nothing_below(u64::MAX),
            lanes: Slab::default(),
            lanes_by_name: HashMap::default(),
            consumers: Slab::default(),
            consumers_by_id: HashMap::default(),
            leases: Leases::default(),
            timers: Timers::default(),
            holds: Holds::default(),
            ready: VecDeque::new(),
            pulling: VecDeque::new(),
            alarms: BTreeSet::new(),
            ended: Vec::new(),
            outs: Vec::new(),
            active: 0,
            keeping: Keeping::default(),
            loading: Loading::default(),
            next_serial: 0,
            window_bytes: 0,
            gained_bytes: 0,
            actions: Vec::new(),
            orphans: HashMap::default(),
        }
    }

    /// Adds a consumer of namespaces of this group, or namespaces to a consumer. `lease_ms` 0: each namespace's setting.
    /// `flow` and `sent` are shared with its stream.
    pub fn subscribe(
        &mut self,
        consumer: ConsumerId,
        (flow, sent): (Arc<Flow>, Arc<Sent>),
        namespaces: &[Namespace],
        lease_ms: u32,
    ) {
        let c = match self.consumers_by_id.get(&consumer) {
            Some(c) => *c,
            None => {
                self.next_serial += 1;
                let c = self.consumers.insert(Consumer {
                    id: consumer,
                    serial: self.next_serial,
                    flow,
                    lease_ms,
                    lanes: Vec::with_capacity(namespaces.len()),
                    to_load: VecDeque::new(),
                    waiting: VecDeque::new(),
                    pulling: false,
                    leases: List::default(),
                    sent,
                    given: 0,
                    out: Vec::new(),
                    out_bytes: 0,
                });
                self.consumers_by_id.insert(consumer, c);
                c
            }
        };
        let mut known: HashSet<u32> = self.consumers[c].lanes.iter().copied().collect();
        for namespace in namespaces {
            let l = self.lane(namespace);
            if !known.insert(l) {
                continue;
            }
            self.consumers[c].lanes.push(l);
            let lane = &mut self.lanes[l];
            lane.ring.push_back((c, self.consumers[c].serial));
            lane.consumers += 1;
            // One that was kept has all it needs.
            if lane.consumers == 1 && std::mem::take(&mut lane.kept) == 0 {
                self.active += 1;
                self.load_later(l, Some(c));
            }
            self.enqueue(l);
        }
    }

    /// Ends a consumer.
    pub fn unsubscribe(&mut self, consumer: ConsumerId, gone: Gone) {
        let Some(c) = self.consumers_by_id.get(&consumer).copied() else { return };
        let sent = self.consumers[c].sent.token();
        let blamed = match gone {
            // Not the first of its list: those that it has from a leader before stand in any order there.
            Gone::Lost => {
                self.leased_to(consumer, |lease| lease.token <= sent).into_iter().min_by_key(|slot| self.leases.at(*slot).token)
            }
            Gone::Left | Gone::Detached => None,
        };
        self.consumers_by_id.remove(&consumer);
        let lanes = std::mem::take(&mut self.consumers[c].lanes);
        let to_load = std::mem::take(&mut self.consumers[c].to_load);
        let mut leases = self.consumers[c].leases;
        while leases.head != NONE {
            let slot = leases.head;
            let unsent = self.is_unsent(slot);
            self.leases.unlink(BY_CONSUMER, &mut leases, slot);
            let lease = self.leases.at_mut(slot);
            lease.consumer = NONE;
            lease.lost = gone != Gone::Detached;
            if lease.lost && lease.state == State::Leased {
                if blamed == Some(slot) {
                    self.end(slot, Why::ConsumerLost);
                } else if unsent {
                    self.undo(slot);
                } else {
                    self.end(slot, Why::GivenBack);
                }
            }
        }
        self.consumers.remove(c);
        for l in lanes {
            let consumers = &self.consumers;
            let lane = &mut self.lanes[l];
            lane.ring_gone += 1;
            // Paid for by those that went.
            if lane.ring_gone > RING_GONE_MIN && lane.ring_gone > lane.ring.len() / 2 {
                lane.ring.retain(|(c, serial)| consumers.get(*c).is_some_and(|consumer| consumer.serial == *serial));
                lane.ring_gone = 0;
            }
            lane.consumers -= 1;
            if lane.consumers == 0 {
                lane.ring.clear();
                lane.ring_gone = 0;
                self.set_alarm(l, u64::MAX);
                self.keep(l);
            }
        }
        self.leave_loading(to_load);
    }

    /// The consumer has credit or room again. Only needed when its [`Flow`] asks for it.
    pub fn kick(&mut self, consumer: ConsumerId) {
        if let Some(c) = self.consumers_by_id.get(&consumer) {
            self.pull_later(*c);
        }
    }

    /// The answer to [`Action::Load`].
    pub fn loaded(&mut self, namespace: &Namespace, row: &NamespaceRow) {
        self.was_loaded(namespace);
        let Some(l) = self.lanes_by_name.get(namespace).copied() else { return };
        let lane = &mut self.lanes[l];
        lane.settings = row.settings;
        if lane.consumers > 0 && !lane.loaded {
            lane.loaded = true;
            lane.water_ms = row.low_water_ms;
            // Where there is no task no scan is needed to know it.
            lane.window.advance(if row.live == 0 { TaskKey::MAX } else { TaskKey::at(row.low_water_ms) });
            self.enqueue(l);
        }
    }

    /// Does what is to be done `now` and returns what the shell is to do, in this order. `random` gives numbers uniform in
    /// 0.0..1.0. Call it after the calls that told it something, and when [`Engine::wake_at`] says so.
    pub fn run(&mut self, now: Now, random: &mut dyn FnMut() -> f64) -> Vec<Action> {
        while let Some(&(at, l)) = self.alarms.first() {
            if at > now.wall_ms {
                break;
            }
            self.alarms.pop_first();
            self.lanes[l].alarm_ms = u64::MAX;
            self.enqueue(l);
        }
        self.end_grace(now.mono_ms);
        self.expire(now.mono_ms);
        self.let_go(now.mono_ms);
        self.propose_ends(now, random);
        self.dispatch(now);
        self.load();
        self.timers.skip_stale(&self.leases);
        std::mem::take(&mut self.actions)
    }

    /// When [`Engine::run`] must be called next; `None`: not before something happens.
    pub fn wake_at(&self) -> Option<Wake> {
        let idle = self.ready.is_empty() && self.pulling.is_empty() && self.ended.is_empty() && self.actions.is_empty();
        if !idle || self.may_load() {
            return Some(Wake::AT_ONCE);
        }
        let kept_ms = match self.keeping.next_ms() {
            Some(None) => return Some(Wake::AT_ONCE),
            Some(Some(until_ms)) => until_ms,
            None => u64::MAX,
        };
        let wall_ms = self.alarms.first().map_or(u64::MAX, |(at, _)| *at);
        let grace_ms = self.grace.map_or(u64::MAX, |grace| grace.end_ms());
        let mono_ms = self.timers.next_ms().unwrap_or(u64::MAX).min(kept_ms).min(grace_ms);
        (wall_ms.min(mono_ms) < u64::MAX).then_some(Wake { wall_ms, mono_ms })
    }

    /// The namespace's lane, new if need be.
    pub(super) fn lane(&mut self, namespace: &Namespace) -> u32 {
        if let Some(l) = self.lanes_by_name.get(namespace) {
            return *l;
        }
        let l = self.lanes.insert(Box::new(Lane::new(namespace.clone())));
        self.lanes_by_name.insert(namespace.clone(), l);
        l
    }

    /// The lane has something to do.
    pub(super) fn enqueue(&mut self, l: u32) {
        let lane = &mut self.lanes[l];
        if !lane.queued {
            lane.queued = true;
            self.ready.push_back(l);
        }
    }

    /// The consumer may have credit for its waiting lanes.
    pub(super) fn pull_later(&mut self, c: u32) {
        let consumer = &mut self.consumers[c];
        if !consumer.pulling && !consumer.waiting.is_empty() {
            consumer.pulling = true;
            self.pulling.push_back(c);
        }
    }

    pub(super) fn set_alarm(&mut self, l: u32, at_ms: u64) {
        let lane = &mut self.lanes[l];
        if lane.alarm_ms == at_ms {
            return;
        }
        if lane.alarm_ms != u64::MAX {
            self.alarms.remove(&(lane.alarm_ms, l));
        }
        lane.alarm_ms = at_ms;
        if at_ms != u64::MAX {
            self.alarms.insert((at_ms, l));
        }
    }

    /// Frees a lane to which nothing refers any more.
    pub(super) fn free_if_idle(&mut self, l: u32) {
        if !self.lanes[l].is_idle() {
            return;
        }
        self.set_alarm(l, u64::MAX);
        self.lanes_by_name.remove(&self.lanes[l].name);
        self.lanes.remove(l);
        if self.lanes_by_name.is_empty() {
            self.lanes_by_name.shrink_to(1_024);
        }
    }
}
