//! DECIMAL and BIGINT UNSIGNED: exact numbers.

use super::Body::{Fallible, Plain};
use super::args::{Args, Out};
use super::{Table, warnings};
use crate::sql::datetime::span;
use crate::sql::decimal::{DIGITS_MAX, Dec, SCALE_MAX, quotient_digits};
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[
    ("z4_dec_of", Plain(|args| Some(out(&args.exact(0)?)))),
    ("z4_dec", Plain(|args| Some(out(&nearest(args, 0)?.clamped(digits(args, 1, 65)?, digits(args, 2, 30)?))))),
    ("z4_dec_text", Plain(|args| Some(args.exact(0)?.to_text(digits(args, 1, 30)?).into()))),
    ("z4_dec_neg", Plain(|args| Some(out(&args.exact(0)?.negated())))),
    ("z4_dec_abs", Plain(|args| Some(out(&args.exact(0)?.abs())))),
    ("z4_dec_round", Plain(|args| Some(out(&args.exact(0)?.rounded(args.int_or(1, 0)?, true))))),
    ("z4_dec_truncate", Plain(|args| Some(out(&args.exact(0)?.rounded(args.int_or(1, 0)?, false))))),
    ("z4_dec_ceil", Fallible(|args| whole_of(args, true))),
    ("z4_dec_floor", Fallible(|args| whole_of(args, false))),
    ("z4_dec_div", Fallible(|args| calculated(args, |a, b| a.divided(b, args.int(2).unwrap_or(0).clamp(0, 81) as u32)))),
    ("z4_dec_mod", Fallible(|args| calculated(args, Dec::modulo))),
    ("z4_add", Fallible(|args| calculated(args, |a, b| Some(a.plus(b))))),
    ("z4_sub", Fallible(|args| calculated(args, |a, b| Some(a.minus(b))))),
    ("z4_mul", Fallible(|args| calculated(args, |a, b| Some(a.times(b))))),
    ("z4_iadd", Fallible(|args| whole(args, i64::checked_add, Dec::plus))),
    ("z4_isub", Fallible(|args| whole(args, i64::checked_sub, Dec::minus))),
    ("z4_imul", Fallible(|args| whole(args, i64::checked_mul, Dec::times))),
    ("z4_avg", Plain(average)),
    ("z4_tm_dec", Plain(time)),
    ("z4_unsigned", Plain(|args| Some(unsigned(args.int(0)? as u64)))),
    ("z4_bits", Plain(|args| Some(Out::Int(bits(args)?)))),
    ("z4_shift_left", Plain(|args| Some(Out::Int(shifted(args, |bits, by| bits << by)?)))),
    ("z4_shift_right", Plain(|args| Some(Out::Int(shifted(args, |bits, by| bits >> by)?)))),
    ("z4_to_unsigned", Plain(to_unsigned)),
];

/// A number as the nearest DECIMAL: a DOUBLE may have more digits than one has, on either side of the point.
pub(super) fn nearest(args: &Args<'_>, at: usize) -> Option<Dec> {
    let exact = args.exact(at).or_else(|| {
        let greatest = Dec::parse(&"9".repeat(DIGITS_MAX))?;
        Some(if args.real(at)? < 0.0 { greatest.negated() } else { greatest })
    })?;
    Some(exact.rounded(i64::from(SCALE_MAX), true))
}

/// CEIL and FLOOR of a DECIMAL: a BIGINT, or an error where it does not fit in one.
fn whole_of(args: &Args<'_>, up: bool) -> Result<Option<Out>, SqlError> {
    let Some(whole) = args.exact(0).map(|exact| exact.whole(up)) else { return Ok(None) };
    if args.int(1) == Some(1) {
        return Ok(Some(out(&whole)));
    }
    let small = whole.to_int();
    if Dec::from(small) == whole { Ok(Some(Out::Int(small))) } else { Err(out_of_range("BIGINT")) }
}

/// A DECIMAL as SQLite has it.
pub(super) fn out(exact: &Dec) -> Out {
    Out::Blob(exact.encode())
}

/// 1690.
pub(super) fn out_of_range(kind: &str) -> SqlError {
    SqlError::new(1690, "22003", format!("{kind} value is out of range"))
}

fn digits(args: &Args<'_>, at: usize, most: i64) -> Option<u8> {
    Some(args.int_or(at, 0)?.clamp(0, most) as u8)
}

