//! The parameters of `COM_STMT_EXECUTE`. opensrv's own decoder stops the process at types that it does not know and at packets that are
//! cut; this one answers an error.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::bytes::Input;
use super::columns::kind;
use crate::sql::datetime::{self, span};
use crate::sql::decimal::{Dec, SCALE_MAX};
use crate::sql::error::SqlError;
use crate::sql::types::{Datum, SqlType};

/// The parameters of an execution, as the engine binds them, and their types.
#[derive(Debug, Default)]
pub(super) struct Params {
    pub(super) values: Vec<Datum>,
    pub(super) types: Vec<SqlType>,
}

/// What a prepared statement remembers of its parameters from one execution to the next.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// How many there are.
    pub(super) count: usize,
    /// Type and whether it is unsigned: sent with the first execution, and again only when they change.
    types: Vec<(u8, bool)>,
    /// Values that came before, in pieces.
    pub(super) long: BTreeMap<u16, Vec<u8>>,
}

fn malformed() -> SqlError {
    SqlError::new(1835, "HY000", "Malformed communication packet.")
}

impl Bound {
    /// So many parameters, of types that are not known yet.
    pub(super) fn new(count: usize) -> Bound {
        Bound { count, ..Bound::default() }
    }

    /// Decodes what comes after the statement's id: flags, iterations, which are NULL, types, values.
    ///
    /// # Errors
    /// 1835: it is cut, or has a type that there is not.
    pub(super) fn decode(&mut self, mut input: Input<'_>) -> Result<Params, SqlError> {
        input.take(5).ok_or_else(malformed)?;
        if self.count == 0 {
            return Ok(Params::default());
        }
        let nulls = input.take(self.count.div_ceil(8)).ok_or_else(malformed)?;
        if input.u8().ok_or_else(malformed)? != 0 {
            let types = input.take(2 * self.count).ok_or_else(malformed)?;
            self.types = types.chunks_exact(2).map(|pair| (pair[0], pair[1] & 0x80 != 0)).collect();
        }
        if self.types.len() != self.count {
            return Err(malformed());
        }
        let value = |(at, (kind, unsigned)): (usize, &(u8, bool))| {
            // Values sent before have no place among the others, whatever the bitmap says.
            if let Some(long) = u16::try_from(at).ok().and_then(|at| self.long.get(&at)) {
                return Ok(string(*kind, long));
            }
            if nulls[at / 8] & 1 << (at % 8) != 0 {
                return Ok((Datum::Null, SqlType::Null));
            }
            decode(&mut input, *kind, *unsigned).ok_or_else(malformed)
        };
        let decoded = self.types.iter().enumerate().map(value).collect::<Result<Vec<_>, _>>()?;
        let (values, types) = decoded.into_iter().unzip();
        Ok(Params { values, types })
    }
}

fn decode(input: &mut Input<'_>, kind: u8, unsigned: bool) -> Option<(Datum, SqlType)> {
    let double = |value: f64| (Datum::Double(value), SqlType::Double);
    let int = |signed: i64, all: u64| match i64::try_from(all) {
        _ if !unsigned => (Datum::Int(signed), SqlType::Int),
        Ok(_) => (Datum::UInt(all), SqlType::UInt),
        Err(_) => (Datum::Blob(Dec::from(all).encode()), SqlType::UInt),
    };
    Some(match kind {
        kind::NULL => (Datum::Null, SqlType::Null),
        kind::TINY => input.u8().map(|v| int(i64::from(v as i8), u64::from(v)))?,
        kind::SHORT | kind::YEAR => input.u16().map(|v| int(i64::from(v as i16), u64::from(v)))?,
        kind::LONG | kind::INT24 => input.u32().map(|v| int(i64::from(v as i32), u64::from(v)))?,
        kind::LONGLONG => input.array().map(u64::from_le_bytes).map(|v| int(v as i64, v))?,
        // The digits that a FLOAT has, and not those of the DOUBLE nearest to it.
        kind::FLOAT => double(f32::from_le_bytes(input.array()?).to_string().parse().ok()?),
        kind::DOUBLE => double(f64::from_le_bytes(input.array()?)),
        kind::DATE => date(moment(input, true)?),
        kind::DATETIME | kind::TIMESTAMP => date(moment(input, false)?),
        kind::TIME => {
            let text = clock(input)?;
            (Datum::Int(span::parse(&text)?), SqlType::Time(fraction(&text)))
        }
        kind::DECIMAL | kind::NEWDECIMAL => number(input.string()?),
        kind::VARCHAR | kind::BIT | kind::JSON..=kind::STRING | 255 => string(kind, input.string()?),
        _ => return None,
    })
}

