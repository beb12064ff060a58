//! TIME: a span of at most 838:59:59 to either side, as text; and texts that are a TIME or a DATETIME.

use super::session;
use crate::sql::datetime::{self, Civil, DAY, SECOND};

/// 838:59:59 in microseconds.
pub(super) const SPAN_MAX: i64 = (838 * 3600 + 59 * 60 + 59) * SECOND;

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Temporal {
    /// A TIME, microseconds.
    Span(i64),
    /// A DATETIME as its calendar and clock show it, microseconds since 1970-01-01 there.
    Wall(i64),
}

impl Temporal {
    /// The span, or the time of day.
    pub(super) fn clock(self) -> i64 {
        match self {
            Temporal::Span(us) => us,
            Temporal::Wall(us) => us.rem_euclid(DAY),
        }
    }

    pub(super) fn micros(self) -> i64 {
        match self {
            Temporal::Span(us) | Temporal::Wall(us) => us,
        }
    }

    /// As a moment's parts; a span counts from a day 0, which has no date.
    pub(super) fn civil(self) -> Option<Civil> {
        match self {
            Temporal::Span(_) => None,
            Temporal::Wall(us) => Some(datetime::civil(us, 0)),
        }
    }

    pub(super) fn print(self, digits: u8) -> String {
        match self {
            Temporal::Span(us) => print(us, digits),
            Temporal::Wall(us) => datetime::format(us, 0, digits),
        }
    }
}

/// A TIME or a DATETIME, and the digits of its fraction. A text with a date in front is a DATETIME.
pub(super) fn read(text: &str) -> Option<(Temporal, u8)> {
    let text = text.trim();
    let digits = text.rsplit_once('.').map_or(0, |(_, fraction)| fraction.bytes().take_while(u8::is_ascii_digit).count().min(6));
    let dated = text.bytes().skip(1).any(|b| b == b'-' || b == b'T') || text.bytes().take_while(u8::is_ascii_digit).count() >= 12;
    if dated && let Some((civil, zone)) = datetime::parse_civil(text) {
        let wall = datetime::from_civil(&civil, zone.map_or(0, |zone| zone - session::zone()));
        return Some((Temporal::Wall(wall), digits as u8));
    }
    read_span(text).map(|us| (Temporal::Span(us), digits as u8))
}

/// `[-][D ]H:M:S[.f]`, `H:M`, `HHMMSS[.f]`, `MMSS`, `SS`.
fn read_span(text: &str) -> Option<i64> {
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
    let us = seconds.checked_mul(SECOND)?.checked_add(micros)?.min(SPAN_MAX);
    Some(if negative { -us } else { us })
}

fn number(text: &str) -> Option<i64> {
    (!text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Within what a TIME can be.
pub(super) fn clamp(us: i64) -> i64 {
    us.clamp(-SPAN_MAX, SPAN_MAX)
}

/// `[-]HH:MM:SS`, with so many digits of fraction.
pub(super) fn print(us: i64, digits: u8) -> String {
    let (sign, us) = (if us < 0 { "-" } else { "" }, us.unsigned_abs());
    let (seconds, micros) = (us / SECOND as u64, us % SECOND as u64);
    let mut text = format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    datetime::push_fraction(&mut text, micros as u32, digits);
    text
}
