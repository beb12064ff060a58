//! The shell of one group's replica on this peer: takes commands to Raft, reads from the partition, and while it leads, delivers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use prometheus::local::LocalHistogram;
use z4_model::command::{Command, Created, Op};
use z4_model::ids::{GroupId, PeerNumber, TaskId};

use crate::link::Links;
use crate::metrics::{GroupMetrics, Metrics};
use crate::partition::{Partition, PartitionError};
use crate::raft::{Leader, Replica};
use crate::runtime::clock::Instant;
use crate::runtime::maps::HashMap;
use crate::runtime::notify::Notify;
use crate::shard::api::{GroupInfo, Rejection, ReplicaInfo};
use crate::shard::batcher::{Batcher, Route};
use crate::shard::damage::Damage;
use crate::shard::delivery::{self, ConsumerId, Engine};
use crate::shard::inheriting::Estates;
use crate::shard::lists::Lists;
use crate::shard::message::Subscription;
use crate::shard::mint::Mint;
use crate::shard::namespaces::NamespaceCount;
use crate::shard::queue::{Bound, Done};
use crate::shard::relaying::Relays;
use crate::shard::remote::Remotes;
use crate::shard::route_watch::RouteWatch;
use crate::shard::settling::Outcomes;
use crate::shard::stake::EngineStake;
use crate::shard::steering::Steering;
use crate::shard::upkeep::DueCount;
use crate::shard::waiting::Reads;
use crate::shard::worker::ShardOptions;
use crate::storage::{Pace, Storage};

/// One group on one shard.
pub struct Group {
    pub(super) id: GroupId,
    pub(super) shard: usize,
    /// This peer's number.
    pub(super) me: PeerNumber,
    pub(super) links: Links,
    pub(super) storage: Storage,
    pub(super) metrics: Metrics,
    pub(super) gauges: GroupMetrics,
    pub(super) batcher: Rc<Batcher>,
    replica: RefCell<Option<Replica>>,
    /// Who leads, as the replica knows.
    pub(super) leader: Cell<Leader>,
    /// The term in which this replica was last elected.
    pub(super) elected: Cell<u64>,
    /// Some while this replica leads and has applied everything from before.
    pub(super) engine: RefCell<Option<Engine>>,
    /// Nobody else leads until then, as last computed.
    pub(super) lease_until: Cell<Option<Instant>>,
    /// Something could not be done for want of the lease.
    pub(super) lease_missed: Cell<bool>,
    /// Looks at the quorum since it last answered.
    pub(super) alone: Cell<u32>,
    /// Looks at the quorum until a transfer of leadership counts as failed.
    pub(super) handing_over: Cell<u32>,
    /// Counts engines: the number of the present one, or of none.
    pub(super) engines: Cell<u64>,
    /// This replica was elected, and catches up with what earlier leaders committed.
    pub(super) becoming: Cell<bool>,
    /// When the group last had a leader that this peer heard.
    pub(super) led_at: Cell<Option<Instant>>,
    /// Why the replica cannot serve, whoever leads.
    pub(super) trouble: RefCell<Option<Arc<str>>>,
    /// Those who wait for another leader.
    pub(super) route_watch: RouteWatch,
    pub(super) limits: delivery::Limits,
    /// How many namespaces there are.
    pub(super) namespaces: NamespaceCount,
    /// Who reads pages of tasks.
    pub(super) lists: Lists,
    /// Who waits for other reads.
    pub(super) reads: Reads,
    /// Consumers: those of this peer, and while it leads those of others.
    pub(super) subscriptions: RefCell<HashMap<ConsumerId, Subscription>>,
    /// Consumers of this peer, at the leader.
    pub(super) relays: Relays,
    /// Consumers of other peers, here.
    pub(super) remotes: Remotes,
    /// What leaderships leave to the next.
    pub(super) estates: Estates,
    /// Those who wait for the fate of a command that changes a leased task.
    pub(super) outcomes: Outcomes,
    /// Called when the engine may want an earlier tick than the one being slept for.
    pub(super) tick: Notify,
    pub(super) mint: RefCell<Mint>,
    pub(super) lateness: RefCell<LocalHistogram>,
    /// Bytes of entries applied since the log was last trimmed.
    pub(super) applied_since_trim: Cell<u64>,
    pub(super) seconds_since_trim: Cell<u64>,
    /// A majority of the voters is short of so many bytes of disk.
    pub(super) crowded: Cell<Option<u64>>,
    /// Writers wait for a peer that gets a snapshot.
    pub(super) brakes: Cell<bool>,
    /// See `log_held_bytes_max`.
    pub(super) held_bytes_max: usize,
    /// Damage in the partition.
    pub(super) damage: Damage,
    /// Something is being done about it.
    pub(super) rebuilds: Cell<bool>,
    /// A trim is under way.
    pub(super) trims: Cell<bool>,
    /// Due rows, as they are counted.
    pub(super) due_count: RefCell<DueCount>,
    pub(super) on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
    /// What is under way with its membership and its leader.
    pub(super) steering: Steering,
}

