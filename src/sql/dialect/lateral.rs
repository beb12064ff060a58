//! What in FROM reads the tables before it: JSON_TABLE and LATERAL queries. SQLite has neither. Its tables that take arguments do see
//! the tables before them, and an argument may be a query: so the rows are packed into one value, by a function or an aggregate, and the
//! table `z4_rows` has them again (see `sqlite::packed`).

use sqlparser::ast::{
    Expr, JoinOperator, JsonTableColumn, JsonTableColumnErrorHandling, JsonTableNamedColumn, Query, TableAlias, TableFactor,
    TableWithJoins, Value, ValueWithSpan,
};

use super::compiler::{Compiler, as_source};
use super::errors::duplicate_column;
use super::literal::{self, name as quoted, quoted as string};
use super::query::{rename, unique};
use super::scope::{Clause, Scope, SourceColumn, TableSource};
use super::shape::shape;
use crate::sql::error::SqlError;
use crate::sql::extraction::{self, COLUMNS_MAX, Column, Otherwise, Shape, Unfolding};
use crate::sql::signatures::Want;

/// NESTED PATHs of one JSON_TABLE, as in MySQL.
const NESTED_MAX: usize = 16;

/// It may read the tables before it.
pub(super) fn is_lateral(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::JsonTable { .. } | TableFactor::Derived { lateral: true, .. })
}

/// Of these joins one may read tables before all of them: they stand without parentheses, which would hide those tables. Nothing changes
/// by that, where no side is turned round.
pub(super) fn reads_before(table: &TableWithJoins) -> bool {
    let turned = |join: &JoinOperator| matches!(join, JoinOperator::Right(_) | JoinOperator::RightOuter(_));
    has_lateral(table) && !table.joins.iter().any(|join| turned(&join.join_operator))
}

impl Compiler<'_> {
    /// `(query) AS alias` behind LATERAL.
    pub(super) fn lateral(&mut self, query: &Query, alias: &TableAlias) -> Result<String, SqlError> {
        self.never = self.scope().is_some_and(|scope| scope.never);
        let mut compiled = self.query(query, false)?;
        unique(&compiled.columns)?;
        let cells: Vec<String> = compiled.columns.iter().map(|column| quoted(&column.name)).collect();
        let names: Vec<&str> = alias.columns.iter().map(|column| column.name.value.as_str()).collect();
        rename(&mut compiled.columns, &names)?;
        unique(&compiled.columns)?;
        let rows = quoted(&self.fresh("lateral"));
        let packed = format!("(SELECT z4_pack({}) FROM ({}) AS {rows})", cells.join(", "), compiled.sql);
        self.packed(&packed, &alias.name.value, as_source(&compiled.columns))
    }

    /// JSON_TABLE(document, path COLUMNS(…)) AS alias.
    pub(super) fn json_table(&mut self, factor: &TableFactor) -> Result<String, SqlError> {
        let TableFactor::JsonTable { json_expr, json_path, columns, alias } = factor else {
            return Err(SqlError::syntax(format!("{factor} is no JSON_TABLE")));
        };
        let Some(alias) = alias.as_ref().filter(|alias| alias.columns.is_empty()) else {
            return Err(SqlError::new(3667, "42000", "Every table function must have an alias"));
        };
        let document = self.document_of(json_expr)?;
        let (mut known, mut nested) = (Vec::new(), 0);
        let what = Unfolding { path: text(json_path)?, columns: columns_of(columns, &mut known, &mut nested)? };
        if nested > NESTED_MAX {
            let text = format!("More than supported {NESTED_MAX} NESTED PATHs were found in JSON_TABLE '{}'", alias.name.value);
            return Err(SqlError::new(3670, "42000", text));
        }
        let packed = format!("z4_json_table({document}, {})", string(&extraction::encode(&what)));
        self.packed(&packed, &alias.name.value, known)
    }

    fn document_of(&mut self, expr: &Expr) -> Result<String, SqlError> {
        let clause = self.scope().map(|scope| std::mem::replace(&mut scope.clause, Clause::Document));
        let document = self.expression(expr);
        if let (Some(scope), Some(clause)) = (self.scope(), clause) {
            scope.clause = clause;
        }
        Ok(document?.wanted(Want::Json, self.zone()).sql)
    }

    /// The table that has the rows of a value.
    fn packed(&mut self, value: &str, alias: &str, mut columns: Vec<SourceColumn>) -> Result<String, SqlError> {
        if columns.len() > COLUMNS_MAX {
            return Err(SqlError::new(1117, "HY000", format!("Too many columns; '{alias}' may have {COLUMNS_MAX}")));
        }
        for (at, column) in columns.iter_mut().enumerate() {
            column.sqlite = Some(format!("c{at}"));
        }
        self.add(TableSource { alias: alias.to_owned(), schema: None, columns })?;
        Ok(format!("z4_rows({value}) AS {}", quoted(alias)))
    }

    /// The right side of a RIGHT JOIN becomes the left one, and sees nothing of what stands before it.
    pub(super) fn refuse_turned(&mut self, factor: &TableFactor, sql: &str, before: usize) -> Result<(), SqlError> {
        let Some(scope) = self.scope().filter(|scope| is_lateral(factor) && names(scope, before, sql)) else { return Ok(()) };
        let name = scope.sources.last().map(|source| source.alias.clone()).unwrap_or_default();
        let text = format!("INNER or LEFT JOIN must be used for LATERAL references made by '{name}'");
        Err(SqlError::new(3668, "42000", text))
    }

    /// SQLite hides from joins in parentheses what stands before them.
    pub(super) fn refuse_hidden(&mut self, joins: &TableWithJoins, sql: &str, before: usize) -> Result<(), SqlError> {
        match self.scope() {
            Some(scope) if has_lateral(joins) && names(scope, before, sql) => Err(SqlError::unsupported(
                "what in parentheses of joins reads tables before them, is not done by z4: leave out the parentheses",
            )),
            _ => Ok(()),
        }
    }
}

