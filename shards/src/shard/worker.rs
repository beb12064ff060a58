//! A shard: one executor's event loop over its mailbox, the groups that it hosts, and their upkeep.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use z4_model::ids::{GroupId, PeerNumber};

use crate::link::{Inbound, Links, Reach};
use crate::log::{GroupState, Log};
use crate::metrics::Metrics;
use crate::partition::{Logged, Partition, PartitionError, PartitionOptions};
use crate::raft::{Replica, Retention};
use crate::runtime::{clock, executor, mailbox};
use crate::shard::api::{Rejection, SettleError};
use crate::shard::batcher::BatchLimits;
use crate::shard::delivery;
use crate::shard::early::Early;
use crate::shard::group::Group;
use crate::shard::handle::Shards;
use crate::shard::inbound::Door;
use crate::shard::message::{Answer, Message, OpenError};
use crate::shard::queue::{Bound, Done};
use crate::shard::steering::ClusterWork;
use crate::storage::Storage;

/// Messages taken from the mailbox before other tasks run.
const MESSAGES_PER_TURN: usize = 256;

/// How long a graceful stop waits for what is under way.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// A storage thread that does not come to measuring within this is busy with something else.
const MEASURE_MAX: Duration = Duration::from_secs(5);

/// What the shards of a peer need to know.
#[derive(Clone)]
pub struct ShardOptions {
    /// Holds one directory per group.
    pub partitions_dir: PathBuf,
    /// How partitions are opened.
    pub partition: PartitionOptions,
    /// How commands become entries.
    pub batch: BatchLimits,
    /// How much the delivery engine keeps in memory.
    pub delivery: delivery::Limits,
    /// The log is trimmed after about so many bytes of commands of one group.
    pub trim_bytes: u64,
    /// A peer whose clock differs by more is named in the log, milliseconds.
    pub clock_skew_warn_ms: u64,
    /// A peer whose clock is further than this from what a majority's clocks say goes by theirs and leads nothing, milliseconds.
    pub clock_skew_max_ms: u64,
    /// What stays in the log after a trim, for followers that are behind.
    pub retention: Retention,
    /// Where measurements go.
    pub metrics: Metrics,
    /// Called when durability is lost: the process must end.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
}

/// One shard, on its executor.
pub struct Shard {
    pub(super) index: usize,
    pub(super) options: ShardOptions,
    log: Log,
    pub(super) storage: Storage,
    pub(super) groups: RefCell<BTreeMap<GroupId, Rc<Group>>>,
    pub(super) links: Links,
    /// This peer's number in the groups, and the cluster's id.
    identity: RefCell<(PeerNumber, String)>,
    pub(super) stopping: Cell<bool>,
    /// Consumers of groups that are not open yet.
    early: Early,
    /// Who is in the cluster, and what this shard does about it.
    pub(super) cluster: ClusterWork,
}

impl Shard {
    /// A shard without groups yet, over an open log.
    pub fn new(index: usize, options: ShardOptions, log: Log, storage: Storage, reach: Reach) -> Rc<Self> {
        reach.clocks().set_limit(options.clock_skew_max_ms);
        reach.disks().watch(index, log.end());
        Rc::new(Shard {
            index,
            options,
            log,
            storage,
            groups: RefCell::default(),
            links: Links::new(reach, index),
            identity: RefCell::default(),
            stopping: Cell::new(false),
            early: Early::default(),
            cluster: ClusterWork::new(),
        })
    }

    /// Serves the mailbox until it is told to stop.
    pub async fn run(self: Rc<Self>, mut inbox: mailbox::Receiver<Message>, shards: &Shards) {
        let door: Rc<dyn Inbound> = Rc::new(Door::new(shards.clone()));
        self.links.deliver_to(Rc::downgrade(&door));
        *self.cluster.shards.borrow_mut() = Some(shards.clone());
        executor::spawn(Rc::clone(&self).keep_up());
        executor::spawn(Rc::clone(&self).steer());
        executor::spawn(Rc::clone(&self).watch_quorums());
        executor::spawn(Rc::clone(&self).watch_clock());
        let mut batch = Vec::with_capacity(MESSAGES_PER_TURN);
        while !self.stopping.get() && inbox.receive(&mut batch, MESSAGES_PER_TURN).await {
            self.options.metrics.mailbox_depth.observe(batch.len() as f64);
            for message in batch.drain(..) {
                match message {
                    Message::Stop(done) => {
                        let _ = done.send(self.stop().await);
                        return;
                    }
                    message => self.dispatch(message),
                }
            }
            executor::yield_if_needed().await;
        }
    }

