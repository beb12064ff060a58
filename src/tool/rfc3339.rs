//! Points in time as people write them: RFC 3339, years 0000 to 9999.
//!
//! The calendar arithmetic is Howard Hinnant's `days_from_civil` and `civil_from_days`
//! (<https://howardhinnant.github.io/date_algorithms.html>), proleptic Gregorian, in eras of 400 years that begin on 1 March.
//! What people leave out (the time of day, seconds, the offset) is read by [`read`]; [`parse`] is strict.

use prost_types::Timestamp;

const SECONDS_PER_DAY: i64 = 86_400;

/// A text that is no RFC 3339 time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time is written 2030-01-31, 2030-01-31 08:00, 2030-01-31T08:00:00Z or 2030-01-31T09:00:00.250+01:00")]
pub struct TimeError;

/// Prints in UTC with milliseconds, or with nanoseconds where there are any: `2030-01-31T08:00:00.250Z`.
///
/// A time outside the years 0000 to 9999 has no RFC 3339 form and is printed as its seconds since 1970.
pub fn format(time: &Timestamp) -> String {
    let days = time.seconds.div_euclid(SECONDS_PER_DAY);
    let second = time.seconds.rem_euclid(SECONDS_PER_DAY);
    let (year, month, day) = civil_from_days(days);
    if !(0..=9999).contains(&year) || !(0..1_000_000_000).contains(&time.nanos) {
        return format!("{} s since 1970", time.seconds);
    }
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let fraction = match (time.nanos / 1_000_000, time.nanos % 1_000_000) {
        (ms, 0) => format!("{ms:03}"),
        _ => format!("{:09}", time.nanos),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction}Z")
}

/// A date and a time of day as they were written, and the offset from UTC where one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Seconds since 1970-01-01 as if it were written in UTC.
    pub civil_seconds: i64,
    /// The fraction of the second.
    pub nanos: i32,
    /// Seconds east of UTC; `None`: not written.
    pub offset_seconds: Option<i64>,
}

impl Written {
    /// The moment, for an offset of the reader's choice where none was written.
    pub fn at(&self, offset_seconds: i64) -> Timestamp {
        Timestamp { seconds: self.civil_seconds - self.offset_seconds.unwrap_or(offset_seconds), nanos: self.nanos }
    }
}

/// Reads a time with any offset; a fraction finer than nanoseconds is cut. Leap seconds are refused: a `Timestamp` has none.
pub fn parse(text: &str) -> Result<Timestamp, TimeError> {
    let mut rest = text.as_bytes();
    let days = date(&mut rest)?;
    one_of(&mut rest, b"Tt ")?;
    let (hour, minute) = (digits(&mut rest, 2)?, after(&mut rest, b":")?);
    let second = after(&mut rest, b":")?;
    let nanos = fraction(&mut rest)?;
    let sign = one_of(&mut rest, b"Zz+-")?;
    let offset = if sign.eq_ignore_ascii_case(&b'z') { 0 } else { east(sign, digits(&mut rest, 2)?, after(&mut rest, b":")?)? };
    finished(rest)?;
    Ok(Timestamp { seconds: days * SECONDS_PER_DAY + time_of_day(hour, minute, second)? - offset, nanos })
}

/// Reads what [`parse`] does, and less: without an offset, without seconds, a date alone (its first moment), offsets as `+01:00`,
/// `+0100` and `+01`, also after a space; month, day and hour of one digit.
pub fn read(text: &str) -> Result<Written, TimeError> {
    let mut rest = text.trim().as_bytes();
    let days = loose_date(&mut rest)?;
    let (mut seconds, mut nanos) = (0, 0);
    let clock = |rest: &[u8]| rest.first().is_some_and(|c| b"Tt ".contains(c)) && rest.get(1).is_some_and(u8::is_ascii_digit);
    if clock(rest) {
        one_of(&mut rest, b"Tt ")?;
        let (hour, minute) = (one_or_two(&mut rest)?, after(&mut rest, b":")?);
        let second = if rest.first() == Some(&b':') { after(&mut rest, b":")? } else { 0 };
        nanos = fraction(&mut rest)?;
        seconds = time_of_day(hour, minute, second)?;
    }
    rest = rest.trim_ascii_start();
    let offset_seconds = if rest.is_empty() { None } else { Some(loose_offset(&mut rest)?) };
    finished(rest)?;
    Ok(Written { civil_seconds: days * SECONDS_PER_DAY + seconds, nanos, offset_seconds })
}

