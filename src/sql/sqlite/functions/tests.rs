//! MySQL's functions, called through SQLite as a query calls them.
//!
//! [`cases`] holds expressions as MySQL writes them with what MariaDB 10.11 answered (`None` is NULL); a function that is wrong
//! in a corner shows there by name. Where MySQL 8 and MariaDB differ, the cases are in [`own`], with why.

mod cases;
mod own;
mod random;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::{print, register, session};
use crate::sql::signatures::{Returns, Want, signature, str_to_date_type};
use crate::sql::types::SqlType;
use crate::sql::zones::Zone;

/// 2022-04-16 10:20:30.123456 UTC.
const NOW_US: i64 = 1_650_104_430_123_456;

fn connection() -> Connection {
    let connection = Connection::open_in_memory().expect("SQLite opens");
    register(&connection).expect("the functions register");
    session::set(NOW_US, Zone::UTC);
    connection
}

/// What an expression in SQLite's names gives, as text; errors as `CODE message`.
fn ask(connection: &Connection, sql: &str) -> Option<String> {
    let result = connection.query_row(&format!("SELECT {sql}"), [], |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Null => None,
            ValueRef::Integer(value) => Some(value.to_string()),
            ValueRef::Real(value) => Some(print::double(value)),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        })
    });
    match result {
        Ok(text) => text,
        Err(error) => {
            let text = error.to_string();
            let mut parts = text.split('\u{1}').skip(1);
            Some(format!("{} {}", parts.next().unwrap_or_default(), parts.nth(1).unwrap_or(&text)))
        }
    }
}

/// A call in MySQL's names as the dialect would write it, as far as these cases go: names, and JSON values.
fn translate(expression: &str) -> String {
    let Some((name, rest)) = expression.split_once('(') else { return expression.to_owned() };
    let Some(found) = signature(name.trim()) else { panic!("no signature of {name}") };
    let arguments = arguments(rest.trim_end().strip_suffix(')').expect("a call ends with a parenthesis"));
    let want = |at: usize| found.args.get(at).or(found.args.last()).copied();
    let written = arguments.iter().enumerate().map(|(at, argument)| {
        let nested = argument.split_once('(').is_some_and(|(name, _)| signature(name).is_some());
        let argument = match nested {
            true if is_time(argument) => format!("z4_tm_text({}, 6)", translate(argument)),
            true => translate(argument),
            false => mysql_literal(argument),
        };
        if want(at) == Some(Want::JsonValue) { format!("z4_json({argument})") } else { argument }
    });
    format!("{}({})", found.sqlite, written.collect::<Vec<_>>().join(", "))
}

/// A call that gives a TIME, which is microseconds.
fn is_time(expression: &str) -> bool {
    let found = expression.split_once('(').and_then(|(name, _)| signature(name.trim()));
    found.is_some_and(|found| match found.returns {
        Returns::Span(_) | Returns::Is(SqlType::Time(_)) => true,
        Returns::StrToDate => {
            let format = expression.rsplit_once(", ").map(|(_, format)| format).unwrap_or_default();
            matches!(str_to_date_type(format), SqlType::Time(_))
        }
        _ => false,
    })
}

/// MySQL reads backslashes in literals, SQLite does not.
fn mysql_literal(argument: &str) -> String {
    if argument.starts_with('\'') { argument.replace("\\\\", "\\") } else { argument.to_owned() }
}

/// Arguments between commas that are outside of quotes and parentheses.
fn arguments(text: &str) -> Vec<String> {
    let (mut quoted, mut depth, mut parts) = (false, 0, vec![String::new()]);
    for letter in text.chars() {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Compares all, and shows all that differ.
fn check(cases: &[(&str, Option<&str>)], translate: fn(&str) -> String) {
    let connection = connection();
    let mut wrong = Vec::new();
    for (expression, expected) in cases {
        let mut sql = translate(expression);
        if is_time(expression) {
            let digits = expected.and_then(|text| text.split_once('.')).map_or(0, |(_, fraction)| fraction.len());
            sql = format!("z4_tm_text({sql}, {digits})");
        }
        let got = ask(&connection, &sql);
        if got.as_deref() != *expected {
            wrong.push(format!("{expression} = {got:?}, not {expected:?}   ({sql})"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
