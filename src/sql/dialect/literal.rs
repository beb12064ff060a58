//! Literals: read from MySQL's forms, written in SQLite's.

use std::fmt::Write;

use sqlparser::ast::Value;

use super::errors::incorrect;
use super::typed::{Kind, Typed};
use crate::sql::datetime::{self, span};
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;
use crate::sql::own::UserValue;
use crate::sql::types::Datum;
use crate::sql::types::SqlType::{self, Blob, Date, DateTime, Decimal, Double, Int, Text, Time, UInt};
use crate::sql::zones::Zone;

/// A string in SQLite's SQL.
pub(super) fn quoted(text: &str) -> String {
    if text.contains('\0') {
        return format!("CAST(X'{}' AS TEXT)", hex(text.as_bytes()));
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// A name in SQLite's SQL. A NUL would end the statement: its picture stands for it, inside SQLite alone.
pub(super) fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\"").replace('\0', "\u{2400}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Bytes as a literal.
pub(super) fn bytes(bytes: Vec<u8>) -> Typed {
    let sql = format!("X'{}'", hex(&bytes));
    Typed { kind: Kind::Bytes(bytes), ..Typed::new(sql, Blob) }.never_null()
}

/// A number as it was written.
pub(super) fn number(text: &str) -> Typed {
    let ty = if text.contains(['e', 'E']) {
        Double
    } else if let Some((_, fraction)) = text.split_once('.') {
        Decimal(fraction.len().min(30) as u8)
    } else if text.parse::<i64>().is_ok() {
        Int
    } else if text.parse::<u64>().is_ok() {
        UInt
    } else {
        Decimal(0)
    };
    let (sql, ty) = match (ty, Dec::parse(text)) {
        (Decimal(_) | UInt, Some(exact)) => (format!("X'{}'", hex(&exact.encode())), ty),
        // More digits than a DECIMAL has.
        (Decimal(_), None) => (real(text), Double),
        _ => (text.to_owned(), ty),
    };
    Typed { kind: Kind::Number(text.to_owned()), ..Typed::new(sql, ty) }.never_null()
}

/// A number as SQLite's REAL.
pub(super) fn real(text: &str) -> String {
    if text.contains(['.', 'e', 'E']) { text.to_owned() } else { format!("{text}.0") }
}

/// The number at the beginning of a text, as MySQL takes it; 0 when there is none.
pub(super) fn numeric_prefix(text: &str) -> Typed {
    let text = text.trim_start();
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => ("-", text.get(1..).unwrap_or_default()),
        Some(b'+') => ("", text.get(1..).unwrap_or_default()),
        _ => ("", text),
    };
    let count = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = count(digits);
    let mut length = whole;
    let after = digits.get(length..).unwrap_or_default();
    if let Some(fraction) = after.strip_prefix('.').map(count).filter(|fraction| whole + fraction > 0) {
        length += 1 + fraction;
    }
    let after = digits.get(length..).unwrap_or_default();
    if length > 0 && after.starts_with(['e', 'E']) {
        let signed = after.get(1..).unwrap_or_default();
        let exponent = signed.strip_prefix(['+', '-']).unwrap_or(signed);
        if count(exponent) > 0 {
            length += 1 + (signed.len() - exponent.len()) + count(exponent);
        }
    }
    match digits.get(..length) {
        Some(digits) if length > 0 => {
            let value = number(&format!("{sign}{digits}"));
            // A string is no exact number: '1.50' compares and shows as 1.5.
            if value.ty == Int { value } else { Typed { ty: Double, ..value.into_real() } }
        }
        _ => Typed::int(0),
    }
}

/// Bytes as MySQL counts with them: the highest first.
pub(super) fn number_of_bytes(bytes: &[u8]) -> Typed {
    let value = bytes.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    Typed { ty: if i64::try_from(value).is_ok() { Int } else { UInt }, ..number(&value.to_string()) }
}

/// Digits of the fraction that a text shows.
pub(super) fn fraction_digits(text: &str) -> u8 {
    let Some((_, fraction)) = text.rsplit_once('.').filter(|(before, _)| before.contains(':') || !before.contains(['-', '.']))
    else {
        return 0;
    };
    fraction.bytes().take_while(u8::is_ascii_digit).count().min(6) as u8
}

/// The DATETIME that a literal names, and its digits.
pub(super) fn moment(literal: &Typed, zone: &Zone) -> Option<(i64, u8)> {
    match &literal.kind {
        Kind::Text(text) => zone.read_wall(text).map(|us| (us, fraction_digits(text))),
        Kind::Number(text) => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            if !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let micros = Dec::parse(&format!("0.{fraction}0"))?.times(&Dec::from(datetime::SECOND)).to_int();
            datetime::parse_number_with(whole.parse().ok()?, micros).map(|us| (us, fraction_digits(text)))
        }
        _ => None,
    }
}

