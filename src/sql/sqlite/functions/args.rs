//! Arguments and results of functions, and how a value of one kind is read as another.

use std::borrow::Cow;

use rusqlite::functions::Context;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use super::{print, session};
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;
use crate::sql::sqlite::memory;

/// MySQL's `max_allowed_packet`: a longer result is NULL.
pub(super) const PACKET_MAX: usize = 16 << 20;

/// The arguments of a call. One that is not there is NULL.
pub(super) struct Args<'a>(pub(super) &'a Context<'a>);

/// What a function gives.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Out {
    Null,
    Int(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
    /// This argument as it came.
    Arg(usize),
}

/// A number as SQLite has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Real(f64),
}

impl Number {
    pub(super) fn real(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Real(value) => value,
        }
    }

    pub(super) fn is_zero(self) -> bool {
        matches!(self, Number::Int(0)) || self.real() == 0.0
    }
}

impl Out {
    /// What goes to SQLite: `None` is NULL, and so is an argument that a call does not have.
    pub(super) fn of(result: Option<Out>, arguments: usize) -> Out {
        result.filter(|out| !matches!(out, Out::Arg(at) if *at >= arguments)).unwrap_or(Out::Null)
    }

    /// A copy of a value.
    pub(super) fn copy(value: ValueRef<'_>) -> Out {
        match value {
            ValueRef::Null => Out::Null,
            ValueRef::Integer(value) => Out::Int(value),
            ValueRef::Real(value) => Out::Real(value),
            ValueRef::Text(bytes) => Out::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Out::Blob(bytes.to_vec()),
        }
    }

    /// The value; what an argument is stands elsewhere.
    pub(super) fn value(&self) -> ValueRef<'_> {
        match self {
            Out::Null | Out::Arg(_) => ValueRef::Null,
            Out::Int(value) => ValueRef::Integer(*value),
            Out::Real(value) => ValueRef::Real(*value),
            Out::Text(bytes) => ValueRef::Text(bytes),
            Out::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    /// A string, a BLOB or a text.
    pub(super) fn string(bytes: impl Into<Vec<u8>>, blob: bool) -> Out {
        if blob { Out::Blob(bytes.into()) } else { Out::Text(bytes.into()) }
    }

    /// A number that is one: NULL for infinities and what is none.
    pub(super) fn finite(value: f64) -> Option<Out> {
        value.is_finite().then_some(Out::Real(value))
    }
}

impl From<i64> for Out {
    fn from(value: i64) -> Self {
        Out::Int(value)
    }
}

impl From<bool> for Out {
    fn from(value: bool) -> Self {
        Out::Int(i64::from(value))
    }
}

impl From<String> for Out {
    fn from(value: String) -> Self {
        Out::Text(value.into_bytes())
    }
}

impl From<&str> for Out {
    fn from(value: &str) -> Self {
        Out::Text(value.as_bytes().to_vec())
    }
}

impl From<Number> for Out {
    fn from(value: Number) -> Self {
        match value {
            Number::Int(value) => Out::Int(value),
            Number::Real(value) => Out::Real(value),
        }
    }
}

impl ToSql for Out {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Out::Arg(at) => ToSqlOutput::Arg(*at),
            other => ToSqlOutput::Borrowed(other.value()),
        })
    }
}

impl<'a> Args<'a> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn value(&self, at: usize) -> ValueRef<'a> {
        // SQLite may need memory to show a text, and rusqlite panics when it gets none.
        let _lenient = memory::lenient();
        if at < self.0.len() { self.0.get_raw(at) } else { ValueRef::Null }
    }

    pub(super) fn is_null(&self, at: usize) -> bool {
        matches!(self.value(at), ValueRef::Null)
    }

    pub(super) fn any_null(&self) -> bool {
        (0..self.len()).any(|at| self.is_null(at))
    }

    pub(super) fn is_blob(&self, at: usize) -> bool {
        matches!(self.value(at), ValueRef::Blob(_))
    }

    /// The bytes of a string; numbers are written.
    pub(super) fn bytes(&self, at: usize) -> Option<Cow<'a, [u8]>> {
        bytes_of(self.value(at))
    }

    /// A text; what is not UTF-8 is replaced.
    pub(super) fn text(&self, at: usize) -> Option<Cow<'a, str>> {
        text_of(self.value(at))
    }

    pub(super) fn number(&self, at: usize) -> Option<Number> {
        number_of(self.value(at))
    }

    pub(super) fn real(&self, at: usize) -> Option<f64> {
        self.number(at).map(Number::real)
    }

    pub(super) fn exact(&self, at: usize) -> Option<Dec> {
        exact_of(self.value(at))
    }

    pub(super) fn int(&self, at: usize) -> Option<i64> {
        int_of(self.value(at))
    }

    /// An integer, or what stands for it where there is no such argument.
    pub(super) fn int_or(&self, at: usize, other: i64) -> Option<i64> {
        if at < self.len() { self.int(at) } else { Some(other) }
    }

    /// A DATETIME: an integer is one already, text is read as a date.
    pub(super) fn moment(&self, at: usize) -> Option<i64> {
        match self.value(at) {
            ValueRef::Null => None,
            ValueRef::Integer(us) => Some(us),
            ValueRef::Real(us) => Some(us as i64),
            ValueRef::Text(text) | ValueRef::Blob(text) => session::zone().cast_wall(std::str::from_utf8(text).ok()?),
        }
    }

    /// The same as a TIMESTAMP.
    pub(super) fn timestamp(&self, at: usize) -> Option<i64> {
        match self.value(at) {
            ValueRef::Text(text) | ValueRef::Blob(text) => session::zone().cast_timestamp(std::str::from_utf8(text).ok()?),
            _ => self.moment(at),
        }
    }
}

