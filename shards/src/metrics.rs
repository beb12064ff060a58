//! Every metric of z4: name, help, labels and buckets. No other file names one; the rest of the code holds the handles made here.
//!
//! [`Metrics`] is shared by all threads. What happens per batch (an fdatasync, an apply) observes its histograms directly: a handful of
//! atomic additions. What happens per task goes through [`ShardMetrics`], which belongs to one executor thread: plain memory, added to
//! the shared histograms by [`ShardMetrics::flush`] about once a second. Labelled children are looked up once and kept.
//!
//! No metric reads a clock: callers pass durations in seconds.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::Collector;
use prometheus::local::LocalHistogram;
use prometheus::{
    Counter, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, exponential_buckets,
};
use z4_model::ids::{GroupId, Namespace};

/// So many namespaces get a label of their own, in the order in which they were first seen; the rest shares [`OTHER_NAMESPACES`].
pub const NAMESPACE_LABELS_MAX: usize = 200;

/// The label of the namespaces that came after the first [`NAMESPACE_LABELS_MAX`].
pub const OTHER_NAMESPACES: &str = "_other";

/// How a task came in: the `method` label of the created tasks, spelled as the rpc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CreateMethod {
    CreateTask,
    CreateTaskAsync,
    CreateTaskStream,
    CreateTaskStreamAsync,
    CreateTasks,
}

/// How a task went out: the `method` label of the delivered tasks, spelled as the rpc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DeliverMethod {
    GetTaskStream,
    Consume,
    LeaseTasks,
}

/// A method label.
pub trait Method: Copy + 'static {
    /// All of them, in the order of [`Method::index`].
    const NAMES: &'static [&'static str];
    /// All of them, in the same order.
    const ALL: &'static [Self];
    /// The position in [`Method::NAMES`].
    fn index(self) -> usize;
    /// The method of an rpc; `None`: the rpc is not counted here.
    fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().position(|n| *n == name).map(|i| Self::ALL[i])
    }
}

impl Method for CreateMethod {
    const NAMES: &'static [&'static str] =
        &["CreateTask", "CreateTaskAsync", "CreateTaskStream", "CreateTaskStreamAsync", "CreateTasks"];
    const ALL: &'static [Self] =
        &[Self::CreateTask, Self::CreateTaskAsync, Self::CreateTaskStream, Self::CreateTaskStreamAsync, Self::CreateTasks];
    fn index(self) -> usize {
        self as usize
    }
}

impl Method for DeliverMethod {
    const NAMES: &'static [&'static str] = &["GetTaskStream", "Consume", "LeaseTasks"];
    const ALL: &'static [Self] = &[Self::GetTaskStream, Self::Consume, Self::LeaseTasks];
    fn index(self) -> usize {
        self as usize
    }
}

