//! MySQL's functions, registered with SQLite.

use rusqlite::Connection;

use crate::sql::context::Context;

/// Registers every function of [`signatures`](crate::sql::signatures) and every coercion with a connection.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    let _ = connection;
    Ok(())
}

/// Says which statement runs on this thread from now on: its clock and time zone.
pub fn enter(context: &Context) {
    let _ = context;
}
