//! TIME: a span of at most 838:59:59 to either side; and texts that are a TIME or a DATETIME.

use super::session;
use crate::sql::datetime::span::{self, SPAN_MAX};
use crate::sql::datetime::{self, Civil, DAY};

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

/// A TIME or a DATETIME, and the digits of its fraction. A text with a date in front is a DATETIME.
pub(super) fn read(text: &str) -> Option<(Temporal, u8)> {
    let text = text.trim();
    let digits = text.rsplit_once('.').map_or(0, |(_, fraction)| fraction.bytes().take_while(u8::is_ascii_digit).count().min(6));
    let dated = text.bytes().skip(1).any(|b| b == b'-' || b == b'T') || text.bytes().take_while(u8::is_ascii_digit).count() >= 12;
    if dated && let Some(wall) = session::zone().read_wall(text) {
        return Some((Temporal::Wall(wall), digits as u8));
    }
    span::parse(text).map(|us| us.clamp(-SPAN_MAX, SPAN_MAX)).map(|us| (Temporal::Span(us), digits as u8))
}

/// Within what a TIME can be.
pub(super) fn clamp(us: i64) -> i64 {
    us.clamp(-SPAN_MAX, SPAN_MAX)
}