/// Every metric of a peer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    creates: IntCounterVec,
    deliveries: IntCounterVec,
    labels: Arc<NamespaceLabels>,
    is_leader: IntGaugeVec,
    tasks: IntGaugeVec,
    oldest_due_age_seconds: GaugeVec,
    awaits_claims: IntGaugeVec,
    log_held: IntGaugeVec,
    log_full: IntGaugeVec,
    partition_bytes: IntGaugeVec,
    log_bytes: IntGaugeVec,
    replication_lag: IntGaugeVec,
    peer_connected: IntGaugeVec,
    peer_clock_skew_seconds: GaugeVec,
    clock_outside: IntGauge,
    clock_outside_seconds: Gauge,
    build_info: IntGaugeVec,
    /// Entries appended to the raft logs of this peer.
    pub received_log_count: IntCounter,
    /// Entries that this peer's replicas have applied.
    pub applied_log_count: IntCounter,
    /// Tasks acknowledged in groups that this peer leads; so are the next three.
    pub acked: IntCounter,
    /// Attempts that ended without an ack.
    pub nacked: IntCounter,
    /// Tasks whose last attempt that was.
    pub dead: IntCounter,
    /// Tasks deleted and purged.
    pub removed: IntCounter,
    /// Tasks given back without an attempt.
    pub given_back: IntCounter,
    claimed: IntCounterVec,
    /// When a partition was last snapshotted, seconds since 1970-01-01 UTC; 0: not since the start.
    pub last_fsm_snapshot: Gauge,
    /// From the proposal of an entry to its reply: log, quorum and apply, seconds. Per entry.
    pub commit_seconds: Histogram,
    /// One fdatasync of a raft log, seconds.
    pub fdatasync_seconds: Histogram,
    /// Commands in one proposed entry.
    pub batch_commands: Histogram,
    /// Encoded size of one proposed entry, bytes.
    pub batch_bytes: Histogram,
    /// Apply of one run of committed entries with its write batch, seconds.
    pub apply_seconds: Histogram,
    /// Entries proposed and not yet answered, sampled at each proposal.
    pub proposals_in_flight: Histogram,
    /// Messages waiting in a shard's mailbox, sampled each time it is drained.
    pub mailbox_depth: Histogram,
    /// Snapshots that were on their way when the log that their followers need next was purged.
    pub snapshots_in_vain: IntCounter,
    lateness_seconds: Histogram,
    /// What callers hold.
    pub memory: MemoryMetrics,
    /// The disks.
    pub disk: DiskMetrics,
    /// The SQL port.
    pub sql: SqlMetrics,
    /// What `/proc` says about this process; set at each scrape.
    pub process: ProcessMetrics,
}

/// Metrics of the account of memory; set at each scrape.
#[derive(Clone, Debug)]
pub struct MemoryMetrics {
    /// In use, bytes.
    pub used_bytes: IntGauge,
    /// request_memory_bytes_max.
    pub max_bytes: IntGauge,
}

/// Metrics of the disks that hold this peer's directories.
#[derive(Clone, Debug)]
pub struct DiskMetrics {
    /// What is left on the fullest of them, bytes.
    pub free_bytes: IntGauge,
    /// 1: less than disk_reserve_bytes is left, and creates are refused.
    pub short: IntGauge,
    /// Damage that was found while serving.
    pub damage: IntCounter,
    /// Partitions with damage that is not mended yet.
    pub damaged: IntGauge,
}

/// Metrics of the port for MySQL clients.
#[derive(Clone, Debug)]
pub struct SqlMetrics {
    /// Connections now.
    pub connections: IntGauge,
    /// Logins that were refused.
    pub refused_logins: IntCounter,
    /// Statements that ended, failed ones too, from the command to its last packet, seconds.
    pub statement_seconds: Histogram,
    errors: IntCounterVec,
    /// Rows sent.
    pub rows: IntCounter,
    /// Bytes sent, of rows and of everything else.
    pub bytes: IntCounter,
    /// Bytes that queries hold; set at each scrape.
    pub memory_bytes: IntGauge,
}

/// Metrics of the process, under the names that every Prometheus client library uses.
#[derive(Clone, Debug)]
pub struct ProcessMetrics {
    /// Resident memory, bytes.
    pub resident_bytes: Gauge,
    /// CPU time since the start, user and system, seconds.
    pub cpu_seconds: Counter,
    /// Open file descriptors.
    pub open_fds: Gauge,
    /// The soft limit of file descriptors.
    pub max_fds: Gauge,
    /// Threads.
    pub threads: Gauge,
    /// When the process started, seconds since 1970-01-01 UTC.
    pub start_time_seconds: Gauge,
}

/// The gauges of one group's replica on this peer. Set about once a second.
#[derive(Clone, Debug)]
pub struct GroupMetrics {
    /// 1: this peer leads the group.
    pub is_leader: IntGauge,
    /// Tasks due in the future.
    pub scheduled: IntGauge,
    /// Tasks due and with no consumer.
    pub ready: IntGauge,
    /// Tasks with a consumer.
    pub leased: IntGauge,
    /// Tasks whose attempts are used up.
    pub dead: IntGauge,
    /// How long the oldest ready task has been due, seconds; 0: none is ready.
    pub oldest_due_age_seconds: Gauge,
    /// 1: what was due before this leadership waits for consumers that still hold it.
    pub awaits_claims: IntGauge,
    /// 1: log is kept because a peer lacks it.
    pub log_held: IntGauge,
    /// 1: so much of it that creates are refused.
    pub log_full: IntGauge,
    /// The partition's size on disk, bytes.
    pub partition_bytes: IntGauge,
}

