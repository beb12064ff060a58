//! Literals that become parameters: statements that differ in them alone are compiled, and planned by SQLite, once.
//!
//! Lifted is a string or a whole number beside a value that it is compared with, in a WHERE or an ON, where the types of both say what
//! is written into SQLite's SQL for it, whatever it is ([`Reading`]). Every other literal stays as it is and tells statements apart:
//! its value may have been looked at, and what is selected is named after it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::compiler::Compiler;
use super::literal;
use super::scope::Clause;
use super::source::Source;
use super::typed::{Kind, Typed, Written};
use crate::sql::error::SqlError;
use crate::sql::statement::{Literal, Reading};
use crate::sql::types::Datum;
use crate::sql::types::SqlType::{self, DateTime, Double, Int, Json, Text, Timestamp, UInt};
use crate::sql::zones::Zone;

/// More literals of a statement are not lifted.
const LITERALS_MAX: usize = 64;
/// Those of a longer list are not lifted.
pub(super) const LIST_LIFTED_MAX: usize = 32;

/// The literals of a statement, by their tokens.
#[derive(Debug, Default)]
pub(super) struct Lifts {
    on: bool,
    /// How often each was compiled, less how often it became a parameter.
    met: BTreeMap<usize, isize>,
    lifted: BTreeMap<usize, Literal>,
}

/// A literal that may become a parameter.
struct Liftable {
    token: usize,
    literal: Literal,
    /// What SQLite's SQL has for it otherwise.
    sql: String,
    /// It is compared as a document.
    is_document: bool,
}

impl Lifts {
    /// Those of a statement, as far as its literals may become parameters.
    pub(super) fn of(source: &Source) -> Lifts {
        Lifts { on: source.lifts(), ..Lifts::default() }
    }

    /// A literal is compiled that stands at a token.
    pub(super) fn met(&mut self, typed: Typed, token: impl FnOnce() -> Option<usize>) -> Typed {
        if !self.on || !matches!(typed.kind, Kind::Text(_) | Kind::Number(_)) {
            return typed;
        }
        let Some(token) = token() else { return typed };
        *self.met.entry(token).or_default() += 1;
        Typed { written: Some(Written::Literal(token)), ..typed }
    }

    /// Nothing was made of what became a parameter but the parameter.
    pub(super) fn are_whole(&self) -> bool {
        self.lifted.keys().all(|token| self.met.get(token) == Some(&0))
    }

    /// Those that became parameters, in the order of the text.
    pub(super) fn literals(self) -> Vec<Literal> {
        self.lifted.into_values().collect()
    }
}

impl Compiler<'_> {
    /// A literal beside `other` may become a parameter.
    pub(super) fn is_liftable(&self, other: &Typed, literal: &Typed) -> bool {
        self.liftable(other, literal).is_some()
    }

    /// [`Compiler::pair`]; the right side, from which nothing else is made, may become a parameter.
    pub(super) fn pair_lifting(&mut self, left: Typed, right: Typed) -> Result<(Typed, Typed), SqlError> {
        let liftable = self.liftable(&left, &right);
        let (left, right) = self.pair(left, right)?;
        Ok((
            left,
            match liftable {
                Some(liftable) if liftable.sql == right.sql => self.lift(liftable, right),
                _ => right,
            },
        ))
    }

    fn liftable(&self, other: &Typed, typed: &Typed) -> Option<Liftable> {
        let Some(Written::Literal(token)) = typed.written.filter(|_| self.lifts.on && other.kind == Kind::Expression) else {
            return None;
        };
        let filters = |clause| matches!(clause, Clause::Where | Clause::On);
        if !self.scopes.iter().all(|scope| filters(scope.clause) && !scope.never) {
            return None;
        }
        let reading = reading(other.ty, typed)?;
        let (place, written) = self.source.written(token)?;
        let (inner, length) = plain(written, reading)?;
        // Two strings one after the other are one literal.
        let whole = length == written.len() && literal::written(typed) == Some(inner);
        let param = self.lifts.lifted.get(&token).map_or(self.lifts.lifted.len() + 1, |before| before.param);
        if !whole || param > LITERALS_MAX {
            return None;
        }
        let value = value(reading, inner, self.zone())?;
        let is_document = other.ty == Json;
        let sql = match &value {
            Datum::Int(us) if reading != Reading::Whole => us.to_string(),
            _ if is_document => document_key(&typed.sql),
            _ => typed.sql.clone(),
        };
        let literal = Literal { place, reading, param, value };
        // One that is compiled twice becomes the same twice.
        let same = self.lifts.lifted.get(&token).is_none_or(|before| *before == literal);
        same.then_some(Liftable { token, literal, sql, is_document })
    }

    fn lift(&mut self, Liftable { token, literal, is_document, .. }: Liftable, typed: Typed) -> Typed {
        let param = format!("?{}", literal.param);
        let sql = if is_document { document_key(&param) } else { param };
        *self.lifts.met.entry(token).or_default() -= 1;
        self.lifts.lifted.insert(token, literal);
        Typed { sql, kind: Kind::Expression, written: None, ..typed }
    }
}

