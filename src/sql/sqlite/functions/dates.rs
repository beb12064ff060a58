//! Parts of dates, and dates of numbers.

use super::Body::Plain;
use super::args::{Args, Number, Out};
use super::civil::{self, civil, day_text, days};
use super::{Table, clock, format, session};
use crate::sql::datetime::{self, Civil, DAY, FIRST_DAY, SECOND};
use crate::sql::zones::Zone;

pub(super) const TABLE: Table = &[
    ("my_year", Plain(|args| part(args, |civil| i64::from(civil.year)))),
    ("my_quarter", Plain(|args| part(args, |civil| (i64::from(civil.month) + 2) / 3))),
    ("my_month", Plain(|args| part(args, |civil| i64::from(civil.month)))),
    ("my_monthname", Plain(|args| Some(format::month(civil(args.moment(0)?)?.month).into()))),
    ("my_day", Plain(|args| part(args, |civil| i64::from(civil.day)))),
    ("my_dayname", Plain(|args| Some(format::weekday(datetime::weekday(days(&civil(args.moment(0)?)?))).into()))),
    ("my_dayofweek", Plain(|args| part(args, |civil| (i64::from(datetime::weekday(days(civil))) + 1) % 7 + 1))),
    ("my_dayofyear", Plain(|args| part(args, civil::day_of_year))),
    ("my_weekday", Plain(|args| part(args, |civil| i64::from(datetime::weekday(days(civil)))))),
    ("my_week", Plain(week)),
    ("my_weekofyear", Plain(|args| part(args, |day| civil::week(day, civil::week_flags(3)).1))),
    ("my_yearweek", Plain(year_week)),
    ("my_date_format", Plain(|args| format::date(&civil(args.moment(0)?)?, &args.text(1)?).map(Out::from))),
    ("my_datediff", Plain(|args| Some(Out::Int(days(&civil(args.moment(0)?)?) - days(&civil(args.moment(1)?)?))))),
    ("my_adddate", Plain(|args| add_days(args, 1))),
    ("my_subdate", Plain(|args| add_days(args, -1))),
    ("my_unix_timestamp", Plain(unix_timestamp)),
    ("my_from_unixtime", Plain(from_unixtime)),
    ("my_from_days", Plain(|args| Some(day_text(args.int(0)?.checked_add(FIRST_DAY)?)?.into()))),
    ("my_to_days", Plain(|args| part(args, |civil| days(civil) - FIRST_DAY))),
    ("my_to_seconds", Plain(|args| part(args, to_seconds))),
    ("my_last_day", Plain(last_day)),
    ("my_makedate", Plain(make_date)),
    ("my_timestamp", Plain(timestamp)),
    ("my_utc_timestamp", Plain(|args| Some(Out::Int(civil::cut(session::now_us(), args.int_or(0, 0)?))))),
    ("my_utc_date", Plain(|_| Some(datetime::format_date(session::now_us(), 0).into()))),
    ("my_convert_tz", Plain(convert_tz)),
    ("my_period_add", Plain(|args| Some(Out::Int(period(months(args.int(0)?)?.checked_add(args.int(1)?)?))))),
    ("my_period_diff", Plain(|args| Some(Out::Int(months(args.int(0)?)? - months(args.int(1)?)?)))),
];

fn part(args: &Args<'_>, of: fn(&Civil) -> i64) -> Option<Out> {
    Some(Out::Int(of(&civil(args.moment(0)?)?)))
}

/// The flags of the second argument; NULL is mode 0.
fn week_flags(args: &Args<'_>) -> i64 {
    civil::week_flags(args.int(1).unwrap_or(0))
}

fn week(args: &Args<'_>) -> Option<Out> {
    Some(Out::Int(civil::week(&civil(args.moment(0)?)?, week_flags(args)).1))
}

fn year_week(args: &Args<'_>) -> Option<Out> {
    let flags = week_flags(args) | civil::WEEK_OF_YEAR;
    let (year, week) = civil::week(&civil(args.moment(0)?)?, flags);
    Some(Out::Int(year * 100 + week))
}

