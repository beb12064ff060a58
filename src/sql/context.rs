//! What a statement knows of its session: a snapshot, taken when it starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::SqlError;
use super::types::Datum;

/// How fresh the rows must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// What this peer has applied.
    #[default]
    Stale,
    /// Everything that was acknowledged before: a read-index round per group first.
    Linearizable,
}

/// The session as one statement sees it.
#[derive(Clone, Debug)]
pub struct Context {
    /// The connection's id.
    pub connection: u32,
    /// `user` as it logged in.
    pub user: String,
    /// Where it came from.
    pub host: String,
    /// The default database; `None`: none was chosen.
    pub database: Option<String>,
    /// When the statement started, microseconds since 1970-01-01 UTC: NOW().
    pub now_us: i64,
    /// Seconds east of UTC.
    pub zone_seconds: i32,
    /// How fresh.
    pub consistency: Consistency,
    /// The statement ends with an error after this, milliseconds.
    pub max_execution_ms: u64,
    /// At most so many rows are returned (`sql_select_limit`); `u64::MAX`: no limit.
    pub select_limit: u64,
    /// Every session variable by its lower-case name, for `@@name` and SHOW VARIABLES.
    pub variables: Arc<BTreeMap<String, Datum>>,
    /// What the statement before this one warned of, for SHOW WARNINGS.
    pub warnings: Vec<Warning>,
}

/// A row of SHOW WARNINGS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// `Note`, `Warning` or `Error`.
    pub level: &'static str,
    /// Code and sentence.
    pub error: SqlError,
}
