//! The tables and their columns: one list for the dialect, the virtual tables and information_schema.

pub mod accounts;
pub mod information_schema;
pub mod system;

use super::types::SqlType::{self, Blob, Int, Json, Text, Timestamp, UInt};

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: SqlType,
    /// It may be NULL.
    pub nullable: bool,
    /// What it is, for `SHOW FULL COLUMNS` and information_schema.
    pub comment: &'static str,
}

/// A table that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// One of [`SCHEMAS`].
    pub schema: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its columns, in order; the virtual table has them in this order, too.
    pub columns: &'static [Column],
    /// What it is.
    pub comment: &'static str,
}

/// The database of the tables.
pub const DATABASE: &str = "z4";
/// The database that describes them.
pub const INFORMATION_SCHEMA: &str = "information_schema";
/// Every database, by name. Those but [`DATABASE`] are MySQL's own, known in any case.
pub const SCHEMAS: &[&str] = &[INFORMATION_SCHEMA, system::MYSQL, system::PERFORMANCE_SCHEMA, system::SYS, DATABASE];

/// A database by its name.
pub fn schema(name: &str) -> Option<&'static str> {
    SCHEMAS.iter().copied().find(|known| *known == name || *known != DATABASE && known.eq_ignore_ascii_case(name))
}

const fn column(name: &'static str, ty: SqlType, comment: &'static str) -> Column {
    Column { name, ty, nullable: false, comment }
}

const fn nullable(name: &'static str, ty: SqlType, comment: &'static str) -> Column {
    Column { name, ty, nullable: true, comment }
}

/// Columns of `tasks`, by their place. The first five are those of the original, in its order: programs read `SELECT *` by position.
pub mod task {
    #![allow(missing_docs)]
    pub const NAMESPACE: usize = 0;
    pub const ID: usize = 1;
    pub const DELIVER_AT: usize = 2;
    pub const METADATA: usize = 3;
    pub const PAYLOAD: usize = 4;
    pub const STATE: usize = 5;
    pub const CREATED_AT: usize = 6;
    pub const LAST_RETRY: usize = 7;
    pub const ATTEMPTS: usize = 8;
    pub const PAYLOAD_BYTES: usize = 9;
    pub const LAST_ERROR: usize = 10;
}

/// The tasks.
pub const TASKS: Table = Table {
    schema: DATABASE,
    name: "tasks",
    comment: "Tasks. A query must bound namespace (= or IN) and deliver_at (from both sides)",
    columns: &[
        column("namespace", Text, "Whose task it is"),
        column("id", Text, "26 characters, unique in the cluster"),
        column("deliver_at", Timestamp(3), "Due: not delivered before"),
        column("metadata", Json, "An object of strings"),
        column("payload", Blob, "What the consumer gets"),
        column("state", Text, "scheduled, ready, leased or dead"),
        column("created_at", Timestamp(3), "When it was created"),
        nullable("last_retry", Timestamp(3), "When an attempt failed last"),
        column("attempts", UInt, "Failed attempts so far"),
        column("payload_bytes", UInt, "Length of the payload"),
        nullable("last_error", Text, "What the last failed attempt said"),
    ],
};

/// The namespaces.
pub const NAMESPACES: Table = Table {
    schema: DATABASE,
    name: "namespaces",
    comment: "Namespaces: settings, and tasks by state",
    columns: &[
        column("name", Text, "Its name"),
        column("group_id", UInt, "The Raft group that holds its tasks"),
        nullable("created_at", Timestamp(3), "When it was first written to"),
        column("scheduled", UInt, "Tasks due in the future"),
        column("ready", UInt, "Tasks due, not with a consumer"),
        column("leased", UInt, "Tasks with a consumer"),
        column("dead", UInt, "Tasks whose attempts are used up"),
        column("lease_ms", UInt, "How long a consumer may keep a task"),
        column("max_attempts", UInt, "After so many failed attempts a task is dead"),
        column("backoff_first_ms", UInt, "The wait after the first failed attempt"),
        column("backoff_factor", SqlType::Double, "Each further wait is the one before times this"),
        column("backoff_ceiling_ms", UInt, "No wait is longer"),
        column("backoff_jitter", SqlType::Double, "A wait is changed by up to this share of itself"),
        column("paused", Int, "1: nothing is delivered"),
        column("idempotency_window_ms", UInt, "How long a request id is remembered"),
    ],
};

/// The peers.
pub const PEERS: Table = Table {
    schema: DATABASE,
    name: "peers",
    comment: "Peers of the cluster, as this peer sees them",
    columns: &[
        column("id", Text, "The peer's id"),
        column("number", UInt, "Its number inside Raft"),
        column("address", Text, "Where the other peers reach it"),
        nullable("service_address", Text, "Where clients reach it"),
        column("connected", Int, "1: this peer reaches it"),
        column("me", Int, "1: the peer that answers"),
        column("leads", UInt, "Groups that it leads"),
        nullable("clock_skew_ms", Int, "Its clock minus this peer's"),
        nullable("error", Text, "Why it is not reached"),
    ],
};

