//! Errors on their way through SQLite: ours as text that it carries, its own in MySQL's codes.

use rusqlite::{Error, ffi};

use crate::sql::error::SqlError;

/// Before each part of an error of ours.
const MARK: char = '\u{1}';

/// The SQLSTATEs that our errors have; another becomes HY000.
const STATES: &[&str] = &[
    "HY000", "42000", "42S02", "42S22", "22001", "22003", "22007", "22008", "22012", "22018", "22032", "21000", "23000", "08004",
    "70100", "01000", "28000", "0A000", "3D000", "S1T00", "22034", "22035", "2203F", "42S21",
];

/// The text of an error, as SQLite carries it.
pub fn text(error: &SqlError) -> String {
    // A NUL would end the text inside SQLite.
    format!("{MARK}{}{MARK}{}{MARK}{}", error.code, error.state, error.message.replace('\0', ""))
}

/// The error for a callback of SQLite to return.
pub fn to_sqlite(error: &SqlError) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(text(error)))
}

/// What SQLite said, as a client of MySQL knows it.
pub fn from_sqlite(error: &Error) -> SqlError {
    let (code, said) = match error {
        Error::SqliteFailure(error, said) => (error.extended_code, said.clone().unwrap_or_default()),
        Error::SqlInputError { error, msg, .. } => (error.extended_code, msg.clone()),
        other => (ffi::SQLITE_ERROR, other.to_string()),
    };
    decode(&said).unwrap_or_else(|| own(code, &said))
}

fn decode(said: &str) -> Option<SqlError> {
    let mut parts = said.get(said.find(MARK)? + MARK.len_utf8()..)?.splitn(3, MARK);
    let code = parts.next()?.parse().ok()?;
    let state = parts.next()?;
    let state = STATES.iter().find(|known| **known == state).copied().unwrap_or("HY000");
    Some(SqlError::new(code, state, parts.next()?))
}

/// An error of SQLite's own.
fn own(code: i32, said: &str) -> SqlError {
    match code & 0xff {
        ffi::SQLITE_INTERRUPT => interrupted(),
        ffi::SQLITE_NOMEM => SqlError::new(1038, "HY001", "Out of memory"),
        ffi::SQLITE_TOOBIG => {
            SqlError::new(1301, "HY000", "A value or a row of the query is longer than z4's SQL allows (67108864 bytes)")
        }
        ffi::SQLITE_AUTH => SqlError::new(1142, "42000", "The query asks for what z4's SQL does not give"),
        ffi::SQLITE_RANGE => SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE"),
        ffi::SQLITE_MISMATCH => SqlError::new(1210, "HY000", "Incorrect arguments to LIMIT: whole numbers are expected"),
        ffi::SQLITE_ERROR => by_text(said),
        _ => SqlError::other(format!("The query ended with an error of the engine ({code})")),
    }
}

