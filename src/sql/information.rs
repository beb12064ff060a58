//! The rows of information_schema that follow from the catalog. PROCESSLIST, SESSION_VARIABLES, SESSION_STATUS and WARNINGS are not
//! here: what they show is known when a statement runs.

mod describe;

pub use describe::{create_database, create_table};

use super::catalog::system::PERFORMANCE_SCHEMA;
use super::catalog::{self, Column, DATABASE, INFORMATION_SCHEMA, Table};
use super::types::Datum;
use super::zones;
use describe::{Shape, engine_of, keys, shape};

/// The character set of all text.
const CHARSET: &str = "utf8mb4";
/// Its collation.
const COLLATION: &str = "utf8mb4_bin";

/// The rows of a table of information_schema, in the order of its columns; empty for the tables that are filled when a statement runs,
/// and for those that have no rows.
pub fn information_rows(table: &Table) -> Vec<Vec<Datum>> {
    let cells = match table.name {
        "SCHEMATA" => LISTED.iter().copied().map(schema).collect(),
        "TABLES" => catalog::TABLES.iter().map(|table| self::table(table)).collect(),
        "COLUMNS" => catalog::TABLES.iter().flat_map(|table| columns(table)).collect(),
        "STATISTICS" => each_key(statistics),
        "KEY_COLUMN_USAGE" => each_key(key_column),
        "TABLE_CONSTRAINTS" => each_key(constraint),
        "ENGINES" => vec![vec![
            ("ENGINE", text("z4")),
            ("SUPPORT", text("DEFAULT")),
            ("COMMENT", text("Tasks, replicated by Raft; read-only here")),
            ("TRANSACTIONS", text("NO")),
            ("XA", text("NO")),
            ("SAVEPOINTS", text("NO")),
        ]],
        "time_zone_name" => zones::names().enumerate().map(zone_name).collect(),
        "CHARACTER_SETS" => CHARSETS.iter().map(character_set).collect(),
        "COLLATIONS" => COLLATIONS.iter().map(collation).collect(),
        "COLLATION_CHARACTER_SET_APPLICABILITY" => {
            let pair = |(name, set, ..): &(&'static str, &'static str, u64, bool)| {
                vec![("COLLATION_NAME", text(*name)), ("CHARACTER_SET_NAME", text(*set))]
            };
            COLLATIONS.iter().map(pair).collect()
        }
        _ => Vec::new(),
    };
    let cells: Vec<Vec<Cell>> = cells.into_iter().filter(|row: &Vec<Cell>| !row.is_empty()).collect();
    cells.into_iter().map(|row| arranged(table, row)).collect()
}

/// Databases that are listed. Accounts and views are found by their names alone: a dump of all databases would hold them, and replace
/// the accounts of the server that it is loaded into.
const LISTED: &[&str] = &[INFORMATION_SCHEMA, PERFORMANCE_SCHEMA, DATABASE];

