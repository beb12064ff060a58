//! JSON_VALUE with RETURNING, ON EMPTY and ON ERROR, as `source::edits` writes it for the parser: document, path, `CAST(NULL AS type)` or
//! NULL, and for each of the two clauses a word and what is behind DEFAULT.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr};

use super::compiler::Compiler;
use super::shape::shape;
use super::typed::{Kind, Typed};
use crate::sql::error::SqlError;
use crate::sql::extraction::{self, Otherwise, VALUE, Value};

impl Compiler<'_> {
    pub(super) fn json_value(&mut self, list: &[FunctionArg]) -> Result<Typed, SqlError> {
        let exprs: Vec<&Expr> = list
            .iter()
            .filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            })
            .collect();
        let [document, path, ty, empty, empty_default, error, error_default] = exprs.as_slice() else {
            return Err(SqlError::syntax("JSON_VALUE takes a document and a path before its clauses"));
        };
        let shape = if let Expr::Cast { data_type, .. } = ty { shape(data_type)? } else { VALUE };
        let args = vec![self.expression(document)?, self.expression(path)?];
        let empty = self.otherwise(empty, empty_default)?;
        let error = self.otherwise(error, error_default)?;
        let call = self.call("JSON_VALUE", args)?.sql;
        let inner = call.strip_suffix(')').unwrap_or(&call);
        let wanted = Typed::text(extraction::encode(&Value { shape, empty, error }));
        Ok(Typed::new(format!("{inner}, {})", wanted.sql), shape.ty()))
    }

    fn otherwise(&mut self, word: &Expr, default: &Expr) -> Result<Otherwise, SqlError> {
        let word = self.expression(word)?;
        let value = self.expression(default)?;
        match (word.literal_text(), &value.kind) {
            (Some("ERROR"), _) => Ok(Otherwise::Error),
            (Some("DEFAULT"), Kind::Text(text) | Kind::Number(text)) => Ok(Otherwise::Default(text.clone())),
            (Some("DEFAULT"), _) if value.ty != crate::sql::types::SqlType::Null => {
                Err(SqlError::syntax("DEFAULT takes a literal"))
            }
            _ => Ok(Otherwise::Null),
        }
    }
}