impl Group {
    /// A group whose replica is not open yet.
    pub(super) fn new(
        (id, shard, me): (GroupId, usize, PeerNumber),
        links: Links,
        storage: Storage,
        options: &ShardOptions,
    ) -> Rc<Self> {
        let metrics = options.metrics.clone();
        let clocks_differ_ms = links.reach().clocks().differ_ms();
        Rc::new(Group {
            id,
            shard,
            me,
            gauges: metrics.group(id),
            batcher: Batcher::new(id, options.batch, metrics.clone(), (links.clone(), storage.clone())),
            links,
            storage,
            lateness: RefCell::new(metrics.shard().lateness_seconds),
            metrics,
            replica: RefCell::default(),
            leader: Cell::default(),
            elected: Cell::new(0),
            engine: RefCell::default(),
            lease_until: Cell::new(None),
            lease_missed: Cell::new(false),
            alone: Cell::new(0),
            handing_over: Cell::new(0),
            engines: Cell::new(0),
            becoming: Cell::new(false),
            led_at: Cell::new(None),
            trouble: RefCell::default(),
            route_watch: RouteWatch::default(),
            limits: delivery::Limits { clocks_differ_ms, ..options.delivery },
            namespaces: NamespaceCount::default(),
            lists: Lists::default(),
            reads: Reads::default(),
            subscriptions: RefCell::default(),
            relays: Relays::default(),
            remotes: Remotes::default(),
            estates: Estates::default(),
            outcomes: Outcomes::default(),
            tick: Notify::default(),
            mint: RefCell::default(),
            applied_since_trim: Cell::new(0),
            seconds_since_trim: Cell::new(0),
            crowded: Cell::new(None),
            brakes: Cell::new(false),
            held_bytes_max: usize::try_from(options.retention.held_bytes_max).unwrap_or(usize::MAX),
            damage: Damage::default(),
            rebuilds: Cell::new(false),
            trims: Cell::new(false),
            due_count: RefCell::default(),
            on_fatal: Arc::clone(&options.on_fatal),
            steering: Steering::default(),
        })
    }

    pub(super) fn set_replica(&self, replica: Replica) {
        *self.replica.borrow_mut() = Some(replica);
    }

    /// The replica, once it is open.
    pub(super) fn replica(&self) -> Option<Replica> {
        self.replica.borrow().clone()
    }

    /// This replica leads and has applied everything from before.
    pub(super) fn leads(&self) -> bool {
        self.engine.borrow().is_some()
    }

    /// The time, as a majority of the members' clocks have it.
    pub(super) fn now_ms(&self) -> u64 {
        self.links.reach().clocks().now_ms()
    }

    pub(super) fn no_leader(&self) -> Rejection {
        Rejection::NoLeader { group: self.id }
    }

