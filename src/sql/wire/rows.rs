//! Cells become the client's text or binary form by their column's type. SQLite's values are dynamic: one that is not of its column's
//! type is converted; what cannot be converted is NULL in the binary form and shown as it is in the text form.

use std::borrow::Cow;

use super::bytes::push_string;
use super::moments::{Clock, Moment};
use super::numbers::{finite, integer, prefix, push_decimal, push_decimal_int, push_double, push_int};
use super::outgoing::Outgoing;
use crate::sql::decimal::{Dec, SCALE_MAX};
use crate::sql::own::UserValue;
use crate::sql::result::{Batch, Cell};
use crate::sql::types::{Datum, SqlType};
use crate::sql::zones::Zone;

const NULL: u8 = 0xfb;

/// How rows are written.
#[derive(Clone, Debug)]
pub(super) struct Form {
    /// The columns' types.
    pub(super) types: Vec<SqlType>,
    /// The binary protocol of prepared statements, or the text protocol.
    pub(super) binary: bool,
    /// Of TIMESTAMPs.
    pub(super) zone: Zone,
}

impl Form {
    /// Appends rows of a batch, from one on, until the buffer is full; returns the first row that is left.
    pub(super) fn push(&self, outgoing: &mut Outgoing, batch: &Batch, from: usize) -> Option<usize> {
        let width = self.types.len().max(1);
        for (at, row) in batch.cells.chunks_exact(width).enumerate().skip(from) {
            if outgoing.is_full() {
                return Some(at);
            }
            let open = outgoing.open();
            if self.binary {
                self.push_binary(outgoing.payload(), batch, row)
            } else {
                self.push_text(outgoing.payload(), batch, row)
            }
            outgoing.close(open);
        }
        None
    }

    /// A value as a user variable keeps it: numbers as such, everything else as the client would see it.
    pub(super) fn kept(&self, batch: &Batch, cell: Cell, ty: SqlType) -> UserValue {
        let text = |bytes: &[u8]| Datum::Text(String::from_utf8_lossy(bytes).into_owned());
        let short = || {
            let mut short = Vec::new();
            self.push_short(&mut short, batch, cell, ty);
            text(&short)
        };
        let (datum, ty) = match (ty, cell) {
            (SqlType::Int, cell) => (Datum::Int(int(batch, cell)), ty),
            (SqlType::UInt, Cell::Bytes { from, until }) => {
                let whole = Dec::decode(bytes(batch, from, until)).and_then(|exact| exact.to_u64());
                (Datum::UInt(whole.unwrap_or_else(|| int(batch, cell).cast_unsigned())), ty)
            }
            (SqlType::UInt, cell) => (Datum::UInt(int(batch, cell).cast_unsigned()), ty),
            (SqlType::Double, cell) => (Datum::Double(double(batch, cell)), ty),
            (SqlType::Decimal(_), _) => (short(), ty),
            (SqlType::Blob, Cell::Bytes { from, until }) => (Datum::Blob(bytes(batch, from, until).to_vec()), ty),
            (_, Cell::Bytes { from, until }) => (text(bytes(batch, from, until)), SqlType::Text),
            _ => (short(), SqlType::Text),
        };
        UserValue { datum: if cell == Cell::Null { Datum::Null } else { datum }, ty }
    }

    /// Appends a row of the text protocol.
    pub(super) fn push_text(&self, into: &mut Vec<u8>, batch: &Batch, row: &[Cell]) {
        for (cell, ty) in row.iter().zip(&self.types) {
            match cell {
                Cell::Null => into.push(NULL),
                Cell::Bytes { from, until } if !is_number(*ty) => push_string(into, &shown(bytes(batch, *from, *until), *ty)),
                // Anything else is short: its length is put in front of it afterwards.
                _ => {
                    let at = into.len();
                    into.push(0);
                    self.push_short(into, batch, *cell, *ty);
                    let length = into.len() - at - 1;
                    if let Ok(length @ ..=250) = u8::try_from(length) {
                        into[at] = length;
                    } else {
                        let text = into.split_off(at + 1);
                        into.truncate(at);
                        push_string(into, &text);
                    }
                }
            }
        }
    }

    /// A value as text, without its length.
    fn push_short(&self, into: &mut Vec<u8>, batch: &Batch, cell: Cell, ty: SqlType) {
        match (ty, cell) {
            (SqlType::Decimal(scale), Cell::Bytes { from, until }) => match Dec::decode(bytes(batch, from, until)) {
                Some(exact) => into.extend_from_slice(exact.to_text(scale.min(SCALE_MAX)).as_bytes()),
                None => push_decimal(into, double(batch, cell), scale),
            },
            (SqlType::UInt, Cell::Bytes { from, until }) => match Dec::decode(bytes(batch, from, until)) {
                Some(exact) => into.extend_from_slice(exact.to_text(0).as_bytes()),
                None => push_int(into, int(batch, cell)),
            },
            (SqlType::Decimal(scale), Cell::Int(value)) => push_decimal_int(into, value, scale),
            (SqlType::Decimal(scale), cell) => push_decimal(into, double(batch, cell), scale),
            (SqlType::Int | SqlType::UInt, cell) => push_int(into, int(batch, cell)),
            (SqlType::Double, cell) => push_double(into, double(batch, cell)),
            (SqlType::Timestamp(digits), cell) => Moment::from_us(self.zone.wall(int(batch, cell))).push(into, digits),
            (SqlType::DateTime(digits), cell) => Moment::from_us(int(batch, cell)).push(into, digits),
            (SqlType::Time(digits), cell) => Clock::from_span(int(batch, cell)).push(into, digits),
            (_, Cell::Double(value)) => push_double(into, value),
            (_, cell) => push_int(into, int(batch, cell)),
        }
    }