/// Days since 1970-01-01 of `2030-01-31`.
fn date(rest: &mut &[u8]) -> Result<i64, TimeError> {
    days(digits(rest, 4)?, after(rest, b"-")?, after(rest, b"-")?)
}

/// The same of `2030-1-31`, too.
fn loose_date(rest: &mut &[u8]) -> Result<i64, TimeError> {
    let year = digits(rest, 4)?;
    one_of(rest, b"-")?;
    let month = one_or_two(rest)?;
    one_of(rest, b"-")?;
    days(year, month, one_or_two(rest)?)
}

fn days(year: i64, month: i64, day: i64) -> Result<i64, TimeError> {
    let valid = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    if valid { Ok(days_from_civil(year, month, day)) } else { Err(TimeError) }
}

fn time_of_day(hour: i64, minute: i64, second: i64) -> Result<i64, TimeError> {
    if hour > 23 || minute > 59 || second > 59 { Err(TimeError) } else { Ok(hour * 3_600 + minute * 60 + second) }
}

fn finished(rest: &[u8]) -> Result<(), TimeError> {
    if rest.is_empty() { Ok(()) } else { Err(TimeError) }
}

/// Two digits after a separator.
fn after(rest: &mut &[u8], separator: &[u8]) -> Result<i64, TimeError> {
    one_of(rest, separator)?;
    digits(rest, 2)
}

/// Seconds east of UTC.
fn east(sign: u8, hours: i64, minutes: i64) -> Result<i64, TimeError> {
    let seconds = hours * 3_600 + minutes * 60;
    if hours > 23 || minutes > 59 { Err(TimeError) } else { Ok(if sign == b'-' { -seconds } else { seconds }) }
}

fn loose_offset(rest: &mut &[u8]) -> Result<i64, TimeError> {
    if rest.eq_ignore_ascii_case(b"z") || rest.eq_ignore_ascii_case(b"utc") {
        *rest = &[];
        return Ok(0);
    }
    let sign = one_of(rest, b"+-")?;
    let hours = digits(rest, 2)?;
    let minutes = match rest.first() {
        None => 0,
        Some(b':') => after(rest, b":")?,
        Some(_) => digits(rest, 2)?,
    };
    east(sign, hours, minutes)
}

