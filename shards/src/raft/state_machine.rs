//! A group's partition as openraft's `RaftStateMachine`. Everything happens on the storage thread; the executor hands entries over
//! and takes outcomes back.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::lock::{Mutex, MutexGuard};
use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use z4_model::command::{Reply, Tally};
use z4_model::ids::GroupId;
use z4_model::log::{LogEntry, LogPosition};
use z4_model::machine::{Effect, Outcome};

use super::membership;
use super::types::{self, LogId, Replies, Snapshot, SnapshotData, SnapshotMeta, StoredMembership, TypeConfig};
use crate::partition::{Partition, PartitionError, Prepared};
use crate::runtime::{clock, executor};
use crate::storage::Storage;

/// What one apply did.
#[derive(Debug)]
pub struct AppliedRun {
    /// Of all its entries, in order.
    pub effects: Vec<Effect>,
    /// Entries that it applied.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What became of tasks.
    pub tally: Tally,
    /// How many namespaces there are now; `None`: not known.
    pub namespaces: Option<u64>,
    /// How long the storage thread took.
    pub took: Duration,
    /// It was no run of entries: the whole state was replaced by another peer's, without effects.
    pub replaced: bool,
}

impl AppliedRun {
    /// Not entries: another peer's state.
    fn replaced(took: Duration) -> Self {
        AppliedRun { effects: Vec::new(), entries: 0, bytes: 0, tally: Tally::default(), namespaces: None, took, replaced: true }
    }
}

/// Told of each apply, in order and on the executor, before any proposer hears of its command.
pub type OnApplied = Rc<dyn Fn(AppliedRun)>;

/// A run of entries goes to the storage thread as one write batch up to about this many bytes.
const RUN_BYTES_MAX: usize = 4 << 20;

/// A group's state machine.
#[derive(Clone)]
pub struct GroupStateMachine {
    group: GroupId,
    storage: Storage,
    on_applied: OnApplied,
    /// Held by an apply, and by what replaces the partition between two.
    applying: Rc<Mutex<()>>,
    /// Applies that met damage may wait for other rows.
    waits: Rc<Cell<bool>>,
    /// One has met damage when it could not wait.
    met_damage: Rc<Cell<bool>>,
    waiting: Rc<RefCell<Vec<oneshot::Sender<()>>>>,
}

/// A run that was not applied, and why.
struct NotApplied {
    run: Vec<LogEntry>,
    responders: Vec<Option<ApplyResponder<TypeConfig>>>,
    error: PartitionError,
}

impl GroupStateMachine {
    pub fn new(group: GroupId, storage: Storage, on_applied: OnApplied) -> Self {
        let (applying, waits, met_damage, waiting) = (Rc::default(), Rc::default(), Rc::default(), Rc::default());
        GroupStateMachine { group, storage, on_applied, applying, waits, met_damage, waiting }
    }

    /// From now on a run that meets damage waits until other rows have taken the place of the damaged ones, and goes on with those. Before, in
    /// the replay at the start, and from [`GroupStateMachine::close`] on it fails.
    pub(super) fn wait_for_rows(&self) {
        self.waits.set(true);
    }

    /// A run has met damage when nobody could bring other rows yet.
    pub(super) fn has_met_damage(&self) -> bool {
        self.met_damage.get()
    }