/// The TIMESTAMP that a literal names, and its digits.
pub(super) fn timestamp(literal: &Typed, zone: &Zone) -> Option<(i64, u8)> {
    match &literal.kind {
        Kind::Text(text) => zone.read_timestamp(text).map(|us| (us, fraction_digits(text))),
        _ => moment(literal, zone).map(|(us, digits)| (zone.timestamp(us), digits)),
    }
}

/// What the user wrote, for an error.
pub(super) fn written(literal: &Typed) -> Option<&str> {
    match &literal.kind {
        Kind::Text(text) | Kind::Number(text) => Some(text),
        _ => None,
    }
}

/// `DATE '…'`, `TIME '…'`, `TIMESTAMP '…'`.
pub(super) fn typed(ty: SqlType, text: &str, zone: &Zone) -> Result<Typed, SqlError> {
    match ty {
        Date => {
            let us = zone.read_wall(text).ok_or_else(|| incorrect("DATE", text))?;
            Ok(Typed { ty: Date, ..Typed::text(datetime::format_date(us, 0)) })
        }
        Time(_) => match span::parse(text.trim()).filter(|us| us.abs() <= span::SPAN_MAX) {
            Some(us) => Ok(Typed::new(us.to_string(), Time(fraction_digits(text))).never_null()),
            None => Err(incorrect("TIME", text)),
        },
        _ => {
            let us = zone.read_wall(text).ok_or_else(|| incorrect("DATETIME", text))?;
            Ok(Typed::new(us.to_string(), DateTime(fraction_digits(text))).never_null())
        }
    }
}

/// A literal of the statement; `None`: it is none of MySQL's.
pub(super) fn value(value: &Value) -> Option<Typed> {
    Some(match value {
        Value::Number(text, _) => number(text),
        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) | Value::NationalStringLiteral(text) => {
            Typed::text(text)
        }
        Value::HexStringLiteral(digits) => bytes(unhex(digits)?),
        Value::SingleQuotedByteStringLiteral(digits) | Value::DoubleQuotedByteStringLiteral(digits) => bytes(bits(digits)?),
        Value::Boolean(value) => Typed { kind: Kind::Truth, ..Typed::int(i64::from(*value)) },
        Value::Null => Typed::null(),
        _ => return None,
    })
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect()
}

/// `b'01'`: whole bytes, filled with zeros from the left.
pub(super) fn bits(digits: &str) -> Option<Vec<u8>> {
    if digits.is_empty() || digits.len() > 4096 {
        return digits.is_empty().then(Vec::new);
    }
    let filled = format!("{}{digits}", "0".repeat((8 - digits.len() % 8) % 8));
    let bytes = filled.as_bytes().chunks(8);
    bytes.map(|byte| std::str::from_utf8(byte).ok().and_then(|byte| u8::from_str_radix(byte, 2).ok())).collect()
}

/// A value of the session.
pub(super) fn datum(datum: &Datum) -> Typed {
    match datum {
        Datum::Null => Typed { ty: Text, ..Typed::null() },
        Datum::Int(value) => Typed::int(*value),
        Datum::UInt(value) => Typed { ty: UInt, ..number(&value.to_string()) },
        Datum::Double(value) if value.is_finite() => {
            let text = format!("{value:?}");
            Typed { ty: Double, sql: real(&text), ..number(&text) }
        }
        Datum::Double(_) => Typed::null(),
        Datum::Text(text) => Typed::text(text),
        Datum::Blob(value) => bytes(value.clone()),
    }
}

/// The value of a user variable.
pub(super) fn user_value(value: &UserValue) -> Typed {
    match (&value.datum, value.ty) {
        (Datum::Text(text), Decimal(_)) => Typed { ty: value.ty, ..number(text) },
        (found, _) => datum(found),
    }
}