impl Metrics {
    /// Registers everything. `version` is the peer's version. An error means that two metrics share a name.
    pub fn new(version: &str) -> Result<Self, prometheus::Error> {
        let r = Registry::new();
        let metrics = Metrics {
            creates: counters(&r, "z4_create_task_request_total", "Tasks asked to be created", &["method", "namespace"])?,
            deliveries: counters(&r, "z4_streamed_task_total", "Tasks delivered to consumers", &["method", "namespace"])?,
            labels: Arc::default(),
            is_leader: gauges(&r, "z4_is_leader", "1: this peer leads the group", &["group"])?,
            tasks: gauges(&r, "z4_tasks", "Tasks of a group by state, on its leader", &["group", "state"])?,
            oldest_due_age_seconds: add(
                &r,
                GaugeVec::new(
                    Opts::new(
                        "z4_oldest_due_age_seconds",
                        "How long the oldest due task of a group (ready or leased) has been due; 0: none is due",
                    ),
                    &["group"],
                )?,
            )?,
            awaits_claims: gauges(
                &r,
                "z4_awaits_claims",
                "1: tasks that were due before this peer led the group wait for consumers that still hold them",
                &["group"],
            )?,
            log_held: gauges(&r, "z4_log_held", "1: log is kept because a peer lacks it, on the group's leader", &["group"])?,
            log_full: gauges(
                &r,
                "z4_log_full",
                "1: creates are refused, because the log that is kept for a peer has nearly reached its bound",
                &["group"],
            )?,
            partition_bytes: gauges(&r, "z4_partition_bytes", "Size of a group's partition on disk", &["group"])?,
            log_bytes: gauges(&r, "z4_log_bytes", "Size of a shard's raft log on disk", &["shard"])?,
            replication_lag: gauges(
                &r,
                "z4_raft_replication_lag",
                "Entries of a group's log that a peer's replica lacks, on the group's leader",
                &["group", "peer"],
            )?,
            peer_connected: gauges(&r, "z4_peer_connected", "1: this peer is connected with that one", &["peer"])?,
            peer_clock_skew_seconds: add(
                &r,
                GaugeVec::new(
                    Opts::new("z4_peer_clock_skew_seconds", "That peer's clock minus this one's, as last measured"),
                    &["peer"],
                )?,
            )?,
            clock_outside: add(
                &r,
                IntGauge::new("z4_clock_outside", "1: this peer's clock is not what a majority's clocks say; it leads no group")?,
            )?,
            clock_outside_seconds: gauge(
                &r,
                "z4_clock_outside_seconds",
                "How far it is ahead of them, or (negative) behind; 0: within the limit",
            )?,
            build_info: gauges(&r, "z4_build_info", "Always 1; the label tells the version", &["version"])?,
            received_log_count: counter(&r, "z4_received_log_count", "Entries appended to the raft logs of this peer")?,
            applied_log_count: counter(&r, "z4_applied_log_count", "Entries that the replicas of this peer have applied")?,
            acked: counter(&r, "z4_acked_task_total", "Tasks acknowledged, counted by their group's leader")?,
            nacked: counter(
                &r,
                "z4_nacked_task_total",
                "Attempts that ended without an ack (nacks, lapsed leases, lost consumers), counted by their group's leader",
            )?,
            dead: counter(&r, "z4_dead_task_total", "Tasks whose attempts were used up, counted by their group's leader")?,
            removed: counter(&r, "z4_removed_task_total", "Tasks deleted and purged, counted by their group's leader")?,
            given_back: counter(
                &r,
                "z4_given_back_task_total",
                "Deliveries given back, which count no attempt, counted by their group's leader",
            )?,
            claimed: counters(
                &r,
                "z4_claimed_task_total",
                "Deliveries that this leader did not make and a consumer names, by outcome: kept, settled before, gone, refused",
                &["outcome"],
            )?,
            last_fsm_snapshot: gauge(&r, "z4_last_fsm_snapshot", "Unix time of the last snapshot of a partition; 0: none yet")?,
            commit_seconds: seconds(&r, "z4_commit_seconds", "From the proposal of an entry to its reply")?,
            fdatasync_seconds: seconds(&r, "z4_fdatasync_seconds", "One fdatasync of a raft log")?,
            batch_commands: powers(&r, "z4_batch_commands", "Commands in one proposed entry", 1.0, 2.0, 14)?,
            batch_bytes: powers(&r, "z4_batch_bytes", "Encoded size of one proposed entry", 256.0, 4.0, 10)?,
            apply_seconds: seconds(&r, "z4_apply_seconds", "Apply of one run of committed entries")?,
            proposals_in_flight: powers(&r, "z4_proposals_in_flight", "Entries proposed and not yet answered", 1.0, 2.0, 8)?,
            mailbox_depth: powers(&r, "z4_mailbox_depth", "Messages waiting in a shard's mailbox", 1.0, 4.0, 9)?,
            lateness_seconds: seconds(&r, "z4_lateness_seconds", "Delivery time minus due time, first attempts only")?,
            snapshots_in_vain: add(
                &r,
                IntCounter::new("z4_snapshots_in_vain_total", "Snapshots that were outrun by writers: the follower starts over")?,
            )?,
            memory: MemoryMetrics::new(&r)?,
            disk: DiskMetrics::new(&r)?,
            sql: SqlMetrics::new(&r)?,
            process: ProcessMetrics::new(&r)?,
            registry: r,
        };
        metrics.build_info.with_label_values(&[version]).set(1);
        Ok(metrics)
    }

