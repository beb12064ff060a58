//! The peer's handle to its shards: routes a request to the shard that hosts the group, through its mailbox or, when that is the
//! caller's own shard, straight.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::future::join_all;
use z4_model::command::{Before, Command, Created, Op, OpReply};
use z4_model::ids::{GroupId, Namespace, PeerNumber, SLOTS, TaskId};
use z4_model::rows::registry;

use crate::account::Holder;
use crate::link::{Established, Reach};
use crate::partition::Viewer;
use crate::roster::Roster;
use crate::runtime::mailbox::{self, SendError};
use crate::runtime::{clock, executor_local};
use crate::shard::api::{
    Answered, Consistency, GroupInfo, ListQuery, NamespaceView, Rejection, Settle, SettleError, Settled, TaskPage, TaskView,
};
pub use crate::shard::consumer::Consumer;
use crate::shard::delivery::ConsumerId;
use crate::shard::message::{Answer, Held, Message, OpenError};
use crate::shard::serving::Board;
use crate::shard::worker::Shard;

/// The shard that runs on a thread, with the handle to which it belongs.
struct Here {
    index: usize,
    inner: Arc<Inner>,
    shard: Rc<Shard>,
}

executor_local!(HERE: Option<Here> = None);

pub(super) struct Inner {
    mailboxes: Vec<mailbox::Sender<Message>>,
    /// Slot → group, as the registry says; 0: not known yet.
    slots: Vec<AtomicU16>,
    /// The groups that hold tasks, in order; none: not known yet.
    pub(super) groups: ArcSwap<Vec<GroupId>>,
    consumers: AtomicU64,
    /// This peer's number; 0: not known yet.
    me: AtomicU64,
    reach: Reach,
    roster: ArcSwap<Roster>,
    /// This peer was removed from its cluster.
    removed: AtomicBool,
    /// Who has a replica of the groups here, for each shard.
    pub(super) named: Vec<ArcSwapOption<Named>>,
    /// How the groups of each shard are.
    pub(super) board: Board,
    /// Makes views of the groups' partitions, also of those that are closed by now.
    pub(super) viewers: ArcSwap<BTreeMap<GroupId, Viewer>>,
}

/// Who has a replica of the groups of a shard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) by_registry: BTreeSet<PeerNumber>,
    pub(super) by_others: BTreeSet<PeerNumber>,
}

/// A handle to every shard of this peer. Cheap to clone; `Send`. Its futures may be polled on any executor thread of the peer but
/// are not `Send` themselves.
#[derive(Clone)]
pub struct Shards(pub(super) Arc<Inner>);

impl Shards {
    /// Mailboxes for `shards` shards, each of at most `messages_max` messages; the receivers go to the shards, in order.
    pub fn new(shards: usize, messages_max: usize) -> (Self, Vec<mailbox::Receiver<Message>>) {
        let (mailboxes, inboxes) = (0..shards).map(|_| mailbox::mailbox(messages_max)).unzip();
        let slots = (0..SLOTS).map(|_| AtomicU16::new(0)).collect();
        (
            Shards(Arc::new(Inner {
                mailboxes,
                slots,
                groups: ArcSwap::default(),
                // Above every name that an earlier process of this peer gave, which a leader may still know.
                consumers: AtomicU64::new(clock::wall_ms()),
                me: AtomicU64::new(0),
                reach: Reach::default(),
                roster: ArcSwap::default(),
                removed: AtomicBool::new(false),
                named: (0..shards).map(|_| ArcSwapOption::empty()).collect(),
                board: Board::new(shards),
                viewers: ArcSwap::default(),
            })),
            inboxes,
        )
    }

    /// A handle to no shards at all, for tests of what never reaches one: every other call on it panics.
    pub fn disconnected() -> Self {
        Shards::new(0, 1).0
    }

    /// Says that `shard` runs on this thread: requests to its groups go straight from now on.
    pub fn bind(&self, index: usize, shard: Rc<Shard>) {
        HERE.set(Some(Here { index, inner: Arc::clone(&self.0), shard }));
    }