    /// This peer's number.
    pub(super) fn me(&self) -> PeerNumber {
        self.identity.borrow().0
    }

    #[cfg(test)]
    pub(super) fn log_of(&self, group: GroupId) -> crate::log::GroupLog {
        self.log.group(group)
    }

    #[cfg(test)]
    pub(super) fn links(&self) -> &Links {
        &self.links
    }

    pub(super) fn group(&self, id: GroupId) -> Option<Rc<Group>> {
        self.groups.borrow().get(&id).cloned()
    }

    /// Starts what a message asks for; the answer goes out when it is there.
    pub fn dispatch(self: &Rc<Self>, message: Message) {
        match message {
            Message::Submit(id, command, answer) => self.with_group(id, answer, |group, answer| {
                group.submit(command, Bound::Anywhere, Done::Answer(answer));
            }),
            Message::SubmitAsync(id, command, answer) => {
                self.with_group(id, answer, |group, answer| reply(answer, group.submit_async(command)));
            }
            Message::Get(id, tasks, consistency, answer) => {
                self.with_group(id, answer, |group, answer| reply_if_wanted(answer, group.get(tasks, consistency)));
            }
            Message::Barrier(id, answer) => self.with_group(id, answer, |group, answer| reply_if_wanted(answer, group.barrier())),
            Message::List(id, query, answer) => {
                self.with_group(id, answer, |group, answer| reply_if_wanted(answer, group.list(query)));
            }
            Message::Namespace(id, name, answer) => {
                self.with_group(id, answer, |group, answer| reply_if_wanted(answer, group.namespace(name)));
            }
            Message::Namespaces(id, after, limit, answer) => {
                self.with_group(id, answer, |group, answer| reply_if_wanted(answer, group.namespaces(after, limit)));
            }
            Message::Leased(id, namespaces, answer) => {
                self.with_group(id, answer, |group, answer| reply_if_wanted(answer, group.leased(namespaces)));
            }
            Message::Purge(id, namespace, answer) => {
                self.with_group(id, answer, |group, answer| reply(answer, group.purge(namespace)));
            }
            Message::Register(id, key, answer) => self.with_group(id, answer, |group, answer| {
                reply(answer, async move { group.read(move |partition| partition.registered(&key)).await });
            }),
            Message::Inbound(from, id, body, answer) => self.inbound(from, id, *body, answer),
            message => self.dispatch_delivery(message),
        }
    }

    fn dispatch_delivery(self: &Rc<Self>, message: Message) {
        match message {
            Message::Settle(id, namespace, settles, answer) => {
                let Some(group) = self.group(id) else {
                    let none = SettleError::Rejected(Rejection::NoLeader { group: id });
                    let _ = answer.send(settles.iter().map(|_| Err(none.clone())).collect());
                    return;
                };
                executor::spawn(async move {
                    let _ = answer.send(group.settle(namespace, settles).await);
                });
            }
            // One that comes after the end of all goes as well.
            Message::Subscribe(..) if self.early.has_ended() => {}
            Message::Subscribe(id, subscription) => match self.group(id) {
                Some(group) => group.subscribe(*subscription),
                None => self.early.add(id, *subscription),
            },
            Message::Unsubscribe(id, consumer, leases, gone) => match self.group(id) {
                Some(group) => group.unsubscribe(consumer, leases, gone),
                None => self.early.remove(id, consumer, gone),
            },
            Message::KeepSent(id, consumer) => match self.group(id) {
                Some(group) => group.keep_sent(consumer),
                None => self.early.remove(id, consumer, None),
            },
            Message::GiveUp(id, held) => {
                if let Some(group) = self.group(id) {
                    group.give_back(held);
                }
            }
            Message::Kick(kick) => {
                let consumer = kick.arrived();
                if let Some(group) = self.group(kick.group()) {
                    group.kick(consumer);
                }
            }
            Message::EndConsumers => {
                self.early.end();
                let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
                groups.iter().for_each(|group| group.end_consumers());
            }
            Message::Groups(answer) => {
                let _ = answer.send(self.groups.borrow().values().filter_map(|group| group.info()).collect());
            }
            Message::Link(link) => self.links.adopt(link),
            Message::Reached(peer, up) => {
                let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
                groups.iter().for_each(|group| group.reached(peer, up));
            }
            Message::Identify(me, cluster) => *self.identity.borrow_mut() = (me, cluster),
            Message::Open(id, voters, answer) => {
                let shard = Rc::clone(self);
                executor::spawn(async move {
                    let _ = answer.send(shard.open(id, voters).await);
                });
            }
            message => self.operate(message),
        }
    }