fn digits(rest: &mut &[u8], count: usize) -> Result<i64, TimeError> {
    let (head, tail) = rest.split_at_checked(count).ok_or(TimeError)?;
    if !head.iter().all(u8::is_ascii_digit) {
        return Err(TimeError);
    }
    *rest = tail;
    Ok(head.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')))
}

fn one_or_two(rest: &mut &[u8]) -> Result<i64, TimeError> {
    let two = rest.get(1).is_some_and(u8::is_ascii_digit);
    digits(rest, if two { 2 } else { 1 })
}

fn one_of(rest: &mut &[u8], accepted: &[u8]) -> Result<u8, TimeError> {
    let (first, tail) = rest.split_first().ok_or(TimeError)?;
    if !accepted.contains(first) {
        return Err(TimeError);
    }
    *rest = tail;
    Ok(*first)
}

fn fraction(rest: &mut &[u8]) -> Result<i32, TimeError> {
    if rest.first() != Some(&b'.') {
        return Ok(0);
    }
    let end = rest[1..].iter().position(|b| !b.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
    let (head, tail) = rest.split_at(end);
    if head.len() == 1 {
        return Err(TimeError);
    }
    *rest = tail;
    let padded = head[1..].iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Ok(padded.fold(0, |n, digit| n * 10 + i32::from(digit - b'0')))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 9999-12-31T23:59:59Z and 0000-01-01T00:00:00Z, from `date -u +%s -d ...`.
    const LAST: i64 = 253_402_300_799;
    const FIRST: i64 = -62_167_219_200;

    #[test]
    fn known_times_print_and_parse() {
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00.000Z", 0, 0),
            ("2000-02-29T12:34:56.789Z", 951_827_696, 789_000_000),
            ("1969-12-31T23:59:59.999Z", -1, 999_000_000),
            ("2100-03-01T00:00:00.000Z", 4_107_542_400, 0),
            ("2030-01-31T08:00:00.000000001Z", 1_896_076_800, 1),
            ("9999-12-31T23:59:59.999Z", LAST, 999_000_000),
            ("0000-01-01T00:00:00.000Z", FIRST, 0),
        ] {
            let time = Timestamp { seconds, nanos };
            assert_eq!(format(&time), text);
            assert_eq!(parse(text), Ok(time), "{text}");
        }
    }

    #[test]
    fn offsets_and_short_forms_are_read() {
        let eight = parse("2030-01-31T08:00:00Z").expect("valid");
        for text in ["2030-01-31T09:00:00+01:00", "2030-01-31 03:30:00-04:30", "2030-01-31t08:00:00.0z"] {
            assert_eq!(parse(text), Ok(eight), "{text}");
        }
        assert_eq!(parse("2030-01-31T08:00:00.25Z").expect("valid").nanos, 250_000_000);
    }

    /// People leave out what they do not care for.
    #[test]
    fn what_people_type_is_read() {
        let midnight = 1_896_048_000;
        for (text, seconds, offset) in [
            ("2030-01-31", midnight, None),
            ("2030-01-31 08:00", midnight + 28_800, None),
            ("2030-01-31T08:00", midnight + 28_800, None),
            (" 2030-01-31 08:00:01 ", midnight + 28_801, None),
            ("2030-01-31Z", midnight, Some(0)),
            ("2030-01-31 08:00 UTC", midnight + 28_800, Some(0)),
            ("2030-01-31 08:00+01", midnight + 28_800, Some(3_600)),
            ("2030-01-31 08:00 -0330", midnight + 28_800, Some(-12_600)),
            ("2030-01-31T08:00:00+01:00", midnight + 28_800, Some(3_600)),
            ("2030-01-31+01:00", midnight, Some(3_600)),
            ("2030-1-31", midnight, None),
            ("2030-01-31 8:00", midnight + 28_800, None),
            ("2030-1-1 9:30Z", midnight - 30 * 86_400 + 34_200, Some(0)),
        ] {
            let written = read(text).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!((written.civil_seconds, written.offset_seconds), (seconds, offset), "{text}");
        }
        assert_eq!(read("2030-01-31 08:00:00.25").expect("valid").nanos, 250_000_000);
        let written = read("2030-01-31 08:00").expect("valid");
        assert_eq!(written.at(3_600).seconds, midnight + 25_200);
        for text in [
            "",
            "2030",
            "2030-01",
            "2030-02-30",
            "2030-1-",
            "2030-1-031",
            "2030-01-31 :00",
            "2030-01-31 24:00",
            "2030-01-31 08:00 CET",
            "08:00",
        ] {
            assert_eq!(read(text), Err(TimeError), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2030-01-31",
            "2030-01-31T08:00:00",
            "2030-02-29T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-01-00T00:00:00Z",
            "2030-01-01T24:00:00Z",
            "2030-01-01T00:00:60Z",
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00:00Zx",
            "2030-01-01T00:00:00+1:00",
            "+030-01-01T00:00:00Z",
            "203é-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), Err(TimeError), "{text}");
        }
    }

    #[test]
    fn what_has_no_form_is_printed_all_the_same() {
        assert_eq!(format(&Timestamp { seconds: LAST + 1, nanos: 0 }), format!("{} s since 1970", LAST + 1));
        assert_eq!(format(&Timestamp { seconds: i64::MAX, nanos: -1 }), format!("{} s since 1970", i64::MAX));
    }

    proptest! {
        /// Every second of ten thousand years survives the way to text and back.
        #[test]
        fn times_round_trip(seconds in FIRST..=LAST, nanos in 0..1_000_000_000i32) {
            let time = Timestamp { seconds, nanos };
            prop_assert_eq!(parse(&format(&time)), Ok(time));
        }
    }
}