    /// Takes the binding of this thread back, so that the shard can be dropped.
    pub fn unbind(&self) {
        HERE.set(None);
    }

    /// Sets the slot table: one group for each of the [`SLOTS`] slots.
    pub fn set_slots(&self, groups: &[GroupId]) {
        for (slot, group) in self.0.slots.iter().zip(groups) {
            slot.store(group.0, Ordering::Relaxed);
        }
        // Made here, because it is asked for all the time and the table hardly ever changes.
        let mut groups: Vec<GroupId> = self.0.slots.iter().map(|slot| GroupId(slot.load(Ordering::Relaxed))).collect();
        groups.sort_unstable();
        groups.dedup();
        if groups.first() == Some(&GroupId::REGISTRY) {
            groups.clear();
        }
        self.0.groups.store(Arc::new(groups));
    }

    /// How many slots each group has; group 0 has those of which nothing is known yet.
    pub fn slots_by_group(&self) -> BTreeMap<GroupId, u64> {
        let mut counts = BTreeMap::new();
        for slot in &self.0.slots {
            *counts.entry(GroupId(slot.load(Ordering::Relaxed))).or_default() += 1;
        }
        counts
    }

    /// How many shards this peer has.
    pub fn count(&self) -> usize {
        self.0.mailboxes.len()
    }

    /// The group that owns a namespace; the registry's as long as the slot table is not known.
    pub fn group_of(&self, namespace: &Namespace) -> GroupId {
        GroupId(self.0.slots[usize::from(namespace.slot())].load(Ordering::Relaxed))
    }

    /// The same for a request: one that belongs to no group yet must not reach the registry.
    pub fn route(&self, namespace: &Namespace) -> Result<GroupId, Rejection> {
        match self.group_of(namespace) {
            _ if self.is_removed() => Err(Rejection::Removed),
            GroupId::REGISTRY => Err(Rejection::NotMember),
            group => Ok(group),
        }
    }

    /// The groups that hold tasks, in order.
    pub fn groups_of_tasks(&self) -> Result<Vec<GroupId>, Rejection> {
        let groups = self.0.groups.load();
        if groups.is_empty() { Err(Rejection::NotMember) } else { Ok(groups.to_vec()) }
    }

    /// Brings a message to the shard of a group; gives it back when the mailbox is full or the shard has stopped.
    pub(super) fn post(&self, group: GroupId, message: Message) -> Result<(), SendError<Message>> {
        self.post_to(group.shard(self.count()), message)
    }

    pub(super) fn post_to(&self, index: usize, message: Message) -> Result<(), SendError<Message>> {
        match self.here(index) {
            Some(shard) => {
                shard.dispatch(message);
                Ok(())
            }
            None => self.0.mailboxes[index].send(message),
        }
    }

    /// Brings a message to the shard of a group that must arrive, however full its mailbox is; see [`mailbox::Sender::send_surely`] for
    /// which ones may go this way. Lost with the shard only.
    pub(super) fn post_surely(&self, group: GroupId, message: Message) {
        self.post_surely_to(group.shard(self.count()), message);
    }

    pub(super) fn post_surely_to(&self, index: usize, message: Message) {
        match self.here(index) {
            Some(shard) => shard.dispatch(message),
            None => self.send(index, message),
        }
    }

    /// The shard, if it runs on this thread.
    fn here(&self, index: usize) -> Option<Rc<Shard>> {
        HERE.with_borrow(|here| match here {
            Some(here) if here.index == index && Arc::ptr_eq(&here.inner, &self.0) => Some(Rc::clone(&here.shard)),
            _ => None,
        })
    }

    fn rejection<T>(&self, e: &SendError<T>) -> Rejection {
        match e {
            SendError::Full(_) => {
                let limit = self.0.mailboxes[0].capacity();
                Rejection::Overloaded { what: "a shard's mailbox (mailbox_messages_max)", limit }
            }
            SendError::Closed(_) => Rejection::Stopping,
        }
    }

    pub(super) async fn ask<T>(&self, group: GroupId, message: impl FnOnce(Answer<T>) -> Message) -> Result<T, Rejection> {
        let (tx, rx) = oneshot::channel();
        self.post(group, message(tx)).map_err(|e| self.rejection(&e))?;
        rx.await.unwrap_or(Err(Rejection::Stopping))
    }