    /// An apply waits for other rows.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.borrow().is_empty()
    }

    /// Nobody waits any more.
    pub(super) fn close(&self) {
        self.waits.set(false);
        self.waiting.take();
    }

    /// Runs `job` on the group's partition.
    async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Partition) -> Result<T, PartitionError> + Send + 'static,
    ) -> io::Result<T> {
        let group = self.group;
        let result = self.storage.call(move |partitions| partitions.get_mut(&group).map(job)).await;
        match result.flatten() {
            Some(result) => result.map_err(io::Error::other),
            None => Err(io::Error::other(format!("the partition of group {group} is closed"))),
        }
    }

    /// Makes everything that was applied durable; up to where that is, `None` when it is nothing or the partition was closed. Syncing
    /// takes tens of milliseconds: it happens beside the storage thread, which goes on to apply.
    pub(super) async fn persist(&self) -> Result<Option<LogPosition>, PartitionError> {
        let group = self.group;
        let persister = self.storage.call(move |partitions| partitions.get(&group).map(Partition::persister)).await;
        let Some(persister) = persister.flatten() else { return Ok(None) };
        match executor::run_blocking(move || persister.persist()).await {
            Ok(persisted) => persisted,
            Err(error) => {
                tracing::warn!(%group, %error, "cannot start a thread that makes a partition durable; it is tried again");
                Ok(None)
            }
        }
    }

    /// Nothing is applied until the answer is dropped.
    pub(super) async fn alone(&self) -> MutexGuard<'_, ()> {
        self.applying.lock().await
    }

    /// Up to where the partition is.
    pub(super) async fn applied(&self) -> io::Result<Option<LogPosition>> {
        self.call(|partition| Ok(partition.applied())).await
    }

    /// The partition becomes what was prepared. The caller has [no apply](GroupStateMachine::alone) under way.
    pub(super) async fn adopt(&self, prepared: Prepared) -> io::Result<()> {
        let took = self
            .call(move |partition| {
                let since = clock::monotonic();
                partition.adopt(prepared)?;
                Ok(since.elapsed())
            })
            .await?;
        self.replaced(took);
        Ok(())
    }

    /// Other rows have taken the place of those that were here.
    fn replaced(&self, took: Duration) {
        (self.on_applied)(AppliedRun::replaced(took));
        for waiting in self.waiting.take() {
            // Whoever waited may have been stopped.
            let _ = waiting.send(());
        }
    }

    /// Applies a run. Where it meets damage it waits for other rows: log and votes are whole, and go on meanwhile.
    async fn apply_run(&self, run: Vec<LogEntry>, responders: Vec<Option<ApplyResponder<TypeConfig>>>) -> io::Result<()> {
        let (mut run, mut responders) = (run, responders);
        loop {
            let Some(not) = self.try_apply(run, responders).await? else { return Ok(()) };
            let is_damage = matches!(not.error, PartitionError::Damaged { .. });
            if !self.waits.get() || !is_damage {
                self.met_damage.set(self.met_damage.get() || is_damage);
                return Err(io::Error::other(not.error));
            }
            let (rows, replaced) = oneshot::channel();
            self.waiting.borrow_mut().push(rows);
            tracing::warn!(group = %self.group, "an apply has met damage; it waits for the rows of another peer");
            if replaced.await.is_err() {
                return Err(io::Error::other(not.error));
            }
            (run, responders) = (not.run, not.responders);
        }
    }

    async fn try_apply(
        &self,
        run: Vec<LogEntry>,
        responders: Vec<Option<ApplyResponder<TypeConfig>>>,
    ) -> io::Result<Option<NotApplied>> {
        let _alone = self.applying.lock().await;
        let group = self.group;
        let on_applied = Rc::clone(&self.on_applied);
        let (tx, rx) = oneshot::channel();
        let (entries, bytes) = (run.len() as u64, run.iter().map(|entry| entry.payload.len() as u64).sum());
        let job = move |partitions: &mut crate::storage::Partitions| {
            let since = clock::monotonic();
            let mut partition = partitions.get_mut(&group);
            let outcomes = partition.as_mut().map(|partition| partition.apply(&run));
            (outcomes, run, partition.map(|partition| partition.namespaces_count()), since.elapsed())
        };
        self.storage.run(job, move |(outcomes, run, namespaces, took)| {
            let result = match outcomes {
                Some(Ok(outcomes)) => {
                    let (effects, replies) = split(outcomes);
                    let tally = replies.iter().flatten().flatten().flatten().fold(Tally::default(), Tally::and);
                    on_applied(AppliedRun { effects, entries, bytes, tally, namespaces, took, replaced: false });
                    answer(replies, responders);
                    Ok(None)
                }
                Some(Err(error)) => Ok(Some(NotApplied { run, responders, error })),
                None => Err(io::Error::other(format!("the partition of group {group} is closed"))),
            };
            let _ = tx.send(result);
        });
        rx.await.unwrap_or_else(|_| Err(io::Error::other("the storage thread has stopped")))
    }
}

