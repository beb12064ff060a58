//! SHOW, DESCRIBE and EXPLAIN of a table: queries over information_schema, in MySQL's SQL.

mod lists;

use super::cursor::Cursor;
use super::errors::{no_database, no_such_table, unknown_database};
use super::query as compile_query;
use super::source::Source;
use crate::sql::catalog::{self, Table};
use crate::sql::context::Context;
use crate::sql::error::SqlError;
use crate::sql::information::{create_database, create_table};
use crate::sql::statement::{Query, Statement};

/// A query that shows something: `filtered` by LIKE or WHERE where the statement may have them.
pub(super) struct Shown {
    /// SELECT without ORDER BY.
    select: String,
    /// The column that LIKE is about; empty: no LIKE and no WHERE.
    like: String,
    order: &'static str,
}

impl Shown {
    fn new(select: impl Into<String>, like: &str) -> Shown {
        Shown { select: select.into(), like: like.to_owned(), order: "" }
    }
}

/// SHOW …; the cursor stands behind the word.
pub(super) fn show(source: &Source, context: &Context) -> Result<Statement, SqlError> {
    let mut cursor = Cursor::new(source, 1);
    let full = cursor.take(&["FULL", "EXTENDED"]).is_some() && { cursor.take(&["FULL"]).is_some() || source.word(1) == "FULL" };
    cursor.take(&["GLOBAL", "SESSION", "LOCAL", "STORAGE"]);
    let shown = match lists::list(&mut cursor, full) {
        Some(shown) => shown?,
        None => about_tables(&mut cursor, context, full)?,
    };
    finish(cursor, shown, context)
}

fn about_tables(cursor: &mut Cursor<'_>, context: &Context, full: bool) -> Result<Shown, SqlError> {
    match cursor.peek().as_str() {
        "TABLES" => {
            cursor.at += 1;
            let schema = database(cursor, context)?;
            let name = match like_of(cursor) {
                Some(pattern) => format!("Tables_in_{schema} ({pattern})"),
                None => format!("Tables_in_{schema}"),
            };
            let name = name.replace('`', "``");
            let kind = if full { ", TABLE_TYPE AS Table_type" } else { "" };
            let select = format!(
                "SELECT TABLE_NAME AS `{name}`{kind} FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
                quote(&schema)
            );
            Ok(Shown { order: " ORDER BY 1", ..Shown::new(select, &name) })
        }
        "TABLE" if cursor.take_all(&["TABLE", "STATUS"]) => {
            let schema = database(cursor, context)?;
            let shown = Shown::new(format!("{}{}", lists::TABLE_STATUS, quote(&schema)), "Name");
            Ok(Shown { order: " ORDER BY 1", ..shown })
        }
        "COLUMNS" | "FIELDS" => {
            cursor.at += 1;
            let table = of_table(cursor, context)?;
            Ok(columns(table, full))
        }
        "INDEX" | "INDEXES" | "KEYS" => {
            cursor.at += 1;
            let table = of_table(cursor, context)?;
            Ok(Shown::new(format!("{}{}", lists::KEYS, is_table(table)), "Key_name"))
        }
        "CREATE" => {
            cursor.at += 1;
            create(cursor, context)
        }
        _ => Err(cursor.wrong("")),
    }
}

/// SHOW CREATE …
fn create(cursor: &mut Cursor<'_>, context: &Context) -> Result<Shown, SqlError> {
    match cursor.take(&["TABLE", "VIEW", "DATABASE", "SCHEMA"]) {
        Some("TABLE") => {
            let table = table(cursor, context)?;
            let (name, text) = (quote(table.name), quote(&create_table(table)));
            Ok(Shown::new(format!("SELECT {name} AS `Table`, {text} AS `Create Table`"), ""))
        }
        Some("DATABASE" | "SCHEMA") => {
            cursor.take_all(&["IF", "NOT", "EXISTS"]);
            let name = cursor.name()?;
            let name = schema(&name)?;
            let text = quote(&create_database(name));
            Ok(Shown::new(format!("SELECT {} AS `Database`, {text} AS `Create Database`", quote(name)), ""))
        }
        Some(_) => {
            let table = table(cursor, context)?;
            Err(SqlError::new(1347, "HY000", format!("'{}.{}' is not VIEW", table.schema, table.name)))
        }
        None => Err(SqlError::unsupported(format!("SHOW CREATE {} is not done by z4", cursor.peek()))),
    }
}

