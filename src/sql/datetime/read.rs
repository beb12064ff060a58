//! Reading dates as MySQL does: relaxed delimiters, two-digit years, digits in one go, fractions, zones.

use super::{Civil, days_in_month, from_civil};

/// What a text says in any of MySQL's forms, and its zone, seconds east of UTC, where it names one (`Z`, `+02:00`). `None`: it is no
/// date (a month 0 or a day 0 is none, either), or something follows that belongs to no date.
pub fn parse_civil(text: &str) -> Option<(Civil, Option<i32>)> {
    parse(text, End::Here)
}

/// The same of what a text begins with, as MySQL casts it.
pub fn cast_civil(text: &str) -> Option<(Civil, Option<i32>)> {
    parse(text, End::Anywhere)
}

/// A time of day stands behind the date that a text begins with.
pub fn shows_clock(text: &str) -> bool {
    read(text.trim(), End::Anywhere).is_some_and(|(_, clock)| clock == Clock::Shown)
}

/// Where a date may end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Here,
    Anywhere,
}

fn parse(text: &str, end: End) -> Option<(Civil, Option<i32>)> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    if let Some((rest, zone)) = split_zone(text)
        && let Some((civil, Clock::Shown)) = read(rest, End::Here)
    {
        return carried(civil).map(|civil| (civil, Some(zone)));
    }
    read(text, end).and_then(|(civil, _)| carried(civil)).map(|civil| (civil, None))
}

/// The DATETIME that a number names: YYMMDD, YYYYMMDD, YYMMDDhhmmss or YYYYMMDDhhmmss.
pub fn parse_number(number: i64) -> Option<i64> {
    let full = match number {
        101..=691_231 => (number + 20_000_000) * 1_000_000,
        700_101..=991_231 => (number + 19_000_000) * 1_000_000,
        10_000_101..=99_991_231 => number * 1_000_000,
        101_000_000..=691_231_235_959 => number + 20_000_000_000_000,
        700_101_000_000..=991_231_235_959 => number + 19_000_000_000_000,
        10_000_101_000_000..=99_991_231_235_959 => number,
        _ => return None,
    };
    let two = |divisor: i64| (full / divisor % 100) as u8;
    let civil = Civil {
        year: (full / 10_000_000_000) as i32,
        month: two(100_000_000),
        day: two(1_000_000),
        hour: two(10_000),
        minute: two(100),
        second: two(1),
        micros: 0,
    };
    checked(civil).map(|civil| from_civil(&civil, 0))
}

/// The same with the microseconds behind its point, which count where the number has a time of day.
pub fn parse_number_with(number: i64, micros: i64) -> Option<i64> {
    let us = parse_number(number)?;
    Some(if number > 99_991_231 { us + micros } else { us })
}

/// Whether a text has a time of day.
#[derive(PartialEq, Eq)]
enum Clock {
    Shown,
    Missing,
}

