//! What a client is told of a column: MySQL's type, character set, length and flags.

use super::bytes::{push_number, push_string};
use crate::sql::statement::OutColumn;
use crate::sql::types::SqlType;

/// Text: utf8mb4_bin.
pub(super) const UTF8MB4_BIN: u16 = 46;
/// Everything that is not text.
const BINARY: u16 = 63;

const NOT_NULL_FLAG: u16 = 1;
const BLOB_FLAG: u16 = 1 << 4;
const UNSIGNED_FLAG: u16 = 1 << 5;
const BINARY_FLAG: u16 = 1 << 7;

/// MySQL's numbers of types.
pub(super) mod kind {
    pub(crate) const DECIMAL: u8 = 0;
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const NULL: u8 = 6;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const TINY_BLOB: u8 = 249;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
}

/// How a type is told.
struct Told {
    kind: u8,
    charset: u16,
    length: u32,
    decimals: u8,
    flags: u16,
}

/// A column that is an expression, or a parameter.
pub(super) fn expression(name: &str, ty: SqlType) -> OutColumn {
    OutColumn { name: name.to_owned(), table: String::new(), origin: None, ty, nullable: true, whole: 0 }
}

/// Appends a definition's payload.
pub(super) fn push(into: &mut Vec<u8>, column: &OutColumn) {
    let Told { kind, charset, length, decimals, mut flags } = told(column.ty);
    if !column.nullable {
        flags |= NOT_NULL_FLAG;
    }
    let (schema, table, name) = column.origin.unwrap_or_default();
    for text in ["def", schema, &column.table, table, &column.name, name] {
        push_string(into, text.as_bytes());
    }
    push_number(into, 12);
    into.extend_from_slice(&charset.to_le_bytes());
    into.extend_from_slice(&length.to_le_bytes());
    into.push(kind);
    into.extend_from_slice(&flags.to_le_bytes());
    into.extend_from_slice(&[decimals, 0, 0]);
}

fn told(ty: SqlType) -> Told {
    let told = |kind, length, decimals, flags| Told { kind, charset: BINARY, length, decimals, flags: flags | BINARY_FLAG };
    let fraction = |digits: u8| if digits == 0 { 0 } else { 1 + u32::from(digits) };
    match ty {
        SqlType::Null => told(kind::NULL, 0, 0, 0),
        SqlType::Int => told(kind::LONGLONG, 20, 0, 0),
        SqlType::UInt => told(kind::LONGLONG, 20, 0, UNSIGNED_FLAG),
        // 31: as many decimals as it takes.
        SqlType::Double => told(kind::DOUBLE, 22, 31, 0),
        SqlType::Decimal(scale) => told(kind::NEWDECIMAL, 67, scale.min(30), 0),
        SqlType::Blob => told(kind::BLOB, u32::MAX, 0, BLOB_FLAG),
        SqlType::Timestamp(digits) | SqlType::DateTime(digits) => told(kind::DATETIME, 19 + fraction(digits), digits.min(6), 0),
        SqlType::Date => told(kind::DATE, 10, 0, 0),
        SqlType::Time(digits) => told(kind::TIME, 10 + fraction(digits), digits.min(6), 0),
        // No BINARY flag, although the collation is binary: clients take it for bytes.
        SqlType::Text => Told { kind: kind::VAR_STRING, charset: UTF8MB4_BIN, length: 4 * 65_535, decimals: 31, flags: 0 },
        SqlType::Json => Told { kind: kind::JSON, charset: UTF8MB4_BIN, length: u32::MAX, decimals: 0, flags: BLOB_FLAG },
    }
}
