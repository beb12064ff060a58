//! Moments on the wall, and how they are shown: weeks, fractions, the range of dates.

use crate::sql::datetime::{self, Civil, DAY, FIRST_DAY, LAST_DAY};

/// Cuts a fraction to so many digits.
pub(super) fn cut(us: i64, digits: i64) -> i64 {
    let step = 10_i64.pow(6 - digits.clamp(0, 6) as u32);
    us.saturating_sub(us.rem_euclid(step))
}

/// Rounds a fraction to so many digits, a half to the later moment.
pub(super) fn round(us: i64, digits: u8) -> i64 {
    let step = 10_i64.pow(6 - u32::from(digits.min(6)));
    us.saturating_add(step / 2).div_euclid(step).saturating_mul(step)
}

/// What calendar and clock show; `None`: outside of the years 0000 to 9999.
pub(super) fn civil(us: i64) -> Option<Civil> {
    in_range(us)?;
    Some(datetime::civil(us, 0))
}

/// The moment, when it is a date that MySQL could write.
pub(super) fn in_range(us: i64) -> Option<i64> {
    (FIRST_DAY..=LAST_DAY).contains(&us.div_euclid(DAY)).then_some(us)
}

/// `YYYY-MM-DD`.
pub(super) fn date_text(us: i64) -> Option<String> {
    Some(datetime::format_date(in_range(us)?, 0))
}

/// `YYYY-MM-DD` of a number of days since 1970-01-01.
pub(super) fn day_text(days: i64) -> Option<String> {
    (FIRST_DAY..=LAST_DAY).contains(&days).then(|| datetime::format_date(days * DAY, 0))
}

/// Days since 1970-01-01.
pub(super) fn days(civil: &Civil) -> i64 {
    datetime::days_from_civil(civil.year, civil.month, civil.day)
}

/// The day of the year, from 1.
pub(super) fn day_of_year(civil: &Civil) -> i64 {
    days(civil) - datetime::days_from_civil(civil.year, 1, 1) + 1
}

/// Weeks begin on Monday.
pub(super) const MONDAY: i64 = 1;
/// Weeks are counted 1 to 53: the first days of a year may belong to the last week of the year before.
pub(super) const WEEK_OF_YEAR: i64 = 2;
/// The first week is the first that begins in the year; else the first with four days in it.
pub(super) const FIRST_WHOLE: i64 = 4;

/// The flags of a mode of MySQL's WEEK.
pub(super) fn week_flags(mode: i64) -> i64 {
    let flags = mode & 7;
    if flags & MONDAY == 0 { flags ^ FIRST_WHOLE } else { flags }
}

/// The year of the week, and the week: MySQL's `calc_week`.
pub(super) fn week(civil: &Civil, flags: i64) -> (i64, i64) {
    let (monday, mut of_year, whole) = (flags & MONDAY != 0, flags & WEEK_OF_YEAR != 0, flags & FIRST_WHOLE != 0);
    let year_days = |year: i64| if datetime::is_leap(year as i32) { 366 } else { 365 };
    let late = |weekday: i64| if whole { weekday != 0 } else { weekday >= 4 };
    let today = days(civil);
    let mut first = datetime::days_from_civil(civil.year, 1, 1);
    let mut weekday = (i64::from(datetime::weekday(first)) + i64::from(!monday)) % 7;
    let mut year = i64::from(civil.year);
    if civil.month == 1 && i64::from(civil.day) <= 7 - weekday {
        if !of_year && late(weekday) {
            return (year, 0);
        }
        // The first days of a year that may be of the year before: counted from there; the end of this function brings them back.
        of_year = true;
        year -= 1;
        let length = year_days(year);
        first -= length;
        weekday = (weekday + 53 * 7 - length) % 7;
    }
    let since = if late(weekday) { today - (first + 7 - weekday) } else { today - (first - weekday) };
    if of_year && since >= 52 * 7 {
        weekday = (weekday + year_days(year)) % 7;
        if !late(weekday) {
            return (year + 1, 1);
        }
    }
    (year, since / 7 + 1)
}
