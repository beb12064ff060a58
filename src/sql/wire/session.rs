//! What a connection keeps from one statement to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use z4_shards::runtime::clock;

use super::known::Known;
use super::options::Options;
use super::prepared::Prepared;
use super::reply;
use super::variables::{Rule, VARIABLES, charset, find, zone};
use crate::sql::catalog;
use crate::sql::context::{Consistency, Context, Variables, Warning};
use crate::sql::error::SqlError;
use crate::sql::own::Own;
use crate::sql::statement::Transaction;
use crate::sql::types::Datum;
use crate::sql::zones::Zone;

/// A statement has no more warnings.
const WARNINGS_MAX: usize = 64;

/// The state of a connection.
pub(super) struct Session {
    id: u32,
    pub(super) user: String,
    host: String,
    pub(super) database: Option<String>,
    variables: Variables,
    /// User variables and locks.
    pub(super) own: Arc<Own>,
    /// It is in a transaction, one that only reads or not.
    transaction: Option<bool>,
    /// Several statements may come in one text.
    pub(super) several: bool,
    /// What was made of its last statements.
    pub(super) known: Known,
    pub(super) prepared: BTreeMap<u32, Prepared>,
    /// The id of the statement that was prepared last.
    pub(super) last_prepared: u32,
    pub(super) warnings: Vec<Warning>,
}

/// What every session begins with.
pub(super) fn defaults(options: &Options) -> Arc<BTreeMap<String, Datum>> {
    let mut defaults: BTreeMap<String, Datum> = VARIABLES.iter().map(|v| (v.0.to_owned(), v.1.datum())).collect();
    let idle = options.idle_timeout.as_secs().max(1);
    for (name, value) in [
        ("max_allowed_packet", options.packet_bytes_max as u64),
        ("max_connections", options.connections_max as u64),
        ("max_execution_time", options.max_execution_ms),
        ("max_prepared_stmt_count", options.statements_max as u64),
        ("port", u64::from(options.port)),
        ("wait_timeout", idle),
        ("interactive_timeout", idle),
        ("connect_timeout", options.login_timeout.as_secs()),
        ("net_read_timeout", options.read_timeout.as_secs()),
        ("net_write_timeout", options.write_timeout.as_secs()),
    ] {
        defaults.insert(name.to_owned(), Datum::UInt(value));
    }
    Arc::new(defaults)
}

impl Session {
    pub(super) fn new(id: u32, host: String, defaults: Arc<BTreeMap<String, Datum>>, own: Own) -> Session {
        let (user, database, known, prepared, warnings) = Default::default();
        let (variables, own) = (Variables::new(defaults), Arc::new(own));
        let (transaction, several, last_prepared) = (None, false, 0);
        Session { id, user, host, database, variables, own, transaction, several, known, prepared, last_prepared, warnings }
    }

    /// Everything but the login is as at the start.
    pub(super) fn reset(&mut self) {
        self.variables.reset();
        self.own.clear();
        self.transaction = None;
        self.known.clear();
        self.prepared.clear();
        self.warnings.clear();
        // The database of the login, and not NULL as in MySQL 5.7, stays in MySQL 8.0, too.
    }

    /// Whether a transaction begins or ends.
    pub(super) fn transact(&mut self, change: Transaction) {
        self.transaction = match change {
            Transaction::Begin { read_only } => Some(read_only),
            Transaction::End { chain: true, .. } => self.transaction,
            Transaction::End { chain: false, .. } => None,
        };
    }

    /// Tables are read: without autocommit a transaction begins.
    pub(super) fn reads(&mut self) {
        if self.number("autocommit") == 0 && self.transaction.is_none() {
            self.transaction = Some(false);
        }
    }

    /// The status that clients are told: autocommit and transaction.
    pub(super) fn status(&self) -> u16 {
        let autocommit = if self.number("autocommit") == 0 { 0 } else { reply::AUTOCOMMIT };
        autocommit
            | match self.transaction {
                None => 0,
                Some(false) => reply::IN_TRANSACTION,
                Some(true) => reply::IN_TRANSACTION | reply::IN_TRANSACTION_READ_ONLY,
            }
    }

