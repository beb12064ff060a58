//! DATE_FORMAT and TIME_FORMAT.

use std::fmt::Write;

use super::args::PACKET_MAX;
use super::civil::{self, FIRST_WHOLE, MONDAY, WEEK_OF_YEAR, days};
use crate::sql::datetime::{self, Civil, SECOND};

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The English name of a month, 1 to 12.
pub(super) fn month(month: u8) -> &'static str {
    MONTHS.get(usize::from(month).wrapping_sub(1)).copied().unwrap_or_default()
}

/// The English name of a day of the week; Monday is 0.
pub(super) fn weekday(weekday: u8) -> &'static str {
    WEEKDAYS.get(usize::from(weekday)).copied().unwrap_or_default()
}

/// The names of months, for reading.
pub(super) fn months() -> &'static [&'static str] {
    &MONTHS
}

/// The names of weekdays, for reading.
pub(super) fn weekdays() -> &'static [&'static str] {
    &WEEKDAYS
}

fn short(name: &str) -> &str {
    name.get(..3).unwrap_or(name)
}

/// DATE_FORMAT. `None`: longer than a packet.
pub(super) fn date(moment: &Civil, format: &str) -> Option<String> {
    each(format, |specifier, text| date_part(moment, specifier, text))
}

/// TIME_FORMAT of a span in microseconds: hours may be more than 23; specifiers of dates are NULL or zeros, as MySQL has them.
pub(super) fn time(us: i64, format: &str) -> Option<String> {
    let (negative, us) = (us < 0, us.unsigned_abs());
    let hours = us / (3600 * SECOND as u64);
    let civil = Civil {
        hour: (hours % 24) as u8,
        minute: (us / (60 * SECOND as u64) % 60) as u8,
        second: (us / SECOND as u64 % 60) as u8,
        micros: (us % SECOND as u64) as u32,
        ..Civil::default()
    };
    let mut dated = false;
    let text = each(format, |specifier, text| match specifier {
        'H' => _ = write!(text, "{hours:02}"),
        'k' => _ = write!(text, "{hours}"),
        'T' => _ = write!(text, "{hours:02}:{:02}:{:02}", civil.minute, civil.second),
        'a' | 'b' | 'D' | 'j' | 'M' | 'U' | 'u' | 'V' | 'v' | 'W' | 'w' | 'X' | 'x' => dated = true,
        'c' | 'e' => text.push('0'),
        'd' | 'm' | 'y' => text.push_str("00"),
        'Y' => text.push_str("0000"),
        _ => date_part(&civil, specifier, text),
    })?;
    // The sign stands before everything, whatever the format begins with.
    (!dated).then(|| if negative { format!("-{text}") } else { text })
}

/// Writes a format, each specifier by `part`.
fn each(format: &str, mut part: impl FnMut(char, &mut String)) -> Option<String> {
    let mut text = String::with_capacity(format.len() + 16);
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if text.len() > PACKET_MAX {
            return None;
        }
        match letter {
            '%' => match letters.next() {
                Some(specifier) => part(specifier, &mut text),
                None => text.push('%'),
            },
            _ => text.push(letter),
        }
    }
    Some(text)
}

fn date_part(moment: &Civil, specifier: char, text: &mut String) {
    let twelve = if moment.hour.is_multiple_of(12) { 12 } else { moment.hour % 12 };
    let day_half = if moment.hour < 12 { "AM" } else { "PM" };
    let (minute, second) = (moment.minute, moment.second);
    let weekday_of = || datetime::weekday(days(moment));
    // Writing to a String cannot fail.
    _ = match specifier {
        'a' => write!(text, "{}", short(weekday(weekday_of()))),
        'b' => write!(text, "{}", short(month(moment.month))),
        'c' => write!(text, "{}", moment.month),
        'D' => write!(text, "{}{}", moment.day, ordinal(moment.day)),
        'd' => write!(text, "{:02}", moment.day),
        'e' => write!(text, "{}", moment.day),
        'f' => write!(text, "{:06}", moment.micros),
        'H' => write!(text, "{:02}", moment.hour),
        'h' | 'I' => write!(text, "{twelve:02}"),
        'i' => write!(text, "{minute:02}"),
        'j' => write!(text, "{:03}", civil::day_of_year(moment)),
        'k' => write!(text, "{}", moment.hour),
        'l' => write!(text, "{twelve}"),
        'M' => write!(text, "{}", month(moment.month)),
        'm' => write!(text, "{:02}", moment.month),
        'p' => write!(text, "{day_half}"),
        'r' => write!(text, "{twelve:02}:{minute:02}:{second:02} {day_half}"),
        'S' | 's' => write!(text, "{second:02}"),
        'T' => write!(text, "{:02}:{minute:02}:{second:02}", moment.hour),
        'U' => write!(text, "{:02}", civil::week(moment, FIRST_WHOLE).1),
        'u' => write!(text, "{:02}", civil::week(moment, MONDAY).1),
        'V' => write!(text, "{:02}", civil::week(moment, WEEK_OF_YEAR | FIRST_WHOLE).1),
        'v' => write!(text, "{:02}", civil::week(moment, WEEK_OF_YEAR | MONDAY).1),
        'W' => write!(text, "{}", weekday(weekday_of())),
        'w' => write!(text, "{}", (weekday_of() + 1) % 7),
        'X' => write!(text, "{:04}", civil::week(moment, WEEK_OF_YEAR | FIRST_WHOLE).0),
        'x' => write!(text, "{:04}", civil::week(moment, WEEK_OF_YEAR | MONDAY).0),
        'Y' => write!(text, "{:04}", moment.year),
        'y' => write!(text, "{:02}", moment.year.rem_euclid(100)),
        other => write!(text, "{other}"),
    };
}

fn ordinal(day: u8) -> &'static str {
    match (day / 10, day % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}