    /// The gauges of a group's replica here. Keep the result.
    pub fn group(&self, group: GroupId) -> GroupMetrics {
        let g = group.to_string();
        let g = g.as_str();
        let state = |state: &str| self.tasks.with_label_values(&[g, state]);
        GroupMetrics {
            is_leader: self.is_leader.with_label_values(&[g]),
            scheduled: state("scheduled"),
            ready: state("ready"),
            leased: state("leased"),
            dead: state("dead"),
            oldest_due_age_seconds: self.oldest_due_age_seconds.with_label_values(&[g]),
            awaits_claims: self.awaits_claims.with_label_values(&[g]),
            log_held: self.log_held.with_label_values(&[g]),
            log_full: self.log_full.with_label_values(&[g]),
            partition_bytes: self.partition_bytes.with_label_values(&[g]),
        }
    }

    /// A consumer named a delivery that this leader did not make; there are a handful of outcomes.
    pub fn claimed(&self, outcome: &str) {
        self.claimed.with_label_values(&[outcome]).inc();
    }

    /// The size of a shard's raft log, bytes. Keep the result.
    pub fn log_bytes(&self, shard: usize) -> IntGauge {
        self.log_bytes.with_label_values(&[shard.to_string()])
    }

    /// How many entries a peer's replica of a group lacks; `None`: this peer does not lead the group, or that one has no replica of it.
    pub fn set_replication_lag(&self, group: GroupId, peer: &str, entries: Option<u64>) {
        let group = group.to_string();
        match entries {
            Some(entries) => self.replication_lag.with_label_values(&[group.as_str(), peer]).set(entries as i64),
            // An error says that it is not there.
            None => drop(self.replication_lag.remove_label_values(&[group.as_str(), peer])),
        }
    }

    /// Whether a member is connected, and its clock minus ours, seconds, if that was measured.
    pub fn set_peer(&self, peer: &str, connected: bool, skew_seconds: Option<f64>) {
        self.peer_connected.with_label_values(&[peer]).set(i64::from(connected));
        if let Some(skew) = skew_seconds {
            self.peer_clock_skew_seconds.with_label_values(&[peer]).set(skew);
        }
    }

