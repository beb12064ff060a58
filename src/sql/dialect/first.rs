//! What a statement is: its first words say so, even where the rest cannot be parsed.

use std::collections::HashSet;

use super::cursor::Cursor;
use super::errors::{column_counts, no_database, no_such_table, not_unique, unknown_database};
use super::query;
use super::set;
use super::show;
use super::source::Source;
use super::user;
use crate::sql::catalog;
use crate::sql::context::Context;
use crate::sql::error::SqlError;
use crate::sql::statement::{Statement, Transaction};

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

/// Statements that mark a transaction, or write what is in memory: there is nothing to do.
const NOTHING: &[&str] = &["SAVEPOINT", "RELEASE"];

pub(super) fn statement(source: Source, context: &Context) -> Result<Statement, SqlError> {
    let first = source.word(0);
    let word = first.as_str();
    let source = match word {
        "SELECT" | "WITH" | "VALUES" | "TABLE" | "(" => return rows(source, context),
        _ => &source,
    };
    match word {
        "SHOW" => show::show(source, context),
        "DESCRIBE" | "DESC" | "EXPLAIN" => show::describe(source, context),
        "SET" => set::set(source, context),
        "USE" => set::use_database(source),
        "KILL" => set::kill(source),
        "DO" => evaluate(source, context),
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "FLUSH" | "LOCK" | "UNLOCK" => transaction(source, word, context),
        _ if WRITES.contains(&word) => Err(SqlError::read_only(word)),
        _ if NOT_DONE.contains(&word) => Err(SqlError::unsupported(format!("{word} is not done by z4"))),
        _ if NOTHING.contains(&word) => Ok(Statement::Nothing),
        _ => Err(source.syntax_at(0, "")),
    }
}

/// SELECT and its kin, with INTO or without.
fn rows(source: Source, context: &Context) -> Result<Statement, SqlError> {
    refuse_write_of_with(&source, 0)?;
    refuse_into_file(&source)?;
    let Some((names, tokens)) = user::into(&source)? else { return Ok(Statement::Query(query(&source, 0, context, true)?)) };
    let query = query(&source.without(tokens), 0, context, true)?;
    if query.columns.len() != names.len() {
        return Err(column_counts());
    }
    Ok(Statement::Into(query, names))
}

/// DO: a SELECT whose rows nobody wants.
fn evaluate(source: &Source, context: &Context) -> Result<Statement, SqlError> {
    let select = source.selecting(1..source.tokens.len()).filter(|_| source.tokens.len() > 1);
    let select = select.ok_or_else(|| source.syntax_at(1, "an expression is expected"))?;
    Ok(Statement::Do(query(&select, 0, context, false)?))
}

/// What begins or ends a transaction; some statements do so by the way.
fn transaction(source: &Source, word: &str, context: &Context) -> Result<Statement, SqlError> {
    let has = |words: &[&str]| {
        (1..source.tokens.len()).any(|at| words.iter().enumerate().all(|(offset, word)| source.word(at + offset) == *word))
    };
    let end = || Ok(Statement::Transaction(Transaction::End { chain: false, release: false }));
    match (word, source.word(1).as_str()) {
        ("BEGIN", "" | "WORK") => Ok(Statement::Transaction(Transaction::Begin { read_only: false })),
        ("START", "TRANSACTION") => Ok(Statement::Transaction(Transaction::Begin { read_only: has(&["READ", "ONLY"]) })),
        ("START", other) => Err(SqlError::read_only(&format!("START {other}"))),
        ("ROLLBACK", _) if has(&["TO"]) => Ok(Statement::Nothing),
        ("COMMIT" | "ROLLBACK", _) => completed(source),
        // Nobody writes through this session, so nothing has to be kept out.
        ("LOCK", "TABLES" | "TABLE") => locked(source, context).and_then(|()| end()),
        ("LOCK", "INSTANCE") | ("UNLOCK", "INSTANCE") => Ok(Statement::Nothing),
        ("UNLOCK", "TABLES" | "TABLE") if source.tokens.len() == 2 => end(),
        ("UNLOCK", "TABLES" | "TABLE") => Err(source.syntax_at(2, "")),
        ("FLUSH", _) => end(),
        _ => Err(source.syntax_at(1, "")),
    }
}

/// LOCK TABLES: `name [[AS] alias] READ [LOCAL], …`, of tables that there are.
fn locked(source: &Source, context: &Context) -> Result<(), SqlError> {
    let mut cursor = Cursor::new(source, 2);
    let (mut names, mut writes) = (Vec::new(), false);
    loop {
        let first = cursor.name()?;
        let (schema, name) = if cursor.take(&["."]).is_some() { (Some(first), cursor.name()?) } else { (None, first) };
        let aliased = cursor.take(&["AS"]).is_some() || !matches!(cursor.peek().as_str(), "READ" | "WRITE" | "LOW_PRIORITY");
        let alias = if aliased { cursor.name()? } else { name.clone() };
        names.push((schema, name, alias));
        let low = cursor.take(&["LOW_PRIORITY"]).is_some();
        match cursor.take(&["READ", "WRITE"]) {
            Some("READ") if !low => _ = cursor.take(&["LOCAL"]),
            Some("WRITE") => writes = true,
            _ => return Err(cursor.wrong("")),
        }
        if cursor.take(&[","]).is_none() {
            break;
        }
    }
    cursor.end()?;
    if writes {
        return Err(SqlError::read_only("LOCK TABLES … WRITE"));
    }
    let mut aliases = HashSet::new();
    for (schema, name, alias) in &names {
        let schema = schema.as_deref().or(context.database.as_deref()).ok_or_else(no_database)?;
        match catalog::table(schema, name) {
            Some(_) => {}
            None if catalog::schema(schema).is_some() => return Err(no_such_table(schema, name)),
            None => return Err(unknown_database(schema)),
        }
        if !aliases.insert(alias.to_lowercase()) {
            return Err(not_unique(alias));
        }
    }
    Ok(())
}

/// COMMIT or ROLLBACK [WORK] [AND [NO] CHAIN] [[NO] RELEASE].
fn completed(source: &Source) -> Result<Statement, SqlError> {
    let mut cursor = Cursor::new(source, 1);
    cursor.take(&["WORK"]);
    let chain = cursor.take_all(&["AND", "CHAIN"]);
    if !chain {
        cursor.take_all(&["AND", "NO", "CHAIN"]);
    }
    // After AND CHAIN there is no end.
    let release = !chain && cursor.take(&["RELEASE"]).is_some();
    if !release {
        cursor.take_all(&["NO", "RELEASE"]);
    }
    cursor.end()?;
    Ok(Statement::Transaction(Transaction::End { chain, release }))
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

/// SELECT … INTO may write a file.
fn refuse_into_file(source: &Source) -> Result<(), SqlError> {
    let into = (0..source.tokens.len()).find(|at| source.word(*at) == "INTO");
    match into.map(|at| source.word(at + 1)) {
        Some(next) if next == "OUTFILE" || next == "DUMPFILE" => Err(SqlError::read_only(&format!("SELECT … INTO {next}"))),
        _ => Ok(()),
    }
}
