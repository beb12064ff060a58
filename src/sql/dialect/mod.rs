//! MySQL's SQL, made into statements for SQLite. Pure.

use super::context::Context;
use super::error::SqlError;
use super::statement::Statement;

/// Reads one statement.
///
/// # Errors
/// What is wrong with it, in MySQL's codes.
pub fn compile(sql: &str, context: &Context) -> Result<Statement, SqlError> {
    let _ = (sql, context);
    Err(SqlError::unsupported("SQL is not there yet"))
}