    fn push_binary(&self, into: &mut Vec<u8>, batch: &Batch, row: &[Cell]) {
        into.push(0);
        let nulls = into.len();
        into.resize(nulls + (row.len() + 2).div_ceil(8), 0);
        for (at, (cell, ty)) in row.iter().zip(&self.types).enumerate() {
            let there = *cell != Cell::Null && self.push_value(into, batch, *cell, *ty);
            if !there {
                into[nulls + (at + 2) / 8] |= 1 << ((at + 2) % 8);
            }
        }
    }

    /// A value in binary; false: it has none, and nothing was appended.
    fn push_value(&self, into: &mut Vec<u8>, batch: &Batch, cell: Cell, ty: SqlType) -> bool {
        match ty {
            SqlType::Null => return false,
            SqlType::UInt => {
                let exact = match cell {
                    Cell::Bytes { from, until } => Dec::decode(bytes(batch, from, until)).and_then(|exact| exact.to_u64()),
                    _ => None,
                };
                let value = exact.unwrap_or_else(|| int(batch, cell).cast_unsigned());
                into.extend_from_slice(&value.to_le_bytes());
            }
            SqlType::Int => into.extend_from_slice(&int(batch, cell).to_le_bytes()),
            SqlType::Double => into.extend_from_slice(&finite(double(batch, cell)).to_le_bytes()),
            SqlType::Timestamp(digits) | SqlType::DateTime(digits) => {
                let moment = match cell {
                    Cell::Bytes { from, until } => Moment::parse(bytes(batch, from, until)),
                    cell if matches!(ty, SqlType::Timestamp(_)) => Some(Moment::from_us(self.zone.wall(int(batch, cell)))),
                    cell => Some(Moment::from_us(int(batch, cell))),
                };
                let Some(moment) = moment else { return false };
                moment.push_binary(into, false, digits);
            }
            SqlType::Date => {
                let Some(moment) = text(batch, cell).and_then(Moment::parse) else { return false };
                moment.push_binary(into, true, 0);
            }
            SqlType::Time(digits) => {
                let clock = match cell {
                    Cell::Bytes { from, until } => Clock::parse(bytes(batch, from, until)),
                    cell => Some(Clock::from_span(int(batch, cell))),
                };
                let Some(clock) = clock else { return false };
                clock.push_binary(into, digits);
            }
            SqlType::Decimal(_) | SqlType::Text | SqlType::Blob | SqlType::Json => match cell {
                Cell::Bytes { from, until } if !is_number(ty) => push_string(into, &shown(bytes(batch, from, until), ty)),
                cell => {
                    let mut short = Vec::new();
                    self.push_short(&mut short, batch, cell, ty);
                    push_string(into, &short);
                }
            },
        }
        true
    }
}

/// What goes as utf8mb4 is UTF-8, whatever a function made of bytes: some clients give a connection up otherwise.
fn shown(bytes: &[u8], ty: SqlType) -> Cow<'_, [u8]> {
    if ty == SqlType::Blob {
        return Cow::Borrowed(bytes);
    }
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(_) => Cow::Borrowed(bytes),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Text is no value of it.
fn is_number(ty: SqlType) -> bool {
    matches!(ty, SqlType::Int | SqlType::UInt | SqlType::Double | SqlType::Decimal(_))
}

fn bytes(batch: &Batch, from: u32, until: u32) -> &[u8] {
    batch.arena.get(from as usize..until as usize).unwrap_or_default()
}

fn text(batch: &Batch, cell: Cell) -> Option<&[u8]> {
    match cell {
        Cell::Bytes { from, until } => Some(bytes(batch, from, until)),
        _ => None,
    }
}

fn int(batch: &Batch, cell: Cell) -> i64 {
    match cell {
        Cell::Null => 0,
        Cell::Int(value) => value,
        // The cast keeps to the limits.
        Cell::Double(value) => value.round() as i64,
        Cell::Bytes { from, until } => integer(bytes(batch, from, until)),
    }
}

fn double(batch: &Batch, cell: Cell) -> f64 {
    match cell {
        Cell::Null => 0.0,
        Cell::Int(value) => value as f64,
        Cell::Double(value) => value,
        Cell::Bytes { from, until } => prefix(bytes(batch, from, until)),
    }
}
