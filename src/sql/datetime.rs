//! Dates: MySQL's ways to write them, read and written; civil days. Pure.
//!
//! A moment is microseconds since 1970-01-01 UTC; a zone is seconds east of UTC. The calendar is Gregorian, before 1582, too.

mod read;
pub mod span;

pub use read::{cast_civil, parse_civil, parse_number, parse_number_with, shows_clock};

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a day.
pub const DAY: i64 = 86_400 * SECOND;
/// 0000-01-01, the first day that is read or written, in days since 1970-01-01.
pub const FIRST_DAY: i64 = -719_528;
/// 9999-12-31, the last one.
pub const LAST_DAY: i64 = 2_932_896;

/// A moment as a calendar and a clock on the wall show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// 0 to 9999 in everything that is read.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999,999.
    pub micros: u32,
}

/// Days since 1970-01-01 of a day of the calendar; months 1 to 12 are meant, days out of range count on.
pub fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i32, u8, u8) {
    // Far outside of every calendar: kept where nothing overflows.
    let shifted = days.clamp(-400_000_000, 400_000_000) + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}

/// Days in a month; 0 when there is no such month.
pub fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 0,
    }
}

/// The year has a 29th of February.
pub fn is_leap(year: i32) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

/// The day of the week of a number of days since 1970-01-01: Monday is 0, Sunday is 6, as MySQL's WEEKDAY.
pub fn weekday(days: i64) -> u8 {
    (days.rem_euclid(7) + 3).rem_euclid(7) as u8
}

/// What calendar and clock show in a zone.
pub fn civil(us: i64, zone_seconds: i32) -> Civil {
    let local = us.saturating_add(i64::from(zone_seconds) * SECOND);
    let (year, month, day) = civil_from_days(local.div_euclid(DAY));
    let of_day = local.rem_euclid(DAY);
    let seconds = of_day / SECOND;
    Civil {
        year,
        month,
        day,
        hour: (seconds / 3600) as u8,
        minute: (seconds / 60 % 60) as u8,
        second: (seconds % 60) as u8,
        micros: (of_day % SECOND) as u32,
    }
}

/// The moment at which calendar and clock of a zone show this.
pub fn from_civil(civil: &Civil, zone_seconds: i32) -> i64 {
    let days = days_from_civil(civil.year, civil.month, civil.day);
    let seconds = i64::from(civil.hour) * 3600 + i64::from(civil.minute) * 60 + i64::from(civil.second) - i64::from(zone_seconds);
    (days * 86_400 + seconds) * SECOND + i64::from(civil.micros)
}

/// Some months later, or earlier; the day is the last of the month where the month is shorter. `None`: outside of 0000 to 9999.
pub fn add_months(civil: &Civil, months: i64) -> Option<Civil> {
    let count = (i64::from(civil.year) * 12 + i64::from(civil.month) - 1).checked_add(months)?;
    let year = i32::try_from(count.div_euclid(12)).ok().filter(|year| (0..=9999).contains(year))?;
    let month = count.rem_euclid(12) as u8 + 1;
    Some(Civil { year, month, day: civil.day.min(days_in_month(year, month)), ..*civil })
}

/// `YYYY-MM-DD hh:mm:ss`, and a point and `digits` digits of the fraction when `digits` is not 0 (at most 6); what is finer is cut.
pub fn format(us: i64, zone_seconds: i32, digits: u8) -> String {
    let Civil { year, month, day, hour, minute, second, micros } = civil(us, zone_seconds);
    let mut text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    push_fraction(&mut text, micros, digits);
    text
}

/// `YYYY-MM-DD`.
pub fn format_date(us: i64, zone_seconds: i32) -> String {
    let Civil { year, month, day, .. } = civil(us, zone_seconds);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Appends a point and the first `digits` (at most 6) digits of a fraction; nothing for 0 digits.
pub fn push_fraction(text: &mut String, micros: u32, digits: u8) {
    if digits == 0 {
        return;
    }
    let six = format!(".{:06}", micros.min(999_999));
    text.push_str(six.get(..=usize::from(digits.min(6))).unwrap_or(&six));
}

#[cfg(test)]
mod tests;
