//! TIME: a span of at most 838:59:59 to either side, in microseconds; MySQL's ways to write one.

use super::{DAY, SECOND, parse_number, push_fraction};

/// 838:59:59 in microseconds.
pub const SPAN_MAX: i64 = (838 * 3600 + 59 * 60 + 59) * SECOND;

/// Microseconds of `[-][D ]H:M:S[.f]`, `H:M`, `HHMMSS[.f]`, `MMSS`, `SS`, be it more than a TIME can be; `None`: it is none of these.
pub fn parse(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (days, clock) = whole.split_once(' ').map_or((Some(0), whole), |(days, clock)| (number(days), clock.trim_start()));
    let parts = clock.split(':').map(number).collect::<Option<Vec<_>>>()?;
    let (hours, minutes, seconds) = match (parts.as_slice(), whole.contains(' ')) {
        ([hours, minutes, seconds], _) => (*hours, *minutes, *seconds),
        ([hours, minutes], _) => (*hours, *minutes, 0),
        ([hours], true) => (*hours, 0, 0),
        ([run], false) => (run / 10_000, run / 100 % 100, run % 100),
        _ => return None,
    };
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let mut micros = 0;
    let mut place = 100_000;
    for digit in fraction.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        micros += i64::from(digit - b'0') * place;
        place /= 10;
    }
    let seconds = days?.checked_mul(24)?.checked_add(hours)?.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?;
    let us = seconds.checked_mul(SECOND)?.checked_add(micros)?;
    Some(if negative { -us } else { us })
}

/// The same of the TIME that a text begins with, whatever follows it; `None`: it begins with none, or goes on like a number's exponent.
pub fn begins(text: &str) -> Option<i64> {
    let text = text.trim_ascii_start();
    let (negative, text) = text.strip_prefix('-').map_or((false, text.strip_prefix('+').unwrap_or(text)), |rest| (true, rest));
    let (first, rest) = digits(text)?;
    let digit_follows = |text: &str| text.starts_with(|letter: char| letter.is_ascii_digit());
    let behind = rest.trim_ascii_start();
    let days = (behind.len() < rest.len() && digit_follows(behind)).then_some(first);
    let (parts, rest) = match days {
        Some(_) => clock(behind, 0)?,
        None if rest.strip_prefix(':').is_some_and(digit_follows) => clock(text, 0)?,
        None => ([first / 10_000, first / 100 % 100, first % 100], rest),
    };
    let [hours, minutes, seconds] = parts;
    let (micros, rest) = match rest.strip_prefix('.').filter(|rest| digit_follows(rest)) {
        Some(fraction) => {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let six = fraction.bytes().take(length).chain(std::iter::repeat(b'0')).take(6);
            (six.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')), fraction.get(length..).unwrap_or_default())
        }
        None => (0, rest),
    };
    let exponent = rest.strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
    if minutes > 59 || seconds > 59 || exponent.is_some_and(digit_follows) {
        return None;
    }
    let hours = days.unwrap_or(0).checked_mul(24)?.checked_add(hours)?;
    let us = hours.checked_mul(3600)?.checked_add(minutes * 60 + seconds)?.checked_mul(SECOND)?.checked_add(micros)?;
    Some(if negative { -us } else { us })
}

/// `H[:M[:S]]`, and what follows.
fn clock(text: &str, at: usize) -> Option<([i64; 3], &str)> {
    let (value, rest) = digits(text)?;
    let next = rest.strip_prefix(':').filter(|_| at < 2).and_then(|rest| clock(rest, at + 1));
    let (mut parts, rest) = next.unwrap_or(([0; 3], rest));
    *parts.get_mut(at)? = value;
    Some((parts, rest))
}

/// The number that a text begins with, and what follows; `None`: it begins with none, or with one that no TIME has.
fn digits(text: &str) -> Option<(i64, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(length);
    digits.parse::<u32>().ok().map(|value| (i64::from(value), rest))
}

fn number(text: &str) -> Option<i64> {
    (!text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
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

/// A number HHMMSS with microseconds beside it as a span, the time of day of a number YYMMDDhhmmss or YYYYMMDDhhmmss; `None`: it is none,
/// or more than a TIME can be.
pub fn of_number(number: i64, micros: i64) -> Option<i64> {
    if number >= LONG_MIN {
        return Some((parse_number(number)? + micros).rem_euclid(DAY));
    }
    let (sign, number) = (if number < 0 { -1 } else { 1 }, number.checked_abs()?);
    let (hours, minutes, seconds) = (number / 10_000, number / 100 % 100, number % 100);
    let fits = minutes < 60 && seconds < 60 && number <= NUMBER_MAX;
    fits.then(|| sign * ((hours * 3600 + minutes * 60 + seconds) * SECOND + micros)).map(|us| us.clamp(-SPAN_MAX, SPAN_MAX))
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