/// `with` gives `None` for a division by zero.
fn calculated(args: &Args<'_>, with: impl Fn(&Dec, &Dec) -> Option<Dec>) -> Result<Option<Out>, SqlError> {
    let (Some(a), Some(b)) = (args.exact(0), args.exact(1)) else { return Ok(None) };
    match with(&a, &b) {
        Some(result) if result.is_out_of_range() => Err(out_of_range("DECIMAL")),
        Some(result) => Ok(Some(out(&result))),
        None => {
            warnings::division();
            Ok(None)
        }
    }
}

/// Whole numbers: a result that is neither BIGINT nor BIGINT UNSIGNED is an error.
fn whole(args: &Args<'_>, small: fn(i64, i64) -> Option<i64>, exact: fn(&Dec, &Dec) -> Dec) -> Result<Option<Out>, SqlError> {
    use rusqlite::types::ValueRef::Integer;
    if let (Integer(a), Integer(b)) = (args.value(0), args.value(1))
        && let Some(result) = small(a, b).filter(|result| *result >= 0 || args.int(2) != Some(1))
    {
        return Ok(Some(Out::Int(result)));
    }
    let (Some(a), Some(b)) = (args.exact(0), args.exact(1)) else { return Ok(None) };
    match exact(&a, &b) {
        result if args.int(2) == Some(1) => {
            let fits = result.to_u64().filter(|_| result.sign() >= 0);
            fits.map(|value| Some(unsigned(value))).ok_or_else(|| out_of_range("BIGINT UNSIGNED"))
        }
        result if result == Dec::from(result.to_int()) => Ok(Some(Out::Int(result.to_int()))),
        _ => Err(out_of_range("BIGINT")),
    }
}

/// AVG: a sum, a count, and the digits behind the point of the sum. It is a quotient like others: what is calculated with it sees more
/// digits than are shown.
fn average(args: &Args<'_>) -> Option<Out> {
    let scale = digits(args, 2, 30)?;
    Some(out(&args.exact(0)?.divided(&Dec::from(args.int(1)?), quotient_digits(scale, 0))?))
}

/// A TIME as the number HHMMSS with its fraction.
fn time(args: &Args<'_>) -> Option<Out> {
    let (whole, micros) = span::as_number(args.int(0)?);
    Some(out(&Dec::from(whole).plus(&Dec::new(micros, 6))))
}

/// A BIGINT UNSIGNED as SQLite has it.
pub(super) fn unsigned(value: u64) -> Out {
    i64::try_from(value).map_or_else(|_| out(&Dec::from(value)), Out::Int)
}

/// The 64 bits of a whole number.
fn bits(args: &Args<'_>) -> Option<i64> {
    use rusqlite::types::ValueRef::{Blob, Real};
    match args.value(0) {
        Blob(bytes) => {
            let exact = Dec::decode(bytes)?;
            let greatest = if exact.sign() < 0 { exact.to_int() } else { u64::MAX as i64 };
            Some(exact.to_u64().map_or(greatest, |value| value as i64))
        }
        // The casts keep to the limits.
        Real(value) if value > 0.0 => Some(value.round_ties_even() as u64 as i64),
        Real(value) => Some(value.round_ties_even() as i64),
        _ => args.int(0),
    }
}

/// Of a shift by 64 or more nothing is left.
fn shifted(args: &Args<'_>, shift: fn(u64, u32) -> u64) -> Option<i64> {
    let (bits, by) = (args.int(0)? as u64, args.int(1)?);
    Some(u32::try_from(by).ok().filter(|by| *by < 64).map_or(0, |by| shift(bits, by)) as i64)
}

/// CAST(x AS UNSIGNED): a negative number has the bits of its BIGINT; what is greater is the greatest.
fn to_unsigned(args: &Args<'_>) -> Option<Out> {
    let whole = match args.value(0) {
        rusqlite::types::ValueRef::Text(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let text = text.trim_start();
            let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
            let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
            let signed = text.get(..text.len() - unsigned.len() + digits).unwrap_or_default();
            Dec::parse(signed).unwrap_or_else(|| Dec::from(0_i64))
        }
        _ => args.exact(0)?.rounded(0, true),
    };
    Some(match whole.to_u64() {
        Some(value) => unsigned(value),
        None if whole.sign() < 0 => unsigned(whole.to_int() as u64),
        None => unsigned(u64::MAX),
    })
}