    /// Makes a database the default one.
    ///
    /// # Errors
    /// 1049: there is no such database.
    pub(super) fn enter(&mut self, database: &str) -> Result<(), SqlError> {
        let unknown = || SqlError::new(1049, "42000", format!("Unknown database '{database}'"));
        let known = catalog::schema(database).ok_or_else(unknown)?;
        self.database = Some(known.to_owned());
        self.known.clear();
        Ok(())
    }

    /// Sets variables: all of them, or none. Returns warnings of those that there are not: they are as good as set, for whoever never
    /// reads them.
    ///
    /// # Errors
    /// 1227: it is global; and what a variable says of its value.
    pub(super) fn set(&mut self, assignments: Vec<(String, Option<Datum>)>) -> Result<Vec<Warning>, SqlError> {
        let (mut changes, mut warnings) = (Vec::new(), Vec::new());
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
                _ => match self.change(name, value)? {
                    Some(change) => changes.push(change),
                    None if warnings.len() < WARNINGS_MAX => {
                        let shown: String = name.chars().take(64).collect();
                        let error = SqlError::new(1193, "HY000", format!("Unknown system variable '{shown}'"));
                        warnings.push(Warning { level: "Warning", error });
                    }
                    None => {}
                },
            }
        }
        self.known.clear();
        for (name, value) in changes {
            // One variable under two names.
            for (one, other) in [
                ("tx_isolation", "transaction_isolation"),
                ("tx_read_only", "transaction_read_only"),
                ("identity", "last_insert_id"),
                ("storage_engine", "default_storage_engine"),
            ] {
                if name == one || name == other {
                    self.variables.insert(one.to_owned(), value.clone());
                    self.variables.insert(other.to_owned(), value.clone());
                }
            }
            if let ("identity" | "last_insert_id", Datum::UInt(id)) = (name.as_str(), &value) {
                self.own.set_insert_id(*id);
            }
            if name == "autocommit" && value == Datum::Int(1) {
                self.transaction = None;
            }
            self.variables.insert(name, value);
        }
        Ok(warnings)
    }

    /// What a variable becomes; `None`: there is no such variable.
    fn change(&self, name: &str, value: Option<Datum>) -> Result<Option<(String, Datum)>, SqlError> {
        let Some(variable) = find(name) else { return Ok(None) };
        let value = match value {
            Some(value) => variable.check(value)?,
            None => {
                // A fixed one has no DEFAULT either.
                if matches!(variable.2, Rule::Fixed) {
                    variable.check(Datum::Null)?;
                }
                self.variables.default_of(name).cloned().unwrap_or(Datum::Null)
            }
        };
        Ok(Some((name.to_owned(), value)))
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

    /// When a statement that starts now starts, microseconds: `SET timestamp` stops the clock.
    fn now_us(&self) -> i64 {
        match self.variables.get("timestamp") {
            Some(Datum::Double(seconds)) if *seconds > 0.0 => (seconds * 1e6).round() as i64,
            _ => i64::try_from(clock::wall_us()).unwrap_or(i64::MAX),
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
            now_us: self.now_us(),
            // It was checked when it was set.
            zone: zone(self.text("time_zone")).unwrap_or(Zone::UTC),
            consistency: if linearizable { Consistency::Linearizable } else { Consistency::Stale },
            max_execution_ms: if max_execution_ms == 0 { u64::MAX } else { max_execution_ms },
            select_limit: self.number("sql_select_limit"),
            variables: self.variables.clone(),
            params: Arc::default(),
            own: Arc::clone(&self.own),
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
        Session::new(7, "127.0.0.1:1".to_owned(), defaults(&Options::default()), Own::default())
    }

    fn set(session: &mut Session, name: &str, value: &str) -> Result<(), u16> {
        session.set(vec![(name.to_owned(), Some(Datum::Text(value.to_owned())))]).map(drop).map_err(|error| error.code)
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(VARIABLES.is_sorted_by_key(|variable| variable.0), "it is searched by halves");
    }

    #[test]
    fn variables_have_rules() {
        let mut session = session();
        for (name, value, expected) in [
            ("time_zone", "europe/berlin", Ok(())),
            ("time_zone", "Nowhere/Else", Err(1298)),
            ("time_zone", "+99:00", Err(1298)),
            ("time_zone", "+1:2:3", Err(1298)),
            ("time_zone", "+2:00", Ok(())),
            ("autocommit", "OFF", Ok(())),
            ("autocommit", "maybe", Err(1231)),
            ("version", "9", Err(1238)),
            ("no_such", "1", Ok(())),
            ("socket", "/tmp/x", Err(1238)),
            ("lc_messages", "de_DE", Ok(())),
            ("long_query_time", "0.5", Ok(())),
            ("long_query_time", "-1", Err(1231)),
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
        assert_eq!((context.zone.fixed(), context.select_limit, context.consistency), (Some(7200), 5, Consistency::Linearizable));
        assert_eq!(context.variable("tx_isolation"), Some(Datum::Text("READ-COMMITTED".to_owned())));
        assert_eq!(context.max_execution_ms, 30_000);
        session.set(vec![("time_zone".to_owned(), None), ("max_execution_time".to_owned(), Some(Datum::Int(0)))]).expect("fine");
        assert_eq!((session.context().zone.fixed(), session.context().max_execution_ms), (Some(0), u64::MAX));
    }

    #[test]
    fn a_set_is_done_whole_or_not_at_all() {
        let mut session = session();
        let both = vec![("sql_select_limit".to_owned(), Some(Datum::Int(5))), ("version".to_owned(), None)];
        assert_eq!(session.set(both).map_err(|error| error.code), Err(1238));
        assert_eq!(session.context().select_limit, u64::MAX);
    }

    /// Whoever sets what there is not goes on; whoever reads it hears of it.
    #[test]
    fn an_unknown_variable_is_warned_of_and_not_there() {
        let mut session = session();
        let warnings = session.set(vec![("no_such".to_owned(), Some(Datum::Int(5)))]).expect("is taken");
        assert_eq!(warnings.iter().map(|warning| (warning.level, warning.error.code)).collect::<Vec<_>>(), [("Warning", 1193)]);
        assert_eq!(session.context().variable("no_such"), None);
    }

    #[test]
    fn transactions_are_in_the_status() {
        let mut session = session();
        let begin = |read_only| Transaction::Begin { read_only };
        assert_eq!(session.status(), 2);
        session.reads();
        assert_eq!(session.status(), 2);
        session.transact(begin(false));
        assert_eq!(session.status(), 3);
        session.transact(Transaction::End { chain: true, release: false });
        assert_eq!(session.status(), 3);
        session.transact(Transaction::End { chain: false, release: false });
        assert_eq!(session.status(), 2);
        session.transact(begin(true));
        assert_eq!(session.status(), 2 | 1 | 0x2000);
        set(&mut session, "autocommit", "0").expect("is set");
        assert_eq!(session.status(), 1 | 0x2000);
        session.transact(Transaction::End { chain: false, release: false });
        assert_eq!(session.status(), 0);
        session.reads();
        assert_eq!(session.status(), 1);
        set(&mut session, "autocommit", "1").expect("is set");
        assert_eq!(session.status(), 2);
    }

    #[test]
    fn the_clock_can_be_stopped() {
        let mut session = session();
        set(&mut session, "timestamp", "1000.25").expect("is set");
        assert_eq!(session.context().now_us, 1_000_250_000);
        assert_eq!(session.context().variable("timestamp"), Some(Datum::Double(1000.25)));
        session.set(vec![("timestamp".to_owned(), None)]).expect("is set");
        assert!(session.context().now_us > 1_700_000_000_000_000);
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