fn add_days(args: &Args<'_>, sign: i64) -> Option<Out> {
    let span = args.int(1)?.checked_mul(sign * DAY)?;
    Some(Out::Int(civil::in_range(args.moment(0)?.checked_add(span)?)?))
}

/// 1970-01-01 00:00:01 to 3001-01-18 23:59:59.999999 UTC, microseconds.
const TIMESTAMPS: std::ops::Range<i64> = SECOND..32_536_771_200 * SECOND;

/// Seconds, with a fraction when the moment has one; 0 for what is no TIMESTAMP of MySQL 8.0.
fn unix_timestamp(args: &Args<'_>) -> Option<Out> {
    if args.len() == 0 {
        return Some(Out::Int(session::now_us().div_euclid(SECOND)));
    }
    let us = Some(args.timestamp(0)?).filter(|us| (0..TIMESTAMPS.end).contains(us)).unwrap_or(0);
    Some(if us % SECOND == 0 { Out::Int(us / SECOND) } else { Out::Real(us as f64 / 1e6) })
}

fn from_unixtime(args: &Args<'_>) -> Option<Out> {
    let us = match args.number(0)? {
        Number::Int(seconds) => seconds.checked_mul(SECOND)?,
        Number::Real(seconds) => (seconds * 1e6).round() as i64,
    };
    let us = civil::in_range(us).filter(|us| *us >= 0)?;
    let shown = civil(session::zone().wall(us))?;
    if args.len() < 2 {
        return Some(Out::Int(us));
    }
    format::date(&shown, &args.text(1)?).map(Out::from)
}

fn to_seconds(civil: &Civil) -> i64 {
    let clock = i64::from(civil.hour) * 3600 + i64::from(civil.minute) * 60 + i64::from(civil.second);
    (days(civil) - FIRST_DAY) * 86_400 + clock
}

fn last_day(args: &Args<'_>) -> Option<Out> {
    let civil = civil(args.moment(0)?)?;
    let day = datetime::days_in_month(civil.year, civil.month);
    Some(day_text(datetime::days_from_civil(civil.year, civil.month, day))?.into())
}

fn make_date(args: &Args<'_>) -> Option<Out> {
    let (year, day) = (args.int(0)?, args.int(1)?);
    let year = match year {
        0..=69 => year + 2000,
        70..=99 => year + 1900,
        100..=9999 => year,
        _ => return None,
    };
    let day = (day > 0).then_some(day)?;
    Some(day_text(datetime::days_from_civil(year as i32, 1, 1).checked_add(day - 1)?)?.into())
}

/// TIMESTAMP(x), TIMESTAMP(x, time).
fn timestamp(args: &Args<'_>) -> Option<Out> {
    let us = args.moment(0)?;
    if args.len() < 2 {
        return Some(Out::Int(us));
    }
    let (span, _) = clock::read_whole(&args.text(1)?)?;
    Some(Out::Int(civil::in_range(us.checked_add(span.clock())?)?))
}

/// What clocks of another zone show when those of one show this. What is no TIMESTAMP of MySQL 8.0 stays as it is.
fn convert_tz(args: &Args<'_>) -> Option<Out> {
    let (from, to) = (Zone::parse(&args.text(1)?)?, Zone::parse(&args.text(2)?)?);
    let wall = civil::in_range(args.moment(0)?)?;
    let us = from.timestamp(wall);
    Some(Out::Int(if TIMESTAMPS.contains(&us) { to.wall(us) } else { wall }))
}

/// A period YYYYMM or YYMM as months.
fn months(period: i64) -> Option<i64> {
    if !(1..=999_912).contains(&period) || !(1..=12).contains(&(period % 100)) {
        return None;
    }
    let year = match period / 100 {
        year @ 0..=69 => year + 2000,
        year @ 70..=99 => year + 1900,
        year => year,
    };
    Some(year * 12 + period % 100 - 1)
}

fn period(months: i64) -> i64 {
    months.div_euclid(12).saturating_mul(100).saturating_add(months.rem_euclid(12) + 1)
}