    /// Has a command applied, by whichever peer leads its group. The answer means that it is on the disks of a quorum.
    pub async fn submit(&self, command: Command) -> Result<Answered<Vec<OpReply>>, Rejection> {
        let group = self.route(&command.namespace)?;
        let Answered { value, by } = self.ask(group, |answer| Message::Submit(group, command, answer)).await?;
        Ok(Answered { value: value?, by })
    }

    /// Queues a command of creates at the leader and answers with reserved ids, before anything is durable.
    pub async fn submit_async(&self, command: Command) -> Result<Answered<Vec<Created>>, Rejection> {
        let group = self.route(&command.namespace)?;
        self.ask(group, |answer| Message::SubmitAsync(group, command, answer)).await
    }

    /// Reads one task.
    pub async fn get(&self, namespace: Namespace, id: TaskId, consistency: Consistency) -> Result<Option<TaskView>, Rejection> {
        let found = self.get_many(namespace, vec![id], consistency, usize::MAX).await?;
        Ok(found.into_iter().next().flatten())
    }

    /// Reads tasks of one namespace, in the order of their ids, for the price of one. Once what was read has `bytes_max` bytes of payload
    /// and metadata, the rest comes without payload.
    pub async fn get_many(
        &self,
        namespace: Namespace,
        ids: Vec<TaskId>,
        consistency: Consistency,
        bytes_max: usize,
    ) -> Result<Vec<Option<TaskView>>, Rejection> {
        let group = self.route(&namespace)?;
        self.ask(group, |answer| Message::Get(group, (namespace, ids, bytes_max), consistency, answer)).await
    }

    /// Returns when this peer's replica of a group has applied everything that was committed before the call: what is read here then is
    /// linearizable.
    pub async fn read_barrier(&self, group: GroupId) -> Result<(), Rejection> {
        self.ask(group, |answer| Message::Barrier(group, answer)).await
    }

    /// Reads one page of a namespace's tasks.
    pub async fn list(&self, query: ListQuery) -> Result<TaskPage, Rejection> {
        let group = self.route(&query.namespace)?;
        self.ask(group, |answer| Message::List(group, query, answer)).await
    }

    /// Reads one namespace; one that does not exist yet shows the defaults and `created_ms` 0.
    pub async fn namespace(&self, namespace: Namespace) -> Result<NamespaceView, Rejection> {
        let group = self.route(&namespace)?;
        self.ask(group, |answer| Message::Namespace(group, namespace, answer)).await
    }

    /// Namespaces of all groups in the order of their names, after `after`, at most `limit`.
    pub async fn namespaces(&self, after: Option<Namespace>, limit: usize) -> Result<Vec<NamespaceView>, Rejection> {
        let groups = self.groups_of_tasks()?;
        let scattered = groups.into_iter().map(|group| {
            self.ask(group, {
                let after = after.clone();
                move |answer| Message::Namespaces(group, after, limit, answer)
            })
        });
        let mut gathered = Vec::new();
        for part in join_all(scattered).await {
            gathered.extend(part?);
        }
        gathered.sort_by(|a, b| a.name.cmp(&b.name));
        gathered.truncate(limit);
        Ok(gathered)
    }

    /// Removes every task of a namespace; returns how many.
    pub async fn purge(&self, namespace: Namespace) -> Result<u64, Rejection> {
        let group = self.route(&namespace)?;
        self.ask(group, |answer| Message::Purge(group, namespace, answer)).await
    }

    /// Settles deliveries of one namespace; one answer for each, in their order, once they are durable.
    pub async fn settle(&self, namespace: Namespace, settles: Vec<Settle>) -> Vec<Settled> {
        let (tx, rx) = oneshot::channel();
        let count = settles.len();
        let posted = self
            .route(&namespace)
            .and_then(|group| self.post(group, Message::Settle(group, namespace, settles, tx)).map_err(|e| self.rejection(&e)));
        let rejection = match posted {
            Ok(()) => match rx.await {
                Ok(settled) => return settled,
                Err(oneshot::Canceled) => Rejection::Stopping,
            },
            Err(rejection) => rejection,
        };
        (0..count).map(|_| Err(SettleError::Rejected(rejection.clone()))).collect()
    }

