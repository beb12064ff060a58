//! `x > ALL (SELECT …)` and its kin.

use sqlparser::ast::{BinaryOperator, Expr};

use super::compiler::Compiler;
use super::errors::one_column;
use super::expression::truth;
use super::typed::Typed;
use crate::sql::error::SqlError;

/// Bytes of what stands beside ANY and ALL, in SQLite's SQL, where it is written several times: one inside of another grows so.
const BYTES_MAX: usize = 256 << 10;

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
        if left.sql.len() + rows.rest.len() > BYTES_MAX {
            return Err(SqlError::unsupported(format!("what stands beside ANY or ALL has more than {BYTES_MAX} bytes")));
        }
        // Of the rows their least and greatest decide. `left` stands outside of the query: it may be an aggregate.
        let (left, value) = self.pair(left, value.typed)?;
        let collation = if left.ci || value.ci { " COLLATE z4_ci" } else { "" };
        let (x, of) = (&left.sql, |what: &str| format!("(SELECT {what} FROM (SELECT {} AS c{}))", value.sql, rows.rest));
        let (least, greatest) = (of(&format!("min(c{collation})")), of(&format!("max(c{collation})")));
        let (decides, decided, otherwise) = match (op, any) {
            (">", true) => (format!("{x}{collation} > {least}"), 1, 0),
            (">=", true) => (format!("{x}{collation} >= {least}"), 1, 0),
            ("<", true) => (format!("{x}{collation} < {greatest}"), 1, 0),
            ("<=", true) => (format!("{x}{collation} <= {greatest}"), 1, 0),
            (">", false) => (format!("{x}{collation} <= {greatest}"), 0, 1),
            (">=", false) => (format!("{x}{collation} < {greatest}"), 0, 1),
            ("<", false) => (format!("{x}{collation} >= {least}"), 0, 1),
            ("<=", false) => (format!("{x}{collation} > {least}"), 0, 1),
            // <> ANY, = ALL
            _ => (format!("{x}{collation} <> {least} OR {x}{collation} <> {greatest}"), i64::from(any), i64::from(!any)),
        };
        let unknown = format!("CASE WHEN {x} IS NULL THEN {} ELSE {} END > 0", of("count(*)"), of("count(*) - count(c)"));
        Ok(truth(format!("CASE WHEN {decides} THEN {decided} WHEN {unknown} THEN NULL ELSE {otherwise} END")))
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