/// What a document is compared with.
fn document_key(sql: &str) -> String {
    format!("z4_json_key(z4_json({sql}))")
}

/// How a literal is read beside a value of a type, when that follows from both types alone.
fn reading(other: SqlType, literal: &Typed) -> Option<Reading> {
    match (other, &literal.kind, literal.ty) {
        (Text | Json, Kind::Text(_), Text) => Some(Reading::Text),
        (Timestamp(_), Kind::Text(_), Text) => Some(Reading::Timestamp),
        (DateTime(_), Kind::Text(_), Text) => Some(Reading::DateTime),
        (Int | UInt | Double | Json, Kind::Number(_), Int) => Some(Reading::Whole),
        _ => None,
    }
}

/// The literal that a text begins with: what it says, and its bytes; `None`: it is not of this kind, or is written with escapes.
fn plain(text: &str, reading: Reading) -> Option<(&str, usize)> {
    if reading == Reading::Whole {
        let length = text.bytes().take_while(u8::is_ascii_digit).count();
        return text.get(..length).filter(|digits| !digits.is_empty()).map(|digits| (digits, length));
    }
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = text.get(1..)?.split(quote).next()?;
    let length = inner.len() + 2;
    let ends = text.get(1 + inner.len()..)?.starts_with(quote) && !text.get(length..)?.starts_with(quote);
    (ends && !inner.contains(['\\', '\0'])).then_some((inner, length))
}

/// The parameter that is made of a literal; `None`: it is none that is read so.
fn value(reading: Reading, text: &str, zone: &Zone) -> Option<Datum> {
    match reading {
        Reading::Text => Some(Datum::Text(text.to_owned())),
        Reading::Whole => text.parse().ok().map(Datum::Int),
        Reading::Timestamp => zone.read_timestamp(text).map(Datum::Int),
        Reading::DateTime => zone.read_wall(text).map(Datum::Int),
    }
}

/// What stands for the literals of a query that was made of a statement, when another statement is to be answered by it; `None`: they
/// differ in more than these literals, or in their kinds.
pub fn values(literals: &[Literal], statement: &str, other: &str, zone: &Zone) -> Option<Vec<Datum>> {
    let mut values = vec![Datum::Null; literals.len()];
    let (mut rest, mut at) = (other, 0);
    for Literal { place: Range { start, end }, reading, param, .. } in literals {
        rest = rest.strip_prefix(statement.get(at..*start)?)?;
        let (inner, length) = plain(rest, *reading)?;
        *values.get_mut(param - 1)? = value(*reading, inner, zone)?;
        rest = rest.get(length..)?;
        at = *end;
    }
    (rest == statement.get(at..)?).then_some(values)
}
