//! SET, USE, KILL.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::errors::{one_column, unknown_variable};
use super::show::schema;
use super::source::Source;
use super::user;
use crate::sql::context::Context;
use crate::sql::error::SqlError;
use crate::sql::statement::{Given, Statement};
use crate::sql::types::Datum;

/// Names and what they are set to.
type Pairs = Vec<(String, Given)>;

/// SET …
pub(super) fn set(source: &Source, context: &Context) -> Result<Statement, SqlError> {
    let mut cursor = Cursor::new(source, 1);
    let mut pairs = Vec::new();
    loop {
        let done = assignment(&mut cursor, context, &mut pairs)?;
        if let Some(done) = done {
            return Ok(done);
        }
        if cursor.take(&[","]).is_none() {
            break;
        }
    }
    cursor.end()?;
    Ok(Statement::Set(pairs))
}

/// One assignment; `Some`: the whole statement is something else.
fn assignment(cursor: &mut Cursor<'_>, context: &Context, pairs: &mut Pairs) -> Result<Option<Statement>, SqlError> {
    match cursor.peek().as_str() {
        "NAMES" => {
            cursor.at += 1;
            names(cursor, pairs, &["character_set_client", "character_set_connection", "character_set_results"])?;
            return Ok(None);
        }
        "CHARSET" => {
            cursor.at += 1;
            names(cursor, pairs, &["character_set_client", "character_set_results"])?;
            return Ok(None);
        }
        "CHARACTER" if cursor.take_all(&["CHARACTER", "SET"]) => {
            names(cursor, pairs, &["character_set_client", "character_set_results"])?;
            return Ok(None);
        }
        "PASSWORD" => return Err(SqlError::read_only("SET PASSWORD")),
        // Of the next transaction alone, which reads as every other does.
        "ROLE" | "TRANSACTION" => return Ok(Some(Statement::Nothing)),
        "DEFAULT" if cursor.source.word(cursor.at + 1) == "ROLE" => return Err(SqlError::read_only("SET DEFAULT ROLE")),
        _ => {}
    }
    let scope = cursor.take(&["SESSION", "LOCAL", "GLOBAL", "PERSIST", "PERSIST_ONLY"]).unwrap_or_default().to_owned();
    if cursor.take(&["TRANSACTION"]).is_some() {
        return transaction(cursor, &scope).map(Some);
    }
    let (scope, name) = target(cursor, scope)?;
    match scope.as_str() {
        "" | "SESSION" | "LOCAL" => {}
        _ => {
            let text =
                "Access denied; you need (at least one of) the SUPER or SYSTEM_VARIABLES_ADMIN privilege(s) for this operation";
            return Err(SqlError::new(1227, "42000", text));
        }
    }
    if cursor.take(&["=", ":="]).is_none() {
        return Err(cursor.wrong("= is expected"));
    }
    if !name.starts_with('@') && cursor.take(&["DEFAULT"]).is_some() {
        pairs.push((name, Given::Default));
        return Ok(None);
    }
    pairs.push((name, given(cursor, context)?));
    Ok(None)
}

/// What is set: its scope, and its name in lower case; user variables begin with `@`.
fn target(cursor: &mut Cursor<'_>, scope: String) -> Result<(String, String), SqlError> {
    let mut parts = vec![cursor.name()?];
    while cursor.take(&["."]).is_some() {
        parts.push(cursor.name()?);
    }
    let first = parts.first().cloned().unwrap_or_default();
    if first.starts_with('@') && !first.starts_with("@@") {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        return Ok((scope, format!("@{}", user::name(&parts))));
    }
    let mut name = parts.join(".").to_ascii_lowercase();
    let mut scope = scope;
    if let Some(system) = name.strip_prefix("@@").map(str::to_owned) {
        name = system;
        for known in ["session", "local", "global", "persist", "persist_only"] {
            if let Some(rest) = name.strip_prefix(known).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned) {
                (scope, name) = (known.to_ascii_uppercase(), rest);
            }
        }
    }
    Ok((scope, name))
}

/// SET SESSION TRANSACTION …: of all transactions of the session.
fn transaction(cursor: &mut Cursor<'_>, scope: &str) -> Result<Statement, SqlError> {
    let mut pairs = Vec::new();
    let text = |text: &str| Given::Is(Datum::Text(text.to_owned()));
    loop {
        if cursor.take_all(&["ISOLATION", "LEVEL"]) {
            let level = [
                (&["REPEATABLE", "READ"][..], "REPEATABLE-READ"),
                (&["READ", "COMMITTED"], "READ-COMMITTED"),
                (&["READ", "UNCOMMITTED"], "READ-UNCOMMITTED"),
                (&["SERIALIZABLE"], "SERIALIZABLE"),
            ];
            let found = level.iter().find(|(words, _)| cursor.take_all(words));
            let (_, level) = found.ok_or_else(|| cursor.wrong("a level of isolation is expected"))?;
            pairs.push(("transaction_isolation".to_owned(), text(level)));
        } else if cursor.take_all(&["READ", "ONLY"]) {
            pairs.push(("transaction_read_only".to_owned(), text("ON")));
        } else if cursor.take_all(&["READ", "WRITE"]) {
            pairs.push(("transaction_read_only".to_owned(), text("OFF")));
        } else {
            return Err(cursor.wrong("ISOLATION LEVEL, READ ONLY or READ WRITE is expected"));
        }
        if cursor.take(&[","]).is_none() {
            break;
        }
    }
    cursor.end()?;
    match scope {
        "SESSION" | "LOCAL" => Ok(Statement::Set(pairs)),
        _ => Ok(Statement::Nothing),
    }
}