/// The groups.
pub const GROUPS: Table = Table {
    schema: DATABASE,
    name: "groups",
    comment: "Raft groups, as this peer's replicas see them; group 0 is the registry",
    columns: &[
        column("id", UInt, "The group"),
        nullable("leader", Text, "The leader's peer id; NULL: none is known"),
        column("leads", Int, "1: this peer leads it"),
        column("term", UInt, "Raft's term"),
        column("last_log_index", UInt, "The last entry in this peer's log"),
        column("applied_index", UInt, "The last entry applied here: what a stale read sees"),
        column("lag", UInt, "Entries known to be committed and not applied here yet"),
        nullable("stale_ms", UInt, "Time since this replica last heard from the leader or applied; 0 on the leader"),
        column("bytes", UInt, "On this peer's disk"),
        column("shard", UInt, "The shard that hosts it here"),
        column("voters", Text, "Peer ids, separated by commas"),
        column("learners", Text, "Peer ids, separated by commas"),
        column("slots", UInt, "Hash slots it owns"),
    ],
};

/// Every table.
pub const TABLES: &[&Table] = &[
    &TASKS,
    &NAMESPACES,
    &PEERS,
    &GROUPS,
    &information_schema::SCHEMATA,
    &information_schema::TABLES,
    &information_schema::COLUMNS,
    &information_schema::STATISTICS,
    &information_schema::KEY_COLUMN_USAGE,
    &information_schema::TABLE_CONSTRAINTS,
    &information_schema::REFERENTIAL_CONSTRAINTS,
    &information_schema::CHECK_CONSTRAINTS,
    &information_schema::ROUTINES,
    &information_schema::PARAMETERS,
    &information_schema::VIEWS,
    &information_schema::TRIGGERS,
    &information_schema::EVENTS,
    &information_schema::PARTITIONS,
    &information_schema::ENGINES,
    &information_schema::PLUGINS,
    &information_schema::CHARACTER_SETS,
    &information_schema::COLLATIONS,
    &information_schema::COLLATION_CHARACTER_SET_APPLICABILITY,
    &information_schema::USER_PRIVILEGES,
    &information_schema::SCHEMA_PRIVILEGES,
    &information_schema::TABLE_PRIVILEGES,
    &information_schema::COLUMN_PRIVILEGES,
    &information_schema::PROFILING,
    &information_schema::FILES,
    &information_schema::KEYWORDS,
    &information_schema::SESSION_VARIABLES,
    &information_schema::SESSION_STATUS,
    &information_schema::PROCESSLIST,
    &information_schema::WARNINGS,
    &information_schema::INNODB_TRX,
    &accounts::APPLICABLE_ROLES,
    &accounts::ADMINISTRABLE_ROLE_AUTHORIZATIONS,
    &accounts::ENABLED_ROLES,
    &accounts::INNODB_METRICS,
    &system::USER,
    &system::DB,
    &system::TABLES_PRIV,
    &system::COLUMNS_PRIV,
    &system::PROCS_PRIV,
    &system::ROLE_EDGES,
    &system::DEFAULT_ROLES,
    &system::GLOBAL_GRANTS,
    &system::TIME_ZONE_NAME,
    &system::GENERAL_LOG,
    &system::SLOW_LOG,
    &system::THREADS,
    &system::STATEMENTS_CURRENT,
    &system::DATA_LOCKS,
    &system::INNODB_LOCK_WAITS,
    &system::GLOBAL_VARIABLES,
    &system::SESSION_VARIABLES,
    &system::GLOBAL_STATUS,
    &system::SESSION_STATUS,
    &system::PROCESSLIST,
    &system::SESSION_CONNECT_ATTRS,
    &system::SETUP_CONSUMERS,
    &system::SETUP_INSTRUMENTS,
    &system::STATEMENTS_BY_DIGEST,
    &system::REPLICATION_GROUP_MEMBERS,
    &system::DATA_LOCK_WAITS,
    &system::METADATA_LOCKS,
    &system::VERSION,
    &system::SYS_CONFIG,
    &accounts::ACCOUNTS,
    &accounts::USERS,
    &accounts::HOSTS,
    &accounts::SESSION,
    &accounts::HELP_TOPIC,
];

/// A table by its names, in any case, as the original has it.
pub fn table(schema: &str, name: &str) -> Option<&'static Table> {
    let same = |table: &&&'static Table| schema.eq_ignore_ascii_case(table.schema) && name.eq_ignore_ascii_case(table.name);
    TABLES.iter().find(same).copied()
}

/// The name inside SQLite of the few rows of `tasks` that a bare look at its shape gives. No statement can name it.
pub const LOOK: &str = "z4_look";
/// A bare look gives no more rows, those that it skips included.
pub const LOOK_ROWS_MAX: usize = 1_000;
/// The name inside SQLite of all of `tasks`, for a statement that asks for nothing but that. No statement can name it.
pub const WHOLE: &str = "z4_whole";

impl Table {
    /// The name of its virtual table inside SQLite.
    pub fn virtual_name(&self) -> String {
        match self.schema {
            DATABASE => self.name.to_owned(),
            INFORMATION_SCHEMA => format!("is_{}", self.name.to_ascii_lowercase()),
            schema => format!("{schema}_{}", self.name),
        }
    }
}
