//! Times of the day, and spans.

use rusqlite::types::ValueRef;

use super::Body::{Fallible, Plain};
use super::args::{Args, Number, Out, text_of};
use super::clock::{self, Temporal};
use super::{Table, civil, format, session};
use crate::sql::datetime::{DAY, SECOND, span};
use crate::sql::decimal::Dec;
use crate::sql::error::SqlError;

pub(super) const TABLE: Table = &[
    ("my_time", Plain(time)),
    ("my_hour", Plain(|args| clock_part(args, |us| us / (3600 * SECOND)))),
    ("my_minute", Plain(|args| clock_part(args, |us| us / (60 * SECOND) % 60))),
    ("my_second", Plain(|args| clock_part(args, |us| us / SECOND % 60))),
    ("my_microsecond", Plain(|args| clock_part(args, |us| us % SECOND))),
    ("my_extract", Plain(extract)),
    ("my_time_format", Plain(|args| format::time(temporal(args, 0)?.0.clock(), &args.text(1)?).map(Out::from))),
    ("my_timediff", Plain(timediff)),
    ("my_maketime", Plain(make_time)),
    ("my_sec_to_time", Plain(sec_to_time)),
    ("my_time_to_sec", Plain(time_to_sec)),
    ("my_addtime", Plain(|args| add(args, 1))),
    ("my_subtime", Plain(|args| add(args, -1))),
    ("my_curtime", Plain(|args| clock_of(args, session::wall_us()))),
    ("my_utc_time", Plain(|args| clock_of(args, session::now_us()))),
    ("my_get_format", Plain(get_format)),
    ("z4_tm", Plain(|args| read(args.value(0)).map(Out::Int))),
    ("z4_tm_of_dec", Plain(|args| of_exact(&args.exact(0)?).map(Out::Int))),
    ("z4_tm_strict", Fallible(strict)),
    ("z4_tm_text", Plain(|args| Some(span::print(args.int(0)?, args.int_or(1, 0)?.clamp(0, 6) as u8).into()))),
    ("z4_tm_num", Plain(as_number)),
    ("z4_tm_dt", Plain(today_at)),
    ("z4_tm_round", Plain(|args| Some(Out::Int(span::round(args.int(0)?, args.int_or(1, 0)?.clamp(0, 6) as u8))))),
    ("z4_tm_add", Plain(add_span)),
    ("z4_dt_add", Plain(|args| civil::in_range(args.moment(0)?.checked_add(span_of(args, 1)?)?).map(Out::Int))),
    ("z4_span", Plain(|args| span_of(args, 0).map(Out::Int))),
];

/// A TIME: a text that is one or has one, a number HHMMSS.
fn read(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => span::of_number(number, 0),
        ValueRef::Real(number) => span::of_number(number.trunc() as i64, (number.fract() * 1e6).round() as i64),
        ValueRef::Text(_) | ValueRef::Blob(_) => Some(clock::read_time(&text_of(value)?)?.0.clock()),
    }
}

/// The same of a DECIMAL.
fn of_exact(exact: &Dec) -> Option<i64> {
    let whole = exact.rounded(0, false);
    let micros = exact.minus(&whole).times(&Dec::from(SECOND)).to_int();
    span::of_number(Some(whole.to_int()).filter(|number| Dec::from(*number) == whole)?, micros)
}

/// The same of what is compared with a TIME: 1525 where it is none.
fn strict(args: &Args<'_>) -> Result<Option<Out>, SqlError> {
    if args.is_null(0) {
        return Ok(None);
    }
    let time = match args.value(0) {
        text @ (ValueRef::Text(_) | ValueRef::Blob(_)) => {
            text_of(text).and_then(|text| clock::read_whole(&text)).map(|(found, _)| found.clock())
        }
        number => read(number),
    };
    time.map(|us| Some(Out::Int(us))).ok_or_else(|| {
        let text: String = args.text(0).unwrap_or_default().chars().take(100).collect();
        SqlError::new(1525, "HY000", format!("Incorrect TIME value: '{text}'"))
    })
}