pub(super) fn bytes_of(value: ValueRef<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(Cow::Owned(value.to_string().into_bytes())),
        ValueRef::Real(value) => Some(Cow::Owned(print::double(value).into_bytes())),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
    }
}

pub(super) fn text_of(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    Some(match bytes_of(value)? {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

pub(super) fn number_of(value: ValueRef<'_>) -> Option<Number> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(Number::Int(value)),
        ValueRef::Real(value) => Some(Number::Real(value)),
        ValueRef::Text(bytes) => Some(Number::Real(numeric_prefix(bytes))),
        ValueRef::Blob(bytes) => {
            Some(Number::Real(Dec::decode(bytes).map_or_else(|| numeric_prefix(bytes), |exact| exact.to_double())))
        }
    }
}

/// An exact number: of a DOUBLE its shortest digits, of a text those that it begins with.
pub(super) fn exact_of(value: ValueRef<'_>) -> Option<Dec> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(Dec::from(value)),
        ValueRef::Real(value) => Dec::of_double(value),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).unwrap_or_default().trim_start();
            let end = text
                .bytes()
                .enumerate()
                .take_while(|(at, b)| b.is_ascii_digit() || *b == b'.' || *at == 0 && matches!(b, b'-' | b'+'));
            let digits = text.get(..end.count()).unwrap_or_default();
            let exponent = text.get(digits.len()..).is_some_and(|rest| rest.starts_with(['e', 'E']));
            match Dec::parse(digits) {
                Some(exact) if !exponent => Some(exact),
                _ => Dec::of_double(numeric_prefix(bytes)),
            }
        }
        ValueRef::Blob(bytes) => Dec::decode(bytes),
    }
}

/// Rounded, away from zero at a half; a text's integer prefix; what is out of range is the nearest integer.
pub(super) fn int_of(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value),
        ValueRef::Real(value) => Some(value.round() as i64),
        ValueRef::Text(bytes) => Some(integer_prefix(bytes)),
        ValueRef::Blob(bytes) => Some(Dec::decode(bytes).map_or_else(|| integer_prefix(bytes), |exact| exact.to_int())),
    }
}

fn integer_prefix(bytes: &[u8]) -> i64 {
    let bytes = bytes.trim_ascii_start();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    digits.iter().take_while(|b| b.is_ascii_digit()).fold(0_i64, |value, b| {
        let digit = i64::from(b - b'0');
        let digit = if negative { -digit } else { digit };
        value.saturating_mul(10).saturating_add(digit)
    })
}

/// The number that a text begins with; 0 when it begins with none.
pub(super) fn numeric_prefix(bytes: &[u8]) -> f64 {
    let bytes = bytes.trim_ascii_start();
    let digits = |from: usize| bytes.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let whole = digits(end);
    end += whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits(end + 1);
        end += 1 + fraction;
    }
    if whole + fraction == 0 {
        return 0.0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits(end + 1 + sign);
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    let text = bytes.get(..end).and_then(|number| std::str::from_utf8(number).ok()).unwrap_or("0");
    text.parse::<f64>().unwrap_or(0.0).clamp(f64::MIN, f64::MAX)
}

/// Upper case where it is one letter, too.
pub(super) fn upper_char(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

/// Lower case where it is one letter, too.
pub(super) fn lower_char(letter: char) -> char {
    let mut lower = letter.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

/// An error as SQLite carries it: code, SQLSTATE and sentence, each behind a mark; a NUL would end the text.
pub(super) fn fault(error: &SqlError) -> rusqlite::Error {
    let text = format!("\u{1}{}\u{1}{}\u{1}{}", error.code, error.state, error.message.replace('\0', ""));
    rusqlite::Error::UserFunctionError(text.into())
}
