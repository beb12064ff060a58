//! A thread's connection with SQLite: opened once, closed in, with a few prepared statements.

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, Statement};

use super::pool::{Lane, Shared};
use super::running::Running;
use super::{authorizer, execute, functions, tables};

/// The longest value, bytes.
const VALUE_BYTES_MAX: i32 = 64 << 20;
/// Instructions of SQLite between two looks at whether the query must end.
const OPS_PER_LOOK: i32 = 100;
/// Statements that are kept prepared.
const STATEMENTS_KEPT: usize = 32;
/// A longer statement is not kept.
const KEPT_BYTES_MAX: usize = 16 << 10;

const LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 16 << 20),
    (Limit::SQLITE_LIMIT_COLUMN, 1000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 500),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 200),
    (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 127),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 4096),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 65_535),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Opens one.
pub fn open() -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -2048)?;
    for config in [
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
    ] {
        connection.set_db_config(config, false)?;
    }
    // Double-quoted text is a name, never a string.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    for (limit, value) in LIMITS {
        connection.set_limit(*limit, *value)?;
    }
    functions::register(&connection)?;
    tables::register(&connection)?;
    connection.progress_handler(OPS_PER_LOOK, Some(|| Running::current().is_ok_and(|running| running.must_stop())))?;
    connection.authorizer(Some(|context: rusqlite::hooks::AuthContext<'_>| authorizer::decide(&context)))?;
    Ok(connection)
}

/// Runs the queries of a lane until the pool is closed.
pub fn serve(connection: Connection, shared: &Shared, lane: Lane) {
    let mut statements = Statements { connection: &connection, kept: Vec::new() };
    while let Some(job) = shared.take(lane) {
        execute::run(job, &mut statements, shared);
    }
}

/// Prepared statements, the one that was used last at the end.
pub struct Statements<'a> {
    /// The connection.
    pub connection: &'a Connection,
    kept: Vec<(String, Statement<'a>)>,
}

impl<'a> Statements<'a> {
    /// A statement; give it back with [`Statements::put`] when it may be kept.
    pub fn take(&mut self, sql: &str) -> rusqlite::Result<Statement<'a>> {
        match self.kept.iter().rposition(|(known, _)| known == sql) {
            Some(at) => Ok(self.kept.remove(at).1),
            None => self.connection.prepare(sql),
        }
    }

    /// Keeps a statement that is reset.
    pub fn put(&mut self, sql: &str, statement: Statement<'a>) {
        if sql.len() > KEPT_BYTES_MAX {
            return;
        }
        if self.kept.len() >= STATEMENTS_KEPT {
            self.kept.remove(0);
        }
        self.kept.push((sql.to_owned(), statement));
    }
}