/// HHMMSS, with a fraction when there is one.
fn as_number(args: &Args<'_>) -> Option<Out> {
    let (whole, micros) = span::as_number(args.int(0)?);
    Some(if micros == 0 { Out::Int(whole) } else { Out::Real(whole as f64 + micros as f64 / 1e6) })
}

/// The moment so long after the beginning of today.
fn today_at(args: &Args<'_>) -> Option<Out> {
    let midnight = session::wall_us().div_euclid(DAY) * DAY;
    civil::in_range(midnight.checked_add(args.int(0)?)?).map(Out::Int)
}

/// A span: an integer is one, in microseconds; a text with a date is none.
fn span_of(args: &Args<'_>, at: usize) -> Option<i64> {
    match args.value(at) {
        ValueRef::Integer(us) => Some(us),
        _ => span_text(args, at).map(|(us, _)| us),
    }
}

fn span_text(args: &Args<'_>, at: usize) -> Option<(i64, u8)> {
    match clock::read_whole(&args.text(at)?)? {
        (Temporal::Span(us), digits) => Some((us, digits)),
        (Temporal::Wall(_), _) => None,
    }
}

fn add_span(args: &Args<'_>) -> Option<Out> {
    Some(Out::Int(clock::clamp(args.int(0)?.checked_add(span_of(args, 1)?)?)))
}

fn temporal(args: &Args<'_>, at: usize) -> Option<(Temporal, u8)> {
    clock::read_time(&args.text(at)?)
}

fn time(args: &Args<'_>) -> Option<Out> {
    Some(Out::Int(temporal(args, 0)?.0.clock()))
}

fn clock_part(args: &Args<'_>, of: fn(i64) -> i64) -> Option<Out> {
    Some(Out::Int(of(temporal(args, 0)?.0.clock().abs())))
}

/// The time of day, with so many digits of its fraction as the argument says.
fn clock_of(args: &Args<'_>, wall_us: i64) -> Option<Out> {
    Some(Out::Int(civil::cut(wall_us.rem_euclid(DAY), args.int_or(0, 0)?)))
}

/// Two TIMEs or two DATETIMEs: others cannot be subtracted.
fn timediff(args: &Args<'_>) -> Option<Out> {
    let ((a, _), (b, _)) = (temporal(args, 0)?, temporal(args, 1)?);
    if std::mem::discriminant(&a) != std::mem::discriminant(&b) {
        return None;
    }
    Some(Out::Int(clock::clamp(a.micros().checked_sub(b.micros())?)))
}

fn add(args: &Args<'_>, sign: i64) -> Option<Out> {
    let ((value, _), (span, _)) = (temporal(args, 0)?, span_text(args, 1)?);
    let sum = value.micros().checked_add(span * sign)?;
    let result = match value {
        Temporal::Span(_) => Temporal::Span(clock::clamp(sum)),
        Temporal::Wall(_) => Temporal::Wall(civil::in_range(sum)?),
    };
    let digits = if result.micros() % SECOND == 0 { 0 } else { 6 };
    Some(result.print(digits).into())
}

fn make_time(args: &Args<'_>) -> Option<Out> {
    let (hours, minutes, seconds) = (args.int(0)?, args.int(1)?, args.number(2)?);
    if !(0..60).contains(&minutes) || !(0.0..60.0).contains(&seconds.real()) {
        return None;
    }
    let micros = (seconds.real() * 1e6).round() as i64;
    let span = hours.unsigned_abs().min(839) as i64 * 3600 * SECOND + minutes * 60 * SECOND + micros;
    Some(Out::Int(clock::clamp(if hours < 0 { -span } else { span })))
}

fn sec_to_time(args: &Args<'_>) -> Option<Out> {
    let us = match args.number(0)? {
        Number::Int(seconds) => seconds.saturating_mul(SECOND),
        Number::Real(seconds) => (seconds * 1e6).round() as i64,
    };
    Some(Out::Int(clock::clamp(us)))
}