/// Text if the client means text; what is no UTF-8 can only be bytes.
fn string(kind: u8, bytes: &[u8]) -> (Datum, SqlType) {
    let binary = matches!(kind, kind::TINY_BLOB..=kind::BLOB | kind::BIT | 255);
    match String::from_utf8(bytes.to_vec()) {
        Ok(text) if !binary => (Datum::Text(text), SqlType::Text),
        Ok(text) => (Datum::Blob(text.into_bytes()), SqlType::Blob),
        Err(error) => (Datum::Blob(error.into_bytes()), SqlType::Blob),
    }
}

/// A DECIMAL, with its digits.
fn number(bytes: &[u8]) -> (Datum, SqlType) {
    let text = String::from_utf8_lossy(bytes).trim().to_owned();
    match Dec::parse(&text) {
        Some(exact) => {
            let scale = text.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(usize::from(SCALE_MAX)));
            (Datum::Blob(exact.encode()), SqlType::Decimal(scale as u8))
        }
        None => (Datum::Text(text), SqlType::Text),
    }
}

/// A DATE or a DATETIME by its text; one with a month or a day of 0 stays text, which is no date.
fn date(text: String) -> (Datum, SqlType) {
    match datetime::parse_civil(&text) {
        Some(_) if text.len() <= 10 => (Datum::Text(text), SqlType::Date),
        Some((civil, _)) => (Datum::Int(datetime::from_civil(&civil, 0)), SqlType::DateTime(fraction(&text))),
        None => (Datum::Text(text), SqlType::Text),
    }
}

/// Digits behind the point.
fn fraction(text: &str) -> u8 {
    if text.contains('.') { 6 } else { 0 }
}

fn moment(input: &mut Input<'_>, date: bool) -> Option<String> {
    let length = usize::from(input.u8()?);
    let mut input = Input(input.take(length)?);
    if !matches!(length, 0 | 4 | 7 | 11) {
        return None;
    }
    let [year, month, day] = if length == 0 { [0; 3] } else { [input.u16()?, u16::from(input.u8()?), u16::from(input.u8()?)] };
    let mut text = format!("{year:04}-{month:02}-{day:02}");
    if length < 7 && date {
        return Some(text);
    }
    let [hours, minutes, seconds] = if length >= 7 { input.array()? } else { [0; 3] };
    // Writing to a String does not fail.
    let _ = write!(text, " {hours:02}:{minutes:02}:{seconds:02}");
    if length == 11 {
        let _ = write!(text, ".{:06}", input.u32()?);
    }
    Some(text)
}

