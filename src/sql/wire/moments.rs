//! DATETIME, DATE and TIME, from microseconds or text, as text and as the binary protocol has them.

use crate::sql::datetime::civil_from_days;
use crate::sql::datetime::span::SPAN_MAX;

const DAY_US: i64 = 86_400_000_000;
/// 0000-01-01 00:00:00.
const FIRST_US: i64 = -719_528 * DAY_US;
/// 9999-12-31 23:59:59.999999.
const LAST_US: i64 = 2_932_897 * DAY_US - 1;

/// A date and a time of day; zeros in the date are possible, as in MySQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) clock: Clock,
}

/// A time of day, or a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) negative: bool,
    pub(super) hours: u32,
    pub(super) minutes: u8,
    pub(super) seconds: u8,
    pub(super) micros: u32,
}

impl Moment {
    /// Microseconds since 1970-01-01 00:00:00 on the wall; what MySQL has no dates for is moved to the nearest.
    pub(super) fn from_us(us: i64) -> Moment {
        let local = us.clamp(FIRST_US, LAST_US);
        let (days, rest) = (local.div_euclid(DAY_US), local.rem_euclid(DAY_US));
        // The ends of MySQL's range have four digits.
        let (year, month, day) = civil_from_days(days);
        Moment { year: year as u16, month, day, clock: Clock::from_us(rest) }
    }

    /// `YYYY-MM-DD`, `YYYY-MM-DD hh:mm:ss[.ffffff]`.
    pub(super) fn parse(text: &[u8]) -> Option<Moment> {
        let text = std::str::from_utf8(text).ok()?.trim();
        let (date, clock) = match text.split_once([' ', 'T']) {
            Some((date, clock)) => (date, Clock::parse(clock).filter(|clock| !clock.negative && clock.hours < 24)?),
            None => (text, Clock::default()),
        };
        let mut parts = date.split('-');
        let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
        let fits = parts.next().is_none() && year <= 9999 && month <= 12 && day <= 31;
        fits.then_some(Moment { year: year as u16, month: month as u8, day: day as u8, clock })
    }

    /// Appends `YYYY-MM-DD`.
    pub(super) fn push_date(&self, into: &mut Vec<u8>) {
        let (century, year) = ((self.year / 100 % 100) as u8, (self.year % 100) as u8);
        push_two(into, century);
        push_two(into, year);
        into.push(b'-');
        push_two(into, self.month);
        into.push(b'-');
        push_two(into, self.day);
    }

    /// Appends `YYYY-MM-DD hh:mm:ss` and so many digits of fraction.
    pub(super) fn push(&self, into: &mut Vec<u8>, digits: u8) {
        self.push_date(into);
        into.push(b' ');
        self.clock.push(into, digits);
    }

    /// Appends the binary form; only the date if `date`.
    pub(super) fn push_binary(&self, into: &mut Vec<u8>, date: bool, digits: u8) {
        let micros = cut(self.clock.micros, digits);
        let midnight = date || (self.clock.hours == 0 && self.clock.minutes == 0 && self.clock.seconds == 0 && micros == 0);
        let empty = midnight && self.year == 0 && self.month == 0 && self.day == 0;
        let length = if empty {
            0
        } else if midnight {
            4
        } else if micros == 0 {
            7
        } else {
            11
        };
        let [low, high] = self.year.to_le_bytes();
        let clock = self.clock;
        let [a, b, c, d] = micros.to_le_bytes();
        let all = [length, low, high, self.month, self.day, clock.hours as u8, clock.minutes, clock.seconds, a, b, c, d];
        into.extend_from_slice(&all[..=usize::from(length)]);
    }
}

impl Clock {
    fn from_us(us: i64) -> Clock {
        let seconds = us / 1_000_000;
        Clock {
            negative: false,
            hours: (seconds / 3600) as u32,
            minutes: (seconds / 60 % 60) as u8,
            seconds: (seconds % 60) as u8,
            micros: (us % 1_000_000) as u32,
        }
    }

    /// A TIME, microseconds.
    pub(super) fn from_span(us: i64) -> Clock {
        let span = us.clamp(-SPAN_MAX, SPAN_MAX);
        Clock { negative: span < 0, ..Clock::from_us(span.abs()) }
    }