    /// Takes a command to Raft, here or wherever the group is led. A task that is updated or deleted is taken from its consumer first, so
    /// that no ack can overtake.
    pub(super) fn submit(self: &Rc<Self>, command: Command, bound: Bound, done: Done) {
        if bound == Bound::Here && !self.leads() && !self.becoming.get() {
            return done.tell(Err(self.no_leader()));
        }
        if let Err(full) = self.check_room(&command) {
            return done.tell(Err(full));
        }
        self.with_room_for(command, move |group, admitted| match admitted {
            Ok(mut command) => {
                let stake = EngineStake::of(group, &mut command);
                group.batcher.submit(command, bound, stake, done);
            }
            Err(rejection) => done.tell(Err(rejection)),
        });
    }

    /// Queues creates with reserved ids, as the leader.
    pub(super) fn submit_async_here(self: &Rc<Self>, mut command: Command) -> Result<Vec<Created>, Rejection> {
        let Route::Here { term } = self.batcher.route() else { return Err(self.no_leader()) };
        self.check_room(&command)?;
        let now_ms = self.now_ms();
        let mut created = Vec::with_capacity(command.ops.len());
        for op in &mut command.ops {
            let Op::Create(create) = op else { continue };
            let minted = self.mint.borrow_mut().sequence(term);
            create.sequence = minted.map_err(|error| {
                self.exhausted(&error);
                Rejection::Stopping
            })?;
            create.due_ms = create.due_ms.max(now_ms);
            let id = TaskId { due_ms: create.due_ms, group: self.id, sequence: create.sequence };
            created.push(Created { id, created_ms: now_ms, duplicate: false });
        }
        let refused: Rc<RefCell<Option<Rejection>>> = Rc::default();
        let note = Rc::clone(&refused);
        let group = self.id;
        self.batcher.submit(
            command,
            Bound::Anywhere,
            None,
            Done::call(move |result| match result.map(|answered| answered.value) {
                Ok(Ok(_)) => {}
                Ok(Err(e)) => tracing::warn!(%group, error = %e, "an asynchronous create was refused after its answer"),
                Err(e) => {
                    tracing::debug!(%group, error = %e, "an asynchronous create was not done");
                    *note.borrow_mut() = Some(e);
                }
            }),
        );
        match refused.take() {
            // Refused on the spot: the producer hears of it.
            Some(e) => Err(e),
            None => Ok(created),
        }
    }

    /// Runs `job` on the group's partition, on the storage thread.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Partition) -> Result<T, PartitionError> + Send + 'static,
    ) -> Result<T, Rejection> {
        let id = self.id;
        match self.storage.call_paced(Pace::Read, move |partitions| partitions.get_mut(&id).map(job)).await.flatten() {
            Some(Ok(value)) => Ok(value),
            Some(Err(e)) => Err(Rejection::Storage(e.to_string().into())),
            None => Err(Rejection::Stopping),
        }
    }

    /// What `info` tells.
    pub(super) fn info(&self) -> Option<GroupInfo> {
        let replica = self.replica()?;
        let (status, members) = (replica.status(), replica.members());
        let told = |peer: PeerNumber| members.matched.get(&peer).copied().zip(members.lag(peer)).filter(|_| status.leads);
        let info = |peer: &PeerNumber| ReplicaInfo { peer: *peer, voter: members.is_voter(*peer), matched: told(*peer) };
        Some(GroupInfo {
            group: self.id,
            leader: self.heard_leader(),
            serves: self.leads() && self.holds_lease(),
            term: status.term,
            last_log_index: status.last_log_index,
            applied_index: status.applied_index,
            committed_index: status.committed_index,
            stale_ms: replica.silence().map(|silence| silence.as_millis() as u64),
            bytes: u64::try_from(self.gauges.partition_bytes.get()).unwrap_or(0),
            voters: status.voters,
            shard: self.shard,
            replicas: members.nodes.iter().map(info).collect(),
        })
    }
}