/// Takes `Z`, or `+hh:mm`, from the end.
fn split_zone(text: &str) -> Option<(&str, i32)> {
    if let Some(rest) = text.strip_suffix(['Z', 'z']) {
        return Some((rest, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (rest, zone) = text.split_at(at);
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    if !(1..=2).contains(&hours.len()) || minutes.len() != 2 || !is_digits(hours) || !is_digits(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = hours * 3600 + minutes * 60;
    let seconds = if zone.starts_with('-') { -seconds } else { seconds };
    (minutes < 60 && (-50_340..=50_400).contains(&seconds)).then_some((rest, seconds))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A place in a text, and steps over it.
struct Cursor<'a> {
    left: &'a [u8],
}

impl Cursor<'_> {
    /// The digits here, at most `max` of them: their value and how many.
    fn digits(&mut self, max: usize) -> Option<(u32, usize)> {
        let length = self.left.iter().take(max).take_while(|b| b.is_ascii_digit()).count();
        let value = self.left.iter().take(length).fold(0, |value, b| value * 10 + u32::from(b - b'0'));
        self.left = self.left.get(length..).unwrap_or_default();
        (length > 0).then_some((value, length))
    }

    /// One or two digits.
    fn two(&mut self) -> Option<u8> {
        self.digits(2).map(|(value, _)| value as u8)
    }

    /// Skips what `what` takes; whether there was any.
    fn skip(&mut self, what: impl Fn(u8) -> bool) -> bool {
        let length = self.left.iter().take_while(|b| what(**b)).count();
        self.left = self.left.get(length..).unwrap_or_default();
        length > 0
    }

    /// A fraction after a point, in millionths, rounded; more than 999,999 when it rounds up to a whole second.
    fn fraction(&mut self) -> u32 {
        let point = self.left;
        if !matches!(point, [b'.'] | [b'.', b'.' | b'0'..=b'9', ..]) {
            return 0;
        }
        self.skip(|b| b == b'.');
        let Some((value, length)) = self.digits(6) else {
            self.left = if self.left.is_empty() { self.left } else { point };
            return 0;
        };
        let value = value * 10_u32.pow(6 - length as u32);
        let up = self.left.first().is_some_and(|b| (b'5'..=b'9').contains(b));
        self.skip(|b| b.is_ascii_digit());
        value + u32::from(up)
    }

    /// What `read` reads; nothing is stepped over where that is nothing.
    fn part(&mut self, read: impl Fn(&mut Self) -> Option<u8>) -> Option<u8> {
        let before = self.left;
        let part = read(self);
        if part.is_none() {
            self.left = before;
        }
        part
    }
}

fn read(text: &str, end: End) -> Option<(Civil, Clock)> {
    let run = text.bytes().take_while(u8::is_ascii_digit).count();
    let mut cursor = Cursor { left: text.as_bytes() };
    let read = if run >= 5 { read_run(&mut cursor, run) } else { read_parts(&mut cursor) };
    read.filter(|_| end == End::Anywhere || cursor.left.is_empty())
}

/// `YYYYMMDDhhmmss` and more digits that belong to no date, `YYYYMMDD`, `YYMMDDhhmmss` or `YYMMDD`, the long ones with a fraction, the short ones with a time behind them.
fn read_run(cursor: &mut Cursor<'_>, run: usize) -> Option<(Civil, Clock)> {
    let long_year = run == 8 || run >= 14;
    if !long_year && !matches!(run, 6 | 12) {
        return None;
    }
    let (year, length) = cursor.digits(if long_year { 4 } else { 2 })?;
    let mut civil = Civil { year: whole_year(year, length), month: cursor.two()?, day: cursor.two()?, ..Civil::default() };
    if run <= 8 {
        return Some(read_clock(cursor, civil));
    }
    (civil.hour, civil.minute, civil.second) = (cursor.two()?, cursor.two()?, cursor.two()?);
    civil.micros = cursor.fraction();
    Some((civil, Clock::Shown))
}

/// `Y-M-D`, with any punctuation, and a time behind it.
fn read_parts(cursor: &mut Cursor<'_>) -> Option<(Civil, Clock)> {
    let (year, length) = cursor.digits(4)?;
    if !cursor.skip(|b| b.is_ascii_punctuation()) {
        return None;
    }
    let month = cursor.two()?;
    if !cursor.skip(|b| b.is_ascii_punctuation()) {
        return None;
    }
    let day = cursor.two()?;
    Some(read_clock(cursor, Civil { year: whole_year(year, length), month, day, ..Civil::default() }))
}

/// Nothing, or ` h`, ` h:m`, ` h:m:s`, ` h:m:s.f`, with `T` for the space, with any punctuation between the parts; or `Thhmmss`.
fn read_clock(cursor: &mut Cursor<'_>, mut civil: Civil) -> (Civil, Clock) {
    let date = cursor.left;
    let apart = cursor.skip(|b| b.is_ascii_whitespace())
        || matches!(cursor.left.first(), Some(b'T' | b't')) && {
            cursor.left = cursor.left.get(1..).unwrap_or_default();
            true
        }
        || cursor.skip(|b| b.is_ascii_punctuation() && b != b'+' && b != b'-');
    let run = cursor.left.iter().take_while(|b| b.is_ascii_digit()).count();
    let Some(hour) = cursor.two().filter(|_| apart) else {
        cursor.left = date;
        return (civil, Clock::Missing);
    };
    civil.hour = hour;
    let behind = |cursor: &mut Cursor<'_>| {
        (matches!(run, 4 | 6) || cursor.skip(|b| b.is_ascii_punctuation())).then(|| cursor.two()).flatten()
    };
    if let Some(minute) = cursor.part(behind) {
        civil.minute = minute;
        if let Some(second) = cursor.part(behind) {
            civil.second = second;
            civil.micros = cursor.fraction();
        }
    }
    (civil, Clock::Shown)
}

/// MySQL's rule for years of two digits, of which one alone is none: 70 to 99 are 1970 to 1999, 00 to 69 are 2000 to 2069.
fn whole_year(year: u32, digits: usize) -> i32 {
    let century = match (digits, year) {
        (2, 70..) => 1900,
        (2, _) => 2000,
        _ => 0,
    };
    year as i32 + century
}

fn checked(civil: Civil) -> Option<Civil> {
    let day = (1..=days_in_month(civil.year, civil.month)).contains(&civil.day);
    (day && civil.hour < 24 && civil.minute < 60 && civil.second < 60).then_some(civil)
}

/// Checks the parts, and carries a fraction that was rounded up to a second.
fn carried(civil: Civil) -> Option<Civil> {
    let checked = checked(Civil { micros: 0, ..civil })?;
    Some(super::civil(from_civil(&checked, 0) + i64::from(civil.micros), 0))
}
