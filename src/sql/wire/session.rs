//! What a connection keeps from one statement to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use z4_shards::runtime::clock;

use super::known::Known;
use super::options::Options;
use super::prepared::Prepared;
use super::variables::{VARIABLES, charset, find, zone};
use crate::sql::catalog::{DATABASE, INFORMATION_SCHEMA};
use crate::sql::context::{Consistency, Context, Warning};
use crate::sql::error::SqlError;
use crate::sql::types::Datum;

/// The state of a connection.
pub(super) struct Session {
    id: u32,
    pub(super) user: String,
    host: String,
    pub(super) database: Option<String>,
    variables: Arc<BTreeMap<String, Datum>>,
    defaults: Arc<BTreeMap<String, Datum>>,
    /// What was made of its last statements.
    pub(super) known: Known,
    pub(super) prepared: BTreeMap<u32, Prepared>,
    /// The id of the statement that was prepared last.
    pub(super) last_prepared: u32,
    pub(super) warnings: Vec<Warning>,
}

impl Session {
    pub(super) fn new(id: u32, host: String, options: &Options) -> Session {
        let mut defaults: BTreeMap<String, Datum> = VARIABLES.iter().map(|v| (v.0.to_owned(), v.1.datum())).collect();
        let idle = options.idle_timeout.as_secs().max(1);
        for (name, value) in [
            ("max_allowed_packet", options.packet_bytes_max as u64),
            ("max_connections", options.connections_max as u64),
            ("max_execution_time", options.max_execution_ms),
            ("wait_timeout", idle),
            ("interactive_timeout", idle),
            ("net_read_timeout", options.read_timeout.as_secs()),
            ("net_write_timeout", options.write_timeout.as_secs()),
        ] {
            defaults.insert(name.to_owned(), Datum::UInt(value));
        }
        let (user, database, prepared, warnings) = Default::default();
        let defaults = Arc::new(defaults);
        let variables = Arc::clone(&defaults);
        Session { id, user, host, database, variables, defaults, known: Known::default(), prepared, last_prepared: 0, warnings }
    }

    /// Everything but the login is as at the start.
    pub(super) fn reset(&mut self) {
        self.variables = Arc::clone(&self.defaults);
        self.known.clear();
        self.prepared.clear();
        self.warnings.clear();
        // The database of the login, and not NULL as in MySQL 5.7, stays in MySQL 8.0, too.
    }

    /// Makes a database the default one.
    ///
    /// # Errors
    /// 1049: there is no such database.
    pub(super) fn enter(&mut self, database: &str) -> Result<(), SqlError> {
        let known = if database == DATABASE {
            DATABASE
        } else if database.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
            INFORMATION_SCHEMA
        } else {
            return Err(SqlError::new(1049, "42000", format!("Unknown database '{database}'")));
        };
        self.database = Some(known.to_owned());
        self.known.clear();
        Ok(())
    }

    /// Sets variables: all of them, or none.
    ///
    /// # Errors
    /// 1193: there is no such variable; 1227: it is global; and what a variable says of its value.
    pub(super) fn set(&mut self, assignments: Vec<(String, Option<Datum>)>) -> Result<(), SqlError> {
        let mut changes = Vec::new();
        for (name, value) in assignments {
            let name = name.trim_start_matches('@');
            if ["global.", "persist.", "persist_only."].iter().any(|prefix| name.starts_with(prefix)) {
                let text = "Access denied; you need (at least one of) the SUPER or SYSTEM_VARIABLES_ADMIN privilege(s) for this operation";
                return Err(SqlError::new(1227, "42000", text));
            }
            let name = name.trim_start_matches("session.").trim_start_matches("local.");
            match name {
                "names" => changes.extend(names(value, true)?),
                "character set" | "charset" => changes.extend(names(value, false)?),
                _ => changes.push(self.change(name, value)?),
            }
        }
        self.known.clear();
        let variables = Arc::make_mut(&mut self.variables);
        for (name, value) in changes {
            // One variable under two names.
            for (one, other) in [("tx_isolation", "transaction_isolation"), ("tx_read_only", "transaction_read_only")] {
                if name == one || name == other {
                    variables.insert(one.to_owned(), value.clone());
                    variables.insert(other.to_owned(), value.clone());
                }
            }
            variables.insert(name, value);
        }
        Ok(())
    }

    fn change(&self, name: &str, value: Option<Datum>) -> Result<(String, Datum), SqlError> {
        let variable = find(name).ok_or_else(|| SqlError::new(1193, "HY000", format!("Unknown system variable '{name}'")))?;
        let value = match value {
            Some(value) => variable.check(value)?,
            None => {
                // A fixed one has no DEFAULT either.
                if matches!(variable.2, super::variables::Rule::Fixed) {
                    variable.check(Datum::Null)?;
                }
                self.defaults.get(name).cloned().unwrap_or(Datum::Null)
            }
        };
        Ok((name.to_owned(), value))
    }

    /// A variable that is a whole number.
    pub(super) fn number(&self, name: &str) -> u64 {
        match self.variables.get(name) {
            Some(Datum::UInt(number)) => *number,
            Some(Datum::Int(number)) => u64::try_from(*number).unwrap_or(0),
            _ => 0,
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.variables.get(name) {
            Some(Datum::Text(text)) => text,
            _ => "",
        }
    }

    /// The session as the next statement sees it.
    pub(super) fn context(&self) -> Context {
        let linearizable = self.text("z4_consistency") == "linearizable";
        let max_execution_ms = self.number("max_execution_time");
        Context {
            connection: self.id,
            user: self.user.clone(),
            host: self.host.clone(),
            database: self.database.clone(),
            now_us: i64::try_from(clock::wall_us()).unwrap_or(i64::MAX),
            // It was checked when it was set.
            zone_seconds: zone(self.text("time_zone")).unwrap_or(0),
            consistency: if linearizable { Consistency::Linearizable } else { Consistency::Stale },
            max_execution_ms: if max_execution_ms == 0 { u64::MAX } else { max_execution_ms },
            select_limit: self.number("sql_select_limit"),
            variables: Arc::clone(&self.variables),
            warnings: self.warnings.clone(),
        }
    }
}

