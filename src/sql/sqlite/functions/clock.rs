//! TIME: a span of at most 838:59:59 to either side; and texts that are a TIME or a DATETIME.

use super::session;
use crate::sql::datetime::span::{self, SPAN_MAX};
use crate::sql::datetime::{self, Civil, DAY};
use crate::sql::zones::Zone;

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
            Temporal::Span(us) => span::print(us, digits),
            Temporal::Wall(us) => datetime::format(us, 0, digits),
        }
    }
}

/// A TIME or a DATETIME that a text begins with, and the digits of its fraction. A text with a date in front is a DATETIME; of any other the
/// TIME counts that it begins with.
pub(super) fn read(text: &str) -> Option<(Temporal, u8)> {
    let text = text.trim();
    match dated(text, Zone::cast_wall) {
        Some(wall) => Some((Temporal::Wall(wall), digits(text))),
        None => span(text, span::read(text).map(|(us, _)| us)),
    }
}

/// The same where a date alone is no DATETIME: its year is a TIME.
pub(super) fn read_time(text: &str) -> Option<(Temporal, u8)> {
    let text = text.trim();
    match dated(text, Zone::cast_wall).filter(|_| datetime::shows_clock(text)) {
        Some(wall) => Some((Temporal::Wall(wall), digits(text))),
        None => span(text, span::read(text).map(|(us, _)| us)),
    }
}

/// The same of a text that is a TIME, or a DATETIME, and nothing else.
pub(super) fn read_whole(text: &str) -> Option<(Temporal, u8)> {
    let text = text.trim();
    match dated(text, Zone::read_wall).filter(|_| datetime::shows_clock(text)) {
        Some(wall) => Some((Temporal::Wall(wall), digits(text))),
        None => span(text, span::parse(text)),
    }
}

fn dated(text: &str, read: fn(&Zone, &str) -> Option<i64>) -> Option<i64> {
    let leading = text.bytes().take_while(u8::is_ascii_digit).count();
    let dated = text.bytes().skip(1).any(|b| b == b'-' || b == b'T') || leading >= 12;
    dated.then(|| read(&session::zone(), text)).flatten()
}

fn digits(text: &str) -> u8 {
    text.rsplit_once('.').map_or(0, |(_, fraction)| fraction.bytes().take_while(u8::is_ascii_digit).count().min(6)) as u8
}

fn span(text: &str, us: Option<i64>) -> Option<(Temporal, u8)> {
    Some((Temporal::Span(us?.clamp(-SPAN_MAX, SPAN_MAX)), digits(text)))
}

/// Within what a TIME can be.
pub(super) fn clamp(us: i64) -> i64 {
    us.clamp(-SPAN_MAX, SPAN_MAX)
}