    pub(super) fn with_group<T>(&self, id: GroupId, answer: Answer<T>, act: impl FnOnce(Rc<Group>, Answer<T>)) {
        match self.group(id) {
            Some(group) => act(group, answer),
            None => {
                let _ = answer.send(Err(Rejection::NoLeader { group: id }));
            }
        }
    }

    /// Opens a group's partition and replica.
    async fn open(self: Rc<Self>, id: GroupId, voters: Vec<(PeerNumber, String)>) -> Result<(), OpenError> {
        let dir = self.options.partitions_dir.join(format!("group-{id:05}", id = id.0));
        let options = self.options.partition.clone();
        let log = self.log.group(id);
        let (me, cluster) = self.identity.borrow().clone();
        let group = Group::new((id, self.index, me), self.links.clone(), self.storage.clone(), &self.options);
        let damaged = group.damage.note(&self.options.metrics.disk);
        let logged = log.state();
        let purged = logged.purged.map(|position| position.index);
        let last = logged.last.or(logged.purged).map(|position| position.index);
        // A group has a vote before anything is applied: a log without one has lost it.
        let in_log = logged != GroupState::default();
        let known = logged.last.or(logged.purged).or(logged.committed).is_some();
        let opened = self.storage.call(move |partitions| {
            if known && !Partition::is_there(&dir) {
                return Err(OpenError::Missing { group: id, dir });
            }
            let partition = match Partition::open_current(&dir, id, &options) {
                Err(damage @ PartitionError::Damaged { .. }) => {
                    damaged(&damage);
                    let logged = Logged { purged, last: last.filter(|_| in_log) };
                    Partition::stand_in(&dir, id, &options, logged, damage)?
                }
                opened => opened?,
            };
            let applied = partition.applied().map(|position| position.index);
            if !in_log && let Some(applied) = applied {
                return Err(OpenError::LogGone { group: id, dir, applied });
            }
            if applied < purged {
                return Err(OpenError::Behind { group: id, dir, applied, purged });
            }
            partition.on_damage(damaged);
            let viewer = partition.viewer();
            partitions.insert(id, partition);
            Ok(viewer)
        });
        let viewer = opened.await.unwrap_or(Err(OpenError::Stopping))?;
        let (applied, shard) = (Rc::downgrade(&group), Rc::downgrade(&self));
        let on_applied = Rc::new(move |run: crate::raft::AppliedRun| {
            let registered = id == GroupId::REGISTRY && (run.replaced || !run.effects.is_empty());
            if !run.replaced
                && let Some(group) = applied.upgrade()
            {
                group.on_applied(run);
            }
            if registered && let Some(shard) = shard.upgrade() {
                shard.publish_registry();
            }
        });
        let replica = Replica::open((id, me), &cluster, (log, self.links.clone()), self.storage.clone(), on_applied).await?;
        if group.damage.is_found() && replica.is_alone().await? {
            self.check_whole(id).await?;
        }
        group.set_replica(replica.clone());
        self.groups.borrow_mut().insert(id, Rc::clone(&group));
        if let Some(shards) = self.shards() {
            shards.show(id, viewer);
        }
        if id == GroupId::REGISTRY {
            self.publish_registry();
        }
        let (leading, following) = (Rc::clone(&group), Rc::clone(&group));
        let watching = Rc::downgrade(&group);
        replica.watch_leader(move |leader| {
            if let Some(group) = watching.upgrade() {
                group.leader_changed(leader);
            }
        });
        let lead = move |term| {
            leading.elected.set(term);
            executor::spawn(Rc::clone(&leading).lead());
        };
        replica.watch_leadership(lead, move || following.follow());
        self.early.take(id).into_iter().for_each(|subscription| group.subscribe(subscription));
        executor::spawn(Rc::clone(&group.batcher).run(replica.clone()));
        executor::spawn(Rc::clone(&group).keep_time());
        executor::spawn(watch(replica.clone(), Arc::clone(&self.options.on_fatal)));
        if !voters.is_empty() {
            replica.initialize(&voters).await?;
        }
        replica.elect_if_alone().await;
        Ok(())
    }

