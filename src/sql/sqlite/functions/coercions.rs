//! The coercions that the dialect puts around operands (see `types.rs` for how values travel).

use rusqlite::types::ValueRef;

use super::Body::{self, Fallible, Plain};
use super::args::{Args, Number, Out, PACKET_MAX, number_of, text_of};
use super::{Table, civil, exact, json, session, warnings};
use crate::sql::datetime::{self, DAY, SECOND};
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[
    ("z4_dt", Plain(|args| read(args.value(0)).map(Out::Int))),
    ("z4_dt_of_dec", Plain(|args| read_exact(args).map(Out::Int))),
    ("z4_dt_round", Plain(|args| civil::in_range(civil::round(args.int(0)?, digits(args))).map(Out::Int))),
    ("z4_dt_strict", Fallible(|args| strict(args, read_timestamp))),
    ("z4_dt_text", Plain(|args| Some(datetime::format(wall(args)?, 0, digits(args)).into()))),
    ("z4_dt_num", Plain(|args| Some(as_number(wall(args)?)))),
    ("z4_dt_dec", Plain(|args| Some(as_decimal(wall(args)?)))),
    ("z4_wall", Plain(|args| Some(Out::Int(wall(args)?)))),
    ("z4_wall_strict", Fallible(|args| strict(args, read_wall))),
    ("z4_wall_text", Plain(|args| Some(datetime::format(args.moment(0)?, 0, digits(args)).into()))),
    ("z4_wall_num", Plain(|args| Some(as_number(args.moment(0)?)))),
    ("z4_wall_dec", Plain(|args| Some(as_decimal(args.moment(0)?)))),
    ("z4_wall_time", Plain(|args| Some(Out::Int(args.moment(0)?.rem_euclid(DAY))))),
    ("z4_ts", Plain(|args| Some(Out::Int(session::zone().timestamp(args.moment(0)?))))),
    ("z4_num", Plain(|args| args.number(0).map(Out::from))),
    ("z4_int", Plain(|args| args.int(0).map(Out::Int))),
    ("z4_text", Plain(text)),
    ("z4_characters", Plain(characters)),
    ("z4_well_formed", Plain(|args| String::from_utf8(args.bytes(0)?.into_owned()).ok().map(Out::from))),
    ("z4_limit", Fallible(limit)),
    ("z4_rint", Plain(|args| Some(whole_number(args)))),
    ("z4_binary", Plain(binary)),
    ("z4_json_truth", Plain(|args| Some(if args.number(0)?.is_zero() { "false" } else { "true" }.into()))),
    ("z4_json", Plain(|args| json::of_value(args.value(0)))),
    ("z4_double", Fallible(double)),
    ("z4_div", Fallible(divide)),
    ("z4_intdiv", Fallible(divide_whole)),
    ("z4_mod", Plain(modulo)),
    ("z4_xor", Plain(|args| Some((truth(args.number(0)?) != truth(args.number(1)?)).into()))),
    ("z4_now", Plain(|args| Some(Out::Int(civil::cut(session::now_us(), args.int_or(0, 0)?))))),
    ("z4_today", Body::Plain(|_| Some(datetime::format_date(session::wall_us(), 0).into()))),
    ("z4_date", Plain(|args| Some(civil::date_text(args.moment(0)?)?.into()))),
    ("z4_time", Plain(|args| Some(Out::Int(wall(args)?.rem_euclid(DAY))))),
];

/// The digits of a fraction, 0 to 6, in the second argument.
fn digits(args: &Args<'_>) -> u8 {
    args.int(1).unwrap_or(0).clamp(0, 6) as u8
}

/// A date in any of MySQL's forms; a number is YYYYMMDD or YYYYMMDDhhmmss.
fn read(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => datetime::parse_number(number),
        ValueRef::Real(number) => datetime::parse_number_with(number.trunc() as i64, (number.fract().abs() * 1e6).round() as i64),
        ValueRef::Text(_) | ValueRef::Blob(_) => session::zone().cast_wall(&text_of(value)?),
    }
}

/// The same of what is compared with a DATETIME: nothing may stand behind the date.
fn read_wall(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Text(_) | ValueRef::Blob(_) => session::zone().read_wall(&text_of(value)?),
        _ => read(value),
    }
}

/// The same of a DECIMAL.
fn read_exact(args: &Args<'_>) -> Option<i64> {
    let exact = args.exact(0)?;
    let whole = exact.rounded(0, false);
    let micros = exact.minus(&whole).times(&Dec::from(SECOND)).to_int();
    datetime::parse_number_with(Some(whole.to_int()).filter(|number| Dec::from(*number) == whole)?, micros)
}

/// The first argument is a number.
pub(super) fn is_number(args: &Args<'_>) -> bool {
    match args.value(0) {
        ValueRef::Integer(_) | ValueRef::Real(_) => true,
        ValueRef::Blob(bytes) => Dec::decode(bytes).is_some(),
        ValueRef::Null | ValueRef::Text(_) => false,
    }
}

/// The date that the number there names.
pub(super) fn read_number(args: &Args<'_>) -> Option<i64> {
    match args.value(0) {
        ValueRef::Blob(_) => read_exact(args),
        number => read(number),
    }
}

/// The same as a TIMESTAMP.
fn read_timestamp(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Text(_) | ValueRef::Blob(_) => session::zone().read_timestamp(&text_of(value)?),
        _ => Some(session::zone().timestamp(read(value)?)),
    }
}

/// A TIMESTAMP as a DATETIME.
fn wall(args: &Args<'_>) -> Option<i64> {
    Some(session::zone().wall(args.timestamp(0)?))
}