    /// Starts to consume, with no credit yet. `lease_ms` 0: each namespace's setting. `queued_bytes_max` bounds what is delivered and
    /// not yet taken with [`Consumer::next`].
    pub fn consume(&self, namespaces: Vec<Namespace>, lease_ms: u32, queued_bytes_max: usize) -> Result<Consumer, Rejection> {
        self.consume_on(namespaces, (lease_ms, queued_bytes_max), (Vec::new(), None))
    }

    /// The same for one that still holds deliveries: those that nobody else has got since are its own again, under their tokens. With the
    /// memory that deliveries are charged to, until they are taken; `None`: to nobody's.
    pub fn consume_on(
        &self,
        namespaces: Vec<Namespace>,
        (lease_ms, queued_bytes_max): (u32, usize),
        held_and_memory: (Vec<Held>, Option<Holder>),
    ) -> Result<Consumer, Rejection> {
        let n = self.0.consumers.fetch_add(1, Ordering::Relaxed);
        let id = ConsumerId::new(self.0.me.load(Ordering::Relaxed), n);
        Consumer::start(self.clone(), id, namespaces, (lease_ms, queued_bytes_max), held_and_memory)
    }

    pub(super) fn overloaded(&self, e: &SendError<Message>) -> Rejection {
        self.rejection(e)
    }

    /// Every group of the cluster as this peer sees it.
    pub async fn groups(&self) -> Vec<GroupInfo> {
        let mut groups = Vec::new();
        for index in 0..self.count() {
            let (tx, rx) = oneshot::channel();
            // Surely, because groups that are left out would be taken for groups that are not there.
            self.post_surely_to(index, Message::Groups(tx));
            groups.extend(rx.await.unwrap_or_default());
        }
        groups.sort_by_key(|info| info.group);
        groups
    }

    /// Opens a group's replica on this peer; with `voters`, makes them the first voters.
    pub async fn open(&self, group: GroupId, voters: Vec<(PeerNumber, String)>) -> Result<(), OpenError> {
        let (tx, rx) = oneshot::channel();
        self.post_surely(group, Message::Open(group, voters, tx));
        rx.await.unwrap_or(Err(OpenError::Stopping))
    }

    /// Damage was found in this peer's partition of a group, and is not mended yet.
    pub async fn is_damaged(&self, group: GroupId) -> bool {
        let (tx, rx) = oneshot::channel();
        self.post_surely(group, Message::IsDamaged(group, tx));
        rx.await.unwrap_or(false)
    }

    /// Reads a registry row, as applied on this peer.
    pub async fn registry_get(&self, key: &'static str) -> Result<Option<Bytes>, Rejection> {
        let group = GroupId::REGISTRY;
        self.ask(group, |answer| Message::Register(group, Bytes::from_static(key.as_bytes()), answer)).await
    }

