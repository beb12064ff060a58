//! TIME: a span of at most 838:59:59 to either side, in microseconds; MySQL's ways to write one.

use super::{DAY, SECOND, parse_number, push_fraction};

/// 838:59:59 in microseconds.
pub const SPAN_MAX: i64 = (838 * 3600 + 59 * 60 + 59) * SECOND;

/// Microseconds of `[-][D ]H:M:S[.f]`, `H:M`, `HHMMSS[.f]`, `MMSS`, `SS`, be it more than a TIME can be; `None`: it is none of these.
pub fn parse(text: &str) -> Option<i64> {
    read(text).filter(|(_, rest)| rest.is_empty()).map(|(us, _)| us)
}

/// The same of what a text begins with, as MySQL casts it, and what follows.
pub fn read(text: &str) -> Option<(i64, &str)> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let first = number(&mut rest)?;
    let behind = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
    let with_days = behind.len() < rest.len() && behind.len() > 1 && begins_with_digit(behind);
    let (days, [hours, minutes, seconds]) = if with_days {
        rest = behind;
        (first, clock(number(&mut rest)?, &mut rest)?)
    } else if rest.strip_prefix(':').is_some_and(begins_with_digit) {
        (0, clock(first, &mut rest)?)
    } else {
        (0, [first / 10_000, first / 100 % 100, first % 100])
    };
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let micros = fraction(&mut rest);
    if has_exponent(rest) {
        return None;
    }
    let seconds = days.checked_mul(24)?.checked_add(hours)?.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?;
    let us = seconds.checked_mul(SECOND)?.checked_add(micros)?;
    Some((if negative { -us } else { us }, rest))
}

fn begins_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The digits here, which are stepped over; `None`: there are none, or they are more than MySQL's 32 bits.
fn number(rest: &mut &str) -> Option<i64> {
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, behind) = rest.split_at_checked(end)?;
    *rest = behind;
    digits.parse::<u32>().ok().map(i64::from)
}

/// Hours that have been read, and the minutes and seconds behind them.
fn clock(hours: i64, rest: &mut &str) -> Option<[i64; 3]> {
    let mut parts = [hours, 0, 0];
    for part in parts.iter_mut().skip(1) {
        let Some(behind) = rest.strip_prefix(':').filter(|behind| begins_with_digit(behind)) else { break };
        *rest = behind;
        *part = number(rest)?;
    }
    Some(parts)
}

/// A point and digits behind it, in millionths, rounded; a point alone is one, too.
fn fraction(rest: &mut &str) -> i64 {
    let Some(behind) = rest.strip_prefix('.') else { return 0 };
    let (digits, behind) = behind.split_at(behind.bytes().take_while(u8::is_ascii_digit).count());
    if digits.is_empty() && !behind.is_empty() {
        return 0;
    }
    *rest = behind;
    let micros = digits.bytes().chain(std::iter::repeat(b'0')).take(6).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    micros + i64::from(digits.as_bytes().get(6).is_some_and(|digit| *digit >= b'5'))
}

/// `e5`, `E+5`: with one, a text is no TIME.
fn has_exponent(rest: &str) -> bool {
    rest.strip_prefix(['e', 'E']).is_some_and(|digits| begins_with_digit(digits.strip_prefix(['+', '-']).unwrap_or(digits)))
}

/// `[-]HH:MM:SS`, with so many digits of fraction.
pub fn print(us: i64, digits: u8) -> String {
    let (sign, us) = (if us < 0 { "-" } else { "" }, us.unsigned_abs());
    let (seconds, micros) = (us / SECOND as u64, us % SECOND as u64);
    let mut text = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    push_fraction(&mut text, micros as u32, digits);
    text
}

/// 838:59:59 as a number.
const NUMBER_MAX: i64 = 8_385_959;
/// From here on a number may be a DATETIME, as in MySQL.
const LONG_MIN: i64 = 10_000_000_000;

/// A number HHMMSS with microseconds beside it, both with the number's sign, as a span; the time of day of a number YYMMDDhhmmss or
/// YYYYMMDDhhmmss; `None`: it is none, or more than a TIME can be.
pub fn of_number(number: i64, micros: i64) -> Option<i64> {
    if number >= LONG_MIN {
        return Some((parse_number(number)? + micros).rem_euclid(DAY));
    }
    let (sign, number) = (if number < 0 || micros < 0 { -1 } else { 1 }, number.checked_abs()?);
    let (hours, minutes, seconds) = (number / 10_000, number / 100 % 100, number % 100);
    let fits = minutes < 60 && seconds < 60 && number <= NUMBER_MAX;
    let us = || sign * ((hours * 3600 + minutes * 60 + seconds) * SECOND + micros.saturating_abs());
    fits.then(us).map(|us| us.clamp(-SPAN_MAX, SPAN_MAX))
}

/// HHMMSS, and microseconds beside it, both with the span's sign.
pub fn as_number(us: i64) -> (i64, i64) {
    let (sign, us) = (us.signum(), us.saturating_abs());
    let seconds = us / SECOND;
    (sign * (seconds / 3600 * 10_000 + seconds / 60 % 60 * 100 + seconds % 60), sign * (us % SECOND))
}

/// Rounded to so many digits of the fraction, within what a TIME can be.
pub fn round(us: i64, digits: u8) -> i64 {
    let step = 10_i64.pow(6 - u32::from(digits.min(6)));
    let up = us.saturating_abs().saturating_add(step / 2) / step * step;
    (us.signum() * up).clamp(-SPAN_MAX, SPAN_MAX)
}