fn strict(args: &Args<'_>, read: fn(ValueRef<'_>) -> Option<i64>) -> Result<Option<Out>, SqlError> {
    if args.is_null(0) {
        return Ok(None);
    }
    match read(args.value(0)) {
        Some(us) => Ok(Some(Out::Int(us))),
        // A date before all others, as in MySQL.
        None if matches!(args.value(0), ValueRef::Integer(0)) => Ok(Some(Out::Int(i64::MIN / 2))),
        None => {
            let text: String = args.text(0).unwrap_or_default().chars().take(100).collect();
            Err(SqlError::new(1525, "HY000", format!("Incorrect DATETIME value: '{text}'")))
        }
    }
}

/// A parameter of LIMIT: NULL is 0, a text its digits.
fn limit(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    match args.int(0).unwrap_or(0) {
        count if count < 0 => Err(SqlError::new(1210, "HY000", "Incorrect arguments to LIMIT")),
        count => Ok(Some(Out::Int(count))),
    }
}

/// A DOUBLE as an integer, the even one of two that are as near.
fn whole_number(args: &Args<'_>) -> Out {
    match args.number(0) {
        None => Out::Null,
        Some(Number::Int(value)) => Out::Int(value),
        // The cast keeps to the limits.
        Some(Number::Real(value)) => Out::Int(value.round_ties_even() as i64),
    }
}

/// CAST(x AS BINARY(n)): so many bytes, filled with zeros.
fn binary(args: &Args<'_>) -> Option<Out> {
    let mut bytes = args.bytes(0)?.into_owned();
    bytes.resize(usize::try_from(args.int(1)?).ok().filter(|length| *length <= PACKET_MAX)?, 0);
    Some(Out::Blob(bytes))
}

/// 20220416000000, with a fraction when there is one.
fn as_number(us: i64) -> Out {
    let civil = datetime::civil(us, 0);
    let day = i64::from(civil.year) * 10_000 + i64::from(civil.month) * 100 + i64::from(civil.day);
    let clock = i64::from(civil.hour) * 10_000 + i64::from(civil.minute) * 100 + i64::from(civil.second);
    let whole = day.saturating_mul(1_000_000).saturating_add(clock);
    if civil.micros == 0 { Out::Int(whole) } else { Out::Real(whole as f64 + f64::from(civil.micros) / 1e6) }
}

/// The same as a DECIMAL.
fn as_decimal(us: i64) -> Out {
    let micros = us.rem_euclid(SECOND);
    let Out::Int(whole) = as_number(us.saturating_sub(micros)) else { return Out::Null };
    Out::Blob(Dec::from(whole).plus(&Dec::new(micros, 6)).encode())
}

fn text(args: &Args<'_>) -> Option<Out> {
    match args.value(0) {
        ValueRef::Text(_) => Some(Out::Arg(0)),
        _ => Some(Out::Text(args.bytes(0)?.into_owned())),
    }
}

/// Bytes as characters: each that belongs to none is shown as a question mark.
fn characters(args: &Args<'_>) -> Option<Out> {
    let bytes = args.bytes(0)?;
    let mut text = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        text.extend(chunk.invalid().iter().map(|_| b'?'));
    }
    Some(Out::Text(text))
}

fn by_zero() -> Option<Out> {
    warnings::division();
    None
}

/// What was calculated of DOUBLEs: 1690 where it is more than one can be.
fn double(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    match args.value(0) {
        ValueRef::Real(value) if value.is_infinite() => Err(exact::out_of_range("DOUBLE")),
        ValueRef::Real(value) => Ok(Some(Out::Real(value))),
        value => Ok(number_of(value).map(Out::from)),
    }
}

fn divide(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(a), Some(b)) = (args.real(0), args.real(1)) else { return Ok(None) };
    match a / b {
        _ if b == 0.0 => Ok(by_zero()),
        quotient if quotient.is_infinite() => Err(exact::out_of_range("DOUBLE")),
        quotient => Ok(Some(Out::Real(quotient))),
    }
}

fn divide_whole(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    let (Some(a), Some(b)) = (args.number(0), args.number(1)) else { return Ok(None) };
    let unsigned = args.int(2) == Some(1);
    let kind = if unsigned { "BIGINT UNSIGNED" } else { "BIGINT" };
    let out_of_range = || SqlError::new(1690, "22003", format!("{kind} value is out of range in DIV"));
    if let (false, Number::Int(a), Number::Int(b)) = (unsigned, a, b) {
        if b == 0 {
            return Ok(by_zero());
        }
        return a.checked_div(b).map(|whole| Some(Out::Int(whole))).ok_or_else(out_of_range);
    }
    // DOUBLEs are divided as DECIMALs: one that is too small for them is 0.
    let (Some(a), Some(b)) = (exact::nearest(args, 0), exact::nearest(args, 1)) else { return Ok(None) };
    let Some(whole) = a.divided(&b, 0).map(|whole| whole.rounded(0, false)) else { return Ok(by_zero()) };
    if unsigned {
        return whole.to_u64().map(|whole| Some(exact::unsigned(whole))).ok_or_else(out_of_range);
    }
    if whole == Dec::from(whole.to_int()) { Ok(Some(Out::Int(whole.to_int()))) } else { Err(out_of_range()) }
}

fn modulo(args: &Args<'_>) -> Option<Out> {
    match (args.number(0)?, args.number(1)?) {
        (_, b) if b.is_zero() => by_zero(),
        (Number::Int(a), Number::Int(b)) => Some(Out::Int(a.checked_rem(b).unwrap_or(0))),
        (a, b) => Out::finite(a.real() % b.real()),
    }
}

fn truth(value: Number) -> bool {
    !value.is_zero()
}
