//! The virtual tables.

pub mod bridge;
mod connections;
pub mod rows;
mod server;
mod small;
pub mod tasks;

use rusqlite::Connection;

use crate::sql::catalog::{self, Table};
use crate::sql::types::SqlType;
use tasks::Reach;

/// Registers every table of the catalog.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    for table in catalog::TABLES {
        if **table == catalog::TASKS {
            bridge::register(connection, &table.virtual_name(), tasks::Tasks { reach: Reach::Bounded })?;
            bridge::register(connection, catalog::LOOK, tasks::Tasks { reach: Reach::Look })?;
            bridge::register(connection, catalog::WHOLE, tasks::Tasks { reach: Reach::Whole })?;
        } else {
            bridge::register(connection, &table.virtual_name(), small::Small { table })?;
        }
    }
    bridge::register(connection, rows::NAME, rows::Rows)
}

/// `CREATE TABLE`, with the affinities that values have inside SQLite: bounds that are text would else become numbers.
fn declaration(table: &Table) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let ty = match column.ty {
                SqlType::Int | SqlType::UInt | SqlType::Timestamp(_) | SqlType::DateTime(_) | SqlType::Time(_) => "INTEGER",
                SqlType::Double => "REAL",
                SqlType::Text | SqlType::Json | SqlType::Date => "TEXT",
                SqlType::Blob | SqlType::Decimal(_) | SqlType::Null => "BLOB",
            };
            format!("\"{}\" {ty}", column.name)
        })
        .collect();
    format!("CREATE TABLE x({})", columns.join(", "))
}