/// What SET NAMES and SET CHARACTER SET change.
fn names(value: Option<Datum>, connection: bool) -> Result<Vec<(String, Datum)>, SqlError> {
    let set = match &value {
        None => "utf8mb4",
        Some(Datum::Text(name)) => charset(name)?,
        Some(_) => return Err(SqlError::new(1232, "42000", "Incorrect argument type to variable 'character_set_client'")),
    };
    let own = if connection { set } else { "utf8mb4" };
    let all = [("character_set_client", set), ("character_set_results", set), ("character_set_connection", own)];
    Ok(all.map(|(name, set)| (name.to_owned(), Datum::Text(set.to_owned()))).into())
}

#[cfg(test)]
mod tests {
    //! Settings do what MySQL's do and refuse what MySQL refuses, and a SET that fails in one of its parts changes nothing.
    use super::*;

    fn session() -> Session {
        Session::new(7, "127.0.0.1:1".to_owned(), &Options::default())
    }

    fn set(session: &mut Session, name: &str, value: &str) -> Result<(), u16> {
        session.set(vec![(name.to_owned(), Some(Datum::Text(value.to_owned())))]).map_err(|error| error.code)
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(VARIABLES.is_sorted_by_key(|variable| variable.0), "it is searched by halves");
    }

    #[test]
    fn variables_have_rules() {
        let mut session = session();
        for (name, value, expected) in [
            ("time_zone", "+02:00", Ok(())),
            ("time_zone", "Europe/Berlin", Err(1298)),
            ("time_zone", "+99:00", Err(1298)),
            ("time_zone", "+1:2:3", Err(1298)),
            ("autocommit", "OFF", Ok(())),
            ("autocommit", "maybe", Err(1231)),
            ("version", "9", Err(1238)),
            ("no_such", "1", Err(1193)),
            ("global.time_zone", "+00:00", Err(1227)),
            ("sql_select_limit", "x", Err(1232)),
            ("sql_select_limit", "5", Ok(())),
            ("sql_mode", "ansi,traditional", Ok(())),
            ("sql_mode", "nonsense", Err(1231)),
            ("names", "utf8mb4", Ok(())),
            ("names", "latin1", Err(1115)),
            ("collation_connection", "utf8mb4_general_ci", Ok(())),
            ("collation_connection", "latin1_swedish_ci", Err(1273)),
            ("session.transaction_isolation", "read-committed", Ok(())),
            ("@@session.z4_consistency", "linearizable", Ok(())),
            ("z4_consistency", "fresh", Err(1231)),
        ] {
            assert_eq!(set(&mut session, name, value), expected, "{name} = {value}");
        }
        let context = session.context();
        assert_eq!((context.zone_seconds, context.select_limit, context.consistency), (7200, 5, Consistency::Linearizable));
        assert_eq!(context.variables["tx_isolation"], Datum::Text("READ-COMMITTED".to_owned()));
        assert_eq!(context.max_execution_ms, 30_000);
        session.set(vec![("time_zone".to_owned(), None), ("max_execution_time".to_owned(), Some(Datum::Int(0)))]).expect("fine");
        assert_eq!((session.context().zone_seconds, session.context().max_execution_ms), (0, u64::MAX));
    }

    #[test]
    fn a_set_is_done_whole_or_not_at_all() {
        let mut session = session();
        let both = vec![("sql_select_limit".to_owned(), Some(Datum::Int(5))), ("no_such".to_owned(), None)];
        assert_eq!(session.set(both).map_err(|error| error.code), Err(1193));
        assert_eq!(session.context().select_limit, u64::MAX);
    }

    #[test]
    fn there_are_two_databases() {
        let mut session = session();
        assert_eq!(session.enter("Z4").map_err(|error| error.code), Err(1049));
        session.enter("z4").expect("is there");
        session.enter("Information_Schema").expect("is there");
        assert_eq!(session.database.as_deref(), Some("information_schema"));
    }
}