/// What stands in SQLite's sentence and nowhere else; code, SQLSTATE and sentence of MySQL's.
const SAID: &[(&str, u16, &str, &str)] = &[
    ("integer overflow", 1690, "22003", "BIGINT value is out of range"),
    ("misuse of window function", 3593, "HY000", "You cannot use a window function in this context"),
    ("misuse of aggregate", 1111, "HY000", "Invalid use of group function"),
    ("aggregate functions are not allowed in the GROUP BY clause", 1056, "42000", "Can't group on an aggregate"),
    ("HAVING clause on a non-aggregate query", 1111, "HY000", "Invalid use of group function"),
    ("misuse of aliased aggregate", 1247, "42S22", "Reference to an aggregate is not supported here"),
    (
        "misuse of aliased window function",
        3594,
        "HY000",
        "You cannot use the alias of an expression containing a window function in this context",
    ),
    ("ambiguous column name", 1052, "23000", "A column of the query is ambiguous"),
    ("no such window", 3579, "HY000", "A window that is named is not defined"),
    (
        "cannot override",
        3581,
        "HY000",
        "A window which depends on another cannot define partitioning, frame or, after it, ordering",
    ),
    (
        "recursive aggregate queries",
        3575,
        "HY000",
        "A recursive common table expression can contain neither aggregation nor window functions in its recursive query",
    ),
    (
        "cannot use window functions in recursive",
        3575,
        "HY000",
        "A recursive common table expression can contain neither aggregation nor window functions in its recursive query",
    ),
    (
        "recursive reference",
        3577,
        "HY000",
        "A recursive common table expression must be referenced only once in its recursive query, and not in any subquery",
    ),
    (
        "references to recursive table",
        3577,
        "HY000",
        "A recursive common table expression must be referenced only once in its recursive query, and not in any subquery",
    ),
    (
        "circular reference",
        3573,
        "HY000",
        "A recursive common table expression must have a query that does not read it, UNION, and one that does",
    ),
    ("row value misused", 1241, "21000", "Operand should contain 1 column(s)"),
    ("sub-select returns", 1241, "21000", "Operand should contain 1 column(s)"),
    (
        "do not have the same number of result columns",
        1222,
        "21000",
        "The used SELECT statements have a different number of columns",
    ),
    ("wrong number of arguments", 1582, "42000", "Incorrect parameter count in the call to a native function"),
    ("frame starting offset", 3586, "HY000", "The start of a window's frame is negative, NULL or no whole number"),
    ("frame ending offset", 3586, "HY000", "The end of a window's frame is negative, NULL or no whole number"),
    (
        "RANGE with offset",
        3587,
        "HY000",
        "A window with RANGE N PRECEDING or FOLLOWING requires exactly one ORDER BY expression, a number",
    ),
    ("unsupported frame specification", 3585, "HY000", "The start of a window's frame cannot be behind its end"),
    ("argument of ntile", 1210, "HY000", "Incorrect arguments to ntile"),
    ("second argument to nth_value", 1210, "HY000", "Incorrect arguments to nth_value"),
    ("DISTINCT is not supported for window functions", 1235, "42000", "DISTINCT in a window function is not done by z4"),
    ("ORDER BY term", 1054, "42S22", "Unknown column in 'order clause'"),
    ("GROUP BY term", 1054, "42S22", "Unknown column in 'group statement'"),
    ("tables in a join", 1116, "HY000", "Too many tables; z4 joins at most 64"),
    (
        "too many terms in compound SELECT",
        1105,
        "HY000",
        "The query is larger than z4's SQL allows: at most 200 queries in one UNION",
    ),
    ("too many columns", 1105, "HY000", "The query is larger than z4's SQL allows: at most 1000 columns"),
    ("too many SQL variables", 1390, "HY000", "Prepared statement contains too many placeholders"),
    ("too many arguments", 1105, "HY000", "The query is larger than z4's SQL allows: at most 127 arguments of a function"),
    ("parser stack overflow", 1436, "HY000", "The query is nested deeper than z4's SQL allows"),
    (
        "Expression tree is too large",
        1436,
        "HY000",
        "The query is nested deeper than z4's SQL allows: at most 500 levels of operators",
    ),
];

/// No sentence of SQLite's reaches a client: it speaks of SQL that the client did not write.
fn by_text(said: &str) -> SqlError {
    if let Some((_, code, state, sentence)) = SAID.iter().find(|(what, ..)| said.contains(what)) {
        return SqlError::new(*code, state, *sentence);
    }
    if said.ends_with("may not be modified") {
        return SqlError::read_only("such a statement");
    }
    if let Some(column) = said.strip_prefix("no such column: ") {
        return SqlError::new(1054, "42S22", format!("Unknown column '{column}'"));
    }
    if let Some(table) = said.strip_prefix("no such table: ") {
        return SqlError::new(1146, "42S02", format!("Table '{table}' doesn't exist"));
    }
    if let Some(function) = said.strip_prefix("no such function: ") {
        return SqlError::no_function(function);
    }
    SqlError::other("The query is understood, and z4's SQL has no way to run it as it is written")
}

/// 1317.
pub fn interrupted() -> SqlError {
    SqlError::new(1317, "70100", "Query execution was interrupted")
}

/// 3024.
pub fn too_long() -> SqlError {
    SqlError::new(3024, "HY000", "Query execution was interrupted, maximum statement execution time exceeded")
}

#[cfg(test)]
mod tests {
    //! An error that loses its code on the way through SQLite would reach the client as "something is wrong".

    use super::*;

    #[test]
    fn errors_come_back_as_they_went() {
        for error in
            [SqlError::syntax("near 'x'"), SqlError::new(3141, "22032", "Invalid \u{1} JSON"), SqlError::new(1305, "42000", "")]
        {
            assert_eq!(from_sqlite(&to_sqlite(&error)), error);
        }
    }

    #[test]
    fn sqlites_errors_have_codes_of_mysqls() {
        let failure = |code, said: &str| from_sqlite(&Error::SqliteFailure(ffi::Error::new(code), Some(said.to_owned()))).code;
        assert_eq!(failure(ffi::SQLITE_INTERRUPT, "interrupted"), 1317);
        assert_eq!(failure(ffi::SQLITE_NOMEM, "out of memory"), 1038);
        assert_eq!(failure(ffi::SQLITE_ERROR, "integer overflow"), 1690);
        assert_eq!(failure(ffi::SQLITE_ERROR, "no such function: f"), 1305);
        assert_eq!(failure(ffi::SQLITE_CORRUPT, "what"), 1105);
    }
}
