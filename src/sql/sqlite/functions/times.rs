//! Times of the day, and spans.

use super::Body::Plain;
use super::args::{Args, Number, Out};
use super::clock::{self, Temporal};
use super::{Table, civil, format, session};
use crate::sql::datetime::{DAY, SECOND};

pub(super) const TABLE: Table = &[
    ("my_time", Plain(time)),
    ("my_hour", Plain(|args| clock_part(args, |us| us / (3600 * SECOND)))),
    ("my_minute", Plain(|args| clock_part(args, |us| us / (60 * SECOND) % 60))),
    ("my_second", Plain(|args| clock_part(args, |us| us / SECOND % 60))),
    ("my_microsecond", Plain(|args| clock_part(args, |us| us % SECOND))),
    ("my_extract", Plain(extract)),
    ("my_time_format", Plain(|args| format::time(clock::read(&args.text(0)?)?.0.clock(), &args.text(1)?).map(Out::from))),
    ("my_timediff", Plain(timediff)),
    ("my_maketime", Plain(make_time)),
    ("my_sec_to_time", Plain(sec_to_time)),
    ("my_time_to_sec", Plain(time_to_sec)),
    ("my_addtime", Plain(|args| add(args, 1))),
    ("my_subtime", Plain(|args| add(args, -1))),
    ("my_curtime", Plain(|args| now(args, session::zone()))),
    ("my_utc_time", Plain(|args| now(args, 0))),
    ("my_get_format", Plain(get_format)),
];

fn temporal(args: &Args<'_>, at: usize) -> Option<(Temporal, u8)> {
    clock::read(&args.text(at)?)
}

fn time(args: &Args<'_>) -> Option<Out> {
    let (value, digits) = temporal(args, 0)?;
    Some(clock::print(value.clock(), digits).into())
}

fn clock_part(args: &Args<'_>, of: fn(i64) -> i64) -> Option<Out> {
    Some(Out::Int(of(temporal(args, 0)?.0.clock().abs())))
}

fn now(args: &Args<'_>, zone: i32) -> Option<Out> {
    let digits = args.int_or(0, 0)?.clamp(0, 6) as u8;
    let local = session::now_us().saturating_add(i64::from(zone) * SECOND);
    Some(clock::print(local.rem_euclid(DAY), digits).into())
}

fn timediff(args: &Args<'_>) -> Option<Out> {
    let ((a, a_digits), (b, b_digits)) = (temporal(args, 0)?, temporal(args, 1)?);
    if std::mem::discriminant(&a) != std::mem::discriminant(&b) {
        return None;
    }
    Some(clock::print(clock::clamp(a.micros().checked_sub(b.micros())?), a_digits.max(b_digits)).into())
}

fn add(args: &Args<'_>, sign: i64) -> Option<Out> {
    let ((value, digits), (span, span_digits)) = (temporal(args, 0)?, temporal(args, 1)?);
    let Temporal::Span(span) = span else { return None };
    let digits = digits.max(span_digits);
    let sum = value.micros().checked_add(span * sign)?;
    let result = match value {
        Temporal::Span(_) => Temporal::Span(clock::clamp(sum)),
        Temporal::Wall(_) => {
            civil::in_range(sum.checked_sub(i64::from(session::zone()) * SECOND)?)?;
            Temporal::Wall(sum)
        }
    };
    Some(result.print(digits).into())
}

fn make_time(args: &Args<'_>) -> Option<Out> {
    let (hours, minutes, seconds) = (args.int(0)?, args.int(1)?, args.number(2)?);
    if !(0..60).contains(&minutes) || !(0.0..60.0).contains(&seconds.real()) {
        return None;
    }
    let micros = (seconds.real() * 1e6).round() as i64;
    let span = hours.unsigned_abs().min(839) as i64 * 3600 * SECOND + minutes * 60 * SECOND + micros;
    let span = clock::clamp(if hours < 0 { -span } else { span });
    Some(clock::print(span, number_digits(seconds)).into())
}

/// The digits behind the point of a number of seconds.
fn number_digits(seconds: Number) -> u8 {
    let text = match seconds {
        Number::Int(_) => return 0,
        Number::Real(value) => super::print::double((value.abs() * 1e6).round() / 1e6),
    };
    text.split_once('.').map_or(0, |(_, fraction)| fraction.len().min(6) as u8)
}

fn sec_to_time(args: &Args<'_>) -> Option<Out> {
    let seconds = args.number(0)?;
    let us = match seconds {
        Number::Int(seconds) => seconds.saturating_mul(SECOND),
        Number::Real(seconds) => (seconds * 1e6).round() as i64,
    };
    Some(clock::print(clock::clamp(us), number_digits(seconds)).into())
}

fn time_to_sec(args: &Args<'_>) -> Option<Out> {
    Some(Out::Int(temporal(args, 0)?.0.clock() / SECOND))
}

/// EXTRACT('UNIT', x): the parts of a unit, as digits behind each other.
fn extract(args: &Args<'_>) -> Option<Out> {
    let (unit, (value, _)) = (args.text(0)?.to_ascii_uppercase(), temporal(args, 1)?);
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
