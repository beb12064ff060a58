//! What a prepared statement may do: read our tables and call functions that touch nothing. The dialect lets nothing else through;
//! this is the second lock.

use std::cell::RefCell;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::tables::rows;
use crate::sql::catalog;
use crate::sql::error::SqlError;

thread_local! {
    static DENIED: RefCell<Option<SqlError>> = const { RefCell::new(None) };
}

/// SQLite's own functions that read nothing but their arguments. Ours begin with `my_` or `z4_`.
const FUNCTIONS: &[&str] = &[
    "->",
    "->>",
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "avg",
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "count",
    "cume_dist",
    "degrees",
    "dense_rank",
    "exp",
    "first_value",
    "floor",
    "format",
    "glob",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_patch",
    "json_pretty",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_valid",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likely",
    "likelihood",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "match",
    "max",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "pi",
    "pow",
    "power",
    "printf",
    "quote",
    "radians",
    "rank",
    "regexp",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "sin",
    "sqrt",
    "string_agg",
    "subtype",
    "substr",
    "substring",
    "sum",
    "tan",
    "total",
    "trim",
    "trunc",
    "typeof",
    "unhex",
    "unicode",
    "unlikely",
    "upper",
    "if",
    "unistr",
];

/// Tables beside the catalog's that may be read: SQLite's own that unfold a JSON document, and rows that a value packs.
const TABLES: &[&str] = &["json_each", "json_tree", rows::NAME];

/// Decides on one step of a statement that is prepared.
pub fn decide(context: &AuthContext<'_>) -> Authorization {
    let error = match context.action {
        AuthAction::Select | AuthAction::Recursive => return Authorization::Allow,
        AuthAction::Function { function_name } => {
            if is_function(function_name) {
                return Authorization::Allow;
            }
            SqlError::no_function(function_name)
        }
        AuthAction::Read { table_name, column_name } => {
            if may_read(table_name, column_name) {
                return Authorization::Allow;
            }
            SqlError::new(1142, "42000", format!("SELECT command denied for table '{table_name}'"))
        }
        ref other => SqlError::read_only(kind(other)),
    };
    DENIED.with_borrow_mut(|denied| *denied = Some(error));
    Authorization::Deny
}

/// What was denied since this was called last.
pub fn take_denied() -> Option<SqlError> {
    DENIED.take()
}

fn is_function(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.starts_with("my_") || lower.starts_with("z4_") || FUNCTIONS.contains(&lower.as_str())
}

/// SQLite names a table without a column when it only counts its rows, and then the name may be that of a CTE.
fn may_read(table: &str, column: &str) -> bool {
    let lower = table.to_ascii_lowercase();
    let known = catalog::TABLES.iter().any(|known| known.virtual_name() == table);
    if known || [catalog::LOOK, catalog::WHOLE].contains(&table) || TABLES.contains(&lower.as_str()) {
        return true;
    }
    let own = ["sqlite_", "pragma_", "fts", "rtree", "geopoly"].iter().any(|prefix| lower.starts_with(prefix));
    column.is_empty() && !own && !matches!(lower.as_str(), "dbstat" | "bytecode" | "tables_used" | "generate_series")
}

fn kind(action: &AuthAction<'_>) -> &'static str {
    match action {
        AuthAction::Insert { .. } => "INSERT",
        AuthAction::Update { .. } => "UPDATE",
        AuthAction::Delete { .. } => "DELETE",
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => "ATTACH",
        AuthAction::Pragma { .. } => "PRAGMA",
        AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => "a transaction inside SQLite",
        _ => "such a statement",
    }
}
