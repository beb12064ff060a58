//! User variables: `@x` in expressions, `@x := …`, `SELECT … INTO @x`.
//!
//! A statement that sets none sees them as literals. One that sets some reads and sets them row by row, as MySQL does, through functions
//! that reach the session; the type of such a variable is what it was when the statement began, or what it is set to before that place.

use sqlparser::ast::{Expr, Ident};
use sqlparser::tokenizer::Token;

use super::compiler::Compiler;
use super::literal;
use super::source::Source;
use super::typed::{Kind, Typed};
use crate::sql::error::SqlError;
use crate::sql::types::SqlType::{self, Blob, Decimal, Double, Int, Null, Text, UInt};

impl Compiler<'_> {
    /// `@x`, as its parts between dots.
    pub(super) fn user_variable(&mut self, parts: &[&str]) -> Result<Typed, SqlError> {
        let name = name(parts);
        let value = self.context.own.variable(&name);
        if !self.source.assigns() {
            return Ok(value.map_or_else(|| Typed { ty: Text, ..Typed::null() }, |value| literal::user_value(&value)));
        }
        let before = self.assigned.get(&name).copied();
        let ty = before.or(value.map(|value| value.ty)).unwrap_or(Text);
        Ok(Typed::new(format!("z4_user({})", literal::quoted(&name)), ty))
    }

    /// `@x := value`.
    pub(super) fn assign(&mut self, to: &Expr, value: &Expr) -> Result<Typed, SqlError> {
        let parts: Vec<&str> = match to {
            Expr::Identifier(ident) => vec![ident.value.as_str()],
            Expr::CompoundIdentifier(idents) => idents.iter().map(|ident: &Ident| ident.value.as_str()).collect(),
            _ => Vec::new(),
        };
        if !parts.first().is_some_and(|first| first.starts_with('@') && !first.starts_with("@@")) {
            return Err(SqlError::syntax(format!("{to} := sets nothing: only user variables, such as @x, can be set")));
        }
        let name = name(&parts);
        let value = self.expression(value)?;
        let value = match value.ty {
            Int | UInt | Double | Decimal(_) | Text | Blob => value,
            Null => Typed { ty: Text, ..value },
            _ => value.into_text(),
        };
        let (ty, nullable) = (value.ty, value.nullable);
        self.assigned.insert(name.clone(), ty);
        let sql = format!("z4_assign({}, {}, '{}')", literal::quoted(&name), value.sql, kind(ty));
        Ok(Typed { kind: Kind::Expression, ..Typed::new(sql, ty) }.null_if(nullable))
    }
}

/// How a function is told a type.
fn kind(ty: SqlType) -> String {
    match ty {
        Int => "i".to_owned(),
        UInt => "u".to_owned(),
        Double => "d".to_owned(),
        Decimal(digits) => format!("n{digits}"),
        Blob => "b".to_owned(),
        _ => "t".to_owned(),
    }
}

/// The name without `@`, in lower case.
pub(super) fn name(parts: &[&str]) -> String {
    parts.join(".").trim_start_matches('@').to_lowercase()
}

/// Names of user variables, and where they stand.
type Into = (Vec<String>, std::ops::Range<usize>);

/// `INTO @a, @b` of a SELECT, wherever it stands: the names, and the tokens of it.
pub(super) fn into(source: &Source) -> Result<Option<Into>, SqlError> {
    let is_user = |at: usize| source.word(at).starts_with('@');
    let Some(first) = (0..source.tokens.len()).find(|at| source.word(*at) == "INTO" && is_user(at + 1)) else { return Ok(None) };
    let mut names = Vec::new();
    let mut at = first + 1;
    loop {
        let Some(Token::Word(word)) = source.tokens.get(at).map(|token| &token.token).filter(|_| is_user(at)) else {
            return Err(source.syntax_at(at, "a user variable is expected"));
        };
        if word.value.starts_with("@@") {
            return Err(source.syntax_at(at, "a user variable is expected"));
        }
        names.push(name(&[&word.value]));
        at += 1;
        if source.word(at) != "," {
            return Ok(Some((names, first..at)));
        }
        at += 1;
    }
}
