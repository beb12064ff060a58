//! INTERVAL: spans in MySQL's units, added to moments; the difference of two moments in a unit.

use rusqlite::types::ValueRef;

use super::Body::Plain;
use super::args::{Args, Out};
use super::{Table, civil, coercions};
use crate::sql::datetime::span::SPAN_MAX;
use crate::sql::datetime::{self, Civil, DAY, SECOND};

pub(super) const TABLE: Table = &[
    ("z4_date_add", Plain(|args| add(args, args.moment(0)?, (1, 2)))),
    ("z4_date_add_text", Plain(add_to_text)),
    ("z4_tm_interval", Plain(add_to_time)),
    ("my_timestampadd", Plain(|args| add(args, args.moment(2)?, (1, 0)))),
    ("my_timestampdiff", Plain(difference)),
];

/// Behind 9999-12-31 as a number: from here on one has a time of day.
const LONG_NUMBER: f64 = 99_991_232.0;

/// A span: months and microseconds, which are added apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Span {
    months: i64,
    micros: i64,
}

/// One unit of these, as months and microseconds.
fn unit(name: &str) -> Option<Span> {
    let (months, micros) = match name {
        "MICROSECOND" => (0, 1),
        "SECOND" => (0, SECOND),
        "MINUTE" => (0, 60 * SECOND),
        "HOUR" => (0, 3600 * SECOND),
        "DAY" => (0, DAY),
        "WEEK" => (0, 7 * DAY),
        "MONTH" => (1, 0),
        "QUARTER" => (3, 0),
        "YEAR" => (12, 0),
        _ => return None,
    };
    Some(Span { months, micros })
}

/// The unit's name without `SQL_TSI_`, in upper case.
fn unit_name(args: &Args<'_>, at: usize) -> Option<String> {
    let name = args.text(at)?.to_ascii_uppercase();
    Some(name.strip_prefix("SQL_TSI_").unwrap_or(&name).to_owned())
}

/// Adds the span of the arguments (its number, its unit) to a moment.
fn add(args: &Args<'_>, us: i64, (number, unit): (usize, usize)) -> Option<Out> {
    let span = span(args, number, &unit_name(args, unit)?)?;
    let us = if span.months == 0 {
        us
    } else {
        let later = datetime::add_months(&civil::civil(us)?, span.months)?;
        datetime::from_civil(&later, 0)
    };
    Some(Out::Int(civil::in_range(us.checked_add(span.micros)?)?))
}

/// The same for a TIME; NULL for months and years, which have no length.
fn add_to_time(args: &Args<'_>) -> Option<Out> {
    let span = span(args, 1, &unit_name(args, 2)?)?;
    let us = (span.months == 0).then(|| args.int(0)?.checked_add(span.micros))??;
    (-SPAN_MAX..=SPAN_MAX).contains(&us).then_some(Out::Int(us))
}

/// The same for what is no DATE and no DATETIME by its type: text. It is of a day when the text, or the number, is one and the unit is of
/// days.
fn add_to_text(args: &Args<'_>) -> Option<Out> {
    let (us, is_day) = if coercions::is_number(args) {
        (coercions::read_number(args)?, args.real(0)? < LONG_NUMBER)
    } else {
        let written = args.text(0)?;
        (args.moment(0)?, !datetime::shows_clock(&written))
    };
    let Out::Int(us) = add(args, us, (1, 2))? else { return None };
    let of_days = matches!(unit_name(args, 2)?.as_str(), "DAY" | "WEEK" | "MONTH" | "QUARTER" | "YEAR" | "YEAR_MONTH");
    if of_days && is_day {
        return Some(datetime::format_date(us, 0).into());
    }
    let digits = if us.rem_euclid(SECOND) == 0 { 0 } else { 6 };
    Some(datetime::format(us, 0, digits).into())
}

fn span(args: &Args<'_>, number: usize, name: &str) -> Option<Span> {
    if let Some((first, last)) = name.split_once('_') {
        return composite(&args.text(number)?, first, last);
    }
    let one = unit(name)?;
    if name == "SECOND" && !matches!(args.value(number), ValueRef::Integer(_)) {
        let micros = args.real(number)? * 1e6;
        return (micros.abs() < 9e18).then_some(Span { months: 0, micros: micros.round() as i64 });
    }
    let count = args.int(number)?;
    Some(Span { months: one.months.checked_mul(count)?, micros: one.micros.checked_mul(count)? })
}

/// `'1 2:3'` with DAY_MINUTE: the numbers of a text, the last of them counts for the smallest unit.
fn composite(text: &str, first: &str, last: &str) -> Option<Span> {
    if (first, last) == ("YEAR", "MONTH") {
        let (sign, numbers) = numbers(text).filter(|(_, numbers)| numbers.len() <= 2)?;
        let (months, years) = (numbers.first()?.0, numbers.get(1).map_or(0, |(years, _)| *years));
        return Some(Span { months: years.checked_mul(12)?.checked_add(months)?.checked_mul(sign)?, micros: 0 });
    }
    const UNITS: [&str; 5] = ["MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY"];
    let smallest = UNITS.iter().position(|name| *name == last)?;
    let largest = UNITS.iter().position(|name| *name == first).filter(|largest| *largest > smallest)?;
    let (sign, numbers) = numbers(text)?;
    if numbers.len() > largest - smallest + 1 {
        return None;
    }
    let mut micros = 0_i64;
    for (name, (number, digits)) in UNITS.iter().skip(smallest).zip(numbers) {
        // A fraction of a second is written as one: .5 is 500,000 microseconds.
        let scale = if *name == "MICROSECOND" { 10_i64.pow(6 - digits.min(6)) } else { unit(name)?.micros };
        micros = micros.checked_add(number.checked_mul(scale)?)?;
    }
    Some(Span { months: 0, micros: micros.checked_mul(sign)? })
}

/// The sign, and the numbers of a text with their digits, the last number first.
fn numbers(text: &str) -> Option<(i64, Vec<(i64, u32)>)> {
    let text = text.trim();
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let parts = text.split(|letter: char| !letter.is_ascii_digit()).filter(|part| !part.is_empty());
    let mut numbers = parts.map(|part| Some((part.parse().ok()?, part.len() as u32))).collect::<Option<Vec<_>>>()?;
    numbers.reverse();
    Some((sign, numbers))
}

/// TIMESTAMPDIFF('UNIT', from, until): whole units, towards zero.
fn difference(args: &Args<'_>) -> Option<Out> {
    let one = unit(&unit_name(args, 0)?)?;
    let (from, until) = (args.moment(1)?, args.moment(2)?);
    if one.months == 0 {
        return Some(Out::Int(until.checked_sub(from)?.checked_div(one.micros)?));
    }
    let (from, until) = (civil::civil(from)?, civil::civil(until)?);
    let months = if until >= from { months_between(&from, &until) } else { -months_between(&until, &from) };
    Some(Out::Int(months / one.months))
}

/// Whole months from one moment to a later one.
fn months_between(from: &Civil, until: &Civil) -> i64 {
    let count = |civil: &Civil| i64::from(civil.year) * 12 + i64::from(civil.month);
    let rest = |civil: &Civil| (civil.day, civil.hour, civil.minute, civil.second, civil.micros);
    count(until) - count(from) - i64::from(rest(until) < rest(from))
}