fn split(outcomes: Vec<Outcome>) -> (Vec<Effect>, Vec<Vec<Reply>>) {
    let (mut effects, mut replies) = (Vec::new(), Vec::with_capacity(outcomes.len()));
    for outcome in outcomes {
        effects.extend(outcome.effects);
        replies.push(outcome.replies);
    }
    (effects, replies)
}

fn answer(replies: Vec<Vec<Reply>>, responders: Vec<Option<ApplyResponder<TypeConfig>>>) {
    for (replies, responder) in replies.into_iter().zip(responders) {
        if let Some(responder) = responder {
            responder.send(Replies(replies));
        }
    }
}

fn stored_membership(stored: Option<(Option<LogPosition>, bytes::Bytes)>) -> io::Result<StoredMembership> {
    Ok(match stored {
        Some((at, bytes)) => StoredMembership::new(at.map(types::log_id), membership::decode(&bytes)?),
        None => StoredMembership::default(),
    })
}

impl RaftStateMachine<TypeConfig> for GroupStateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = GroupStateMachine;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let (applied, stored) = self.call(|partition| Ok((partition.applied(), partition.membership()))).await?;
        Ok((applied.map(types::log_id), stored_membership(stored)?))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin,
    {
        let (mut run, mut responders, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            debug_assert!(run.last().is_none_or(|last: &LogEntry| last.position.index < entry.log_id().index));
            let entry = types::log_entry(entry);
            bytes += entry.payload.len();
            run.push(entry);
            responders.push(responder);
            if bytes >= RUN_BYTES_MAX {
                self.apply_run(std::mem::take(&mut run), std::mem::take(&mut responders)).await?;
                bytes = 0;
            }
        }
        match run.is_empty() {
            true => Ok(()),
            false => self.apply_run(run, responders).await,
        }
    }

    async fn get_snapshot_builder(&mut self) -> GroupStateMachine {
        self.clone()
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotData) -> io::Result<()> {
        let _alone = self.applying.lock().await;
        let applied = meta.last_log_id.as_ref().map(types::position);
        let membership =
            (meta.last_membership.log_id().as_ref().map(types::position), membership::encode(meta.last_membership.membership()));
        let took = self
            .call(move |partition| {
                let since = clock::monotonic();
                match snapshot {
                    // Of another partition in this process: openraft's suite does so.
                    SnapshotData::View(view) => partition.install(&view, applied, membership),
                    SnapshotData::Received(prepared) => partition.adopt(*prepared),
                }?;
                Ok(since.elapsed())
            })
            .await?;
        self.replaced(took);
        Ok(())
    }

    /// What a follower is sent. It need not be durable here: a quorum has the log up to it.
    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let (applied, stored, view) =
            self.call(|partition| Ok((partition.applied(), partition.membership(), partition.view()))).await?;
        let meta = SnapshotMeta { last_log_id: applied.map(types::log_id), last_membership: stored_membership(stored)? };
        Ok(meta.last_log_id.is_some().then_some(Snapshot { meta, snapshot: SnapshotData::View(view) }))
    }
}

/// A snapshot is a view of the partition: building one copies nothing and syncs nothing. openraft asks for it before it lets the log
/// go; what is durable is known to [`super::Replica::trim`], which asks for no more than that.
impl RaftSnapshotBuilder<TypeConfig> for GroupStateMachine {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let (applied, stored, view) =
            self.call(|partition| Ok((partition.applied(), partition.membership(), partition.view()))).await?;
        let meta = SnapshotMeta { last_log_id: applied.map(types::log_id), last_membership: stored_membership(stored)? };
        Ok(Snapshot { meta, snapshot: SnapshotData::View(view) })
    }
}