fn clock(input: &mut Input<'_>) -> Option<String> {
    let length = usize::from(input.u8()?);
    let mut input = Input(input.take(length)?);
    if length == 0 {
        return Some("00:00:00".to_owned());
    }
    if !matches!(length, 8 | 12) {
        return None;
    }
    let sign = if input.u8()? == 0 { "" } else { "-" };
    let days = u64::from(input.u32()?);
    let [hours, minutes, seconds] = input.array()?;
    let mut text = format!("{sign}{:02}:{minutes:02}:{seconds:02}", days * 24 + u64::from(hours));
    if length == 12 {
        let _ = write!(text, ".{:06}", input.u32()?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    //! Values of every type are decoded; types are remembered; every packet that is cut gives an error and nothing else.
    use super::*;
    use proptest::prelude::*;

    fn packet(types: &[(u8, u8)], nulls: u8, values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0, 0, nulls, 1];
        bytes.extend(types.iter().flat_map(|(kind, flag)| [*kind, *flag]));
        bytes.extend_from_slice(values);
        bytes
    }

    fn one(kind: u8, flag: u8, value: &[u8]) -> Datum {
        let bytes = packet(&[(kind, flag)], 0, value);
        for end in 0..bytes.len() {
            assert_eq!(Bound::new(1).decode(Input(&bytes[..end])).expect_err("cut").code, 1835, "{end} of {bytes:?}");
        }
        Bound::new(1).decode(Input(&bytes)).expect("whole").values.remove(0)
    }

    #[test]
    fn every_type() {
        let text = |text: &str| Datum::Text(text.to_owned());
        let exact = |text: &str| Datum::Blob(Dec::parse(text).expect("a number").encode());
        let day = 1_650_067_200_000_000;
        assert_eq!(one(1, 0, &[0xff]), Datum::Int(-1));
        assert_eq!(one(1, 0x80, &[0xff]), Datum::UInt(255));
        assert_eq!(one(2, 0, &[0xfe, 0xff]), Datum::Int(-2));
        assert_eq!(one(3, 0, &[1, 0, 0, 0]), Datum::Int(1));
        assert_eq!(one(9, 0, &[1, 0, 0, 0]), Datum::Int(1));
        assert_eq!(one(8, 0x80, &[0xff; 8]), Datum::Blob(Dec::from(u64::MAX).encode()));
        assert_eq!(one(8, 0, &[0xff; 8]), Datum::Int(-1));
        assert_eq!(one(13, 0x80, &[0xe6, 7]), Datum::UInt(2022));
        assert_eq!(one(4, 0, &1.5_f32.to_le_bytes()), Datum::Double(1.5));
        assert_eq!(one(5, 0, &0.1_f64.to_le_bytes()), Datum::Double(0.1));
        assert_eq!(one(0, 0, b"\x0212"), exact("12"));
        assert_eq!(one(246, 0, b"\x041.25"), exact("1.25"));
        assert_eq!(one(253, 0, b"\x02hi"), text("hi"));
        assert_eq!(one(254, 0, b"\x01\xff"), Datum::Blob(vec![0xff]));
        assert_eq!(one(245, 0, b"\x02{}"), text("{}"));
        assert_eq!(one(252, 0, b"\x02hi"), Datum::Blob(b"hi".to_vec()));
        assert_eq!(one(10, 0, &[4, 0xe6, 7, 4, 16]), text("2022-04-16"));
        assert_eq!(one(12, 0, &[4, 0xe6, 7, 4, 16]), Datum::Int(day));
        assert_eq!(one(12, 0, &[11, 0xe6, 7, 4, 16, 1, 2, 3, 0xe8, 3, 0, 0]), Datum::Int(day + 3_723_001_000));
        assert_eq!(one(7, 0, &[7, 0xe6, 7, 4, 16, 1, 2, 3]), Datum::Int(day + 3_723_000_000));
        assert_eq!(one(11, 0, &[8, 1, 1, 0, 0, 0, 2, 3, 4]), Datum::Int(-(26 * 3_600 + 184) * 1_000_000));
        assert_eq!(one(11, 0, &[0]), Datum::Int(0));
        let unknown = Bound::new(1).decode(Input(&packet(&[(99, 0)], 0, &[0; 20]))).expect_err("no such type");
        assert_eq!(unknown.code, 1835);
    }

    #[test]
    fn types_are_remembered_and_long_values_stand_outside() {
        let mut bound = Bound::new(3);
        bound.long.insert(2, b"long".to_vec());
        let first = bound.decode(Input(&packet(&[(1, 0), (253, 0), (252, 0)], 2, &[7]))).expect("whole").values;
        assert_eq!(first, [Datum::Int(7), Datum::Null, Datum::Blob(b"long".to_vec())]);
        bound.long.clear();
        let second = bound.decode(Input(&[0, 1, 0, 0, 0, 4, 0, 9, 1, b'x'])).expect("types of before").values;
        assert_eq!(second, [Datum::Int(9), Datum::Text("x".to_owned()), Datum::Null]);
        assert!(Bound::new(3).decode(Input(&[0, 1, 0, 0, 0, 4, 0, 9, 1, b'x'])).is_err(), "no types yet");
    }

    proptest! {
        #[test]
        fn nothing_stops_the_process(count in 0_usize..300, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Bound::new(count).decode(Input(&bytes));
        }
    }
}
