//! One replica of one group: the handle through which the shell proposes, reads and learns who leads.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, RaftError};
use openraft::impls::BasicNode;
use openraft::raft::{ReadPolicy, WatchChangeHandle};
use openraft::{Raft, ServerState};
use z4_model::command::Reply;
use z4_model::ids::{GroupId, PeerNumber};

use super::config;
use super::log_store::LogStore;
use super::network::Network;
use super::retention::{Follower, Outrun, Purge, Retention, Sending, Standing, brake_bytes};
use super::snapshot_receive::SnapshotReceiver;
use super::standing::{Followers, Progress};
use super::state_machine::{GroupStateMachine, OnApplied};
use super::types::{self, Callback, EntryBytes, LogId, TypeConfig, WriteResult};
use crate::link::Links;
use crate::log::GroupLog;
use crate::partition::PartitionError;
use crate::runtime::clock::Instant;
use crate::runtime::{clock, executor, pace};
use crate::storage::Storage;

/// A follower whose last answer is older is taken for gone, and no log is kept for it alone.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// openraft has so long to take a view of the partition, which waits for what the storage thread has to do before.
const SNAPSHOT_MAX: Duration = Duration::from_secs(60);
/// A leader proposes nothing while more bytes than these wait for its log's disk: some frames.
const LOG_WAITING_BYTES_MAX: u64 = 16 << 20;

/// How often a leader looks whether its log has caught up.
const LOOK_AT_LOG: Duration = Duration::from_millis(2);

/// Why a proposal has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProposeError {
    /// This replica does not lead, or is not sure of it; the command was not taken.
    #[error("this replica does not lead; the leader is {leader:?}")]
    NotLeader {
        /// Who leads, when it is known.
        leader: Option<PeerNumber>,
    },
    /// The command was taken and may or may not be applied: ask again with the same request id.
    #[error("leadership was lost with the command on the way; it may or may not be applied")]
    Unknown,
    /// The replica has stopped; the process is about to end, or is stopping.
    #[error("the replica has stopped: {0}")]
    Stopped(String),
}

/// Where a replica stands.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// This replica leads.
    pub leads: bool,
    /// Who leads, when it is known.
    pub leader: Option<PeerNumber>,
    /// The current term.
    pub term: u64,
    /// The last index of the log.
    pub last_log_index: Option<u64>,
    /// The last applied index.
    pub applied_index: Option<u64>,
    /// The last index that is committed, as far as this replica has heard.
    pub committed_index: Option<u64>,
    /// The last purged index.
    pub purged_index: Option<u64>,
    /// The voters.
    pub voters: Vec<PeerNumber>,
}

/// One replica.
#[derive(Clone)]
pub struct Replica {
    pub(super) group: GroupId,
    pub(super) raft: Raft<TypeConfig, GroupStateMachine>,
    pub(super) receiver: SnapshotReceiver,
    pub(super) log: GroupLog,
    pub(super) machine: GroupStateMachine,
    sending: Sending,
    outrun: Outrun,
    /// When a leader last appended to the log here, or said that it lives.
    pub(super) heard: Rc<Cell<Option<Instant>>>,
    /// What the followers told, while this replica leads.
    pub(super) followers_told: Followers,
    pub(super) progress: Rc<Progress>,
    /// It may have granted a lease before it was opened: until then it votes for nobody, itself included, unless it is the only voter or a leader
    /// asks it to lead.
    pub(super) votes_from: Option<Instant>,
    _leadership: Rc<Cell<Option<WatchChangeHandle<TypeConfig>>>>,
}

/// A replica that could not be opened, or stopped for good.
#[derive(Debug, thiserror::Error)]
#[error("replica of group {group}: {reason}")]
pub struct ReplicaError {
    /// Whose.
    pub group: GroupId,
    /// What openraft said.
    pub reason: String,
}

