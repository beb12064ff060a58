//! The connections that there are, and what they count: SHOW PROCESSLIST, SHOW STATUS and KILL.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use z4_shards::account::{Account, CLIENT_PARTS, Holder, Share};
use z4_shards::metrics::SqlMetrics;
use z4_shards::runtime::clock;

use super::once_a_second::OnceASecond;
use super::redact::without_values;
use crate::sql::data::{Live, ProcessRow};
use crate::sql::error::SqlError;

/// A statement that took longer is counted as slow: MySQL's default of `long_query_time`.
const SLOW: Duration = Duration::from_secs(10);
/// What an open connection costs before it says anything: its buffers and its two tasks. Bytes.
const CONNECTION_BYTES: usize = 32 << 10;
/// A packet for which there is no memory waits, with a look each time that this has passed.
const LOOK: Duration = Duration::from_millis(20);
/// So much of a statement is kept for SHOW PROCESSLIST.
const STATEMENT_BYTES_MAX: usize = 16 << 10;

/// Why a connection should stop what it does; a later one outdoes an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Interrupt {
    /// Nothing.
    #[default]
    None,
    /// KILL QUERY: the running statement ends, the connection stays.
    Query,
    /// The client closed the connection.
    Gone,
    /// KILL.
    Connection,
    /// The server stops.
    Shutdown,
}

/// What the server counts since it started.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) refused_logins: AtomicU64,
    pub(super) refused_connections: AtomicU64,
    pub(super) aborted: AtomicU64,
    pub(super) commands: AtomicU64,
    pub(super) statements: AtomicU64,
    pub(super) slow: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    most: AtomicU64,
    /// For the log of logins and connections that are refused.
    pub(super) refusals: OnceASecond,
}

/// Every connection of the SQL port. It is made before the engine, which reads it, and before the listener, which fills it.
#[derive(Debug)]
pub struct Connections {
    entries: Mutex<Entries>,
    pub(super) counters: Counters,
    pub(super) metrics: SqlMetrics,
    account: Option<Account>,
    started: Instant,
}

#[derive(Debug, Default)]
struct Entries {
    by_id: BTreeMap<u32, Arc<Entry>>,
    last_id: u32,
    stopping: bool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u32,
    pub(super) peer: SocketAddr,
    activity: Mutex<Activity>,
    interrupt: watch::Sender<Interrupt>,
    /// Who is charged for what it sends, and the charge for being there; `None`: nobody counts.
    memory: Option<(Holder, Share)>,
}

#[derive(Debug)]
struct Activity {
    user: String,
    database: Option<String>,
    command: &'static str,
    since: Instant,
    statement: Option<String>,
    running: bool,
}

/// Takes the connection from the list when it goes.
#[derive(Debug)]
pub(super) struct Presence {
    connections: Arc<Connections>,
    pub(super) entry: Arc<Entry>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connections {
    /// No connection yet, and no account of memory.
    pub fn new(metrics: SqlMetrics) -> Arc<Connections> {
        Self::charged_to(None, metrics)
    }

    /// No connection yet. What they hold is charged to the account.
    pub fn charged_to(account: Option<Account>, metrics: SqlMetrics) -> Arc<Connections> {
        let (entries, counters, started) = (Mutex::default(), Counters::default(), clock::monotonic());
        Arc::new(Connections { entries, counters, metrics, account, started })
    }

    /// Adds a connection; `None`: there are `max` already, there is no memory for one more, or the server stops.
    pub(super) fn enter(self: &Arc<Self>, peer: SocketAddr, max: usize) -> Option<Presence> {
        let memory = self.account.as_ref().map(|account| {
            let holder = account.holder(CLIENT_PARTS);
            holder.take(CONNECTION_BYTES).map(|charge| (holder, charge))
        });
        let memory = memory.transpose().ok()?;
        let mut entries = locked(&self.entries);
        if entries.by_id.len() >= max || entries.stopping {
            return None;
        }
        let mut id = entries.last_id.wrapping_add(1);
        while id == 0 || entries.by_id.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        entries.last_id = id;
        let activity = Activity {
            user: "unauthenticated user".to_owned(),
            database: None,
            command: "Connect",
            since: clock::monotonic(),
            statement: None,
            running: false,
        };
        let entry = Arc::new(Entry { id, peer, activity: Mutex::new(activity), interrupt: watch::Sender::default(), memory });
        entries.by_id.insert(id, entry.clone());
        self.counters.accepted.fetch_add(1, Relaxed);
        self.metrics.connections.inc();
        self.counters.most.fetch_max(entries.by_id.len() as u64, Relaxed);
        Some(Presence { connections: self.clone(), entry })
    }

    /// Ends a connection or its statement; false: there is no such connection.
    pub(super) fn kill(&self, id: u32, connection: bool) -> bool {
        let Some(entry) = locked(&self.entries).by_id.get(&id).cloned() else { return false };
        if connection {
            entry.interrupt(Interrupt::Connection);
        } else {
            // Under the lock, so that it cannot hit the statement after the one that was meant.
            let activity = locked(&entry.activity);
            if activity.running {
                entry.interrupt(Interrupt::Query);
            }
        }
        true
    }

    /// Ends every connection, and takes no more.
    pub(super) fn stop(&self) {
        let mut entries = locked(&self.entries);
        entries.stopping = true;
        entries.by_id.values().for_each(|entry| entry.interrupt(Interrupt::Shutdown));
    }

    /// How many there are, and how many of them run a statement.
    fn count(&self) -> (usize, usize) {
        let entries = locked(&self.entries);
        let running = entries.by_id.values().filter(|entry| locked(&entry.activity).running).count();
        (entries.by_id.len(), running)
    }

    /// Seconds since the start, and the count of statements and slow ones: what `COM_STATISTICS` tells.
    pub(super) fn summary(&self) -> String {
        let (threads, _) = self.count();
        let c = &self.counters;
        format!(
            "Uptime: {}  Threads: {threads}  Questions: {}  Slow queries: {}",
            self.uptime().as_secs(),
            c.statements.load(Relaxed),
            c.slow.load(Relaxed)
        )
    }

    fn uptime(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.started)
    }
}