    /// Fails with the damage in a partition, if it was met when that was opened, or by what was applied since.
    async fn check_whole(&self, id: GroupId) -> Result<(), PartitionError> {
        let whole = self.storage.call(move |partitions| partitions.get(&id).map(Partition::whole)).await;
        whole.flatten().unwrap_or(Ok(()))
    }

    /// Once a second: gauges, and the log's length. A partition that hangs keeps nothing else from being looked after.
    async fn keep_up(self: Rc<Self>) {
        let log_bytes = self.options.metrics.log_bytes(self.index);
        let mut received = 0;
        while !self.stopping.get() {
            executor::sleep(Duration::from_secs(1)).await;
            log_bytes.set(self.log.bytes() as i64);
            let before = std::mem::replace(&mut received, self.log.received());
            self.options.metrics.received_log_count.inc_by(received - before);
            let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
            // One visit to the storage thread for all of them.
            let measured = self.storage.call(|partitions| {
                let measure =
                    |(id, partition): (&GroupId, &mut Partition)| Some((*id, (partition.totals(), partition.disk_bytes().ok()?)));
                partitions.iter_mut().filter_map(measure).collect::<BTreeMap<_, _>>()
            });
            for group in &groups {
                group.look_after_relays();
                group.look_at_disks();
                group.look_at_damage();
            }
            let measured = match select(pin!(measured), pin!(executor::sleep(MEASURE_MAX))).await {
                Either::Left((measured, _)) => measured.unwrap_or_default(),
                Either::Right(_) => continue,
            };
            for group in groups {
                if let Some(measured) = measured.get(&group.id) {
                    group.measure(*measured);
                }
                group.trim(self.options.trim_bytes, self.options.retention);
            }
        }
    }

    /// Finishes what is under way, makes it durable, closes everything. The error is the first that says that the disk does not have
    /// what it should.
    async fn stop(&self) -> Result<(), String> {
        self.stopping.set(true);
        let groups: Vec<_> = self.groups.borrow().values().cloned().collect();
        let until = clock::monotonic() + DRAIN_MAX;
        for group in &groups {
            while !group.batcher.owes_nothing() && clock::monotonic() < until {
                executor::sleep(Duration::from_millis(1)).await;
            }
        }
        for group in &groups {
            group.follow();
            group.batcher.close();
            if let Some(replica) = group.replica() {
                replica.shutdown().await;
            }
        }
        let persisted =
            self.storage.call(|partitions| partitions.values_mut().try_for_each(|partition| partition.persist().map(|_| ())));
        let persisted = persisted.await.unwrap_or(Ok(())).map_err(|e| format!("a partition cannot be made durable: {e}"));
        self.links.close();
        let closed = self.log.clone().close().await.map_err(|e| format!("the raft log cannot be closed: {e}"));
        self.storage.stop().await;
        persisted.and(closed)
    }
}

pub(super) fn reply<T: 'static>(answer: Answer<T>, work: impl Future<Output = Result<T, Rejection>> + 'static) {
    executor::spawn(async move {
        let _ = answer.send(work.await);
    });
}

/// The same for work that ends when nobody waits for its answer any more: the client is gone, or its time is over.
fn reply_if_wanted<T: 'static>(mut answer: Answer<T>, work: impl Future<Output = Result<T, Rejection>> + 'static) {
    executor::spawn(async move {
        let done = match select(pin!(work), answer.cancellation()).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => return,
        };
        let _ = answer.send(done);
    });
}

async fn watch(replica: Replica, on_fatal: Arc<dyn Fn(&str) + Send + Sync>) {
    if let Some(e) = replica.stopped().await {
        on_fatal(&e.to_string());
    }
}
