//! What a statement is: its first words say so, even where the rest cannot be parsed.

use super::query;
use super::set;
use super::show;
use super::source::Source;
use crate::sql::context::Context;
use crate::sql::error::SqlError;
use crate::sql::statement::Statement;

/// Statements that would change something.
const WRITES: &[&str] = &[
    "INSERT",
    "UPDATE",
    "DELETE",
    "REPLACE",
    "TRUNCATE",
    "CREATE",
    "DROP",
    "ALTER",
    "RENAME",
    "LOAD",
    "GRANT",
    "REVOKE",
    "CALL",
    "LOCK",
    "IMPORT",
    "INSTALL",
    "UNINSTALL",
    "OPTIMIZE",
    "REPAIR",
    "MERGE",
    "PURGE",
    "RESET",
    "CHANGE",
    "STOP",
    "SHUTDOWN",
    "RESTART",
    "CLONE",
    "XA",
    "COPY",
];

/// Statements that MySQL has and z4 does not do.
const NOT_DONE: &[&str] = &[
    "HELP",
    "HANDLER",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "ANALYZE",
    "CHECK",
    "CHECKSUM",
    "CACHE",
    "SIGNAL",
    "RESIGNAL",
    "GET",
    "BINLOG",
    "IF",
    "WHILE",
    "DECLARE",
];

/// Statements that begin, end or mark a transaction, or write what is in memory: there is nothing to do.
const NOTHING: &[&str] = &["BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "FLUSH", "UNLOCK"];

pub(super) fn statement(source: &Source, context: &Context) -> Result<Statement, SqlError> {
    let first = source.word(0);
    let word = first.as_str();
    match word {
        "SELECT" | "WITH" | "VALUES" | "TABLE" | "(" => {
            refuse_write_of_with(source, 0)?;
            refuse_into(source)?;
            Ok(Statement::Query(query(source, 0, context, true)?))
        }
        // The expressions of a SELECT without tables.
        "DO" => Ok(Statement::Do(query(&source.as_select()?, 0, context, false)?)),
        "SHOW" => show::show(source, context),
        "DESCRIBE" | "DESC" | "EXPLAIN" => show::describe(source, context),
        "SET" => set::set(source, context),
        "USE" => set::use_database(source),
        "KILL" => set::kill(source),
        "START" if source.word(1) != "TRANSACTION" => Err(SqlError::read_only(&format!("START {}", source.word(1)))),
        _ if WRITES.contains(&word) => Err(SqlError::read_only(word)),
        _ if NOT_DONE.contains(&word) => Err(SqlError::unsupported(format!("{word} is not done by z4"))),
        _ if NOTHING.contains(&word) => Ok(Statement::Nothing),
        _ => Err(source.syntax_at(0, "")),
    }
}

/// WITH … DELETE and WITH … UPDATE.
pub(super) fn refuse_write_of_with(source: &Source, first: usize) -> Result<(), SqlError> {
    if source.word(first) != "WITH" {
        return Ok(());
    }
    let mut depth = 0_usize;
    for at in first + 1..source.tokens.len() {
        match source.word(at).as_str() {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            "SELECT" | "VALUES" | "TABLE" if depth == 0 => break,
            word @ ("DELETE" | "UPDATE" | "INSERT" | "REPLACE") if depth == 0 && source.word(at - 1) == ")" => {
                return Err(SqlError::read_only(&format!("WITH … {word}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// SELECT … INTO writes a file or a variable.
fn refuse_into(source: &Source) -> Result<(), SqlError> {
    let into = (0..source.tokens.len()).find(|at| source.word(*at) == "INTO");
    match into.map(|at| source.word(at + 1)) {
        Some(next) if next == "OUTFILE" || next == "DUMPFILE" => Err(SqlError::read_only(&format!("SELECT … INTO {next}"))),
        Some(next) if next.starts_with('@') => Err(SqlError::unsupported("user variables are not done by z4")),
        _ => Ok(()),
    }
}