/// One of these joins may read the tables before it.
fn has_lateral(table: &TableWithJoins) -> bool {
    let below = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => has_lateral(table_with_joins),
        other => is_lateral(other),
    };
    below(&table.relation) || table.joins.iter().any(|join| below(&join.relation))
}

/// Something of the first sources stands in SQLite's SQL.
fn names(scope: &Scope, sources: usize, sql: &str) -> bool {
    scope.sources.iter().take(sources).any(|source| sql.contains(&format!("{}.", quoted(&source.alias))))
}

fn columns_of(columns: &[JsonTableColumn], known: &mut Vec<SourceColumn>, nested: &mut usize) -> Result<Vec<Column>, SqlError> {
    columns.iter().map(|column| column_of(column, known, nested)).collect()
}

fn column_of(column: &JsonTableColumn, known: &mut Vec<SourceColumn>, nested: &mut usize) -> Result<Column, SqlError> {
    let mut add = |name: &str, ty| match known.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
        true => Err(duplicate_column(name)),
        false => {
            known.push(SourceColumn {
                name: name.to_owned(),
                sqlite: None,
                ty,
                nullable: true,
                origin: None,
                ci: false,
                whole: 0,
            });
            Ok(())
        }
    };
    match column {
        JsonTableColumn::ForOrdinality(name) => {
            add(&name.value, Shape::Int(32).ty())?;
            Ok(Column::Number)
        }
        JsonTableColumn::Named(JsonTableNamedColumn { name, r#type, path, exists, on_empty, on_error }) => {
            let shape = shape(r#type)?;
            add(&name.value, shape.ty())?;
            let path = text(path)?;
            if *exists {
                return Ok(Column::Exists { path, shape });
            }
            let value = extraction::Value { shape, empty: otherwise(on_empty.as_ref())?, error: otherwise(on_error.as_ref())? };
            Ok(Column::Value { name: name.value.clone(), path, value })
        }
        JsonTableColumn::Nested(below) => {
            *nested += 1;
            Ok(Column::Nested(Unfolding { path: text(&below.path)?, columns: columns_of(&below.columns, known, nested)? }))
        }
    }
}

fn otherwise(handling: Option<&JsonTableColumnErrorHandling>) -> Result<Otherwise, SqlError> {
    Ok(match handling {
        None | Some(JsonTableColumnErrorHandling::Null) => Otherwise::Null,
        Some(JsonTableColumnErrorHandling::Error) => Otherwise::Error,
        Some(JsonTableColumnErrorHandling::Default(value)) => Otherwise::Default(text(value)?),
    })
}

fn text(value: &ValueWithSpan) -> Result<String, SqlError> {
    let literal = match &value.value {
        Value::SingleQuotedString(_) | Value::DoubleQuotedString(_) => literal::value(&value.value),
        _ => None,
    };
    let text = literal.as_ref().and_then(|literal| literal.literal_text());
    text.map(str::to_owned).ok_or_else(|| SqlError::syntax(format!("JSON_TABLE takes a string, not {value}")))
}
