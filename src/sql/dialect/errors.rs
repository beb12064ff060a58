//! What can be wrong with a statement, in MySQL's codes and words.

use crate::sql::error::SqlError;

pub(super) fn unknown_column(name: &str, clause: &str) -> SqlError {
    SqlError::new(1054, "42S22", format!("Unknown column '{name}' in '{clause}'"))
}

pub(super) fn ambiguous(name: &str, clause: &str) -> SqlError {
    SqlError::new(1052, "23000", format!("Column '{name}' in {clause} is ambiguous"))
}

pub(super) fn group_reference(name: &str) -> SqlError {
    SqlError::new(1247, "42S22", format!("Reference '{name}' not supported (reference to group function)"))
}

pub(super) fn no_such_table(schema: &str, name: &str) -> SqlError {
    SqlError::new(1146, "42S02", format!("Table '{schema}.{name}' doesn't exist"))
}

pub(super) fn unknown_table(name: &str) -> SqlError {
    SqlError::new(1051, "42S02", format!("Unknown table '{name}'"))
}

pub(super) fn unknown_database(name: &str) -> SqlError {
    SqlError::new(1049, "42000", format!("Unknown database '{name}'"))
}

pub(super) fn no_database() -> SqlError {
    SqlError::new(1046, "3D000", "No database selected")
}

pub(super) fn not_unique(alias: &str) -> SqlError {
    SqlError::new(1066, "42000", format!("Not unique table/alias: '{alias}'"))
}

pub(super) fn duplicate_column(name: &str) -> SqlError {
    SqlError::new(1060, "42S21", format!("Duplicate column name '{name}'"))
}

pub(super) fn unknown_variable(name: &str) -> SqlError {
    SqlError::new(1193, "HY000", format!("Unknown system variable '{name}'"))
}

pub(super) fn wrong_count(name: &str) -> SqlError {
    SqlError::new(1582, "42000", format!("Incorrect parameter count in the call to native function '{name}'"))
}

pub(super) fn incorrect(what: &str, text: &str) -> SqlError {
    SqlError::new(1525, "HY000", format!("Incorrect {what} value: '{text}'"))
}

pub(super) fn one_column(count: usize) -> SqlError {
    SqlError::new(1241, "21000", format!("Operand should contain {count} column(s)"))
}

pub(super) fn column_counts() -> SqlError {
    SqlError::new(1222, "21000", "The used SELECT statements have a different number of columns")
}

pub(super) fn too_deep(what: &str) -> SqlError {
    SqlError::new(1436, "HY000", format!("The statement is nested too deeply: {what}"))
}