fn time_to_sec(args: &Args<'_>) -> Option<Out> {
    Some(Out::Int(temporal(args, 0)?.0.clock() / SECOND))
}

/// EXTRACT('UNIT', x): the parts of a unit, as digits behind each other.
fn extract(args: &Args<'_>) -> Option<Out> {
    let (unit, (value, _)) = (args.text(0)?.to_ascii_uppercase(), clock::read(&args.text(1)?)?);
    let date = value.civil();
    let clock = value.clock();
    let (sign, us) = (clock.signum(), clock.abs());
    let (hour, minute, second, micro) = (us / (3600 * SECOND), us / (60 * SECOND) % 60, us / SECOND % 60, us % SECOND);
    let (day, hour_of_day) = match &date {
        Some(civil) => (i64::from(civil.day), hour),
        None => (hour / 24, hour % 24),
    };
    let clock_of = |sign: i64, value: i64| Some(Out::Int(if sign < 0 { -value } else { value }));
    let hms = hour * 10_000 + minute * 100 + second;
    let dhms = day * 1_000_000 + hour_of_day * 10_000 + minute * 100 + second;
    match unit.as_str() {
        "MICROSECOND" => clock_of(sign, micro),
        "SECOND" => clock_of(sign, second),
        "MINUTE" => clock_of(sign, minute),
        "HOUR" => clock_of(sign, hour),
        "SECOND_MICROSECOND" => clock_of(sign, second * SECOND + micro),
        "MINUTE_MICROSECOND" => clock_of(sign, (minute * 100 + second) * SECOND + micro),
        "MINUTE_SECOND" => clock_of(sign, minute * 100 + second),
        "HOUR_MICROSECOND" => clock_of(sign, hms * SECOND + micro),
        "HOUR_SECOND" => clock_of(sign, hms),
        "HOUR_MINUTE" => clock_of(sign, hms / 100),
        "DAY_MICROSECOND" => clock_of(sign, dhms * SECOND + micro),
        "DAY_SECOND" => clock_of(sign, dhms),
        "DAY_MINUTE" => clock_of(sign, dhms / 100),
        "DAY_HOUR" => clock_of(sign, dhms / 10_000),
        "DAY" => clock_of(sign, day),
        "WEEK" => Some(Out::Int(civil::week(&date?, civil::week_flags(0)).1)),
        "MONTH" => Some(Out::Int(date?.month.into())),
        "QUARTER" => Some(Out::Int((i64::from(date?.month) + 2) / 3)),
        "YEAR" => Some(Out::Int(date?.year.into())),
        "YEAR_MONTH" => date.map(|civil| Out::Int(i64::from(civil.year) * 100 + i64::from(civil.month))),
        _ => None,
    }
}

fn get_format(args: &Args<'_>) -> Option<Out> {
    let (kind, style) = (args.text(0)?.to_ascii_uppercase(), args.text(1)?.to_ascii_uppercase());
    let format = match (kind.as_str(), style.as_str()) {
        ("DATE", "USA") => "%m.%d.%Y",
        ("DATE", "JIS" | "ISO") => "%Y-%m-%d",
        ("DATE", "EUR") => "%d.%m.%Y",
        ("DATE", "INTERNAL") => "%Y%m%d",
        ("DATETIME" | "TIMESTAMP", "USA" | "EUR") => "%Y-%m-%d %H.%i.%s",
        ("DATETIME" | "TIMESTAMP", "JIS" | "ISO") => "%Y-%m-%d %H:%i:%s",
        ("DATETIME" | "TIMESTAMP", "INTERNAL") => "%Y%m%d%H%i%s",
        ("TIME", "USA") => "%h:%i:%s %p",
        ("TIME", "JIS" | "ISO") => "%H:%i:%s",
        ("TIME", "EUR") => "%H.%i.%s",
        ("TIME", "INTERNAL") => "%H%i%s",
        _ => return None,
    };
    Some(format.into())
}
