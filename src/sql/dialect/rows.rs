//! Rows of values, `(a, b)`, and queries that give one row.

use sqlparser::ast::{BinaryOperator, Expr, GroupByExpr, LimitClause, Query, SelectItem, SetExpr, Value};

use super::compiler::{Compiled, Compiler};
use super::errors::one_column;
use super::expression::truth;
use super::literal::name as quoted;
use super::typed::Typed;
use crate::sql::error::SqlError;

impl Compiler<'_> {
    /// A query that stands for one row: an error (1242) when it gives two, NULLs when it gives none.
    pub(super) fn only_row(&mut self, compiled: Compiled) -> String {
        let alias = quoted(&self.fresh("only"));
        let only = |name: &String| format!("z4_only({alias}.{})", quoted(name));
        let names: Vec<String> = compiled.columns.iter().map(|column| column.name.clone()).collect();
        format!("SELECT {} FROM ({}) AS {alias}", names.iter().map(only).collect::<Vec<_>>().join(", "), compiled.sql)
    }

    /// `(a, b) = (c, d)` and its kin; a side may be a query.
    pub(super) fn compare_rows(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Typed, SqlError> {
        let sign = match op {
            BinaryOperator::Eq => "=",
            BinaryOperator::Spaceship => "IS",
            BinaryOperator::NotEq => "<>",
            BinaryOperator::Lt => "<",
            BinaryOperator::LtEq => "<=",
            BinaryOperator::Gt => ">",
            BinaryOperator::GtEq => ">=",
            _ => return Err(one_column(1)),
        };
        let (left, right) = (self.side(left)?, self.side(right)?);
        if left.values.len() != right.values.len() {
            return Err(one_column(left.values.len()));
        }
        let (mut lefts, mut rights, mut each) = (Vec::new(), Vec::new(), Vec::new());
        for (left, right) in left.values.iter().zip(&right.values) {
            each.push(self.compare(left.clone(), if sign == "IS" { "IS" } else { "=" }, right.clone())?.sql);
            let (left, right) = self.pair(left.clone(), right.clone())?;
            lefts.push(left.sql);
            rights.push(right.sql);
        }
        // A query is written once, its values are coerced inside.
        if left.query.is_none() && right.query.is_none() {
            match op {
                BinaryOperator::Eq | BinaryOperator::Spaceship => return Ok(truth(format!("({})", each.join(" AND ")))),
                BinaryOperator::NotEq => return Ok(truth(format!("(NOT ({}))", each.join(" AND ")))),
                _ => {}
            }
        }
        let (left, right) = (left.written(&lefts), right.written(&rights));
        Ok(truth(format!("({left} {sign} {right})")))
    }

    fn side(&mut self, expr: &Expr) -> Result<Side, SqlError> {
        match expr {
            Expr::Nested(inner) => self.side(inner),
            Expr::Tuple(values) => {
                let values = values.iter().map(|value| self.expression(value)).collect::<Result<Vec<_>, _>>()?;
                Ok(Side { values, query: None })
            }
            Expr::Subquery(query) => {
                let compiled = self.query(query, false)?;
                let alias = quoted(&self.fresh("row"));
                let column = |column: &crate::sql::statement::OutColumn| {
                    Typed::new(format!("{alias}.{}", quoted(&column.name)), column.ty)
                };
                let values = compiled.columns.iter().map(column).collect();
                super::query::unique(&compiled.columns)?;
                let names: Vec<String> = compiled.columns.iter().map(|column| quoted(&column.name)).collect();
                let only = self.only_row(compiled);
                let list = quoted(&self.fresh("list"));
                let query = format!("(WITH {list}({}) AS ({only}) SELECT * FROM {list}) AS {alias}", names.join(", "));
                Ok(Side { values, query: Some(query) })
            }
            value => Ok(Side { values: vec![self.expression(value)?], query: None }),
        }
    }
}

/// A side of a comparison of rows.
struct Side {
    values: Vec<Typed>,
    /// The query that the values are columns of, with its alias.
    query: Option<String>,
}

impl Side {
    fn written(&self, values: &[String]) -> String {
        let values = values.join(", ");
        match &self.query {
            Some(query) => format!("(SELECT {values} FROM {query})"),
            None => format!("({values})"),
        }
    }
}

/// A row of several values, or a query that gives one.
pub(super) fn is_row(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_row(inner),
        Expr::Tuple(_) => true,
        Expr::Subquery(query) => selected(&query.body) > 1,
        _ => false,
    }
}

/// How many expressions a query selects, as far as it is written.
fn selected(body: &SetExpr) -> usize {
    match body {
        SetExpr::Select(select) => select.projection.len(),
        SetExpr::Query(query) => selected(&query.body),
        SetExpr::SetOperation { left, .. } => selected(left),
        SetExpr::Values(values) => values.rows.first().map_or(1, |row| row.content.len()),
        _ => 1,
    }
}

/// A query that cannot give two rows: it reads no table, or has one group, or LIMIT 1.
pub(super) fn at_most_one(query: &Query) -> bool {
    let limit = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit: Some(limit), .. } | LimitClause::OffsetCommaLimit { limit, .. }) => Some(limit),
        _ => None,
    };
    let one = |limit: &Expr| matches!(limit, Expr::Value(value) if matches!(&value.value, Value::Number(text, _) if text == "0" || text == "1"));
    if limit.is_some_and(one) {
        return true;
    }
    match query.body.as_ref() {
        SetExpr::Query(inner) => at_most_one(inner),
        SetExpr::Select(select) => {
            let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
            !grouped && (select.from.is_empty() || select.projection.iter().any(is_aggregate))
        }
        SetExpr::Values(values) => values.rows.len() < 2,
        _ => false,
    }
}

/// An aggregate is what is selected, and nothing else.
fn is_aggregate(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(Expr::Function(function)) | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. }) =
        item
    else {
        return false;
    };
    let name = Compiler::function_name(function);
    function.over.is_none() && crate::sql::signatures::signature(&name).is_some_and(|signature| signature.aggregate)
}