    /// How far this peer's clock is from what a majority's say, milliseconds; 0: within the limit.
    pub fn set_clock(&self, outside_ms: i64) {
        self.clock_outside.set(i64::from(outside_ms != 0));
        self.clock_outside_seconds.set(outside_ms as f64 / 1e3);
    }

    /// A peer is no member any more. There are at most as many labels as members.
    pub fn forget_peer(&self, peer: &str) {
        // Errors say that it is not there.
        let _ = self.peer_connected.remove_label_values(&[peer]);
        let _ = self.peer_clock_skew_seconds.remove_label_values(&[peer]);
    }

    /// What one executor thread records per task. Make it on that thread and keep it.
    pub fn shard(&self) -> ShardMetrics {
        ShardMetrics {
            creates: NamespaceCounters::new(&self.creates, &self.labels),
            deliveries: NamespaceCounters::new(&self.deliveries, &self.labels),
            lateness_seconds: self.lateness_seconds.local(),
        }
    }

    /// Everything in Prometheus' text format, version 0.0.4.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The content type of [`Metrics::encode`].
    pub fn content_type() -> String {
        TextEncoder::new().format_type().to_owned()
    }
}

impl MemoryMetrics {
    fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        Ok(MemoryMetrics {
            used_bytes: add(r, IntGauge::new("z4_request_memory_bytes", "Memory that the peer holds for its callers")?)?,
            max_bytes: add(r, IntGauge::new("z4_request_memory_max_bytes", "request_memory_bytes_max")?)?,
        })
    }
}

impl DiskMetrics {
    fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        Ok(DiskMetrics {
            free_bytes: add(r, IntGauge::new("z4_disk_free_bytes", "Space left on the fullest of the peer's disks")?)?,
            short: add(r, IntGauge::new("z4_disk_short", "1: less than disk_reserve_bytes is left, and creates are refused")?)?,
            damaged: add(r, IntGauge::new("z4_damaged_partitions", "Partitions with damage that is not mended yet")?)?,
            damage: add(r, IntCounter::new("z4_damage_total", "Damage that was found on disk while serving")?)?,
        })
    }
}

impl SqlMetrics {
    fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        Ok(SqlMetrics {
            connections: add(r, IntGauge::new("z4_sql_connections", "Connections of the SQL port")?)?,
            refused_logins: add(r, IntCounter::new("z4_sql_refused_logins_total", "Logins that were refused")?)?,
            // 0.5 ms to 131 s.
            statement_seconds: powers(r, "z4_sql_statement_seconds", "From a statement to the end of its answer", 5e-4, 4.0, 10)?,
            errors: counters(r, "z4_sql_errors_total", "Statements that failed, by the kind of error", &["kind"])?,
            rows: add(r, IntCounter::new("z4_sql_rows_total", "Rows sent to SQL clients")?)?,
            bytes: add(r, IntCounter::new("z4_sql_sent_bytes_total", "Bytes sent to SQL clients")?)?,
            memory_bytes: add(r, IntGauge::new("z4_sql_memory_bytes", "Memory that SQL queries hold")?)?,
        })
    }

    /// A statement failed, for a reason of this kind; there are a handful of kinds.
    pub fn failed(&self, kind: &str) {
        self.errors.with_label_values(&[kind]).inc();
    }
}

impl ProcessMetrics {
    fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        Ok(ProcessMetrics {
            resident_bytes: gauge(r, "process_resident_memory_bytes", "Resident memory")?,
            cpu_seconds: add(r, Counter::new("process_cpu_seconds_total", "CPU time, user and system")?)?,
            open_fds: gauge(r, "process_open_fds", "Open file descriptors")?,
            max_fds: gauge(r, "process_max_fds", "Soft limit of file descriptors")?,
            threads: gauge(r, "process_threads", "Threads")?,
            start_time_seconds: gauge(r, "process_start_time_seconds", "Unix time of the process's start")?,
        })
    }
}

