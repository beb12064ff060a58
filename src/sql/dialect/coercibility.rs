//! COERCIBILITY: how firmly a value holds on to its collation.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::compiler::Compiler;
use super::typed::Typed;
use crate::sql::error::SqlError;
use crate::sql::types::SqlType::{Blob, Json, Null, Text};

/// A collation was written.
const EXPLICIT: i64 = 0;
/// A column, a user variable, what was converted.
const IMPLICIT: i64 = 2;
/// What the server tells of itself.
const SYSTEM: i64 = 3;
/// A literal, and what is made of literals.
const COERCIBLE: i64 = 4;
/// A number or a date.
const NUMERIC: i64 = 5;
const IGNORABLE: i64 = 6;

impl Compiler<'_> {
    /// 0, the firmest, to 6.
    pub(super) fn coercibility(&mut self, expr: &Expr) -> Result<i64, SqlError> {
        self.deeper(|compiler| {
            let typed = compiler.expression(expr)?;
            match (expr, typed.ty) {
                (Expr::Nested(inner), _) => compiler.coercibility(inner),
                (Expr::Collate { .. }, _) => Ok(EXPLICIT),
                (_, Null) => Ok(IGNORABLE),
                (_, Json) => Ok(IMPLICIT),
                (_, Text | Blob) => compiler.of_text(expr, &typed),
                _ => Ok(NUMERIC),
            }
        })
    }

    fn of_text(&mut self, expr: &Expr, typed: &Typed) -> Result<i64, SqlError> {
        Ok(match expr {
            _ if typed.column.as_ref().is_some_and(|column| column.origin.is_some()) => IMPLICIT,
            Expr::Cast { .. } | Expr::Convert { .. } => IMPLICIT,
            Expr::Identifier(name) if name.value.starts_with("@@") => SYSTEM,
            Expr::Identifier(name) if name.value.starts_with('@') => IMPLICIT,
            Expr::Identifier(name) if name.value.eq_ignore_ascii_case("CURRENT_USER") => SYSTEM,
            Expr::Function(function) => self.of_function(function)?,
            _ => COERCIBLE,
        })
    }

    /// The firmest text among the arguments decides.
    fn of_function(&mut self, function: &Function) -> Result<i64, SqlError> {
        let name = Self::function_name(function);
        if matches!(
            name.as_str(),
            "USER" | "CURRENT_USER" | "SESSION_USER" | "SYSTEM_USER" | "DATABASE" | "SCHEMA" | "VERSION" | "CURRENT_ROLE"
        ) {
            return Ok(SYSTEM);
        }
        let mut firmest = COERCIBLE;
        if let FunctionArguments::List(list) = &function.args {
            for arg in &list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                    firmest = firmest.min(self.coercibility(expr)?);
                }
            }
        }
        Ok(firmest)
    }
}