impl Replica {
    /// Opens a replica over its log and its (already open) partition. `on_leading(term)` is called when this replica becomes the
    /// leader, `on_following()` when it is no longer.
    pub async fn open(
        (group, me): (GroupId, PeerNumber),
        cluster: &str,
        (log, links): (GroupLog, Links),
        storage: Storage,
        on_applied: OnApplied,
    ) -> Result<Replica, ReplicaError> {
        let failed = |reason: String| ReplicaError { group, reason };
        pace::set_lease(config::LEASE);
        let receiver = SnapshotReceiver::new(group, storage.clone(), links.clone());
        let machine = GroupStateMachine::new(group, storage, on_applied);
        let sending = Sending::default();
        let outrun = Outrun::default();
        let followers_told = Followers::default();
        let ways = (sending.clone(), outrun.clone(), followers_told.clone());
        let network = || {
            let (sending, outrun, followers) = ways.clone();
            Network { group, links: links.clone(), sending, outrun, followers }
        };
        // Who never voted has granted nothing.
        let granted = log.state().vote.is_some();
        let votes_from = granted.then(|| pace::over_at(config::LEASE));
        let config = config::config(cluster, votes_from.is_none()).map_err(failed)?;
        let store = LogStore::new(log.clone());
        let opened = Raft::new(me, Arc::clone(&config), network(), store.clone(), machine.clone()).await;
        // Until now nobody could have brought any.
        machine.wait_for_rows();
        let opened = match opened {
            // What was to be applied again waits as well, and is no reason not to vote.
            Err(_) if machine.has_met_damage() => Raft::new(me, config, network(), store.without_replay(), machine.clone()).await,
            opened => opened,
        };
        let raft = opened.map_err(|e| failed(e.to_string()))?;
        if let Some(from) = votes_from {
            stand_from(&raft, from).await.map_err(|e| failed(e.to_string()))?;
        }
        Ok(Replica {
            group,
            raft,
            receiver,
            log,
            machine,
            sending,
            outrun,
            heard: Rc::default(),
            followers_told,
            progress: Rc::default(),
            votes_from,
            _leadership: Rc::default(),
        })
    }

    /// Calls `on_leading` with its term whenever this replica starts to lead, `on_following` when it no longer does; alternating.
    pub fn watch_leadership(&self, on_leading: impl Fn(u64) + 'static, on_following: impl Fn() + 'static) {
        let handle = self.raft.on_leader_change(
            move |leader| {
                on_leading(leader.term);
                std::future::ready(())
            },
            move |_| {
                on_following();
                std::future::ready(())
            },
        );
        self._leadership.set(Some(handle));
    }

    /// Makes these peers the first voters of a group that has none. Doing it again changes nothing.
    pub async fn initialize(&self, voters: &[(PeerNumber, String)]) -> Result<(), ReplicaError> {
        let failed = |reason: String| ReplicaError { group: self.group, reason };
        if self.raft.is_initialized().await.map_err(|e| failed(e.to_string()))? {
            return Ok(());
        }
        let nodes: BTreeMap<_, _> = voters.iter().map(|(n, addr)| (*n, BasicNode { addr: addr.clone() })).collect();
        self.raft.initialize(nodes).await.map_err(|e| failed(e.to_string()))
    }

    /// A group with one voter need not wait for an election timeout: nobody else can lead.
    pub async fn elect_if_alone(&self) {
        let alone = { self.raft.voter_ids().eq([*self.raft.node_id()]) };
        if alone && self.status().leader.is_none() {
            // An error means that the replica has stopped, which its watcher reports.
            let _ = self.raft.trigger().elect(false).await;
        }
    }

    /// Proposes an encoded entry, as the leader of `term` and of no other. `done` is called on the executor once it was applied, or
    /// will not be; it is dropped when the replica stops.
    pub async fn propose(&self, entry: Bytes, term: u64, done: impl FnOnce(Result<Vec<Reply>, ProposeError>) + 'static) {
        let callback = Callback(Box::new(move |result: WriteResult| done(outcome(result))) as Box<dyn FnOnce(WriteResult)>);
        let me = types::leader_id(term, *self.raft.node_id());
        // When the replica has stopped it drops the callback, and with it whatever waits for it learns so.
        let _ = self.raft.write(EntryBytes(entry)).responder(callback).with_leader(me).await;
    }