/// What one executor thread records per task. Nothing here is shared but what [`ShardMetrics::flush`] adds to.
#[derive(Debug)]
pub struct ShardMetrics {
    /// Tasks asked to be created.
    pub creates: NamespaceCounters<CreateMethod>,
    /// Tasks delivered.
    pub deliveries: NamespaceCounters<DeliverMethod>,
    /// Delivery time minus due time of first attempts, seconds.
    pub lateness_seconds: LocalHistogram,
}

impl ShardMetrics {
    /// Adds what was recorded since the last time to the shared metrics. Call it about once a second; dropping does it, too.
    pub fn flush(&self) {
        self.lateness_seconds.flush();
    }
}

/// A counter by method and namespace, with its children kept per thread. Its memory is bounded: namespaces without a label of their
/// own are not kept.
#[derive(Debug)]
pub struct NamespaceCounters<M> {
    shared: IntCounterVec,
    labels: Arc<NamespaceLabels>,
    own: RefCell<HashMap<Namespace, Children>>,
    other: RefCell<Children>,
    /// `own` knows every namespace that has a label: what is not there is another one, and no lock is taken.
    complete: Cell<bool>,
    method: PhantomData<M>,
}

/// A counter per method, looked up when it is first needed.
type Children = Vec<Option<IntCounter>>;

impl<M: Method> NamespaceCounters<M> {
    fn new(shared: &IntCounterVec, labels: &Arc<NamespaceLabels>) -> Self {
        NamespaceCounters {
            shared: shared.clone(),
            labels: Arc::clone(labels),
            own: RefCell::default(),
            other: RefCell::new(Self::children()),
            complete: Cell::new(false),
            method: PhantomData,
        }
    }

    fn children() -> Children {
        vec![None; M::NAMES.len()]
    }

    /// Counts `tasks` of a namespace.
    pub fn add(&self, method: M, namespace: &Namespace, tasks: u64) {
        let mut own = self.own.borrow_mut();
        if !self.complete.get() && !own.contains_key(namespace) {
            self.meet(&mut own, namespace);
        }
        match own.get_mut(namespace) {
            Some(children) => self.count(children, method, namespace.as_str(), tasks),
            None => self.count(&mut self.other.borrow_mut(), method, OTHER_NAMESPACES, tasks),
        }
    }

    /// The first task of a namespace on this thread, while there may be labels left.
    fn meet(&self, own: &mut HashMap<Namespace, Children>, namespace: &Namespace) {
        let mut admitted = self.labels.0.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.len() < NAMESPACE_LABELS_MAX && !admitted.contains(namespace) {
            // The name may be a slice of a request: a copy does not keep that alive.
            admitted.extend(Namespace::new(namespace.as_str()));
        }
        for name in admitted.iter() {
            own.entry(name.clone()).or_insert_with(Self::children);
        }
        self.complete.set(admitted.len() >= NAMESPACE_LABELS_MAX);
    }

    fn count(&self, children: &mut Children, method: M, label: &str, tasks: u64) {
        let child = &mut children[method.index()];
        child.get_or_insert_with(|| self.shared.with_label_values(&[M::NAMES[method.index()], label])).inc_by(tasks);
    }
}

/// The namespaces that have a label of their own. Never shrinks.
#[derive(Debug, Default)]
struct NamespaceLabels(Mutex<HashSet<Namespace>>);

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    add(r, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn counter(r: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    add(r, IntCounter::new(name, help)?)
}

fn gauge(r: &Registry, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
    add(r, Gauge::new(name, help)?)
}

fn gauges(r: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    add(r, IntGaugeVec::new(Opts::new(name, help), labels)?)
}

/// 50 µs to 26 s, doubling: a fdatasync of a good disk lies in the second bucket, an outage in the last.
fn seconds(r: &Registry, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    powers(r, name, help, 50e-6, 2.0, 20)
}

fn powers(r: &Registry, name: &str, help: &str, first: f64, factor: f64, n: usize) -> Result<Histogram, prometheus::Error> {
    add(r, Histogram::with_opts(HistogramOpts::new(name, help).buckets(exponential_buckets(first, factor, n)?))?)
}

#[cfg(test)]
mod tests;
