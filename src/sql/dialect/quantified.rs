//! `x > ALL (SELECT …)` and its kin.

use sqlparser::ast::{BinaryOperator, Expr};

use super::compiler::Compiler;
use super::errors::one_column;
use super::expression::truth;
use super::typed::Typed;
use crate::sql::error::SqlError;

impl Compiler<'_> {
    /// `left op ANY (query)`, `left op ALL (query)`.
    pub(super) fn quantified(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr, any: bool) -> Result<Typed, SqlError> {
        let mut right = right;
        while let Expr::Nested(inner) = right {
            right = inner;
        }
        let (Expr::Subquery(query), Some(op)) = (right, compared(op)) else {
            let word = if any { "ANY" } else { "ALL" };
            return Err(SqlError::syntax(format!("{word} stands between =, <>, <, >, <= or >= and a query in parentheses")));
        };
        match (op, any) {
            ("=", true) => return self.in_subquery(left, query, false),
            ("<>", false) => return self.in_subquery(left, query, true),
            _ => {}
        }
        let left = self.expression(left)?;
        let compiled = self.query(query, false)?;
        let rows = self.wrapped(compiled);
        let [value] = <[_; 1]>::try_from(rows.items).map_err(|_| one_column(1))?;
        let compared = self.compare(left, op, value.typed)?.sql;
        // One that decides; else NULL where one is not known; else what holds for no rows.
        let (decides, otherwise) = if any { ("max(c) = 1 THEN 1", 0) } else { ("min(c) = 0 THEN 0", 1) };
        Ok(truth(format!(
            "(SELECT CASE WHEN {decides} WHEN count(c) < count(*) THEN NULL ELSE {otherwise} END FROM (SELECT {compared} AS c{}))",
            rows.rest
        )))
    }
}

fn compared(op: &BinaryOperator) -> Option<&'static str> {
    match op {
        BinaryOperator::Eq => Some("="),
        BinaryOperator::NotEq => Some("<>"),
        BinaryOperator::Lt => Some("<"),
        BinaryOperator::Gt => Some(">"),
        BinaryOperator::LtEq => Some("<="),
        BinaryOperator::GtEq => Some(">="),
        _ => None,
    }
}
