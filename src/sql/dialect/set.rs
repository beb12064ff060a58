//! SET, USE, KILL.

use sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::errors::unknown_variable;
use super::show::schema;
use super::source::Source;
use crate::sql::context::Context;
use crate::sql::error::SqlError;
use crate::sql::statement::Statement;
use crate::sql::types::Datum;

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
fn assignment(
    cursor: &mut Cursor<'_>,
    context: &Context,
    pairs: &mut Vec<(String, Option<Datum>)>,
) -> Result<Option<Statement>, SqlError> {
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
        "ROLE" | "TRANSACTION" => return Ok(Some(Statement::Nothing)),
        "DEFAULT" if cursor.source.word(cursor.at + 1) == "ROLE" => return Err(SqlError::read_only("SET DEFAULT ROLE")),
        _ => {}
    }
    let mut scope = cursor.take(&["SESSION", "LOCAL", "GLOBAL", "PERSIST", "PERSIST_ONLY"]).unwrap_or_default().to_owned();
    if cursor.peek() == "TRANSACTION" {
        return Ok(Some(Statement::Nothing));
    }
    let mut name = cursor.name()?.to_ascii_lowercase();
    if let Some(system) = name.strip_prefix("@@").map(str::to_owned) {
        name = system;
        if cursor.take(&["."]).is_some() {
            scope = name.to_ascii_uppercase();
            name = cursor.name()?.to_ascii_lowercase();
        }
    } else if name.starts_with('@') {
        return Err(SqlError::unsupported(format!("user variables, such as {name}, are not done by z4")));
    }
    match scope.as_str() {
        "" | "SESSION" | "LOCAL" => {}
        "GLOBAL" | "PERSIST" | "PERSIST_ONLY" => {
            let text =
                "Access denied; you need (at least one of) the SUPER or SYSTEM_VARIABLES_ADMIN privilege(s) for this operation";
            return Err(SqlError::new(1227, "42000", text));
        }
        other => return Err(unknown_variable(&format!("{}.{name}", other.to_ascii_lowercase()))),
    }
    if cursor.take(&["=", ":="]).is_none() {
        return Err(cursor.wrong("= is expected"));
    }
    if cursor.take(&["DEFAULT"]).is_some() {
        pairs.push((name, None));
        return Ok(None);
    }
    pairs.push((name, Some(value(cursor, context)?)));
    Ok(None)
}

/// SET NAMES x COLLATE y.
fn names(cursor: &mut Cursor<'_>, pairs: &mut Vec<(String, Option<Datum>)>, variables: &[&str]) -> Result<(), SqlError> {
    let charset = match cursor.take(&["DEFAULT"]) {
        Some(_) => None,
        None => Some(Datum::Text(word_or_string(cursor)?.to_ascii_lowercase())),
    };
    pairs.extend(variables.iter().map(|variable| ((*variable).to_owned(), charset.clone())));
    if cursor.take(&["COLLATE"]).is_some() {
        let collation = word_or_string(cursor)?.to_ascii_lowercase();
        pairs.push(("collation_connection".to_owned(), Some(Datum::Text(collation))));
    }
    Ok(())
}

fn word_or_string(cursor: &mut Cursor<'_>) -> Result<String, SqlError> {
    cursor.string().or_else(|_| cursor.name())
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
            whole.or_else(|_| text.parse().map(Datum::Double)).map_err(|_| wrong(cursor))
        }
        _ if minus => Err(wrong(cursor)),
        Some(Token::SingleQuotedString(_) | Token::DoubleQuotedString(_)) => Ok(Datum::Text(cursor.string()?)),
        Some(Token::Word(word)) if word.quote_style.is_none() && word.value.starts_with("@@") => {
            let mut name = cursor.name()?.get(2..).unwrap_or_default().to_ascii_lowercase();
            if cursor.take(&["."]).is_some() {
                name = cursor.name()?.to_ascii_lowercase();
            }
            context.variables.get(&name).cloned().ok_or_else(|| unknown_variable(&name))
        }
        Some(Token::Word(word)) if word.value.starts_with('@') => {
            Err(SqlError::unsupported(format!("user variables, such as {}, are not done by z4", word.value)))
        }
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
