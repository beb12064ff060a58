//! What a statement knows of its session: a snapshot, taken when it starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::SqlError;
use super::own::Own;
use super::types::{Datum, SqlType};
use super::zones::Zone;

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
    /// The session's time zone.
    pub zone: Zone,
    /// How fresh.
    pub consistency: Consistency,
    /// The statement ends with an error after this, milliseconds.
    pub max_execution_ms: u64,
    /// At most so many rows are returned (`sql_select_limit`); `u64::MAX`: no limit.
    pub select_limit: u64,
    /// Session variables by their lower-case names: [`Context::variable`] is for `@@name` and SHOW VARIABLES.
    pub variables: Variables,
    /// The types of a prepared statement's parameters; none: they are not known, or there are none.
    pub params: Arc<[SqlType]>,
    /// User variables and locks, as they are now.
    pub own: Arc<Own>,
    /// What the statement before this one warned of, for SHOW WARNINGS.
    pub warnings: Vec<Warning>,
}

impl Context {
    /// A session variable by its lower-case name, also one that no session keeps, because it follows from the moment.
    pub fn variable(&self, name: &str) -> Option<Datum> {
        let errors = || self.warnings.iter().filter(|warning| warning.level == "Error").count();
        Some(match name {
            "warning_count" => Datum::Int(self.warnings.len() as i64),
            "error_count" => Datum::Int(errors() as i64),
            "timestamp" => Datum::Double(self.now_us as f64 / 1e6),
            "last_insert_id" | "identity" => Datum::UInt(self.own.insert_id()),
            "pseudo_thread_id" => Datum::UInt(u64::from(self.connection)),
            name => return self.variables.get(name).cloned(),
        })
    }

    /// Every session variable, in order.
    pub fn all_variables(&self) -> impl Iterator<Item = (&str, Datum)> {
        self.variables.names().filter_map(|name| self.variable(name).map(|value| (name, value)))
    }
}

/// Session variables: what all sessions begin with, and what this one has set.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    defaults: Arc<BTreeMap<String, Datum>>,
    set: Arc<BTreeMap<String, Datum>>,
}

impl Variables {
    /// Nothing is set.
    pub fn new(defaults: Arc<BTreeMap<String, Datum>>) -> Variables {
        Variables { defaults, set: Arc::default() }
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&Datum> {
        self.set.get(name).or_else(|| self.defaults.get(name))
    }

    /// What sessions begin with.
    pub fn default_of(&self, name: &str) -> Option<&Datum> {
        self.defaults.get(name)
    }

    /// Sets a variable.
    pub fn insert(&mut self, name: String, value: Datum) {
        Arc::make_mut(&mut self.set).insert(name, value);
    }

    /// As at the beginning.
    pub fn reset(&mut self) {
        self.set = Arc::default();
    }

    /// The names of all, in order.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().map(String::as_str)
    }
}

/// A row of SHOW WARNINGS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// `Note`, `Warning` or `Error`.
    pub level: &'static str,
    /// Code and sentence.
    pub error: SqlError,
}