    /// `[-]hh:mm[:ss[.ffffff]]`, up to 838 hours.
    pub(super) fn parse(text: impl AsRef<[u8]>) -> Option<Clock> {
        let text = std::str::from_utf8(text.as_ref()).ok()?.trim();
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mut parts = text.split(':');
        let (hours, minutes) = (number(parts.next()?)?, number(parts.next()?)?);
        let seconds = parts.next().map_or(Some(0), number)?;
        let mut digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
        let micros = digits.try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))?;
        let fits = parts.next().is_none() && hours <= 838 && minutes < 60 && seconds < 60;
        fits.then_some(Clock { negative, hours, minutes: minutes as u8, seconds: seconds as u8, micros })
    }

    /// Appends `[-]hh:mm:ss` and so many digits of fraction.
    pub(super) fn push(&self, into: &mut Vec<u8>, digits: u8) {
        if self.negative {
            into.push(b'-');
        }
        if self.hours >= 100 {
            into.push(b'0' + (self.hours / 100 % 10) as u8);
        }
        push_two(into, (self.hours % 100) as u8);
        into.push(b':');
        push_two(into, self.minutes);
        into.push(b':');
        push_two(into, self.seconds);
        if digits > 0 {
            into.push(b'.');
            let mut place = 100_000;
            for _ in 0..digits.min(6) {
                into.push(b'0' + (self.micros / place % 10) as u8);
                place /= 10;
            }
        }
    }

    /// Appends the binary form.
    pub(super) fn push_binary(&self, into: &mut Vec<u8>, digits: u8) {
        let micros = cut(self.micros, digits);
        let seconds = self.hours == 0 && self.minutes == 0 && self.seconds == 0;
        let length = if seconds && micros == 0 {
            0
        } else if micros == 0 {
            8
        } else {
            12
        };
        let [d1, d2, d3, d4] = (self.hours / 24).to_le_bytes();
        let [a, b, c, d] = micros.to_le_bytes();
        let hours = (self.hours % 24) as u8;
        let all = [length, u8::from(self.negative), d1, d2, d3, d4, hours, self.minutes, self.seconds, a, b, c, d];
        into.extend_from_slice(&all[..=usize::from(length)]);
    }
}

fn cut(micros: u32, digits: u8) -> u32 {
    let step = 10_u32.pow(u32::from(6 - digits.min(6)));
    micros / step * step
}

fn number(text: &str) -> Option<u32> {
    (!text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

fn push_two(into: &mut Vec<u8>, number: u8) {
    into.extend_from_slice(&[b'0' + number / 10 % 10, b'0' + number % 10]);
}

#[cfg(test)]
mod tests {
    //! Dates are right at the ends of MySQL's range, across leap days; text that is none is none.
    use super::*;

    fn text(us: i64, digits: u8) -> String {
        let mut into = Vec::new();
        Moment::from_us(us).push(&mut into, digits);
        String::from_utf8(into).expect("ASCII")
    }

    #[test]
    fn microseconds_become_text() {
        assert_eq!(text(0, 0), "1970-01-01 00:00:00");
        assert_eq!(text(1_650_067_200_123_456, 3), "2022-04-16 00:00:00.123");
        assert_eq!(text(1_709_170_200_000_000, 0), "2024-02-29 01:30:00");
        assert_eq!(text(-1, 6), "1969-12-31 23:59:59.999999");
        assert_eq!(text(i64::MAX, 3), "9999-12-31 23:59:59.999");
        assert_eq!(text(i64::MIN, 3), "0000-01-01 00:00:00.000");
    }

    #[test]
    fn text_is_parsed_and_nothing_else() {
        let moment = Moment::parse(b"2022-04-16 01:02:03.5").expect("a date");
        assert_eq!((moment.year, moment.month, moment.day, moment.clock.micros), (2022, 4, 16, 500_000));
        for wrong in
            ["", "x", "2022", "2022-13-01", "2022-1-1-1", "2022-01-01 25:00:00", "2022-01-01 x", "99999999999-1-1", "\u{e9}-1-1"]
        {
            assert_eq!(Moment::parse(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(Clock::parse("-838:59:59").map(|clock| (clock.negative, clock.hours)), Some((true, 838)));
        assert_eq!(Clock::parse("839:00:00"), None);
    }

    #[test]
    fn binary_forms_are_as_short_as_mysql_has_them() {
        let binary = |text: &str, digits| {
            let mut into = Vec::new();
            Moment::parse(text.as_bytes()).expect("a date").push_binary(&mut into, false, digits);
            into
        };
        assert_eq!(binary("0000-00-00", 0), [0]);
        assert_eq!(binary("2022-04-16", 0), [4, 0xe6, 7, 4, 16]);
        assert_eq!(binary("2022-04-16 01:02:03", 3), [7, 0xe6, 7, 4, 16, 1, 2, 3]);
        assert_eq!(binary("2022-04-16 01:02:03.001", 3), [11, 0xe6, 7, 4, 16, 1, 2, 3, 0xe8, 3, 0, 0]);
        let mut into = Vec::new();
        Clock::parse("-25:00:01").expect("a time").push_binary(&mut into, 0);
        assert_eq!(into, [8, 1, 1, 0, 0, 0, 1, 0, 1]);
    }
}
