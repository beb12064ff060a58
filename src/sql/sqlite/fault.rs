//! Errors on their way through SQLite: ours as text that it carries, its own in MySQL's codes.

use rusqlite::{Error, ffi};

use crate::sql::error::SqlError;

/// Before each part of an error of ours.
const MARK: char = '\u{1}';

/// The SQLSTATEs that our errors have; another becomes HY000.
const STATES: &[&str] = &[
    "HY000", "42000", "42S02", "42S22", "22001", "22003", "22007", "22008", "22012", "22018", "22032", "21000", "23000", "08004",
    "70100", "01000", "28000", "0A000", "3D000", "S1T00",
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
        ffi::SQLITE_AUTH => SqlError::new(1142, "42000", format!("The query asks for what z4's SQL does not give: {said}")),
        ffi::SQLITE_RANGE => SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE"),
        ffi::SQLITE_ERROR => by_text(said),
        _ => SqlError::other(format!("The query ended with an error of SQLite's ({code}): {said}")),
    }
}

fn by_text(said: &str) -> SqlError {
    if said.contains("integer overflow") {
        return SqlError::new(1690, "22003", "BIGINT value is out of range");
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
    if said.contains("too many terms in compound SELECT")
        || said.contains("too many columns")
        || said.contains("too many SQL variables")
    {
        return SqlError::new(1105, "HY000", format!("The query is larger than z4's SQL allows: {said}"));
    }
    if said.contains("parser stack overflow") || said.contains("Expression tree is too large") {
        return SqlError::new(1436, "HY000", format!("The query is nested deeper than z4's SQL allows: {said}"));
    }
    SqlError::other(format!("The query cannot be run: {said}"))
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