type Cell = (&'static str, Datum);

/// Name, default collation, description, bytes of a character.
const CHARSETS: &[(&str, &str, &str, u64)] = &[
    ("utf8mb4", COLLATION, "UTF-8 Unicode", 4),
    ("utf8mb3", "utf8mb3_general_ci", "UTF-8 Unicode", 3),
    ("latin1", "latin1_swedish_ci", "cp1252 West European", 1),
    ("ascii", "ascii_general_ci", "US ASCII", 1),
    ("binary", "binary", "Binary pseudo charset", 1),
];

/// Name, character set, MySQL's number, the default of its character set.
const COLLATIONS: &[(&str, &str, u64, bool)] = &[
    ("utf8mb4_bin", "utf8mb4", 46, true),
    ("utf8mb4_general_ci", "utf8mb4", 45, false),
    ("utf8mb4_unicode_ci", "utf8mb4", 224, false),
    ("utf8mb4_0900_ai_ci", "utf8mb4", 255, false),
    ("utf8mb4_0900_bin", "utf8mb4", 309, false),
    ("utf8mb3_general_ci", "utf8mb3", 33, true),
    ("latin1_swedish_ci", "latin1", 8, true),
    ("ascii_general_ci", "ascii", 11, true),
    ("binary", "binary", 63, true),
];

fn text(value: impl Into<String>) -> Datum {
    Datum::Text(value.into())
}

fn number(value: usize) -> Datum {
    Datum::UInt(value as u64)
}

/// The cells in the order of the table's columns; what is not there is NULL.
fn arranged(table: &Table, mut cells: Vec<Cell>) -> Vec<Datum> {
    let take = |column: &Column| match cells.iter().position(|(name, _)| *name == column.name) {
        Some(at) => cells.swap_remove(at).1,
        None => Datum::Null,
    };
    table.columns.iter().map(take).collect()
}

fn zone_name((at, name): (usize, String)) -> Vec<Cell> {
    vec![("Name", text(name)), ("Time_zone_id", number(at + 1))]
}

fn schema(name: &'static str) -> Vec<Cell> {
    vec![
        ("CATALOG_NAME", text("def")),
        ("SCHEMA_NAME", text(name)),
        ("DEFAULT_CHARACTER_SET_NAME", text(CHARSET)),
        ("DEFAULT_COLLATION_NAME", text(COLLATION)),
        ("DEFAULT_ENCRYPTION", text("NO")),
    ]
}

fn table(table: &'static Table) -> Vec<Cell> {
    let kind = if table.schema == INFORMATION_SCHEMA { "SYSTEM VIEW" } else { "BASE TABLE" };
    vec![
        ("TABLE_CATALOG", text("def")),
        ("TABLE_SCHEMA", text(table.schema)),
        ("TABLE_NAME", text(table.name)),
        ("TABLE_TYPE", text(kind)),
        ("ENGINE", engine_of(table).map_or(Datum::Null, text)),
        ("VERSION", Datum::Int(10)),
        ("ROW_FORMAT", text("Dynamic")),
        ("TABLE_COLLATION", text(COLLATION)),
        ("CREATE_OPTIONS", text("")),
        ("TABLE_COMMENT", text(table.comment)),
    ]
}

fn columns(table: &'static Table) -> Vec<Vec<Cell>> {
    let keys = keys(table);
    let row = |(at, column): (usize, &'static Column)| {
        let Shape { data_type, column_type, characters, octets, precision, scale, fraction } = shape(table, column);
        let is_text = characters.is_some() && data_type != "longblob";
        let key = keys.iter().find(|(.., columns)| columns.first() == Some(&column.name));
        let optional = |value: Option<u64>| value.map_or(Datum::Null, Datum::UInt);
        vec![
            ("TABLE_CATALOG", text("def")),
            ("TABLE_SCHEMA", text(table.schema)),
            ("TABLE_NAME", text(table.name)),
            ("COLUMN_NAME", text(column.name)),
            ("ORDINAL_POSITION", number(at + 1)),
            ("IS_NULLABLE", text(if column.nullable { "YES" } else { "NO" })),
            ("DATA_TYPE", text(data_type)),
            ("CHARACTER_MAXIMUM_LENGTH", optional(characters)),
            ("CHARACTER_OCTET_LENGTH", optional(octets)),
            ("NUMERIC_PRECISION", optional(precision)),
            ("NUMERIC_SCALE", optional(scale)),
            ("DATETIME_PRECISION", optional(fraction)),
            ("CHARACTER_SET_NAME", if is_text { text(CHARSET) } else { Datum::Null }),
            ("COLLATION_NAME", if is_text { text(COLLATION) } else { Datum::Null }),
            ("COLUMN_TYPE", text(column_type)),
            ("COLUMN_KEY", text(key.map_or("", |(_, unique, _)| if *unique { "PRI" } else { "MUL" }))),
            ("EXTRA", text("")),
            ("PRIVILEGES", text("select")),
            ("COLUMN_COMMENT", text(column.comment)),
            ("GENERATION_EXPRESSION", text("")),
        ]
    };
    table.columns.iter().enumerate().map(row).collect()
}

/// A row per column of a key.
fn each_key(row: impl Fn(&'static Table, &'static str, bool, usize, &'static str) -> Vec<Cell>) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for table in catalog::TABLES {
        for (name, unique, columns) in keys(table) {
            rows.extend(columns.iter().enumerate().map(|(at, column)| row(table, name, *unique, at, column)));
        }
    }
    rows
}

fn statistics(table: &'static Table, name: &'static str, unique: bool, at: usize, column: &'static str) -> Vec<Cell> {
    vec![
        ("TABLE_CATALOG", text("def")),
        ("TABLE_SCHEMA", text(table.schema)),
        ("TABLE_NAME", text(table.name)),
        ("NON_UNIQUE", Datum::Int(i64::from(!unique))),
        ("INDEX_SCHEMA", text(table.schema)),
        ("INDEX_NAME", text(name)),
        ("SEQ_IN_INDEX", number(at + 1)),
        ("COLUMN_NAME", text(column)),
        ("COLLATION", text("A")),
        ("NULLABLE", text("")),
        ("INDEX_TYPE", text("BTREE")),
        ("COMMENT", text("")),
        ("INDEX_COMMENT", text("")),
        ("IS_VISIBLE", text("YES")),
    ]
}

fn key_column(table: &'static Table, name: &'static str, unique: bool, at: usize, column: &'static str) -> Vec<Cell> {
    if !unique {
        return Vec::new();
    }
    vec![
        ("CONSTRAINT_CATALOG", text("def")),
        ("CONSTRAINT_SCHEMA", text(table.schema)),
        ("CONSTRAINT_NAME", text(name)),
        ("TABLE_CATALOG", text("def")),
        ("TABLE_SCHEMA", text(table.schema)),
        ("TABLE_NAME", text(table.name)),
        ("COLUMN_NAME", text(column)),
        ("ORDINAL_POSITION", number(at + 1)),
    ]
}

fn constraint(table: &'static Table, name: &'static str, unique: bool, at: usize, _: &'static str) -> Vec<Cell> {
    if !unique || at > 0 {
        return Vec::new();
    }
    vec![
        ("CONSTRAINT_CATALOG", text("def")),
        ("CONSTRAINT_SCHEMA", text(table.schema)),
        ("CONSTRAINT_NAME", text(name)),
        ("TABLE_SCHEMA", text(table.schema)),
        ("TABLE_NAME", text(table.name)),
        ("CONSTRAINT_TYPE", text("PRIMARY KEY")),
        ("ENFORCED", text("YES")),
    ]
}

fn character_set((name, collation, description, bytes): &(&'static str, &'static str, &'static str, u64)) -> Vec<Cell> {
    vec![
        ("CHARACTER_SET_NAME", text(*name)),
        ("DEFAULT_COLLATE_NAME", text(*collation)),
        ("DESCRIPTION", text(*description)),
        ("MAXLEN", Datum::UInt(*bytes)),
    ]
}

fn collation((name, set, id, default): &(&'static str, &'static str, u64, bool)) -> Vec<Cell> {
    vec![
        ("COLLATION_NAME", text(*name)),
        ("CHARACTER_SET_NAME", text(*set)),
        ("ID", Datum::UInt(*id)),
        ("IS_DEFAULT", text(if *default { "Yes" } else { "" })),
        ("IS_COMPILED", text("Yes")),
        ("SORTLEN", Datum::UInt(1)),
        ("PAD_ATTRIBUTE", text("NO PAD")),
    ]
}

#[cfg(test)]
mod tests {
    //! What drivers read about tables must be what the tables are: a column too few, or in another order, and a tool shows nonsense.

    use super::catalog::information_schema as is;
    use super::*;

    #[test]
    fn every_row_has_a_cell_for_every_column() {
        for table in catalog::TABLES.iter().filter(|table| table.schema != DATABASE) {
            for row in information_rows(table) {
                assert_eq!(row.len(), table.columns.len(), "{}", table.name);
                assert!(!row.iter().all(|cell| *cell == Datum::Null), "{}: cells have names that are no columns", table.name);
            }
        }
    }

    #[test]
    fn columns_lists_each_column_once_in_order() {
        let rows = information_rows(&is::COLUMNS);
        let mine: Vec<&Vec<Datum>> = rows.iter().filter(|row| row.get(2) == Some(&text("tasks"))).collect();
        assert_eq!(mine.len(), catalog::TASKS.columns.len());
        assert_eq!(mine[2].get(3), Some(&text("deliver_at")));
        assert_eq!(mine[2].get(15), Some(&text("datetime(3)")));
        let count: usize = catalog::TABLES.iter().map(|table| table.columns.len()).sum();
        assert_eq!(rows.len(), count);
    }

    #[test]
    fn keys_name_columns_that_are_there() {
        let rows = information_rows(&is::STATISTICS);
        assert!(rows.len() >= 5);
        for table in catalog::TABLES {
            for (_, _, columns) in keys(table) {
                assert!(columns.iter().all(|name| table.columns.iter().any(|column| column.name == *name)), "{}", table.name);
            }
        }
        let bytes = |table: &Table, name: &str| {
            let column = table.columns.iter().find(|column| column.name == name).expect("a column");
            shape(table, column).octets.unwrap_or(8)
        };
        for table in catalog::TABLES {
            for (key, _, columns) in keys(table) {
                let bytes: u64 = columns.iter().map(|name| bytes(table, name)).sum();
                assert!(bytes <= 3_072, "{}.{key} has {bytes} bytes: no MySQL takes a key of so many", table.name);
            }
        }
        assert!(create_table(&catalog::TASKS).contains("`id` varchar(26) NOT NULL"));
        assert!(create_table(&catalog::TASKS).contains("`last_error` text DEFAULT NULL"));
        assert!(create_table(&catalog::TASKS).contains("`deliver_at` datetime(3) NOT NULL"));
        assert!(create_table(&catalog::TASKS).contains("KEY `namespace_deliver_at` (`namespace`,`deliver_at`)"));
    }
}