impl Live for Connections {
    fn processes(&self) -> Vec<ProcessRow> {
        let now = clock::monotonic();
        let row = |entry: &Arc<Entry>| {
            let activity = locked(&entry.activity);
            ProcessRow {
                id: entry.id,
                user: activity.user.clone(),
                host: entry.peer.to_string(),
                database: activity.database.clone(),
                command: activity.command,
                seconds: now.saturating_duration_since(activity.since).as_secs(),
                statement: activity.statement.clone(),
            }
        };
        locked(&self.entries).by_id.values().map(row).collect()
    }

    fn status(&self) -> Vec<(&'static str, String)> {
        let (connected, running) = self.count();
        let c = &self.counters;
        let uptime = self.uptime().as_secs();
        let counted = |counter: &AtomicU64| counter.load(Relaxed);
        let rows = [
            ("Aborted_clients", counted(&c.aborted)),
            ("Aborted_connects", counted(&c.refused_logins)),
            ("Bytes_received", counted(&c.bytes_in)),
            ("Bytes_sent", counted(&c.bytes_out)),
            ("Connection_errors_max_connections", counted(&c.refused_connections)),
            ("Connections", counted(&c.accepted)),
            ("Max_used_connections", counted(&c.most)),
            ("Queries", counted(&c.commands)),
            ("Questions", counted(&c.statements)),
            ("Slow_queries", counted(&c.slow)),
            ("Threads_connected", connected as u64),
            ("Threads_running", running as u64),
            ("Uptime", uptime),
            ("Uptime_since_flush_status", uptime),
        ];
        rows.map(|(name, value)| (name, value.to_string())).into()
    }
}

impl Entry {
    /// Asks it to stop; what asks for more stays.
    pub(super) fn interrupt(&self, why: Interrupt) {
        self.interrupt.send_if_modified(|now| why > *now && std::mem::replace(now, why) != why);
    }

    /// Memory for a packet, before it is read, as soon as there is some; `None`: nobody counts.
    pub(super) async fn take(&self, bytes: usize) -> Option<Share> {
        let (holder, _) = self.memory.as_ref()?;
        loop {
            if let Ok(share) = holder.take(bytes) {
                return Some(share);
            }
            sleep(LOOK).await;
        }
    }

    /// Who is charged for what it keeps; `None`: nobody counts.
    pub(super) fn holder(&self) -> Option<Holder> {
        self.memory.as_ref().map(|(holder, _)| holder.clone())
    }

    /// Hears of interrupts.
    pub(super) fn interrupts(&self) -> watch::Receiver<Interrupt> {
        self.interrupt.subscribe()
    }

    /// Who it is, and which database it uses.
    pub(super) fn is_of(&self, user: &str, database: Option<&str>) {
        let mut activity = locked(&self.activity);
        user.clone_into(&mut activity.user);
        activity.database = database.map(str::to_owned);
    }

    /// A command starts: `Query`, `Execute`, `Prepare`, …. An older KILL QUERY does not count for it.
    pub(super) fn begins(&self, command: &'static str, statement: Option<&str>) {
        let mut activity = locked(&self.activity);
        self.interrupt.send_if_modified(|now| *now == Interrupt::Query && std::mem::take(now) == Interrupt::Query);
        activity.command = command;
        activity.since = clock::monotonic();
        activity.statement = statement.map(|text| text[..text.floor_char_boundary(STATEMENT_BYTES_MAX)].to_owned());
        activity.running = true;
    }

    /// It ended, or failed.
    pub(super) fn ends(&self, connections: &Connections, failed: Option<&SqlError>) {
        let mut activity = locked(&self.activity);
        let now = clock::monotonic();
        if activity.running {
            let took = now.saturating_duration_since(activity.since);
            if activity.statement.is_some() {
                connections.metrics.statement_seconds.observe(took.as_secs_f64());
            }
            if took > SLOW {
                connections.counters.slow.fetch_add(1, Relaxed);
                let statement = activity.statement.as_deref().map(without_values).unwrap_or_default();
                let (user, ms) = (&activity.user, took.as_millis() as u64);
                tracing::warn!(?user, host = %self.peer, ms, code = failed.map(|error| error.code), statement, "a slow SQL statement");
            }
        }
        if let Some(error) = failed {
            connections.metrics.failed(error.kind());
        }
        activity.command = "Sleep";
        activity.since = now;
        activity.statement = None;
        activity.running = false;
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        locked(&self.connections.entries).by_id.remove(&self.entry.id);
        self.connections.metrics.connections.dec();
    }
}