/// DESCRIBE and EXPLAIN: of a table, or of a query.
pub(super) fn describe(source: &Source, context: &Context) -> Result<Statement, SqlError> {
    let mut cursor = Cursor::new(source, 1);
    if cursor.take(&["ANALYZE"]).is_some() {
        return Err(SqlError::unsupported("EXPLAIN ANALYZE is not done by z4; EXPLAIN is"));
    }
    cursor.take(&["EXTENDED", "PARTITIONS"]);
    if cursor.take_all(&["FORMAT", "="]) {
        if cursor.string().is_err() {
            cursor.name()?;
        }
        if cursor.take(&["FOR"]).is_some() {
            return Err(SqlError::unsupported("EXPLAIN FOR is not done by z4"));
        }
    }
    match cursor.peek().as_str() {
        "SELECT" | "WITH" | "(" | "VALUES" | "TABLE" => {
            super::first::refuse_write_of_with(source, cursor.at)?;
            return Ok(Statement::Explain(compile_query(source, cursor.at, context, true)?));
        }
        word @ ("INSERT" | "UPDATE" | "DELETE" | "REPLACE") => return Err(SqlError::read_only(word)),
        "FOR" => return Err(SqlError::unsupported("EXPLAIN FOR CONNECTION is not done by z4")),
        _ => {}
    }
    let table = table(&mut cursor, context)?;
    let mut shown = columns(table, false);
    if !cursor.at_end() {
        let pattern = match cursor.string() {
            Ok(pattern) => pattern,
            Err(_) => cursor.name()?.replace('_', "\\_").replace('%', "\\%"),
        };
        shown.select = format!("{} AND COLUMN_NAME LIKE {}", shown.select, quote(&pattern));
    }
    cursor.end()?;
    shown.like.clear();
    finish(cursor, shown, context)
}

fn columns(table: &Table, full: bool) -> Shown {
    let (collation, more) = match full {
        true => (", COLLATION_NAME AS Collation", ", PRIVILEGES AS Privileges, COLUMN_COMMENT AS Comment"),
        false => ("", ""),
    };
    let select = format!(
        "SELECT COLUMN_NAME AS Field, COLUMN_TYPE AS Type{collation}, IS_NULLABLE AS `Null`, COLUMN_KEY AS `Key`, \
         COLUMN_DEFAULT AS `Default`, EXTRA AS Extra{more} FROM information_schema.COLUMNS WHERE {}",
        is_table(table)
    );
    Shown::new(select, "Field")
}

fn is_table(table: &Table) -> String {
    format!("TABLE_SCHEMA = {} AND TABLE_NAME = {}", quote(table.schema), quote(table.name))
}

/// LIKE, WHERE and LIMIT, and the query itself.
fn finish(mut cursor: Cursor<'_>, shown: Shown, context: &Context) -> Result<Statement, SqlError> {
    let mut sql = shown.select.clone();
    if shown.like.is_empty() {
        cursor.end()?;
    } else if cursor.take(&["LIKE"]).is_some() {
        let pattern = quote(&cursor.string()?);
        cursor.end()?;
        sql = format!("SELECT * FROM ({sql}) AS shown WHERE `{}` LIKE {pattern} COLLATE utf8mb4_general_ci", shown.like);
    } else if cursor.take(&["WHERE"]).is_some() {
        if cursor.at_end() {
            return Err(cursor.wrong("a condition is expected"));
        }
        sql = format!("SELECT * FROM ({sql}) AS shown WHERE ({})", cursor.source.text_from(cursor.at));
    } else {
        cursor.end()?;
    }
    sql.push_str(shown.order);
    Ok(Statement::Query(text(&sql, context)?))
}

/// A query that is written here, not by the user; the session's limit does not count.
fn text(sql: &str, context: &Context) -> Result<Query, SqlError> {
    compile_query(&Source::read(sql)?, 0, context, false)
}

/// A string in MySQL's SQL.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The pattern that follows, without stepping over it.
fn like_of(cursor: &Cursor<'_>) -> Option<String> {
    let mut ahead = Cursor::new(cursor.source, cursor.at);
    ahead.take(&["LIKE"]).and_then(|_| ahead.string().ok())
}

/// A database that exists.
pub(super) fn schema(name: &str) -> Result<&'static str, SqlError> {
    catalog::schema(name).ok_or_else(|| unknown_database(name))
}

/// `FROM db`, or the session's.
fn database(cursor: &mut Cursor<'_>, context: &Context) -> Result<String, SqlError> {
    let name = match cursor.take(&["FROM", "IN"]) {
        Some(_) => cursor.name()?,
        None => context.database.clone().ok_or_else(no_database)?,
    };
    schema(&name).map(str::to_owned)
}

/// `FROM table`, `FROM db.table`, `FROM table FROM db`.
fn of_table(cursor: &mut Cursor<'_>, context: &Context) -> Result<&'static Table, SqlError> {
    if cursor.take(&["FROM", "IN"]).is_none() {
        return Err(cursor.wrong("FROM and the name of a table are expected"));
    }
    table(cursor, context)
}

fn table(cursor: &mut Cursor<'_>, context: &Context) -> Result<&'static Table, SqlError> {
    let mut name = cursor.name()?;
    let mut of = context.database.clone();
    if cursor.take(&["."]).is_some() {
        of = Some(std::mem::replace(&mut name, cursor.name()?));
    } else if cursor.take(&["FROM", "IN"]).is_some() {
        of = Some(cursor.name()?);
    }
    let schema = schema(&of.ok_or_else(no_database)?)?;
    catalog::table(schema, &name).ok_or_else(|| no_such_table(schema, &name))
}
