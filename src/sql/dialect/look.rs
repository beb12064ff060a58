//! Statements that ask for nothing but rows of `tasks`: `SELECT … FROM tasks`, without anything that narrows, orders or folds them. Tools
//! ask so for a table's columns and some of its rows, and dumps for all.
//!
//! With a LIMIT they read a table of their own, which has few rows; what has none, or a larger one, reads another, which is there for few
//! tasks only. Nothing else can name these tables: they are no part of the catalog, and every other reference keeps the rule.

use sqlparser::ast::{Expr, GroupByExpr, LimitClause, Query, Select, SetExpr, TableFactor, Value};

use super::compiler::Compiler;
use crate::sql::catalog::{LOOK, LOOK_ROWS_MAX, TASKS, WHOLE};

/// What the FROM of a query reads instead of `tasks`, when its items take each row by itself; `None`: it has another form.
pub(super) fn table(query: &Query) -> Option<&'static str> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let bare = query.with.is_none() && query.order_by.is_none() && is_bare(select);
    bare.then(|| if is_short(query.limit_clause.as_ref()) { LOOK } else { WHOLE })
}

fn is_bare(select: &Select) -> bool {
    let one = match select.from.as_slice() {
        [table] => table.joins.is_empty() && matches!(table.relation, TableFactor::Table { args: None, .. }),
        _ => false,
    };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(by, modifiers) if by.is_empty() && modifiers.is_empty());
    let counts_all = select.select_modifiers.as_ref().is_some_and(|modifiers| modifiers.sql_calc_found_rows);
    let narrowed = select.distinct.is_some() || select.selection.is_some() || select.having.is_some();
    one && ungrouped && !counts_all && !narrowed && select.named_window.is_empty()
}

/// LIMIT and OFFSET are few rows together, as far as it is known; the table sees the values of parameters.
fn is_short(limit: Option<&LimitClause>) -> bool {
    let (limit, offset) = match limit {
        Some(LimitClause::LimitOffset { limit: Some(limit), offset, .. }) => (limit, offset.as_ref().map(|offset| &offset.value)),
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => (limit, Some(offset)),
        _ => return false,
    };
    let counts = [rows(limit), offset.map_or(Some(0), rows)];
    counts.into_iter().sum::<Option<usize>>().is_some_and(|rows| rows <= LOOK_ROWS_MAX)
}

/// A number of rows, 0 for a parameter; `None`: it is too large, or no number.
fn rows(expr: &Expr) -> Option<usize> {
    let Expr::Value(value) = expr else { return None };
    match &value.value {
        Value::Number(text, _) => text.parse().ok().filter(|rows| *rows <= LOOK_ROWS_MAX),
        Value::Placeholder(_) => Some(0),
        _ => None,
    }
}

impl Compiler<'_> {
    /// `from` with this table in the place of `tasks`, when nothing that is selected folds rows or reads others. `queries`: how many were
    /// compiled before the items.
    pub(super) fn look(&mut self, table: &str, from: &str, queries: usize) -> Option<String> {
        let nested = self.queries != queries;
        let scope = self.scope()?;
        let plain = !nested && !scope.aggregates && !scope.windows && !scope.never;
        let rest = from.strip_prefix(&format!("\"{}\" AS ", TASKS.name)).filter(|_| plain && scope.tasks.len() == 1)?;
        let instead = format!("\"{table}\" AS {rest}");
        self.bare = true;
        Some(instead)
    }
}