/// SET NAMES x COLLATE y.
fn names(cursor: &mut Cursor<'_>, pairs: &mut Pairs, variables: &[&str]) -> Result<(), SqlError> {
    let charset = match cursor.take(&["DEFAULT"]) {
        Some(_) => Given::Default,
        None => Given::Is(Datum::Text(word_or_string(cursor)?.to_ascii_lowercase())),
    };
    pairs.extend(variables.iter().map(|variable| ((*variable).to_owned(), charset.clone())));
    if cursor.take(&["COLLATE"]).is_some() {
        let collation = word_or_string(cursor)?.to_ascii_lowercase();
        pairs.push(("collation_connection".to_owned(), Given::Is(Datum::Text(collation))));
    }
    Ok(())
}

fn word_or_string(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    cursor.string().or_else(|_| cursor.name())
}

/// What a variable is set to, up to the next comma: a value that is known here, or an expression that becomes a query.
fn given(cursor: &mut Cursor<'_>, context: &Context) -> Result<Given, SqlError> {
    let first = cursor.at;
    let known = value(cursor, context);
    if known.is_ok() && (cursor.at_end() || cursor.peek() == ",") {
        return known.map(Given::Is);
    }
    cursor.at = first;
    let mut depth = 0_usize;
    loop {
        match cursor.token() {
            None => break,
            Some(Token::Comma) if depth == 0 => break,
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth = depth.saturating_sub(1),
            Some(_) => {}
        }
        cursor.at += 1;
    }
    let Some(source) = cursor.source.selecting(first..cursor.at).filter(|_| cursor.at > first) else {
        return Err(cursor.wrong("a value or DEFAULT is expected"));
    };
    let query = super::query(&source, 0, context, false)?;
    match query.columns.len() {
        1 => Ok(Given::Of(Box::new(query), source.params_before())),
        _ => Err(one_column(1)),
    }
}

/// A value: a literal, a word, another variable, or CONCAT of such.
fn value(cursor: &mut Cursor<'_>, context: &Context) -> Result<Datum, SqlError> {
    let minus = cursor.take(&["-", "+"]) == Some("-");
    let wrong = |cursor: &Cursor<'_>| cursor.wrong("a literal, a word, a system variable or DEFAULT is expected");
    match cursor.token() {
        Some(Token::Number(text, _)) => {
            cursor.at += 1;
            let text = if minus { format!("-{text}") } else { text.clone() };
            let whole = text.parse().map(Datum::Int).or_else(|_| text.parse().map(Datum::UInt));
            // One with a fraction is an expression, which keeps its digits.
            whole.map_err(|_| wrong(cursor))
        }
        _ if minus => Err(wrong(cursor)),
        Some(Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)) => Ok(Datum::Text(cursor.string()?)),
        Some(Token::Word(word)) if word.quote_style.is_none() && word.value.starts_with("@@") => {
            let mut name = cursor.name()?.get(2..).unwrap_or_default().to_ascii_lowercase();
            if cursor.take(&["."]).is_some() {
                name = cursor.name()?.to_ascii_lowercase();
            }
            context.variable(&name).ok_or_else(|| unknown_variable(&name))
        }
        // An expression.
        Some(Token::Word(word)) if word.value.starts_with('@') => Err(wrong(cursor)),
        Some(Token::Word(_)) if cursor.take_all(&["CONCAT", "("]) => {
            let mut text = String::new();
            loop {
                match value(cursor, context)? {
                    Datum::Text(more) => text.push_str(&more),
                    Datum::Int(more) => text.push_str(&more.to_string()),
                    Datum::UInt(more) => text.push_str(&more.to_string()),
                    _ => return Err(wrong(cursor)),
                }
                match cursor.take(&[",", ")"]) {
                    Some(",") => {}
                    Some(_) => return Ok(Datum::Text(text)),
                    None => return Err(wrong(cursor)),
                }
            }
        }
        Some(Token::Word(_)) => match cursor.take(&["TRUE", "FALSE", "NULL"]) {
            Some("TRUE") => Ok(Datum::Int(1)),
            Some("FALSE") => Ok(Datum::Int(0)),
            Some(_) => Ok(Datum::Null),
            None => Ok(Datum::Text(cursor.name()?)),
        },
        _ => Err(wrong(cursor)),
    }
}

/// USE db.
pub(super) fn use_database(source: &Source) -> Result<Statement, SqlError> {
    let mut cursor = Cursor::new(source, 1);
    let name = cursor.name()?;
    cursor.end()?;
    Ok(Statement::Use(schema(&name)?.to_owned()))
}

/// KILL [CONNECTION | QUERY] id.
pub(super) fn kill(source: &Source) -> Result<Statement, SqlError> {
    let mut cursor = Cursor::new(source, 1);
    let connection = cursor.take(&["QUERY", "CONNECTION"]) != Some("QUERY");
    let id = cursor.number()?;
    cursor.end()?;
    match u32::try_from(id) {
        Ok(id) => Ok(Statement::Kill { id, connection }),
        Err(_) => Err(SqlError::new(1094, "HY000", format!("Unknown thread id: {id}"))),
    }
}
