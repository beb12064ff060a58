//! How tables and columns look in MySQL's words: type names, keys, CREATE TABLE.

use z4_model::ids::NAMESPACE_BYTES_MAX;
use z4_model::rows::peer_row::ID_BYTES_MAX;

use crate::sql::catalog::{Column, DATABASE, Table};
use crate::sql::types::SqlType;

/// A column's type as information_schema.COLUMNS describes it.
pub(super) struct Shape {
    pub(super) data_type: &'static str,
    pub(super) column_type: String,
    pub(super) characters: Option<u64>,
    pub(super) octets: Option<u64>,
    pub(super) precision: Option<u64>,
    pub(super) scale: Option<u64>,
    pub(super) fraction: Option<u64>,
}

/// Characters of a VARCHAR that describes something.
const CHARACTERS: u64 = 1024;
/// Characters of a task's id.
const TASK_ID: u64 = 26;
/// Bytes of a TEXT.
const TEXT: u64 = u16::MAX as u64;
const LONGEST: u64 = u32::MAX as u64;

/// Characters that a text has at most; `None`: it is a TEXT. What a key is of must fit into one where the definition is loaded.
fn characters(table: &Table, column: &Column) -> Option<u64> {
    if table.schema != DATABASE {
        return Some(CHARACTERS);
    }
    Some(match (table.name, column.name) {
        ("tasks", "id") => TASK_ID,
        ("tasks", "namespace") | ("namespaces", "name") => NAMESPACE_BYTES_MAX as u64,
        ("tasks", "state") => 16,
        ("peers", "id") | ("groups", "leader") => ID_BYTES_MAX as u64,
        _ => return None,
    })
}

pub(super) fn shape(table: &Table, column: &Column) -> Shape {
    let plain = |data_type: &'static str| Shape {
        data_type,
        column_type: data_type.to_owned(),
        characters: None,
        octets: None,
        precision: None,
        scale: None,
        fraction: None,
    };
    let with = |digits: u8, name: &str| if digits == 0 { name.to_owned() } else { format!("{name}({digits})") };
    match column.ty {
        SqlType::Null => plain("null"),
        SqlType::Int => Shape { precision: Some(19), scale: Some(0), ..plain("bigint") },
        SqlType::UInt => {
            Shape { precision: Some(20), scale: Some(0), column_type: "bigint unsigned".to_owned(), ..plain("bigint") }
        }
        SqlType::Double => Shape { precision: Some(22), ..plain("double") },
        SqlType::Decimal(scale) => {
            let scale = u64::from(scale);
            Shape { precision: Some(65), scale: Some(scale), column_type: format!("decimal(65,{scale})"), ..plain("decimal") }
        }
        SqlType::Text => match characters(table, column) {
            Some(most) => Shape {
                column_type: format!("varchar({most})"),
                characters: Some(most),
                octets: Some(most * 4),
                ..plain("varchar")
            },
            None => Shape { characters: Some(TEXT), octets: Some(TEXT), ..plain("text") },
        },
        SqlType::Blob => Shape { characters: Some(LONGEST), octets: Some(LONGEST), ..plain("longblob") },
        SqlType::Json => plain("json"),
        SqlType::Timestamp(digits) | SqlType::DateTime(digits) => {
            Shape { column_type: with(digits, "datetime"), fraction: Some(u64::from(digits)), ..plain("datetime") }
        }
        SqlType::Date => plain("date"),
        SqlType::Time(digits) => Shape { column_type: with(digits, "time"), fraction: Some(u64::from(digits)), ..plain("time") },
    }
}

/// The keys of a table: name, unique, columns.
pub(super) fn keys(table: &Table) -> &'static [(&'static str, bool, &'static [&'static str])] {
    match (table.schema == DATABASE, table.name) {
        (true, "tasks") => &[("PRIMARY", true, &["id"]), ("namespace_deliver_at", false, &["namespace", "deliver_at"])],
        (true, "namespaces") => &[("PRIMARY", true, &["name"])],
        (true, "peers" | "groups") => &[("PRIMARY", true, &["id"])],
        _ => &[],
    }
}

pub(super) fn engine_of(table: &Table) -> Option<&'static str> {
    (table.schema == DATABASE).then_some("z4")
}

/// What SHOW CREATE TABLE shows.
pub fn create_table(table: &Table) -> String {
    let quote = |text: &str| text.replace('\'', "''");
    let mut lines: Vec<String> = Vec::new();
    for column in table.columns {
        let null = if column.nullable { "DEFAULT NULL" } else { "NOT NULL" };
        let comment = if column.comment.is_empty() { String::new() } else { format!(" COMMENT '{}'", quote(column.comment)) };
        lines.push(format!("  `{}` {} {null}{comment}", column.name, shape(table, column).column_type));
    }
    for (name, unique, columns) in keys(table) {
        let columns: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
        let head = if *unique { "PRIMARY KEY".to_owned() } else { format!("KEY `{name}`") };
        lines.push(format!("  {head} ({})", columns.join(",")));
    }
    let engine = engine_of(table).unwrap_or("MEMORY");
    let comment = if table.comment.is_empty() { String::new() } else { format!(" COMMENT='{}'", quote(table.comment)) };
    let body = lines.join(",\n");
    format!("CREATE TABLE `{}` (\n{body}\n) ENGINE={engine} DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin{comment}", table.name)
}

/// What SHOW CREATE DATABASE shows.
pub fn create_database(name: &str) -> String {
    format!("CREATE DATABASE `{name}` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin */")
}