    /// Waits until this replica, as leader confirmed by a quorum, has applied everything that was committed before the call.
    pub async fn read_barrier(&self) -> Result<(), ProposeError> {
        match self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(_)) => Err(ProposeError::NotLeader { leader: self.status().leader }),
            Err(RaftError::Fatal(e)) => Err(ProposeError::Stopped(e.to_string())),
        }
    }

    /// Makes everything applied durable in the partition, then lets the log go that nobody needs any more, never beyond what is
    /// durable.
    ///
    /// # Errors
    /// The partition could not be made durable: nobody knows what the disk holds.
    pub async fn trim(&self, retention: Retention) -> Result<Purge, PartitionError> {
        let Some(applied) = self.machine.persist().await?.map(|position| position.index) else { return Ok(Purge::default()) };
        let trigger = self.raft.trigger();
        // openraft lets go what a snapshot covers. Both are requests to a running replica; an error means that it has stopped, which
        // its watcher reports.
        let covered = self.raft.metrics().borrow_watched().snapshot.is_some_and(|at| at.index >= applied);
        if !covered {
            if trigger.snapshot().await.is_err() {
                return Ok(Purge::default());
            }
            let wait = self.raft.wait(Some(SNAPSHOT_MAX));
            if wait.metrics(|m| m.snapshot.is_some_and(|s| s.index >= applied), "a snapshot").await.is_err() {
                return Ok(Purge { held: true, ..Purge::default() });
            }
        }
        let retained_from = self.log.first_within(applied, retention.retained_bytes).await;
        let held_from = self.log.first_within(applied, retention.held_bytes_max).await;
        let snapshot_bytes_max = retention.snapshot_bytes_max(self.receiver.links.reach().space().free_bytes());
        let snapshot_from = self.log.first_within(applied, snapshot_bytes_max).await;
        let brake_from = self.log.first_within(applied, brake_bytes(snapshot_bytes_max)).await;
        // From here on nothing waits: what followers need is what they need when the request is made.
        let purged = self.log.state().purged.map(|at| at.index);
        let standing = Standing { applied, purged, retained_from, held_from, snapshot_from, brake_from };
        let followers = self.followers();
        self.sending.caught_up(followers.as_deref().unwrap_or_default(), held_from);
        let purge = standing.purge(followers.as_deref());
        if let Some(upto) = purge.upto {
            let _ = trigger.purge_log(upto).await;
        }
        self.outrun.set(standing.outrun(&followers.unwrap_or_default(), purge));
        Ok(purge)
    }

    /// The other replicas, as the leader knows them; `None` when this one does not lead.
    fn followers(&self) -> Option<Vec<Follower>> {
        let metrics = self.raft.metrics();
        let m = metrics.borrow_watched();
        let replication = m.replication.as_ref()?;
        let answered = |peer: &u64| {
            let at = m.heartbeat.as_ref().and_then(|heartbeat| *heartbeat.get(peer)?);
            at.is_some_and(|at| clock::monotonic().saturating_duration_since(at.real()) < pace::stretch(ANSWERS_WITHIN))
        };
        let follower = |(peer, matched): (&u64, &Option<LogId>)| {
            let matched = matched.map(|at| at.index);
            let sending = self.sending.index(*peer, matched);
            Follower { peer: *peer, matched, answers: answered(peer), sending, catches_up: self.sending.catches_up(*peer) }
        };
        Some(replication.iter().filter(|(peer, _)| **peer != m.id).map(follower).collect())
    }

    /// How long ago this replica heard from its leader. As the leader: nothing as long as no other one can have been elected, then since a
    /// quorum was heard of. `None`: it never heard.
    pub fn silence(&self) -> Option<Duration> {
        let now = clock::monotonic();
        if !self.leads() {
            return self.heard.get().map(|heard| now.saturating_duration_since(heard));
        }
        let until = self.lease_until()?;
        Some(if now < until { Duration::ZERO } else { now.saturating_duration_since(until) + config::LEASE })
    }

    /// This replica leads.
    pub fn leads(&self) -> bool {
        self.raft.metrics().borrow_watched().state == ServerState::Leader
    }

    /// Where it stands now.
    pub fn status(&self) -> ReplicaStatus {
        let metrics = self.raft.metrics();
        let m = metrics.borrow_watched();
        ReplicaStatus {
            leads: m.state == ServerState::Leader && m.current_leader == Some(m.id),
            leader: m.current_leader,
            term: m.current_term,
            last_log_index: m.last_log_index,
            applied_index: m.last_applied.map(|id| id.index),
            committed_index: m.local_committed.max(m.cluster_committed).map(|id| id.index),
            purged_index: m.purged.map(|id| id.index),
            voters: m.membership_config.voter_ids().collect(),
        }
    }

    /// Waits until little enough waits for this replica's log disk that another entry can be proposed. Followers alone can commit entries, and
    /// a leader with a slow disk would collect in memory what it has not written.
    pub async fn log_room(&self) {
        while self.log.waiting_bytes() > LOG_WAITING_BYTES_MAX {
            executor::sleep(LOOK_AT_LOG).await;
        }
    }

    /// Waits until the replica stops; `None`: it was asked to.
    pub async fn stopped(&self) -> Option<ReplicaError> {
        let mut metrics = self.raft.metrics();
        loop {
            let state = metrics.borrow_watched().running_state.clone();
            match state {
                Ok(()) => {}
                Err(openraft::errors::Fatal::Stopped) => return None,
                Err(fatal) => return Some(ReplicaError { group: self.group, reason: fatal.to_string() }),
            }
            if metrics.changed().await.is_err() {
                return None;
            }
        }
    }

    /// An apply has met damage, and waits for other rows.
    pub fn waits_for_rows(&self) -> bool {
        self.machine.is_waiting()
    }

    /// Nobody else has a replica of the group, as far as this one's log and rows tell.
    ///
    /// # Errors
    /// The replica has stopped.
    pub async fn is_alone(&self) -> Result<bool, ReplicaError> {
        let me = *self.raft.node_id();
        let alone = self.raft.with_raft_state(move |state| {
            let mut nodes = state.membership_state.effective().membership().nodes();
            nodes.all(|(peer, _)| *peer == me)
        });
        alone.await.map_err(|e| ReplicaError { group: self.group, reason: e.to_string() })
    }

    /// Stops the replica; proposals on the way are dropped.
    pub async fn shutdown(&self) {
        self.machine.close();
        let _ = self.raft.shutdown().await;
    }
}

/// Lets a replica campaign, `from` then on: its own vote is one that breaks a lease as well. The only voter of a group need not wait, for
/// nobody else leads by its leave.
async fn stand_from(raft: &Raft<TypeConfig, GroupStateMachine>, from: Instant) -> Result<(), Fatal<TypeConfig>> {
    let me = *raft.node_id();
    if raft.with_raft_state(move |state| state.membership_state.effective().voter_ids().eq([me])).await? {
        raft.runtime_config().elect(true);
        return Ok(());
    }
    let raft = raft.clone();
    executor::spawn(async move {
        executor::sleep(from.saturating_duration_since(clock::monotonic())).await;
        raft.runtime_config().elect(true);
    });
    Ok(())
}

fn outcome(result: WriteResult) -> Result<Vec<Reply>, ProposeError> {
    match result {
        Ok(response) => Ok(response.data.0),
        Err(ClientWriteError::ForwardToLeader(to)) => Err(ProposeError::NotLeader { leader: to.leader_id }),
        Err(_) => Err(ProposeError::Unknown),
    }
}