    /// Writes registry rows, all or nothing; rows that exist already refuse it.
    pub async fn registry_create(&self, rows: Vec<(&'static str, Bytes)>) -> Result<(), Rejection> {
        let row = |(key, value): (&'static str, Bytes)| Op::Register {
            key: Bytes::from_static(key.as_bytes()),
            value,
            before: Before::Absent,
        };
        self.registry_write(Command { namespace: registry::namespace(), ops: rows.into_iter().map(row).collect() }).await
    }

    /// Has a command applied to the registry.
    pub(super) async fn registry_write(&self, command: Command) -> Result<(), Rejection> {
        let group = GroupId::REGISTRY;
        self.ask(group, |answer| Message::Submit(group, command, answer)).await?.value?;
        Ok(())
    }

    /// Ends every consumer of this peer: their streams say that the peer is stopping. What they hold stays theirs as long as the peer
    /// lives.
    pub fn end_consumers(&self) {
        self.for_each_shard(|| Message::EndConsumers);
    }

    /// Has other voters lead what this peer leads, where there are any that can: the peer is about to stop.
    pub async fn hand_over(&self) {
        let mut done = Vec::new();
        for index in 0..self.count() {
            let (tx, rx) = oneshot::channel();
            self.post_surely_to(index, Message::HandOver(tx));
            done.push(rx);
        }
        join_all(done).await;
    }

    /// Brings a message to every shard, however full its mailbox is.
    pub(super) fn for_each_shard(&self, message: impl Fn() -> Message) {
        (0..self.count()).for_each(|index| self.post_surely_to(index, message()));
    }

    /// Hands a connection to a peer to one of the shards.
    pub fn adopt(&self, index: usize, link: Established) {
        self.send(index, Message::Link(link));
    }

    /// Says who this peer is; before the first group is opened.
    pub fn identify(&self, me: PeerNumber, cluster: &str) {
        self.0.me.store(me, Ordering::Relaxed);
        (0..self.count()).for_each(|index| self.send(index, Message::Identify(me, cluster.to_owned())));
    }

    /// This peer's number; 0: it belongs to no cluster yet.
    pub(super) fn me(&self) -> PeerNumber {
        self.0.me.load(Ordering::Relaxed)
    }

    /// Which peers this one reaches.
    pub fn reach(&self) -> &Reach {
        &self.0.reach
    }

    /// Who is in the cluster, as far as this peer has applied the registry.
    pub fn roster(&self) -> Arc<Roster> {
        self.0.roster.load_full()
    }

    /// Who has a replica of some group that this peer has one of, member or not.
    pub fn named(&self) -> BTreeSet<PeerNumber> {
        let known = self.0.named.iter().filter_map(|named| named.load_full());
        known.flat_map(|named| named.by_registry.union(&named.by_others).copied().collect::<Vec<_>>()).collect()
    }

    /// Who has a replica of some group but the registry that this peer has one of; `None`: that is not known yet.
    pub(super) fn named_by_others(&self) -> Option<BTreeSet<PeerNumber>> {
        let known: Option<Vec<_>> = self.0.named.iter().map(|named| named.load_full()).collect();
        Some(known?.iter().flat_map(|named| named.by_others.iter().copied()).collect())
    }

    /// Publishes who is in the cluster, to [`Shards::roster`] and to every shard.
    pub fn set_roster(&self, roster: Roster) {
        let roster = Arc::new(roster);
        self.0.roster.store(Arc::clone(&roster));
        self.0.reach.set_members(roster.present().map(|member| member.number).collect());
        self.for_each_shard(|| Message::Roster(Arc::clone(&roster)));
    }

    /// This peer was removed from its cluster: it takes no requests any more. `false`: that was known.
    pub fn set_removed(&self) -> bool {
        !self.0.removed.swap(true, Ordering::Relaxed)
    }

    /// See [`Shards::set_removed`].
    pub fn is_removed(&self) -> bool {
        self.0.removed.load(Ordering::Relaxed)
    }

    /// The slot table as the registry's bytes; zeros as long as it is not known.
    pub fn slots(&self) -> Bytes {
        let groups: Vec<_> = self.0.slots.iter().map(|slot| GroupId(slot.load(Ordering::Relaxed))).collect();
        registry::encode_slots(&groups)
    }

    /// Puts a message that must arrive into a shard's mailbox, also from that shard; see [`mailbox::Sender::send_surely`]. A shard that
    /// has stopped drops it, and with it what it would have answered.
    pub fn send(&self, index: usize, message: Message) {
        self.0.mailboxes[index].send_surely(message);
    }

    /// Stops every shard: what is under way is finished and made durable.
    ///
    /// # Errors
    /// What could not be made durable, or closed.
    pub async fn stop(&self) -> Result<(), String> {
        let mut done = Vec::new();
        for index in 0..self.count() {
            let (tx, rx) = oneshot::channel();
            self.send(index, Message::Stop(tx));
            done.push(rx);
        }
        // A shard that ended without an answer has panicked, which ends the process by itself.
        join_all(done).await.into_iter().flatten().collect()
    }
}
